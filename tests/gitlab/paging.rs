//! Lists: both ways of paging, scopes, and lists that lie about their end.

use jobvault::gitlab::{Client, Cursor, GroupRef, PipelineFilter, PipelineOrder, ProjectFilter};
use jobvault::model::{PipelineId, Status};
use serde_json::json;

use super::{PROJECT, client, data, start};
use crate::util::gitlab::{Data, FakeGitLab, Fault};

/// Walks all pages, keeping each cursor as text between them.
async fn walk(client: &Client) -> Vec<u64> {
    let mut ids = Vec::new();
    let mut next = Some("first".to_owned());
    while let Some(text) = next {
        let cursor: Cursor = text.parse().unwrap();
        let page = client.jobs_page(PROJECT, &[], &cursor).await.unwrap();
        ids.extend(page.items.iter().map(|job| job.value.id.0));
        next = page.next.map(|cursor| cursor.to_string());
    }
    ids
}

#[tokio::test]
async fn jobs_are_walked_by_keyset_with_a_request_a_page() {
    let (fake, client) = start(250);
    assert_eq!(walk(&client).await, (1..=250).rev().collect::<Vec<_>>());
    assert_eq!(fake.count("jobs"), 3);
    for seen in fake.seen() {
        assert_eq!(seen.request.param("pagination"), Some("keyset"));
        assert_eq!(seen.request.params("per_page"), ["100"]);
    }
}

#[tokio::test]
async fn servers_that_ignore_keyset_are_walked_by_number() {
    let (fake, client) = start(250);
    fake.data(|data| data.keyset = false);
    assert_eq!(walk(&client).await.len(), 250);
    assert_eq!(fake.count("jobs"), 3);
}

