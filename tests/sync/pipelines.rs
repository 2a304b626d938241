//! Bridges, child pipelines and those of other projects; what a round costs; the sweep.

use jobvault::model::{PipelineId, ProjectId, TraceState};
use jobvault::sync::Options;
use serde_json::json;

use super::{PROJECT, log, server_with};
use crate::util::archive::Archive;
use crate::util::gitlab::{Data, FakeGitLab, Fault, job_doc};

/// The id of a project that nobody asked for.
const OTHER: u64 = 8;

/// A project whose pipeline 50 starts a child pipeline 51 and, in another project, pipeline 60.
fn server_with_bridges() -> Data {
    let mut child = job_doc(31, 51, "child build", "success");
    child["pipeline"]["source"] = json!("parent_pipeline");
    server_with(20)
        .project(OTHER, "other/deploy")
        .job(PROJECT, job_doc(30, 50, "build", "success"), log(30))
        .job(PROJECT, child, log(31))
        .job(OTHER, job_doc(40, 60, "deploy", "success"), log(40))
        .job(OTHER, job_doc(41, 61, "unrelated", "success"), log(41))
        .bridge(PROJECT, job_doc(32, 50, "start child", "success"), Some((PROJECT, 51)))
        .bridge(PROJECT, job_doc(33, 50, "start deploy", "success"), Some((OTHER, 60)))
}

#[tokio::test]
async fn bridges_are_archived_and_what_they_started_is_followed() {
    let server = FakeGitLab::start(server_with_bridges());
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.failed, []);
    let bridge = archive.row(33).await;
    assert!(bridge.bridge);
    assert_eq!((bridge.state, bridge.reason.as_str()), (TraceState::NoLog, "a bridge has no log"));
    assert_eq!(bridge.downstream, Some((ProjectId(OTHER), PipelineId(60))));
    assert_eq!(archive.row(32).await.downstream, Some((ProjectId(PROJECT), PipelineId(51))));
    for job in [30, 31, 40] {
        assert_eq!(archive.raw(job).await, log(job));
    }
    let unrelated = archive.store().await.catalogue().job(jobvault::model::JobId(41)).await;
    assert!(unrelated.unwrap().is_none(), "only what was started is followed");
    assert_eq!(server.count("bridges"), 6, "once a pipeline: 1, 2, 3, 50, 51, 60");
    server.forget();
    archive.sync(&server, "7").await.unwrap();
    assert_eq!(server.count("*"), 1);
}

#[tokio::test]
async fn a_project_that_the_token_does_not_see_keeps_the_link_alone() {
    let server = FakeGitLab::start(server_with_bridges());
    server.data(|d| drop(d.projects.remove(&OTHER)));
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.failed, []);
    assert_eq!(archive.row(33).await.downstream, Some((ProjectId(OTHER), PipelineId(60))));
    server.forget();
    archive.sync(&server, "7").await.unwrap();
    assert_eq!(server.count("*"), 1, "it is not asked for again");
}

#[tokio::test]
async fn a_changed_pipeline_is_asked_for_its_bridges_again_if_it_has_any() {
    let server = FakeGitLab::start(server_with_bridges());
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    server.forget();
    server.data(|d| {
        d.touch_pipeline(PROJECT, 30);
        d.touch_pipeline(PROJECT, 5);
    });
    archive.sync(&server, "7").await.unwrap();
    assert_eq!((server.count("bridges"), server.count("pipelines")), (1, 1));
    assert_eq!(server.count("*"), 3, "and one page of jobs");
}

#[tokio::test]
async fn many_open_jobs_of_a_changed_pipeline_cost_one_request() {
    let mut data = server_with(400);
    for id in 1..=9 {
        data.job_mut(PROJECT, id).doc["status"] = json!("running");
        data.job_mut(PROJECT, id).doc["finished_at"] = json!(null);
    }
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.pending), (391, 9));
    server.data(|d| (1..=9).for_each(|id| d.finish(PROJECT, id, "failed", &log(id))));
    server.forget();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.pending), (9, 0));
    assert_eq!((server.count("pipeline_jobs"), server.count("job")), (1, 0));
    assert_eq!(archive.raw(9).await, log(9));
}

#[tokio::test]
async fn open_jobs_of_many_pipelines_are_found_by_walking_down_to_them() {
    let mut data = server_with(180);
    for id in [150, 130, 110] {
        data.job_mut(PROJECT, id).doc["status"] = json!("running");
    }
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    server.data(|d| [150, 130, 110].map(|id| d.finish(PROJECT, id, "success", &log(id))));
    server.forget();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.archived, 3);
    assert_eq!((server.count("jobs"), server.count("job")), (1, 0));
}

#[tokio::test]
async fn what_a_failed_round_saw_is_seen_by_the_next() {
    let server = FakeGitLab::start(server_with(20));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    server.data(|d| *d = d.clone().job(PROJECT, job_doc(21, 90, "build", "success"), log(21)));
    server.on("jobs", 6, Fault::json(500, "{}"));
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.failed.len(), 1);
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.failed.len()), (1, 0));
}

#[tokio::test]
async fn without_pipelines_neither_bridges_nor_pipelines_are_asked_for() {
    let server = FakeGitLab::start(server_with_bridges());
    let adjust = |options| Options { pipelines: false, ..options };
    let archive = Archive { adjust, ..Archive::new() };
    archive.sync(&server, "7").await.unwrap();
    archive.sync(&server, "7").await.unwrap();
    assert_eq!(
        (server.count("bridges"), server.count("pipelines"), server.count("jobs")),
        (0, 0, 2)
    );
}

fn later() -> jiff::Timestamp {
    jiff::Timestamp::now() + jiff::SignedDuration::from_mins(11)
}

#[tokio::test]
async fn the_sweep_notices_what_was_erased_and_deleted_upstream() {
    let server = FakeGitLab::start(server_with(20));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    server.data(|d| {
        d.erase(PROJECT, 3);
        d.projects.get_mut(&PROJECT).unwrap().jobs.remove(&15);
    });
    server.forget();
    archive.sync(&server, "7").await.unwrap();
    assert_eq!(server.count("*"), 1, "it is not time yet");
    let adjust = |options| Options { clock: later, ..options };
    let archive = Archive { adjust, ..archive };
    archive.sync(&server, "7").await.unwrap();
    let (erased, deleted) = (archive.row(3).await, archive.row(15).await);
    assert_eq!((erased.state, erased.reason.as_str()), (TraceState::Archived, "erased upstream"));
    assert_eq!(
        (deleted.state, deleted.reason.as_str()),
        (TraceState::Archived, "deleted upstream")
    );
    assert!(deleted.gone_at.is_some());
    assert_eq!((archive.raw(3).await, archive.raw(15).await), (log(3), log(15)));
}

#[tokio::test]
async fn bridges_wait_for_jobs_that_are_about_to_be_lost() {
    let mut data = server_with_bridges();
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    for job in (1..=20).chain([30, 31]) {
        data.job_mut(PROJECT, job).doc["artifacts_expire_at"] = json!(soon.to_string());
    }
    let server = FakeGitLab::start(data);
    let archive = Archive { concurrency: 1, ..Archive::new() };
    archive.sync(&server, "7").await.unwrap();
    let routes: Vec<_> = server.seen().into_iter().map(|seen| seen.route).collect();
    let first = routes.iter().position(|route| *route == "bridges").unwrap();
    let before = routes[..first].iter().filter(|route| **route == "trace").count();
    // The last one may be under way.
    assert!(before >= 21, "{before} traces before the first bridge");
    assert_eq!(server.count("bridges"), 6);
}
