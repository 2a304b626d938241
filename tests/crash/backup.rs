//! A copy taken by `docs/backup.sh` while the archive is written and compacted is an archive.

use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use jobvault::store::catalogue::{Condition, Order};
use jobvault::store::check::verify;
use jobvault::store::compact::{CompactOptions, compact};
use jobvault::store::{Store, TraceRow};

use super::code;
use crate::sync::{PROJECT, log, server_with};
use crate::util::archive::Archive;
use crate::util::gitlab::{FakeGitLab, job_doc};

/// Syncs before each backup that runs beside another one.
const ROUNDS: u64 = 4;

async fn add_and_sync(server: &FakeGitLab, archive: &Archive, job: u64) {
    server.data(|data| data.add_job(PROJECT, job_doc(job, 1, "build", "success"), log(job)));
    archive.sync(server, "group/project").await.unwrap();
    let store = Store::open_for_writing(archive.path(), "test", Timestamp::now()).await.unwrap();
    compact(&store, CompactOptions::default(), Timestamp::now(), |_| {}).await.unwrap();
    store.close().await;
}

/// Returns how many logs a copy holds; each must be whole.
async fn logs(root: &Path) -> usize {
    let store = Store::open(root).await.unwrap();
    assert_eq!(verify(&store, |_| {}).await.unwrap().damaged, []);
    let all = Condition::All(Vec::new());
    let rows = store.catalogue().jobs(&all, Order::Oldest, 10_000).await.unwrap();
    let held: Vec<_> = rows.iter().filter_map(|row| Some((row.id.0, row.trace?))).collect();
    for (job, trace) in &held {
        let trace: TraceRow = store.catalogue().traces(&[*trace]).await.unwrap().remove(0).unwrap();
        let raw: Vec<u8> = trace.frames.iter().flat_map(|f| store.read_frame(f).unwrap()).collect();
        assert!(raw == log(*job), "job {job}");
    }
    held.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_a_writer_is_whole_and_can_be_restored() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: there is no `python3`");
        return;
    }
    let server = FakeGitLab::start(server_with(20));
    let archive = Archive::new();
    add_and_sync(&server, &archive, 100).await;
    let dest = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/backup.sh");
    for round in 1..=ROUNDS {
        let before = 20 + 4 * (round as usize - 1) + 1;
        let mut backup =
            Command::new(&script).arg(archive.path()).arg(dest.path()).spawn().unwrap();
        for job in 0..4 {
            add_and_sync(&server, &archive, 100 * round + job + 1).await;
        }
        assert!(backup.wait().unwrap().success());
        let held = logs(dest.path()).await;
        assert!((before..=before + 4).contains(&held), "{held} logs in round {round}");
    }
    assert!(Command::new(&script).arg(archive.path()).arg(dest.path()).status().unwrap().success());
    assert_eq!(logs(dest.path()).await, 21 + 4 * ROUNDS as usize);
    assert_eq!(code(dest.path(), &["reindex"]).0, 0);
    assert_eq!(code(dest.path(), &["verify"]).0, 0);
    assert_eq!(code(dest.path(), &["search", "-l", "unique-404 done"]).0, 0);
    // The copy is an archive of its own: it can be written.
    let sync = ["sync", "--host", server.url(), "group/project"];
    assert_eq!(code(dest.path(), &sync).0, 0);
}
