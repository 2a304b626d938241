//! Compaction and pruning: what may change and what must not.

use jiff::SignedDuration;

use super::*;
use crate::store::compact::{CompactOptions, Compacted, compact};
use crate::store::prune::{PruneOptions, prune};

pub(super) const NO_GRACE: CompactOptions =
    CompactOptions { grace: SignedDuration::ZERO, dry_run: false, all: false, max_raw_bytes: None };

/// The `run`-th log of a job that is repeated: most of it is always the same.
pub(super) fn repeated(run: u64) -> Vec<u8> {
    let line = |i: u64| {
        let word = blake3::hash(&i.to_le_bytes()).to_hex();
        let took = run * 31 % 97 + i;
        format!("2024-02-29T23:59:{:02}.{took:06}Z 00O step {word} took {took} ms\n", i % 60)
    };
    (0..400).flat_map(|i| line(i).into_bytes()).collect()
}

/// An archive of one pack for each job.
pub(super) async fn archive_of_runs(dir: &Path, jobs: std::ops::Range<u64>) -> Store {
    let store = Store::open_for_writing(dir, "test", now()).await.unwrap();
    let mut batch = store.batch(now()).await.unwrap();
    for job in jobs {
        store_job(&mut batch, job, &repeated(job)).await;
        batch.commit(now()).await.unwrap();
    }
    store
}

pub(super) async fn assert_whole(store: &Store, jobs: std::ops::Range<u64>) {
    for job in jobs {
        assert_eq!(read(store, job).await.unwrap(), repeated(job), "job {job}");
        let document = store.document(JobId(job)).await.unwrap().unwrap();
        assert_eq!(document, format!("{{\"id\":{job},\"name\":\"build\"}}").as_bytes());
    }
    let report = verify(store, |_| {}).await.unwrap();
    assert_eq!(report.damaged, []);
}

#[tokio::test]
async fn repeated_logs_take_little_from_the_second_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..9).await;
    let mut sizes: Vec<_> = store.catalogue().packs().await.unwrap();
    let first = sizes.remove(0).2;
    // Ids without a pattern are in the first; what differs are the times.
    assert!(sizes.iter().all(|(_, _, bytes)| bytes * 4 < first), "{first}, then {sizes:?}");
    assert_whole(&store, 1..9).await;
}

#[tokio::test]
async fn compaction_keeps_every_byte_and_a_second_run_finds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..9).await;
    let reader = Store::open(dir.path()).await.unwrap();
    let row = reader.catalogue().job(JobId(5)).await.unwrap().unwrap();
    let before = reader.catalogue().traces(&[row.trace.unwrap()]).await.unwrap().remove(0).unwrap();
    let done = compact(&store, CompactOptions::default(), now(), |_| {}).await.unwrap();
    assert_eq!((done.packs_before, done.packs_after, done.traces), (8, 1, 8));
    assert!(done.bytes_after < done.bytes_before);
    assert_whole(&store, 1..9).await;
    // A reader that looked the trace up before goes on reading, until the grace is over.
    assert!(reader.read_frame(&before.frames[0]).is_ok());
    let again = compact(&store, CompactOptions::default(), now(), |_| {}).await.unwrap();
    assert_eq!(again, Compacted::default());
    let later = now() + SignedDuration::from_hours(2);
    let again = compact(&store, CompactOptions::default(), later, |_| {}).await.unwrap();
    assert_eq!(again, Compacted { deleted: 8, ..Compacted::default() });
    assert_eq!(store.packs().list().unwrap().len(), 1);
    assert_whole(&store, 1..9).await;
    let fresh = Store::open(dir.path()).await.unwrap();
    assert_whole(&fresh, 1..9).await;
}

#[tokio::test]
async fn what_comes_after_a_compaction_uses_its_bases_and_is_compacted_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..5).await;
    compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    store.close().await;
    let store = archive_of_runs(dir.path(), 5..7).await;
    let newest = store.catalogue().packs().await.unwrap().pop().unwrap();
    let footer = store.packs().footer(newest.1).unwrap();
    assert!(footer.entries.iter().all(|e| e.kind != packs::Kind::Base));
    assert_whole(&store, 1..7).await;
    let done = compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    // The small pack of the first compaction is merged with what came since.
    assert_eq!((done.packs_before, done.packs_after, done.traces, done.deleted), (3, 1, 6, 3));
    assert_whole(&store, 1..7).await;
}

/// A log of long lines, full of ids that never come again.
fn of_ids(job: u64) -> Vec<u8> {
    let id = |number: u64| blake3::hash(&[job, number].map(u64::to_le_bytes).concat()).to_hex();
    let task = |number: u64| format!("task {} is done in the usual time; ", &id(number)[..16]);
    let line = |i: u64| (0..80).map(|at| task(80 * i + at)).collect::<String>() + "\n";
    (0..200).flat_map(|i| line(i).into_bytes()).collect()
}