#[tokio::test]
async fn servers_that_refuse_keyset_are_walked_by_number() {
    for status in [400, 405] {
        let (fake, client) = start(250);
        fake.data(|data| data.keyset = false);
        fake.on(
            "jobs",
            1,
            Fault::json(status, r#"{"error":"Keyset pagination is not available"}"#),
        );
        assert_eq!(walk(&client).await.len(), 250);
        assert_eq!(fake.count("jobs"), 4);
    }
}

#[tokio::test]
async fn x_next_page_serves_where_there_is_no_link() {
    let (fake, client) = start(250);
    fake.data(|data| data.keyset = false);
    fake.on("jobs", 9, Fault::NoHeader("Link"));
    assert_eq!(walk(&client).await.len(), 250);
}

#[tokio::test]
async fn the_host_of_a_link_does_not_matter() {
    let (fake, client) = start(250);
    let port = fake.url().rsplit(':').next().unwrap().to_owned();
    let elsewhere = Fault::edit(move |answer| {
        for (name, value) in &mut answer.headers {
            if name == "Link" {
                *value = value.replace(&format!("127.0.0.1:{port}"), "gitlab.invalid");
            }
        }
    });
    fake.on("jobs", 9, elsewhere);
    assert_eq!(walk(&client).await.len(), 250);
}

#[tokio::test]
async fn a_full_page_that_says_nothing_is_looked_at_twice() {
    let (fake, client) = start(250);
    fake.on("jobs", 1, Fault::NoPagingHeaders);
    assert_eq!(walk(&client).await.len(), 250);
    assert_eq!(fake.count("jobs"), 4);
    // When it says nothing again, the next page is looked at by its number.
    let (fake, client) = start(100);
    assert_eq!(walk(&client).await.len(), 100);
    assert_eq!(fake.count("jobs"), 3);
}

#[tokio::test]
async fn a_proxy_that_drops_headers_hides_no_job() {
    let (fake, client) = start(250);
    fake.on("jobs", 99, Fault::NoPagingHeaders);
    assert_eq!(walk(&client).await, (1..=250).rev().collect::<Vec<_>>());
    assert_eq!(fake.count("jobs"), 5);
}

#[tokio::test]
async fn a_list_that_does_not_go_on_is_tried_again_and_then_an_error() {
    let (fake, client) = start(250);
    fake.data(|data| data.keyset = false);
    fake.pass("jobs", 1);
    let stuck = "</x?page=2>; rel=\"next\"";
    fake.on("jobs", 1, Fault::Header("Link", stuck.into()));
    assert_eq!(walk(&client).await.len(), 250);
    assert_eq!(fake.count("jobs"), 4);

    fake.on("jobs", 99, Fault::Header("Link", stuck.into()));
    let error = client.jobs_page(PROJECT, &[], &"page=2".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("not after this one"), "{error}");
}

#[tokio::test]
async fn a_keyset_circle_ends() {
    let projects = (1..=150).fold(Data::default(), |data, id| data.project(id, &format!("g/{id}")));
    let fake = FakeGitLab::start(projects);
    let link = |cursor: &str| format!("</x?cursor={cursor}>; rel=\"next\"");
    for cursor in ["a", "b", "a"] {
        fake.on("projects", 1, Fault::Header("Link", link(cursor)));
    }
    let error = client(&fake).projects(&ProjectFilter::default()).await.unwrap_err();
    assert!(error.to_string().contains("does not end"), "{error}");
    assert_eq!(fake.count("projects"), 3);
}

#[tokio::test]
async fn one_scope_and_many_are_sent_as_the_server_wants_them() {
    let (fake, client) = start(0);
    let first = Cursor::default();
    client.jobs_page(PROJECT, &[Status::Running], &first).await.unwrap();
    client.jobs_page(PROJECT, &[Status::Running, Status::Manual], &first).await.unwrap();
    let seen = fake.seen();
    assert_eq!(seen[0].request.params("scope"), ["running"]);
    assert_eq!(seen[1].request.params("scope[]"), ["running", "manual"]);
}

#[tokio::test]
async fn jobs_of_a_pipeline_include_retried_ones() {
    let (fake, client) = start(25);
    fake.data(|data| data.job_mut(1, 12).doc["retried"] = json!(true));
    let page = client.pipeline_jobs(PROJECT, PipelineId(2), &[]).await.unwrap();
    assert_eq!((page.items.len(), page.next), (10, None));
}

#[tokio::test]
async fn pipelines_are_listed_by_what_changed() {
    let (fake, client) = start(25);
    fake.data(|data| {
        let pipelines = &mut data.projects.get_mut(&1).unwrap().pipelines;
        pipelines.get_mut(&2).unwrap()["updated_at"] = json!("2026-02-01T00:00:00.000Z");
        pipelines.get_mut(&3).unwrap()["source"] = json!("parent_pipeline");
    });
    let ids = async |filter: PipelineFilter| {
        let page = client.pipelines_page(PROJECT, &filter, &Cursor::default()).await.unwrap();
        page.items.iter().map(|pipeline| pipeline.value.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(PipelineFilter::default()).await, [2, 1]);
    let changed = PipelineFilter {
        updated_after: "2026-01-31T00:00:00Z".parse().ok(),
        order: PipelineOrder::LatestChange,
        ..PipelineFilter::default()
    };
    assert_eq!(ids(changed).await, [2]);
    let source = Some("parent_pipeline".to_owned());
    assert_eq!(ids(PipelineFilter { source, ..PipelineFilter::default() }).await, [3]);
}

#[tokio::test]
async fn projects_of_the_instance_and_of_a_group_are_listed() {
    let projects = (1..=150).fold(data(0), |data, id| data.project(id + 1, &format!("g/s/{id}")));
    let fake = FakeGitLab::start(projects);
    let client = client(&fake);
    let filter = ProjectFilter { membership: true, simple: true, archived: Some(false) };
    assert_eq!(client.projects(&filter).await.unwrap().items.len(), 151);
    assert_eq!(fake.count("projects"), 2);
    let request = &fake.seen()[0].request;
    for (key, value) in [("membership", "true"), ("simple", "true"), ("archived", "false")] {
        assert_eq!(request.param(key), Some(value));
    }
    let group = GroupRef("g".into());
    let page = client.group_projects(&group, &ProjectFilter::default()).await.unwrap();
    assert_eq!(page.items.len(), 150);
    let seen = fake.seen();
    assert_eq!(seen.last().unwrap().request.param("include_subgroups"), Some("true"));
}

#[test]
fn cursors_survive_as_text_and_other_texts_are_refused() {
    for text in ["first", "page=7", "cursor=eyJpZCI6IjI2In0%3D", "id_after=7&cursor=x"] {
        assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
    }
    for text in ["", "page=", "page=x", "cursor=", "nonsense"] {
        assert!(text.parse::<Cursor>().is_err(), "{text:?}");
    }
    assert!("x".repeat(5000).parse::<Cursor>().is_err());
}
