//! What becomes of jobs that are not simply archived: one row and one reason each.

use serde_json::json;

use super::{PROJECT, log, server_with};
use crate::util::archive::Archive;
use crate::util::gitlab::{FakeGitLab, Fault, job_doc};
use jobvault::model::TraceState;
use jobvault::sync::Options;

#[tokio::test]
async fn each_listed_job_has_a_row_with_its_reason() {
    let mut data = server_with(3);
    data.erase(PROJECT, 1);
    data = data
        .job(PROJECT, job_doc(4, 1, "empty", "success"), "")
        .job(PROJECT, job_doc(5, 1, "left out", "skipped"), "")
        .job(PROJECT, job_doc(6, 1, "deploy", "manual"), "");
    let server = FakeGitLab::start(data);
    server.on("trace", 1, Fault::json(403, "{\"message\":\"403 Forbidden\"}"));
    let archive = Archive { concurrency: 1, ..Archive::new() };
    let stats = archive.sync(&server, "7").await.unwrap();
    let mut states = Vec::new();
    for id in 1..=6 {
        states.push(archive.row(id).await.state);
    }
    use TraceState::{Archived, Erased, Forbidden, NoLog, Pending};
    // The newest is fetched first: job 4 meets the 403.
    assert_eq!(states, [Erased, Archived, Archived, Forbidden, NoLog, Pending]);
    assert_eq!((stats.erased, stats.archived, stats.forbidden), (1, 2, 1));
    assert_eq!((stats.no_log, stats.pending), (1, 1));
    assert!(archive.row(6).await.reason.contains("manual"));
    assert_eq!(server.count("trace"), 4, "jobs that never ran are not asked for a trace");
}

#[tokio::test]
async fn a_job_erased_upstream_stays_readable() {
    let server = FakeGitLab::start(server_with(2));
    // Without pipelines each round looks at the newest jobs.
    let adjust = |options| Options { pipelines: false, ..options };
    let archive = Archive { adjust, ..Archive::new() };
    archive.sync(&server, "7").await.unwrap();
    server.data(|d| d.erase(PROJECT, 2));
    archive.sync(&server, "7").await.unwrap();
    let row = archive.row(2).await;
    assert_eq!((row.state, row.reason.as_str()), (TraceState::Archived, "erased upstream"));
    assert!(row.erased_at.is_some());
    assert_eq!(archive.raw(2).await, log(2));
}

#[tokio::test]
async fn a_job_deleted_before_its_trace_was_fetched_has_vanished() {
    let server = FakeGitLab::start(server_with(2));
    server.on("trace", 1, Fault::json(404, "{\"message\":\"404 Not found\"}"));
    server.on("job", 1, Fault::json(404, "{\"message\":\"404 Not found\"}"));
    let archive = Archive { concurrency: 1, ..Archive::new() };
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.vanished, stats.archived), (1, 1));
    assert_eq!(archive.row(2).await.state, TraceState::Vanished);
}

#[tokio::test]
async fn a_404_for_the_trace_of_a_job_that_is_there_means_no_log() {
    let mut data = server_with(1);
    data.job_mut(PROJECT, 1).doc["artifacts"] = json!([]);
    let server = FakeGitLab::start(data);
    server.on("trace", 1, Fault::json(404, "{\"message\":\"404 Not found\"}"));
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.no_log, 1);
    assert_eq!(archive.row(1).await.state, TraceState::NoLog);
}

#[tokio::test]
async fn a_404_for_a_trace_that_the_server_announces_is_looked_at_again() {
    let server = FakeGitLab::start(server_with(1));
    server.on("trace", 1, Fault::json(404, "{\"message\":\"404 Not found\"}"));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    archive.sync(&server, "7").await.unwrap();
    assert_eq!(archive.row(1).await.state, TraceState::Archived);
    assert_eq!(archive.raw(1).await, log(1));
}

