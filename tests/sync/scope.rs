//! Which projects a sync is of, and how far back it goes.

use jobvault::gitlab::GroupRef;
use jobvault::sync::{Everything, Options};
use serde_json::json;

use super::{PROJECT, log, server_with};
use crate::util::archive::{Archive, client, client_options};
use crate::util::gitlab::{Data, FakeGitLab, job_doc};

/// Four projects with a job each: two of a group, one of them archived, one of a subgroup, one elsewhere.
fn groups() -> Data {
    let paths = ["group/app", "group/old", "group/sub/lib", "other/app"];
    let data = (1..).zip(paths).fold(Data::default(), |data, (id, path)| {
        data.project(id, path).job(id, job_doc(id, id, "build", "success"), log(id))
    });
    let mut data = data;
    data.projects.get_mut(&2).unwrap().doc["archived"] = json!(true);
    data
}

async fn archived(archive: &Archive) -> Vec<u64> {
    let mut ids = Vec::new();
    for id in 1..=4 {
        let row = archive.store().await.catalogue().job(jobvault::model::JobId(id)).await.unwrap();
        ids.extend(row.map(|_| id));
    }
    ids
}

#[tokio::test]
async fn a_group_is_its_projects_and_those_of_its_subgroups() {
    let server = FakeGitLab::start(groups());
    let archive = Archive::new();
    let groups = vec![GroupRef("group".to_owned())];
    let options = Options { groups: groups.clone(), ..archive.options(&server) };
    archive.run(&client(&server), options).await.unwrap();
    assert_eq!(archived(&archive).await, [1, 3], "archived projects on request only");
    let options = Options { groups, archived: true, ..archive.options(&server) };
    archive.run(&client(&server), options).await.unwrap();
    assert_eq!(archived(&archive).await, [1, 2, 3]);
}

#[tokio::test]
async fn all_projects_are_narrowed_by_globs() {
    let server = FakeGitLab::start(groups());
    let archive = Archive::new();
    let options = Options {
        everything: Some(Everything::Visible),
        include: vec!["*/app".to_owned(), "*/lib".to_owned()],
        exclude: vec!["other/*".to_owned()],
        ..archive.options(&server)
    };
    let stats = archive.run(&client(&server), options).await.unwrap();
    assert_eq!(archived(&archive).await, [1, 3]);
    assert_eq!((stats.archived, stats.failed.len()), (2, 0));
}

#[tokio::test]
async fn a_group_that_is_not_there_is_named_and_the_others_are_synced() {
    let server = FakeGitLab::start(groups());
    server.pass("group_projects", 1);
    let gone = crate::util::gitlab::Fault::json(404, "{\"message\":\"404 Group Not Found\"}");
    server.on("group_projects", 1, gone);
    let archive = Archive::new();
    let groups = ["group", "nowhere"].map(|g| GroupRef(g.to_owned())).to_vec();
    let options = Options { groups, ..archive.options(&server) };
    let stats = archive.run(&client(&server), options).await.unwrap();
    assert_eq!(archived(&archive).await, [1, 3]);
    assert_eq!(stats.failed.len(), 1);
    assert_eq!(stats.failed[0].project, "nowhere/*");
}

/// A server whose job N came to be on day N of the year 2026.
fn by_day(jobs: u64) -> Data {
    let mut data = server_with(jobs);
    let start: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    for id in 1..=jobs {
        let hours = jiff::SignedDuration::from_hours(i64::try_from(id).unwrap() * 24);
        data.job_mut(PROJECT, id).doc["created_at"] = json!((start + hours).to_string());
    }
    data
}

#[tokio::test]
async fn older_jobs_are_left_until_they_are_asked_for() {
    let server = FakeGitLab::start(by_day(250));
    let archive = Archive::new();
    let since = |day: &str| Some(format!("2026-{day}T00:00:00Z").parse().unwrap());
    let projects = vec![jobvault::model::ProjectId(PROJECT).into()];
    let options = |since| Options { projects: projects.clone(), since, ..archive.options(&server) };
    let client = client(&server);
    let stats = archive.run(&client, options(since("08-01"))).await.unwrap();
    assert_eq!(stats.archived, 250 - 211, "job 212 is of the first of August");
    assert_eq!(server.count("jobs"), 1);
    server.forget();
    let stats = archive.run(&client, options(since("08-01"))).await.unwrap();
    assert_eq!((stats.archived, server.count("*")), (0, 1), "a round stays one request");
    let stats = archive.run(&client, options(since("03-01"))).await.unwrap();
    assert_eq!(stats.archived, 211 - 58, "job 59 is of the first of March");
    let stats = archive.run(&client, options(None)).await.unwrap();
    assert_eq!(stats.archived, 58);
    assert_eq!(archive.raw(1).await, log(1));
}

#[tokio::test]
async fn a_renamed_project_keeps_its_jobs() {
    let server = FakeGitLab::start(server_with(2));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    server.data(|d| {
        let project = d.projects.get_mut(&PROJECT).unwrap();
        project.doc["path_with_namespace"] = json!("group/renamed");
        project.former.push("group/project".to_owned());
        *d = d.clone().job(PROJECT, job_doc(3, 9, "build", "success"), log(3));
    });
    let stats = archive.sync(&server, "group/renamed").await.unwrap();
    assert_eq!((stats.archived, stats.failed.len()), (1, 0));
    assert_eq!(archive.row(1).await.project_path, "group/renamed");
    let stats = archive.sync(&server, "group/project").await.unwrap();
    assert_eq!((stats.archived, stats.failed.len()), (0, 0), "the server redirects");
}

#[tokio::test]
async fn a_budget_of_requests_is_kept_to_the_request_and_the_rest_comes_later() {
    let server = FakeGitLab::start(server_with(120));
    let archive = Archive::new();
    let projects = vec![jobvault::model::ProjectId(PROJECT).into()];
    let options = Options { projects, ..archive.options(&server) };
    let mut limited = client_options(&server);
    limited.max_requests = Some(40);
    let client = jobvault::gitlab::Client::new(limited).unwrap();
    let stats = archive.run(&client, options.clone()).await.unwrap();
    assert_eq!((server.count("*"), stats.requests), (40, 40));
    assert!(stats.spent && stats.interrupted && stats.failed.is_empty());
    let stats = archive.sync(&server, "7").await.unwrap();
    assert!(!stats.spent);
    for job in [1, 60, 120] {
        assert_eq!(archive.raw(job).await, log(job));
    }
    assert_eq!(server.count("trace"), 120, "no trace is fetched twice");
}

#[tokio::test]
async fn a_dry_run_names_what_would_be_fetched_and_writes_nothing() {
    let server = FakeGitLab::start(server_with(3));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    server.data(|d| *d = d.clone().job(PROJECT, job_doc(4, 9, "build", "success"), log(4)));
    server.forget();
    let projects = vec![jobvault::model::ProjectId(PROJECT).into()];
    let options = Options { projects, ..archive.options(&server) };
    let (store, client) = (archive.store().await, client(&server));
    let plan = jobvault::sync::plan(&store, &client, options, Default::default()).await.unwrap();
    let planned = plan.jobs;
    assert_eq!(plan.projects[&planned[0].project_id], "group/project");
    assert_eq!(planned.iter().map(|p| p.job.0).collect::<Vec<_>>(), [4]);
    assert_eq!(planned[0].bytes, Some(log(4).len() as u64));
    assert_eq!(server.count("trace"), 0);
    let row = archive.store().await.catalogue().job(jobvault::model::JobId(4)).await.unwrap();
    assert!(row.is_none());
}
