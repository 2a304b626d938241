#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod care;
mod compact;
mod cuts;
mod damage;
mod evidence;
mod harm;
mod mend;
mod power;
mod rebuild;
mod records;
mod rows;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::check::verify;
use super::marker::MARKER;
use super::*;
use crate::model::{Job, ProjectId, TraceState};

const PROJECT: ProjectId = ProjectId(7);

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn archived() -> NewState {
    NewState {
        state: TraceState::Archived,
        reason: String::new(),
        next_at: None,
        attempts: 0,
        gone: false,
        erased: false,
    }
}

/// A log that neither is all alike nor all random.
fn log(job: u64, lines: u64) -> Vec<u8> {
    let line = |i| format!("job {job} line {i} {}\n", blake3::hash(&[job as u8, i as u8]).to_hex());
    (0..lines).flat_map(|i| line(i).into_bytes()).collect()
}

async fn store_job(batch: &mut Batch, job: u64, raw: &[u8]) -> TraceId {
    let project = catalogue::ProjectRow {
        id: PROJECT,
        path: "group/project".to_owned(),
        web_url: "https://gitlab.example.com/group/project".to_owned(),
        seen_at: now(),
        newest_job: JobId(0),
    };
    batch.put_project(project, Some(b"{\"id\":7}"), now()).unwrap();
    let document = format!("{{\"id\":{job},\"name\":\"build\"}}");
    let model = Job { id: JobId(job), name: Some("build".to_owned()), ..Job::default() };
    let received = Received {
        job: &model,
        project: PROJECT,
        document: document.as_bytes(),
        artifacts: None,
        digest: 1,
    };
    batch.put_job(&received, "https://gitlab.example.com/group/project", now()).unwrap();
    batch.begin_trace(JobId(job), PROJECT, now());
    let lines: Vec<&[u8]> = raw.split_inclusive(|b| *b == b'\n').collect();
    for piece in lines.chunks(25).map(<[_]>::concat) {
        let lines = piece.iter().filter(|b| **b == b'\n').count() as u64;
        let frame = NewFrame { raw: &piece, lines, continues: false, open: vec![] };
        batch.add_frame(frame).unwrap();
    }
    batch.end_trace(raw.len() as u64, *blake3::hash(raw).as_bytes(), archived(), now()).unwrap()
}

async fn archive_of(dir: &Path, jobs: &[u64]) {
    let store = Store::open_for_writing(dir, "test", now()).await.unwrap();
    let mut batch = store.batch(now()).await.unwrap();
    for job in jobs {
        store_job(&mut batch, *job, &log(*job, 50)).await;
        batch.commit(now()).await.unwrap();
    }
    store.close().await;
}

/// An archive of which one pack holds all logs.
async fn one_pack(dir: &Path, jobs: std::ops::RangeInclusive<u64>) -> Store {
    let store = Store::open_for_writing(dir, "test", now()).await.unwrap();
    let mut batch = store.batch(now()).await.unwrap();
    for job in jobs {
        store_job(&mut batch, job, &log(job, 50)).await;
    }
    batch.commit(now()).await.unwrap();
    store
}

async fn read(store: &Store, job: u64) -> Result<Vec<u8>, StoreError> {
    let row = store.catalogue().job(JobId(job)).await?.unwrap();
    let trace = store.catalogue().trace_of(&row).await?.unwrap();
    let mut raw = Vec::new();
    for frame in &trace.frames {
        raw.extend(store.read_frame(frame)?);
    }
    Ok(raw)
}

#[tokio::test]
async fn an_archive_without_jobs_takes_next_to_nothing() {
    let dir = tempfile::tempdir().unwrap();
    Store::open_for_writing(dir.path(), "test", now()).await.unwrap().close().await;
    let files = fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().metadata().unwrap().len());
    assert!(files.sum::<u64>() < 64 << 10);
}

#[tokio::test]
async fn what_was_committed_is_read_back_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2, 3]).await;
    let store = Store::open(dir.path()).await.unwrap();
    for job in 1..=3 {
        assert_eq!(read(&store, job).await.unwrap(), log(job, 50));
    }
    let document = store.document(JobId(2)).await.unwrap().unwrap();
    assert_eq!(document, b"{\"id\":2,\"name\":\"build\"}");
    let row = store.catalogue().job(JobId(2)).await.unwrap().unwrap();
    assert_eq!(row.state, TraceState::Archived);
    assert_eq!(row.web_url, "https://gitlab.example.com/group/project/-/jobs/2");
    let report = verify(&store, |_| {}).await.unwrap();
    assert_eq!((report.checked, report.damaged.len()), (3, 0));
}

#[tokio::test]
async fn a_batch_that_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let mut batch = store.batch(now()).await.unwrap();
    store_job(&mut batch, 1, &log(1, 9)).await;
    drop(batch);
    assert_eq!(store.catalogue().job(JobId(1)).await.unwrap(), None);
    assert_eq!(store.packs().list().unwrap(), vec![]);
    assert_eq!(fs::read_dir(store.tmp_dir()).unwrap().count(), 0);
}

#[tokio::test]
async fn frames_that_are_not_the_trace_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let mut batch = store.batch(now()).await.unwrap();
    batch.begin_trace(JobId(1), PROJECT, now());
    let frame = NewFrame { raw: b"other\n", lines: 1, continues: false, open: vec![] };
    batch.add_frame(frame).unwrap();
    let hash = *blake3::hash(b"bytes\n").as_bytes();
    assert!(matches!(
        batch.end_trace(6, hash, archived(), now()),
        Err(StoreError::Frames(JobId(1)))
    ));
}

