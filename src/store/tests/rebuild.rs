//! Rebuilding the catalogue: it ends with the answers the old one gave.

use jiff::SignedDuration;

use super::*;
use crate::store::compact::{CompactOptions, compact};
use crate::store::packs::ledger::RecordKind;
use crate::store::rebuild::{ParsedJob, build, rebuild};

pub(super) fn parse(_: RecordKind, document: &[u8]) -> Option<ParsedJob> {
    let json: serde_json::Value = serde_json::from_slice(document).ok()?;
    let id = JobId(json["id"].as_u64()?);
    let name = json["name"].as_str().map(str::to_owned);
    Some(ParsedJob {
        job: Job { id, name, ..Job::default() },
        artifacts: None,
        digest: 1,
        downstream: None,
    })
}

/// A job's row, document, and trace: lines, open sections, bytes.
pub(super) type Answer = (JobRow, Vec<u8>, Option<(u64, Vec<Vec<String>>, Vec<u8>)>);

/// Everything a reader can ask of an archive: rows, documents, traces with their sections.
pub(super) async fn answers(dir: &Path) -> Vec<Answer> {
    let store = Store::open(dir).await.unwrap();
    let all = catalogue::Condition::All(Vec::new());
    let mut answers = Vec::new();
    for row in store.catalogue().jobs(&all, catalogue::Order::Oldest, 1000).await.unwrap() {
        let document = store.document(row.id).await.unwrap().unwrap();
        let mut whole = None;
        if let Some(trace) = row.trace {
            let trace = store.catalogue().traces(&[trace]).await.unwrap().remove(0).unwrap();
            let open = trace.frames.iter().map(|f| f.open.clone()).collect();
            whole = Some((trace.lines, open, read(&store, row.id.0).await.unwrap()));
        }
        answers.push((row, document, whole));
    }
    assert_eq!(verify(&store, |_| {}).await.unwrap().damaged, []);
    answers
}

/// An archive as of [`varied`] that was rebuilt, and so says everything in the words of a rebuild.
pub(super) async fn rebuilt() -> (tempfile::TempDir, Vec<Answer>) {
    let dir = tempfile::tempdir().unwrap();
    varied(dir.path()).await.close().await;
    rebuild(dir.path(), parse, now()).await.unwrap();
    let before = answers(dir.path()).await;
    (dir, before)
}

/// An archive with jobs in all sorts of states.
pub(super) async fn varied(dir: &Path) -> Store {
    archive_of(dir, &[1, 2, 3]).await;
    let store = Store::open_for_writing(dir, "test", now()).await.unwrap();
    let later = now() + SignedDuration::from_mins(5);
    let identity = Identity {
        host: "https://gitlab.example.com".to_owned(),
        gitlab_version: "18.1".to_owned(),
        user: "ci".to_owned(),
    };
    let mut batch = store.batch(later).await.unwrap();
    batch.captured_by(&identity, later).unwrap();
    store_job(&mut batch, 4, &log(4, 50)).await;
    store_job(&mut batch, 2, &log(9, 80)).await;
    let gone = NewState { gone: true, reason: "deleted upstream".to_owned(), ..archived() };
    batch.put_state(JobId(3), PROJECT, gone, later).unwrap();
    batch.commit(later).await.unwrap();
    let pending = NewState {
        state: TraceState::Pending,
        reason: "5 of 9 bytes".to_owned(),
        next_at: Some(later),
        attempts: 2,
        ..archived()
    };
    batch.put_state(JobId(4), PROJECT, pending, later).unwrap();
    let raw = b"a\nb\n";
    batch.begin_trace(JobId(1), PROJECT, later);
    let open = vec!["step_script".to_owned()];
    batch.add_frame(NewFrame { raw: &raw[..2], lines: 1, continues: false, open: vec![] }).unwrap();
    batch.add_frame(NewFrame { raw: &raw[2..], lines: 1, continues: false, open }).unwrap();
    batch.end_trace(4, *blake3::hash(raw).as_bytes(), archived(), later).unwrap();
    batch.commit(later).await.unwrap();
    store
}

#[tokio::test]
async fn a_rebuilt_catalogue_gives_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    varied(dir.path()).await.close().await;
    let before = answers(dir.path()).await;
    assert_eq!(before.len(), 4);
    for file in ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
        let _ = fs::remove_file(dir.path().join(file));
    }
    let rebuilt = rebuild(dir.path(), parse, now()).await.unwrap();
    assert_eq!((rebuilt.packs, rebuilt.traces, rebuilt.damaged.len()), (5, 6, 0));
    assert_eq!(answers(dir.path()).await, before);
    let again = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let mut batch = again.batch(now()).await.unwrap();
    store_job(&mut batch, 5, &log(5, 50)).await;
    batch.commit(now()).await.unwrap();
    again.close().await;
    assert_eq!(answers(dir.path()).await.len(), 5);
}

