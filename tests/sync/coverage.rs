//! The ledger of what was listed.

use jobvault::model::ProjectId;
use jobvault::sync::coverage::{Counted, Standing, coverage};

use super::{PROJECT, log, server_with};
use crate::util::archive::Archive;
use crate::util::gitlab::{FakeGitLab, Fault, job_doc};

#[tokio::test]
async fn every_listed_job_is_in_the_ledger_with_its_reason() {
    let mut data = server_with(3);
    data.erase(PROJECT, 1);
    let data = data
        .job(PROJECT, job_doc(4, 1, "empty", "success"), "")
        .job(PROJECT, job_doc(6, 1, "deploy", "manual"), "")
        .job(PROJECT, job_doc(7, 1, "debug", "failed"), log(7))
        .bridge(PROJECT, job_doc(8, 1, "start", "success"), None);
    let server = FakeGitLab::start(data);
    server.on("trace", 1, Fault::json(403, "{\"message\":\"403 Forbidden\"}"));
    let archive = Archive { concurrency: 1, ..Archive::new() };
    archive.sync(&server, "7").await.unwrap();
    let (store, now) = (archive.store().await, jiff::Timestamp::now());
    let ledger = coverage(&store, &Counted::default(), now).await.unwrap();
    assert_eq!(ledger.listed(), 7);
    use Standing::{Held, Lost, Nothing, Obtainable, Waiting};
    let counts = [Held, Nothing, Waiting, Obtainable, Lost].map(|s| ledger.jobs(s));
    assert_eq!(counts, [2, 2, 1, 1, 1], "{:?}", ledger.lines);
    assert!(ledger.lines.iter().any(|l| l.state == "no_log" && l.reason == "a bridge has no log"));
    assert_eq!((ledger.estimate.waiting, ledger.estimate.lost_before), (0, Some(0)));
    let other = Counted { projects: Some(vec![ProjectId(99)]), since: None };
    assert_eq!(coverage(&store, &other, now).await.unwrap().listed(), 0);
    let since = Counted { projects: None, since: Some("2026-02-01T00:00:00Z".parse().unwrap()) };
    assert_eq!(coverage(&store, &since, now).await.unwrap().listed(), 0);
}

#[tokio::test]
async fn the_estimate_says_what_waits_and_what_is_lost_before() {
    let server = FakeGitLab::start(server_with(40));
    server.data(|d| {
        d.projects.get_mut(&PROJECT).unwrap().doc["ci_delete_pipelines_in_seconds"] =
            serde_json::json!(86_400u64 * 365 * 3);
    });
    let archive = Archive::new();
    server.pass("trace", 10);
    // More failures than the client and the run have patience for.
    server.on("trace", 30 * 18, Fault::json(500, "{}"));
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.failed.len()), (10, 30));
    let (store, now) = (archive.store().await, jiff::Timestamp::now());
    let estimate = coverage(&store, &Counted::default(), now).await.unwrap().estimate;
    assert_eq!((estimate.waiting, estimate.lost_before), (30, Some(0)));
    assert_eq!(estimate.next_loss, Some("2029-01-01T03:04:05.006Z".parse().unwrap()));
    assert!(estimate.rate.unwrap() > 0.0 && estimate.done_at.unwrap() > now);
}