#[tokio::test]
async fn one_bad_job_is_named_and_tried_again_by_the_next_run() {
    let server = FakeGitLab::start(server_with(5));
    // More failures than the client and the run together have patience for.
    server.data(|d| d.job_mut(PROJECT, 5).doc["name"] = json!("bad"));
    let archive = Archive { concurrency: 1, ..Archive::new() };
    server.on("trace", 6, Fault::json(500, "{}"));
    server.pass("trace", 4);
    server.on("trace", 12, Fault::json(500, "{}"));
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.archived, 4);
    assert_eq!(stats.failed.len(), 1, "{:?}", stats.failed);
    assert_eq!(stats.failed[0].job.unwrap().0, 5);
    assert!(stats.failed[0].reason.contains("500"), "{:?}", stats.failed);
    let row = archive.row(5).await;
    assert_eq!((row.state, row.attempts), (TraceState::Pending, 1));
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.failed.len()), (1, 0));
    assert_eq!(archive.raw(5).await, log(5));
}

#[tokio::test]
async fn a_cut_trace_is_never_taken_for_the_whole() {
    let server = FakeGitLab::start(server_with(1));
    // The whole body of a shorter log: only the announced length can tell.
    server.data(|d| d.job_mut(PROJECT, 1).trace.truncate(20));
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.pending), (0, 1));
    assert!(stats.failed[0].reason.contains("20 of"), "{:?}", stats.failed);
    server.data(|d| d.job_mut(PROJECT, 1).trace = log(1));
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.archived, 1);
    assert_eq!(archive.raw(1).await, log(1));
    assert_eq!(archive.search("unique-1 done").await, [(1, 2)]);
}

#[tokio::test]
async fn a_trace_cut_once_is_fetched_again_within_the_run() {
    let server = FakeGitLab::start(server_with(3));
    server.on("trace", 2, Fault::edit(|answer| answer.body.truncate(20)));
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.pending, stats.failed.len()), (3, 0, 0));
    assert_eq!(server.count("trace"), 5);
}

#[tokio::test]
async fn a_refused_token_ends_the_sync() {
    let server = FakeGitLab::start(server_with(3));
    server.data(|d| d.token = "another".to_owned());
    let archive = Archive::new();
    let error = archive.sync(&server, "7").await.unwrap_err();
    assert!(format!("{error:#}").contains("401"), "{error:#}");
}

#[tokio::test]
async fn a_trace_of_many_frames_streams_through_a_file() {
    let line = |i| format!("{i} {}\n", blake3::hash(format!("{i}").as_bytes()).to_hex());
    let big: Vec<u8> = (0..60_000).flat_map(|i| line(i).into_bytes()).collect();
    let data = server_with(1).job(PROJECT, job_doc(2, 1, "big", "success"), big.clone());
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    assert!(archive.raw(2).await == big);
    let needle = blake3::hash(b"59999").to_hex();
    assert_eq!(archive.search(&needle[20..40]).await, [(2, 60_000)]);
}

#[tokio::test]
async fn a_job_of_unknown_status_is_looked_at_again_by_the_next_run() {
    let mut data = server_with(3);
    data.job_mut(PROJECT, 2).doc["status"] = json!("quarantined");
    data.job_mut(PROJECT, 2).doc["finished_at"] = json!(null);
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.pending), (2, 1));
    assert!(archive.row(2).await.reason.contains("quarantined"));
    server.data(|d| d.job_mut(PROJECT, 2).doc["status"] = json!("success"));
    assert_eq!(archive.sync(&server, "7").await.unwrap().archived, 1);
    assert_eq!(archive.raw(2).await, log(2));
}

#[tokio::test]
async fn a_job_that_ended_with_an_unknown_status_is_archived_at_once() {
    let mut data = server_with(3);
    data.job_mut(PROJECT, 2).doc["status"] = json!("quarantined");
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.pending), (3, 0));
    assert_eq!(archive.raw(2).await, log(2));
}

#[tokio::test]
async fn a_404_for_a_trace_whose_length_is_announced_is_tried_again() {
    let mut data = server_with(1);
    let trace = json!({"file_type": "trace", "size": log(1).len(), "filename": "job.log"});
    data.job_mut(PROJECT, 1).doc["artifacts"] = json!([trace]);
    let server = FakeGitLab::start(data);
    server.on("trace", 2, Fault::json(404, "{\"message\":\"404 Not found\"}"));
    let archive = Archive::new();
    assert_eq!(archive.sync(&server, "7").await.unwrap().archived, 1);
    assert_eq!(archive.raw(1).await, log(1));
}
