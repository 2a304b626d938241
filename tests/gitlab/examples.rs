//! The answers documented in 2021, each as printed, and today's shapes.

use jobvault::gitlab::{Cursor, Page};
use jobvault::model::{Bridge, Job, JobId, PipelineId, Status};
use serde_json::json;

use super::{PROJECT, start};
use crate::util::gitlab::{Data, Fault, job_doc};

fn example(name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/jobs-api-2021");
    std::fs::read_to_string(format!("{dir}/{name}.json")).unwrap()
}

async fn jobs_page(body: &str) -> Page<Job> {
    let (fake, client) = start(0);
    fake.on("jobs", 1, Fault::json(200, body));
    client.jobs_page(PROJECT, &[], &Cursor::default()).await.unwrap()
}

#[tokio::test]
async fn the_documented_list_of_jobs_keeps_the_artifacts_listed_twice() {
    let page = jobs_page(&example("project-jobs")).await;
    assert_eq!((page.items.len(), page.bad.len()), (2, 0));
    let job = &page.items[0].value;
    assert_eq!((job.id, job.name.as_deref()), (JobId(7), Some("teaspoon")));
    assert_eq!(job.trace_size(), Some(1500));
    assert_eq!(job.artifacts.len(), 4);
    assert_eq!(job.pipeline, Some(PipelineId(6)));
    assert_eq!(job.status, Some(Status::Failed));
    assert_eq!(job.tag_list, ["docker runner", "ubuntu18"]);
    assert_eq!(job.sha.as_deref(), Some("0ff3ae198f8601a285adcf5c0fff204ee6fba5fd"));
    assert_eq!((job.user.as_deref(), job.author.as_deref()), (Some("root"), Some("Administrator")));
    assert_eq!(job.finished_at, "2015-12-24T17:54:27.895Z".parse().ok());
    assert_eq!(job.runner, None);
    assert_eq!(page.items[1].value.trace_size(), None);
    assert!(example("project-jobs").contains(&*page.items[0].raw), "the JSON is kept as sent");
}

#[tokio::test]
async fn the_documented_jobs_and_bridges_of_a_pipeline_are_understood() {
    let (fake, client) = start(1);
    fake.on("pipeline_jobs", 1, Fault::json(200, &example("pipeline-jobs")));
    let page = client.pipeline_jobs(PROJECT, PipelineId(1), &[]).await.unwrap();
    let sizes: Vec<_> = page.items.iter().map(|job| job.value.trace_size()).collect();
    assert_eq!(sizes, [None, Some(1500)]);

    fake.on("bridges", 1, Fault::json(200, &example("pipeline-bridges")));
    let page = client.bridges(PROJECT, PipelineId(1), &[]).await.unwrap();
    let Bridge { job, downstream } = &page.items[0].value;
    assert_eq!((job.id, job.duration), (JobId(7), Some(240.0)));
    assert_eq!(downstream.as_ref().map(|pipeline| pipeline.id), Some(PipelineId(5)));
}

#[tokio::test]
async fn the_documented_single_job_is_understood() {
    let (fake, client) = start(0);
    fake.on("job", 1, Fault::json(200, &example("job")));
    let job = client.job(PROJECT, JobId(8)).await.unwrap().value;
    assert_eq!((job.name.as_deref(), job.duration), (Some("rubocop"), Some(0.465)));
}

#[tokio::test]
async fn the_documented_answers_of_the_actions_are_understood() {
    let (fake, client) = start(0);
    for action in ["cancel", "retry", "erase", "play"] {
        fake.on(action, 1, Fault::json(201, &example(action)));
    }
    let id = JobId(42);
    let status = [
        client.cancel(PROJECT, id).await.unwrap().value.status,
        client.retry(PROJECT, id).await.unwrap().value.status,
        client.erase(PROJECT, id).await.unwrap().value.status,
        client.play(PROJECT, id, &[]).await.unwrap().value.status,
    ];
    let words: Vec<_> = status.iter().flatten().map(Status::as_str).collect();
    assert_eq!(words, ["canceled", "pending", "failed", "started"]);
}

#[tokio::test]
async fn todays_job_has_its_project_through_the_pipeline() {
    let (_fake, client) = start(3);
    let job = client.job(PROJECT, JobId(3)).await.unwrap().value;
    assert_eq!((job.project, job.pipeline_source.as_deref()), (Some(PROJECT), Some("push")));
    assert_eq!(job.trace_size(), Some("log of 3\n".len() as u64));
    assert_eq!(job.runner.unwrap().description.as_deref(), Some("runner-1"));
}

#[tokio::test]
async fn ids_and_sizes_beyond_doubles_survive() {
    let big = (1 << 53) + 1;
    let mut doc = job_doc(big, big, "big", "success");
    doc["artifacts"] = json!([{"file_type": "trace", "size": big}]);
    let data = Data::default().project(1, "a/b").job(1, doc, "x");
    let fake = crate::util::gitlab::FakeGitLab::start(data);
    let job = super::client(&fake).job(PROJECT, JobId(big)).await.unwrap().value;
    assert_eq!((job.id, job.pipeline), (JobId(big), Some(PipelineId(big))));
    assert_eq!(job.trace_size(), Some(big));
}

#[tokio::test]
async fn one_bad_element_is_named_beside_the_good_ones() {
    let page = jobs_page(
        r#"[{"id":3,"name":"a"},{"name":"no id"},{"id":"4"},{"id":9223372036854775808},7,{"id":5}]"#,
    )
    .await;
    let ids: Vec<_> = page.items.iter().map(|job| job.value.id.0).collect();
    assert_eq!(ids, [3, 5]);
    let reasons: Vec<_> = page.bad.iter().map(|bad| (bad.id, bad.reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (None, "there is no id"),
            (None, "the id is not a whole number"),
            (Some(9_223_372_036_854_775_808), "the id is too large"),
            (None, "the JSON is not of the kind asked for"),
        ]
    );
    assert_eq!(&*page.bad[0].raw, r#"{"name":"no id"}"#);
}

#[tokio::test]
async fn odd_fields_cost_only_themselves() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let body = format!(
        r#"[{{"id":1,"name":7,"status":"brewing","tag":"yes","duration":"3","created_at":"later",
            "pipeline":[],"user":"root","artifacts":{{}},"tag_list":["a",3],"x_new":{{"a":1}},
            "started_at":"2026-01-02T03:04:05.5+05:30","x_deep":{deep}}}]"#
    );
    let page = jobs_page(&body).await;
    let job = &page.items[0].value;
    let expected = Job {
        id: JobId(1),
        status: Some(Status::Other("brewing".into())),
        started_at: "2026-01-01T21:34:05.5Z".parse().ok(),
        tag_list: vec!["a".into()],
        ..Job::default()
    };
    assert_eq!(*job, expected);
}
