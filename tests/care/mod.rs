//! Care for an archive: made anew from its packs, repaired from the server, checked in parts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mend;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::Timestamp;
use jobvault::model::{JobId, PipelineId, ProjectId};
use jobvault::store::catalogue::{Condition, Counted, Order};
use jobvault::store::{JobRow, Store};
use serde_json::json;

use crate::sync::{PROJECT, log, server_with};
use crate::util::archive::Archive;
use crate::util::gitlab::{FakeGitLab, TOKEN, job_doc};

fn jobvault(archive: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobvault"));
    command.env_clear().env("HOME", archive).env("GITLAB_TOKEN", TOKEN);
    command.arg("--archive").arg(archive).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a person can ask of an archive.
async fn answers(archive: &Archive) -> (Vec<JobRow>, String, Vec<(u64, u64)>, Vec<Vec<u8>>) {
    let store = archive.store().await;
    let all = Condition::All(Vec::new());
    let rows = store.catalogue().jobs(&all, Order::Oldest, 1000).await.unwrap();
    let coverage = store.catalogue().coverage(&Counted::default()).await.unwrap();
    let status = store.catalogue().status().await.unwrap();
    let host = store.catalogue().meta("host").await.unwrap();
    let mut documents = Vec::new();
    for row in &rows {
        documents.push(store.document(row.id).await.unwrap().unwrap());
    }
    let counted = format!("{coverage:?} {status:?} {host:?}");
    (rows, counted, archive.search("Job succeeded").await, documents)
}

#[tokio::test]
async fn a_rebuilt_archive_gives_the_same_answers_and_goes_on_where_it_was() {
    let data = server_with(150)
        .project(8, "other/deploy")
        .job(PROJECT, job_doc(230, 50, "build", "success"), log(230))
        .job(8, job_doc(240, 60, "deploy", "success"), log(240))
        .bridge(PROJECT, job_doc(232, 50, "start child", "success"), Some((PROJECT, 51)))
        .bridge(PROJECT, job_doc(233, 50, "start deploy", "success"), Some((8, 60)));
    let mut data = data;
    data.job_mut(PROJECT, 149).doc["status"] = json!("manual");
    data.job_mut(PROJECT, 149).doc["finished_at"] = json!(null);
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    server.forget();
    archive.sync(&server, "7").await.unwrap();
    let idle = server.count("*");
    let before = answers(&archive).await;
    assert_eq!(before.0.len(), 154);
    for file in ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
        let _ = std::fs::remove_file(archive.path().join(file));
    }
    std::fs::remove_dir_all(archive.path().join("index")).unwrap();
    let rebuilt = jobvault::sync::rebuild(archive.path(), Timestamp::now(), |_| {}).await.unwrap();
    assert_eq!(rebuilt.damaged, []);
    let after = answers(&archive).await;
    assert_eq!(after.0, before.0);
    assert_eq!((after.1, after.2, after.3), (before.1, before.2, before.3));
    let bridge = archive.row(233).await;
    assert!(bridge.bridge);
    assert_eq!(bridge.downstream, Some((ProjectId(8), PipelineId(60))));
    server.forget();
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((server.count("trace"), stats.archived), (0, 0));
    // The sweep and the sight of projects are not remembered: a request each.
    assert!(server.count("*") <= idle + 3, "{idle}, then {:?}", server.seen());
    server.data(|d| *d = d.clone().job(PROJECT, job_doc(250, 70, "build", "success"), log(250)));
    assert_eq!(archive.sync(&server, "7").await.unwrap().archived, 1);
}

#[tokio::test]
async fn where_a_pack_is_missing_the_next_sync_lists_and_fetches_what_it_held() {
    let server = FakeGitLab::start(server_with(5));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    server.data(|d| *d = d.clone().job(PROJECT, job_doc(6, 9, "build", "success"), log(6)));
    archive.sync(&server, "7").await.unwrap();
    let store = archive.store().await;
    let row = store.catalogue().job(JobId(3)).await.unwrap().unwrap();
    let trace = store.catalogue().traces(&[row.trace.unwrap()]).await.unwrap().remove(0).unwrap();
    std::fs::remove_file(store.packs().path(store.pack_of(&trace.frames[0]).unwrap())).unwrap();
    let rebuilt = jobvault::sync::rebuild(archive.path(), Timestamp::now(), |_| {}).await.unwrap();
    let named: Vec<_> = rebuilt.damaged.iter().filter_map(|d| Some(d.job?.0)).collect();
    assert_eq!((rebuilt.damaged.len(), named), (6, vec![1, 2, 3, 4, 5]), "{:?}", rebuilt.damaged);
    archive.sync(&server, "7").await.unwrap();
    for job in 1..=6 {
        assert_eq!(archive.raw(job).await, log(job));
    }
}

/// The pack of a job's log and the offset of its first frame's middle.
pub(crate) async fn place(store: &Store, job: u64) -> (PathBuf, usize) {
    let row = store.catalogue().job(JobId(job)).await.unwrap().unwrap();
    let trace = store.catalogue().traces(&[row.trace.unwrap()]).await.unwrap().remove(0).unwrap();
    let frame = &trace.frames[0];
    let path = store.packs().path(store.pack_of(frame).unwrap());
    (path, frame.offset as usize + frame.stored_bytes as usize / 2)
}

