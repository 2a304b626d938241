//! The job actions: what they change, what they refuse, and what is archived before anything is erased.

use jobvault::gitlab::ProjectRef;
use jobvault::model::JobId;
use jobvault::sync::act::{self, ActError, Artifacts, Erasure};
use serde_json::json;

use super::{PROJECT, log, server_with};
use crate::util::archive::{Archive, client};
use crate::util::gitlab::{FakeGitLab, Fault, job_doc};

fn project() -> ProjectRef {
    jobvault::model::ProjectId(PROJECT).into()
}

async fn prepare(archive: &Archive, server: &FakeGitLab, job: u64) -> anyhow::Result<Erasure> {
    let (store, mut index) = archive.open().await?;
    let (client, options) = (client(server), archive.options(server));
    let ready =
        act::prepare_erase(&store, &mut index, &client, options, &project(), JobId(job)).await;
    store.close().await;
    ready
}

#[tokio::test]
async fn erasing_archives_the_job_first() {
    let server = FakeGitLab::start(server_with(2));
    let archive = Archive::new();
    let ready = prepare(&archive, &server, 2).await.unwrap();
    assert_eq!(ready.trace_bytes(), Some(log(2).len() as u64));
    assert_eq!(server.count("erase"), 0);
    let erased = act::erase(&client(&server), ready, Artifacts::Keep).await.unwrap();
    assert!(erased.value.erased_at.is_some());
    assert_eq!((archive.raw(2).await, server.count("erase")), (log(2), 1));
    assert_eq!(archive.search("unique-2 done").await, [(2, 2)]);
}

#[tokio::test]
async fn nothing_is_erased_that_the_archive_does_not_hold_whole() {
    let server = FakeGitLab::start(server_with(3));
    server.data(|d| {
        d.job_mut(PROJECT, 1).trace.truncate(20);
        d.add_job(PROJECT, job_doc(5, 9, "build", "running"), b"so far\n".to_vec());
    });
    let archive = Archive::new();
    for (job, reason) in [(1, "20 of"), (5, "has not ended")] {
        let error = prepare(&archive, &server, job).await.unwrap_err();
        assert!(error.is::<ActError>() && error.to_string().contains(reason), "{error:#}");
    }
    server.on("trace", 99, Fault::json(500, "{}"));
    let error = prepare(&archive, &server, 3).await.unwrap_err();
    assert!(error.to_string().contains("not erased"), "{error:#}");
    assert_eq!(server.count("erase"), 0);
}

#[tokio::test]
async fn artifacts_that_would_be_lost_are_kept_unless_they_may_go() {
    let server = FakeGitLab::start(server_with(1));
    server.data(|d| {
        let files = d.job_mut(PROJECT, 1).doc["artifacts"].as_array_mut().unwrap();
        files.push(json!({"file_type": "archive", "size": 10, "filename": "artifacts.zip"}));
    });
    let archive = Archive::new();
    let ready = prepare(&archive, &server, 1).await.unwrap();
    assert_eq!(ready.unheld().count(), 1);
    let error = act::erase(&client(&server), ready, Artifacts::Keep).await.unwrap_err();
    assert!(matches!(error, ActError::NotHeld { .. }), "{error:?}");
    assert_eq!(server.count("erase"), 0);
    let ready = prepare(&archive, &server, 1).await.unwrap();
    act::erase(&client(&server), ready, Artifacts::Give).await.unwrap();
    assert_eq!(server.count("erase"), 1);
}

#[tokio::test]
async fn what_gitlab_does_not_allow_is_said_in_plain_words() {
    let server = FakeGitLab::start(server_with(1));
    server.data(|d| d.add_job(PROJECT, job_doc(5, 9, "deploy", "running"), Vec::new()));
    let (client, job) = (client(&server), JobId(5));
    let play = act::play(&client, &project(), job, &[]).await.unwrap_err();
    assert!(play.to_string().contains("no manual or scheduled job"), "{play}");
    let retry = act::retry(&client, &project(), job).await.unwrap_err();
    assert!(retry.to_string().contains("only a job that has ended"), "{retry}");
    let scope = r#"{"error":"insufficient_scope","error_description":"x","scope":"api"}"#;
    server.on("cancel", 1, Fault::json(403, scope));
    let cancel = act::cancel(&client, &project(), job).await.unwrap_err();
    assert!(cancel.to_string().contains("lacks the scope api"), "{cancel}");
    let cancelled = act::cancel(&client, &project(), job).await.unwrap();
    assert_eq!(cancelled.value.status.unwrap().as_str(), "canceled");
    let retried = act::retry(&client, &project(), job).await.unwrap();
    assert!(retried.value.id != job);
}