#[tokio::test]
async fn a_second_writer_is_told_who_holds_the_archive_and_readers_still_work() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1]).await;
    let held = Store::open_for_writing(dir.path(), "sync group/project", now()).await.unwrap();
    let refused = Store::open_for_writing(dir.path(), "compact", now()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }));
    assert!(refused.to_string().contains("sync group/project"), "{refused}");
    let reader = Store::open(dir.path()).await.unwrap();
    assert_eq!(read(&reader, 1).await.unwrap(), log(1, 50));
    held.close().await;
}

#[tokio::test]
async fn only_an_archive_of_a_known_format_opens() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Store::open(&dir.path().join("none")).await.unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }));
    assert!(matches!(Store::open(dir.path()).await.unwrap_err(), StoreError::Missing { .. }));
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let foreign = Store::open_for_writing(dir.path(), "test", now()).await.unwrap_err();
    assert!(matches!(foreign, StoreError::NotAnArchive { .. }));
    let file = Store::open_for_writing(&dir.path().join("notes.txt"), "test", now()).await;
    assert!(matches!(file.unwrap_err(), StoreError::NotAnArchive { .. }));
    fs::write(dir.path().join(MARKER), "{\"format\": 2}").unwrap();
    let newer = Store::open(dir.path()).await.unwrap_err();
    assert!(matches!(newer, StoreError::Newer { found: 2, .. }));
}

#[tokio::test]
async fn an_archive_is_its_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("archive");
    archive_of(&root, &[1]).await;
    for path in [root.clone(), root.join("packs"), root.join("tmp")] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[tokio::test]
async fn links_are_removed_with_what_is_left_and_never_followed() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let (root, mine) = (dir.path().join("archive"), dir.path().join("mine"));
    archive_of(&root, &[1]).await;
    fs::create_dir_all(mine.join("parts")).unwrap();
    let photos = [mine.join("cat.jpg"), mine.join("parts/dog.jpg")];
    photos.iter().for_each(|photo| fs::write(photo, "mine").unwrap());
    let far = now() + jiff::SignedDuration::from_hours(24 * 365 * 100);
    let tmp = root.join("tmp");
    for (link, to) in [(tmp.join("other"), &mine), (tmp.join("parts"), &mine), (tmp.clone(), &mine)]
    {
        if link == tmp {
            fs::remove_dir_all(&tmp).unwrap();
        }
        symlink(to, &link).unwrap();
        Store::open_for_writing(&root, "test", far).await.unwrap().close().await;
        assert!(!link.is_symlink());
        assert!(photos.iter().all(|photo| photo.exists()), "{}", link.display());
    }
    assert!(tmp.is_dir());
}

#[tokio::test]
async fn damage_is_found_named_by_job_and_never_served() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2]).await;
    let store = Store::open(dir.path()).await.unwrap();
    let row = store.catalogue().job(JobId(1)).await.unwrap().unwrap();
    let trace =
        store.catalogue().traces(&[row.trace.unwrap()]).await.unwrap().pop().unwrap().unwrap();
    let pack = store.packs().path(store.pack_of(&trace.frames[0]).unwrap());
    let good = fs::read(&pack).unwrap();
    for at in (0..good.len()).step_by(97) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&pack, &bad).unwrap();
        let report = verify(&store, |_| {}).await.unwrap();
        assert!(!report.damaged.is_empty(), "a flipped bit at {at} went unnoticed");
        assert!(report.damaged.iter().all(|d| d.job != Some(JobId(2))));
        if let Ok(raw) = read(&store, 1).await {
            assert_eq!(raw, log(1, 50), "wrong bytes were served after a flip at {at}");
        }
        assert_eq!(read(&store, 2).await.unwrap(), log(2, 50));
    }
    for cut in [0, 1, good.len() / 2, good.len() - 1] {
        fs::write(&pack, &good[..cut]).unwrap();
        let report = verify(&store, |_| {}).await.unwrap();
        assert!(report.damaged.iter().any(|d| d.job == Some(JobId(1))), "a cut at {cut}");
    }
    fs::remove_file(&pack).unwrap();
    let report = verify(&store, |_| {}).await.unwrap();
    assert!(report.damaged.iter().any(|d| d.job == Some(JobId(1))));
    assert_eq!(report.checked, 1);
    let gone = read(&store, 1).await.unwrap_err();
    assert!(matches!(gone, StoreError::Pack(PackError::Missing { .. })));
}

#[tokio::test]
async fn a_copy_taken_beside_a_writer_opens_where_nothing_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let (root, copy) = (dir.path().join("archive"), dir.path().join("copy"));
    archive_of(&root, &[1]).await;
    let writer = Store::open_for_writing(&root, "test", now()).await.unwrap();
    let mut batch = writer.batch(now()).await.unwrap();
    store_job(&mut batch, 2, &log(2, 50)).await;
    batch.commit(now()).await.unwrap();
    copy_tree(&root, &copy);
    // A file in the way of SQLite's shared memory stands for a medium that cannot be written: root may write anywhere.
    let _ = fs::remove_file(copy.join("catalogue.sqlite-shm"));
    fs::create_dir(copy.join("catalogue.sqlite-shm")).unwrap();
    let store = Store::open(&copy).await.unwrap();
    assert_eq!(read(&store, 1).await.unwrap(), log(1, 50));
    assert_eq!(read(&store, 2).await.unwrap(), log(2, 50), "what stood in the write-ahead log");
    writer.close().await;
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_tree(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}