#[tokio::test]
async fn what_is_damaged_is_fetched_again_where_the_server_still_has_it() {
    let server = FakeGitLab::start(server_with(5));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    let store = archive.store().await;
    for job in [2, 3, 4] {
        let (path, at) = place(&store, job).await;
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 8;
        std::fs::write(&path, bytes).unwrap();
    }
    assert_eq!(jobvault(archive.path(), &["verify"]).status.code(), Some(1));
    server.data(|d| {
        d.erase(PROJECT, 3);
        let longer = [log(4), b"and one line more\n".to_vec()].concat();
        d.finish(PROJECT, 4, "success", &longer);
    });
    // Without a server nothing is gained.
    let without = jobvault(archive.path(), &["repair"]);
    assert_eq!(without.status.code(), Some(1));
    assert!(text(&without.stderr).contains("--from-gitlab"), "{}", text(&without.stderr));
    let args = ["repair", "--from-gitlab", "--host", server.url()];
    let said = jobvault(archive.path(), &args);
    assert_eq!(said.status.code(), Some(1), "{}", text(&said.stderr));
    let said = text(&said.stdout);
    assert!(said.contains("job 2: repaired\n"), "{said}");
    assert!(said.contains("job 3: lost: the server has no log of it any more\n"), "{said}");
    assert!(said.contains("job 4: newer"), "{said}");
    assert_eq!(archive.raw(2).await, log(2));
    assert!(archive.raw(4).await.ends_with(b"one line more\n"));
    let verify = text(&jobvault(archive.path(), &["verify", "--json"]).stdout);
    assert!(!verify.contains("\"job\":2,"), "{verify}");
    assert!(verify.contains("\"job\":3,"), "{verify}");
}

#[tokio::test]
async fn a_check_in_parts_covers_all_in_turn_and_a_sound_catalogue_is_not_replaced_unasked() {
    let server = FakeGitLab::start(server_with(3));
    let archive = Archive::new();
    for job in 4..8 {
        archive.sync(&server, "7").await.unwrap();
        server.data(|d| *d = d.clone().job(PROJECT, job_doc(job, 9, "build", "success"), log(job)));
    }
    let packs = archive.store().await.catalogue().packs().await.unwrap().len();
    let mut runs = 1;
    while !text(&jobvault(archive.path(), &["verify", "--bytes", "1", "--json"]).stdout)
        .contains("\"complete\":true")
    {
        runs += 1;
        assert!(runs <= packs, "it never comes to the end");
    }
    assert_eq!(runs, packs);
    for args in [&["verify", "--sample", "100%"][..], &["verify", "--fast"]] {
        let said = jobvault(archive.path(), args);
        assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
    }
    let refused = jobvault(archive.path(), &["rebuild"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--yes"));
    let done = jobvault(archive.path(), &["rebuild", "--yes", "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("\"damaged\":[]"));
    assert_eq!(jobvault(archive.path(), &["verify"]).status.code(), Some(0));
    let found = jobvault(archive.path(), &["search", "--count", "--json", "Job succeeded"]);
    assert_eq!(text(&found.stdout), "{\"v\":1,\"lines\":6,\"jobs\":6}\n");
}

#[tokio::test]
async fn a_search_says_what_it_cannot_read_whenever_the_index_was_made() {
    let server = FakeGitLab::start(server_with(5));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    let (path, at) = place(&archive.store().await, 3).await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at] ^= 8;
    std::fs::write(&path, bytes).unwrap();
    for args in [&["status"][..], &["reindex"], &["rebuild", "--yes", "--json"]] {
        let done = jobvault(archive.path(), args);
        assert_eq!(done.status.code(), Some(i32::from(args[0] != "status")), "{args:?}");
        let found = jobvault(archive.path(), &["search", "-F", "unique-3 done", "--count"]);
        assert_eq!(found.status.code(), Some(2), "{args:?}: {}", text(&found.stdout));
        assert!(text(&found.stderr).contains("job 3"), "{args:?}: {}", text(&found.stderr));
        let others =
            jobvault(archive.path(), &["search", "-F", "unique-2 done", "--count", "--json"]);
        assert!(text(&others.stdout).contains("\"lines\":1"), "{args:?}");
    }
}

/// Flips a bit in each ledger of an archive.
async fn damage_records(archive: &Archive) {
    let store = archive.store().await;
    for (_, name, _) in store.catalogue().packs().await.unwrap() {
        let path = store.packs().path(name);
        let mut bytes = std::fs::read(&path).unwrap();
        for entry in store.packs().footer(name).unwrap().entries {
            if entry.kind == jobvault::store::packs::Kind::Ledger {
                bytes[(entry.offset + entry.stored_bytes / 2) as usize] ^= 8;
            }
        }
        std::fs::write(&path, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_repair_ends_as_the_check_after_it_does() {
    let server = FakeGitLab::start(server_with(5));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    damage_records(&archive).await;
    let repair = || jobvault(archive.path(), &["repair", "--from-gitlab", "--host", server.url()]);
    let verify = || jobvault(archive.path(), &["verify", "--json"]);
    let said = repair();
    assert!(
        text(&said.stdout).contains("job 3: repaired: its document was fetched again"),
        "{said:?}"
    );
    assert_eq!(said.status.code(), verify().status.code(), "{}", text(&said.stderr));
    assert_eq!(repair().status.code(), Some(0), "nothing that was lost is needed any more");
    // The notes were written anew from the catalogue: without it every log is still there, and known.
    for file in ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
        let _ = std::fs::remove_file(archive.path().join(file));
    }
    let rebuilt = jobvault(archive.path(), &["rebuild", "--json"]);
    assert_eq!(rebuilt.status.code(), Some(1), "{}", text(&rebuilt.stderr));
    let jobs = text(&jobvault(archive.path(), &["jobs", "--json"]).stdout);
    assert_eq!(jobs.matches("\"state\":\"archived\"").count(), 5, "{jobs}");
    assert!(!text(&verify().stdout).contains("\"job\":3"), "{}", text(&verify().stdout));
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.pending), (0, 0));
}