#[tokio::test]
async fn compaction_makes_no_bases_that_only_cost() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let mut batch = store.batch(now()).await.unwrap();
    for job in 1..5 {
        store_job(&mut batch, job, &of_ids(job)).await;
        batch.commit(now()).await.unwrap();
    }
    let done = compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    assert!(done.bytes_after < done.bytes_before, "{done:?}");
    let (_, name, _) = store.catalogue().packs().await.unwrap()[0];
    let entries = store.packs().footer(name).unwrap().entries;
    assert!(entries.iter().all(|entry| entry.kind != packs::Kind::Base), "{done:?}");
    for job in 1..5 {
        assert_eq!(read(&store, job).await.unwrap(), of_ids(job));
    }
}

#[tokio::test]
async fn a_dry_run_tells_the_gain_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..5).await;
    let before = store.packs().list().unwrap().len();
    let dry = CompactOptions { dry_run: true, ..NO_GRACE };
    let told = compact(&store, dry, now(), |_| {}).await.unwrap();
    assert_eq!(store.packs().list().unwrap().len(), before);
    assert_eq!(fs::read_dir(store.tmp_dir()).unwrap().count(), 0);
    let done = compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    assert!(told.bytes_after.abs_diff(done.bytes_after) < 100, "{told:?}, {done:?}");
    assert_eq!((told.traces, told.packs_before, told.deleted), (4, 4, 0));
}

#[tokio::test]
async fn a_trace_that_cannot_be_read_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2, 3]).await;
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let row = store.catalogue().job(JobId(2)).await.unwrap().unwrap();
    let trace = store.catalogue().traces(&[row.trace.unwrap()]).await.unwrap().remove(0).unwrap();
    let frame = &trace.frames[1];
    let pack = store.packs().path(store.pack_of(frame).unwrap());
    let mut bytes = fs::read(&pack).unwrap();
    bytes[frame.offset as usize + 20] ^= 1;
    fs::write(&pack, &bytes).unwrap();
    let done = compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    // Its own pack stays, and that of the first log, which is its base.
    assert_eq!((done.unreadable, done.traces, done.deleted), (1, 2, 1));
    assert!(pack.exists());
    for job in [1, 3] {
        assert_eq!(read(&store, job).await.unwrap(), log(job, 50));
    }
    let report = verify(&store, |_| {}).await.unwrap();
    assert!(report.damaged.iter().any(|d| d.job == Some(JobId(2))));
    assert!(report.damaged.iter().all(|d| d.job.is_none_or(|job| job == JobId(2))));
}

/// Puts a pack there that holds what others hold: a compaction was stopped before it referred to it.
async fn left_by_a_crash(dir: &Path) -> PathBuf {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir, copy.path());
    let store = Store::open_for_writing(copy.path(), "test", now()).await.unwrap();
    let later = now() + SignedDuration::from_mins(1);
    compact(&store, NO_GRACE, later, |_| {}).await.unwrap();
    let (_, name, _) = store.catalogue().packs().await.unwrap()[0];
    let (from, to) =
        (store.packs().path(name), Packs::new(dir.join("packs"), dir.join("tmp")).path(name));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, &to).unwrap();
    store.close().await;
    to
}

#[tokio::test]
async fn pruning_removes_what_nothing_refers_to_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    archive_of_runs(dir.path(), 1..4).await.close().await;
    let stray = left_by_a_crash(dir.path()).await;
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let garbage = store.packs().path(PackName([7; 32]));
    fs::create_dir_all(garbage.parent().unwrap()).unwrap();
    fs::write(&garbage, b"no writer leaves this").unwrap();
    fs::write(stray.with_extension("txt"), b"not a pack").unwrap();
    let dry = PruneOptions { dry_run: true, ..PruneOptions::default() };
    let told = prune(&store, dry, now()).await.unwrap();
    assert_eq!((told.unlisted.len(), told.superseded.len(), told.kept.len()), (1, 0, 1));
    assert!(stray.exists());
    compact(&store, CompactOptions::default(), now(), |_| {}).await.unwrap();
    assert_eq!(prune(&store, PruneOptions::default(), now()).await.unwrap(), told);
    assert!(!stray.exists() && stray.with_extension("txt").exists() && garbage.exists());
    fs::remove_file(&garbage).unwrap();
    let none = PruneOptions { grace: SignedDuration::ZERO, dry_run: false };
    assert_eq!(prune(&store, none, now()).await.unwrap().superseded.len(), 3);
    assert_whole(&store, 1..4).await;
}
