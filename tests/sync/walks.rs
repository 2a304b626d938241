//! Discovery: first walks, later rounds, interruptions.

use super::{PROJECT, log, server_with};
use crate::util::archive::Archive;
use crate::util::gitlab::{Answer, Data, FakeGitLab, Fault, job_doc};
use jobvault::model::TraceState;

#[tokio::test]
async fn every_job_is_archived_byte_for_byte_and_searchable() {
    let server = FakeGitLab::start(server_with(230));
    let archive = Archive::new();
    let stats = archive.sync(&server, "group/project").await.unwrap();
    assert_eq!((stats.listed, stats.archived, stats.failed.len()), (230, 230, 0));
    for job in [1, 99, 100, 101, 230] {
        assert_eq!(archive.raw(job).await, log(job));
        assert_eq!(archive.row(job).await.state, TraceState::Archived);
    }
    assert_eq!(archive.search("unique-117 done").await, [(117, 2)]);
    assert_eq!(archive.search("unique-11").await.len(), 11);
}

#[tokio::test]
async fn a_round_with_nothing_new_is_one_request() {
    let server = FakeGitLab::start(server_with(150));
    let archive = Archive::new();
    archive.sync(&server, "group/project").await.unwrap();
    let traces = server.count("trace");
    assert_eq!(traces, 150, "one request a trace");
    server.forget();
    let stats = archive.sync(&server, "group/project").await.unwrap();
    assert_eq!((stats.archived, stats.failed.len()), (0, 0));
    assert_eq!(server.count("*"), 1);
}

#[tokio::test]
async fn later_rounds_stop_at_what_is_known_and_fetch_what_is_new() {
    let server = FakeGitLab::start(server_with(350));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    server.forget();
    for id in 351..=355 {
        server.data(|d| *d = d.clone().job(PROJECT, job_doc(id, 90, "test", "failed"), log(id)));
    }
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.archived, 5);
    assert_eq!((server.count("jobs"), server.count("trace")), (1, 5));
    assert_eq!(archive.raw(355).await, log(355));
}

#[tokio::test]
async fn a_walk_that_broke_off_goes_on_where_it_stopped() {
    let server = FakeGitLab::start(server_with(450));
    let archive = Archive::new();
    server.pass("jobs", 2);
    server.on("jobs", 6, Fault::json(500, "{}"));
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.listed, 200);
    assert_eq!(stats.failed.len(), 1, "the project is named: {:?}", stats.failed);
    server.forget();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.archived, 250);
    assert_eq!(server.count("jobs"), 1 + 3, "the head, and the three pages that were left");
    assert_eq!(archive.raw(1).await, log(1));
}

#[tokio::test]
async fn a_gap_left_by_a_broken_later_walk_is_closed() {
    let server = FakeGitLab::start(server_with(100));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    for id in 101..=400 {
        server.data(|d| *d = d.clone().job(PROJECT, job_doc(id, 90, "test", "success"), log(id)));
    }
    server.pass("jobs", 1);
    server.on("jobs", 6, Fault::json(500, "{}"));
    archive.sync(&server, "7").await.unwrap();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.failed, []);
    for id in [101, 200, 300, 301, 400] {
        assert_eq!(archive.raw(id).await, log(id), "job {id}");
    }
}

#[tokio::test]
async fn a_job_that_was_running_is_fetched_when_it_has_ended() {
    let mut data = server_with(120);
    data.add_job(PROJECT, job_doc(5, 1, "build", "running"), b"so far\n".to_vec());
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.pending), (119, 1));
    assert_eq!(archive.row(5).await.state, TraceState::Pending);
    assert!(archive.row(5).await.reason.contains("running"));
    server.data(|d| d.finish(PROJECT, 5, "success", b"so far\nand the rest\n"));
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.archived, 1);
    assert_eq!(archive.raw(5).await, b"so far\nand the rest\n");
}

#[tokio::test]
async fn stopping_keeps_what_was_fetched_and_the_next_run_gets_the_rest() {
    let server = FakeGitLab::start(server_with(150));
    let archive = Archive::new();
    archive.stop.cancel();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert!(stats.interrupted);
    let archive = Archive { stop: Default::default(), ..archive };
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.interrupted), (150, false));
}

#[tokio::test]
async fn an_archive_is_of_one_server() {
    let server = FakeGitLab::start(server_with(1));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    let error = archive.sync_from(&server, "7", "https://other.example.com").await.unwrap_err();
    assert!(error.to_string().contains("other.example.com"), "{error}");
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_named_and_the_others_are_archived() {
    let server = FakeGitLab::start(server_with(3));
    let spoil = |answer: &mut Answer| {
        let body = String::from_utf8(answer.body.clone()).unwrap();
        answer.body = body.replace("\"id\":2,", "\"id\":\"two\",").into_bytes();
    };
    server.on("jobs", 1, Fault::edit(spoil));
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.failed.len()), (2, 1));
    assert!(stats.failed[0].reason.contains("cannot be read"), "{:?}", stats.failed);
}

#[tokio::test]
async fn a_lost_index_is_made_anew_from_the_packs() {
    let server = FakeGitLab::start(server_with(30));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    let store = archive.store().await;
    std::fs::remove_dir_all(store.index_dir()).unwrap();
    let (_, indexed) = jobvault::sync::reindex(&store, |_, _| {}).await.unwrap();
    let traces = indexed.traces;
    assert_eq!(traces, 30);
    assert_eq!(archive.search("unique-17 done").await, [(17, 2)]);
}

#[tokio::test]
async fn what_the_index_does_not_know_yet_is_found_all_the_same() {
    let server = FakeGitLab::start(server_with(3));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    let store = archive.store().await;
    std::fs::remove_dir_all(store.index_dir()).unwrap();
    jobvault_index::Index::create(&store.index_dir()).unwrap();
    assert_eq!(archive.search("unique-2 done").await, [(2, 2)]);
}

#[tokio::test]
async fn old_servers_without_keyset_are_walked_by_page() {
    let server = FakeGitLab::start(Data { keyset: false, ..server_with(250) });
    let archive = Archive::new();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.listed, stats.archived), (250, 250));
}