#[tokio::test]
async fn a_compacted_archive_is_rebuilt_with_and_without_the_packs_it_superseded() {
    for grace in [SignedDuration::from_hours(1), SignedDuration::ZERO] {
        let dir = tempfile::tempdir().unwrap();
        let store = varied(dir.path()).await;
        let options = CompactOptions { grace, ..CompactOptions::default() };
        compact(&store, options, now(), |_| {}).await.unwrap();
        let mut batch = store.batch(now()).await.unwrap();
        store_job(&mut batch, 7, &log(7, 50)).await;
        batch.commit(now()).await.unwrap();
        store.close().await;
        let before = answers(dir.path()).await;
        rebuild(dir.path(), parse, now()).await.unwrap();
        assert_eq!(answers(dir.path()).await, before);
        let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
        let live = store.catalogue().live_packs().await.unwrap();
        assert_eq!(live.len(), 2, "what was superseded is so again");
        store.close().await;
    }
}

#[tokio::test]
async fn an_unacknowledged_pack_does_not_shadow_an_acknowledged_one() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1]).await;
    // Of a batch that was cut off between pack and catalogue the pack stays; the next takes its number.
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir.path(), copy.path());
    archive_of(copy.path(), &[2]).await;
    archive_of(dir.path(), &[3]).await;
    let before = answers(dir.path()).await;
    copy_tree(&copy.path().join("packs"), &dir.path().join("packs"));
    rebuild(dir.path(), parse, now()).await.unwrap();
    let mut after = answers(dir.path()).await;
    after.retain(|(row, ..)| row.id != JobId(2));
    let raw = |all: Vec<(JobRow, Vec<u8>, _)>| -> Vec<_> {
        all.into_iter().map(|(row, document, whole)| (row.id, row.hash, document, whole)).collect()
    };
    assert_eq!(raw(after), raw(before));
}

#[tokio::test]
async fn damage_is_named_and_costs_no_other_job() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2, 3]).await;
    let store = Store::open(dir.path()).await.unwrap();
    let row = store.catalogue().job(JobId(2)).await.unwrap().unwrap();
    let trace = store.catalogue().traces(&[row.trace.unwrap()]).await.unwrap().remove(0).unwrap();
    let pack = store.packs().path(store.pack_of(&trace.frames[0]).unwrap());
    store.close().await;
    let bytes = fs::read(&pack).unwrap();
    fs::write(&pack, &bytes[..bytes.len() / 2]).unwrap();
    let rebuilt = rebuild(dir.path(), parse, now()).await.unwrap();
    assert_eq!((rebuilt.packs, rebuilt.damaged.len()), (2, 1));
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(read(&store, 1).await.unwrap(), log(1, 50));
    assert_eq!(read(&store, 3).await.unwrap(), log(3, 50));
}

#[tokio::test]
async fn a_new_catalogue_is_put_in_place_whole_though_something_else_has_it_open() {
    use sqlx::{ConnectOptions, Connection};
    let (dir, before) = rebuilt().await;
    let rebuilding = build(dir.path(), parse, now(), |_, _| {}).await.unwrap();
    let new = dir.path().join("tmp").join("catalogue.sqlite");
    let mut reader =
        sqlx::sqlite::SqliteConnectOptions::new().filename(new).connect().await.unwrap();
    sqlx::query("SELECT * FROM packs").fetch_all(&mut reader).await.unwrap();
    rebuilding.put_in_place().await.unwrap();
    reader.close().await.unwrap();
    assert_eq!(answers(dir.path()).await, before);
}

#[tokio::test]
async fn packs_alone_are_enough_and_others_say_so() {
    let (dir, before) = rebuilt().await;
    for lost in [None, Some("not what stood there")] {
        let alone = tempfile::tempdir().unwrap();
        copy_tree(&dir.path().join("packs"), &alone.path().join("packs"));
        if let Some(marker) = lost {
            fs::write(alone.path().join(MARKER), marker).unwrap();
        }
        let told = Store::open(alone.path()).await.unwrap_err();
        assert!(matches!(told, StoreError::Unmarked { .. }), "{told}");
        let told = Store::open_for_writing(alone.path(), "test", now()).await.unwrap_err();
        assert!(matches!(told, StoreError::Unmarked { .. }), "{told}");
        assert_eq!(rebuild(alone.path(), parse, now()).await.unwrap().damaged, []);
        assert_eq!(answers(alone.path()).await, before);
    }
    let photos = tempfile::tempdir().unwrap();
    fs::create_dir_all(photos.path().join("packs/ab")).unwrap();
    fs::write(photos.path().join("packs/ab/cat.pack"), "meow").unwrap();
    let told = rebuild(photos.path(), parse, now()).await.unwrap_err();
    assert!(matches!(told, StoreError::NotAnArchive { .. }), "{told}");
}
