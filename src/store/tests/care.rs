//! Care over the years: small packs merge, readers survive it, little-needed packs are rewritten, damage is repaired.

use jiff::SignedDuration;

use super::compact::{NO_GRACE, archive_of_runs, assert_whole, repeated};
use super::*;
use crate::store::compact::{CompactOptions, Compacted, compact, compact_step};
use crate::store::prune::{PruneOptions, prune};
use crate::store::rebuild::rebuild;
use crate::store::repair::Repair;

const AT_ONCE: PruneOptions = PruneOptions { grace: SignedDuration::ZERO, dry_run: false };

async fn trace_of(store: &Store, job: u64) -> TraceRow {
    let row = store.catalogue().job(JobId(job)).await.unwrap().unwrap();
    store.catalogue().traces(&[row.trace.unwrap()]).await.unwrap().remove(0).unwrap()
}

/// Flips a bit in the first frame of a job's trace, and returns the pack.
pub(super) async fn harm(store: &Store, job: u64) -> PathBuf {
    let frame = trace_of(store, job).await.frames.remove(0);
    let path = store.packs().path(store.pack_of(&frame).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[frame.offset as usize + frame.stored_bytes as usize / 2] ^= 1;
    fs::write(&path, &bytes).unwrap();
    path
}

#[tokio::test]
async fn packs_of_many_small_compactions_do_not_pile_up() {
    let dir = tempfile::tempdir().unwrap();
    for night in 0..5 {
        let store = archive_of_runs(dir.path(), 1 + night * 2..3 + night * 2).await;
        compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
        assert_eq!(store.catalogue().live_packs().await.unwrap().len(), 1, "night {night}");
        let again = compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
        assert_eq!(again, Compacted::default());
        assert_whole(&store, 1..3 + night * 2).await;
        store.close().await;
    }
}

#[tokio::test]
async fn all_is_written_anew_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..5).await;
    compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    let all = CompactOptions { all: true, ..NO_GRACE };
    let done = compact(&store, all, now(), |_| {}).await.unwrap();
    assert_eq!((done.packs_before, done.packs_after, done.traces, done.deleted), (1, 1, 4, 1));
    assert_whole(&store, 1..5).await;
}

#[tokio::test]
async fn steps_come_to_the_same_end_and_wait_for_enough_work() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..41).await;
    assert_eq!(compact_step(&store, 1, now()).await.unwrap(), Compacted::default());
    store.close().await;
    let store = archive_of_runs(dir.path(), 41..71).await;
    let first = compact_step(&store, repeated(1).len() as u64 * 20, now()).await.unwrap();
    assert!((1..=20).contains(&first.traces), "{first:?}");
    assert_whole(&store, 1..71).await;
    let mut steps = 1;
    while compact_step(&store, 1_000_000, now()).await.unwrap().traces > 0 {
        steps += 1;
        assert!(steps < 20, "the steps come to no end");
    }
    assert_whole(&store, 1..71).await;
    let live = store.catalogue().live_packs().await.unwrap();
    assert!(live.iter().all(|pack| pack.compacted), "{live:?}");
}

#[tokio::test]
async fn a_reader_goes_on_when_its_packs_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let writer = archive_of_runs(dir.path(), 1..5).await;
    let reader = Store::open(dir.path()).await.unwrap();
    let trace = trace_of(&reader, 3).await;
    compact(&writer, NO_GRACE, now(), |_| {}).await.unwrap();
    let gone = reader.read_frame(&trace.frames[0]).unwrap_err();
    assert!(gone.is_damage(), "its pack was deleted: {gone}");
    let mut raw = Vec::new();
    for frame in 0..trace.frames.len() {
        raw.extend(reader.read_piece(&trace, frame).unwrap());
    }
    assert_eq!(raw, repeated(3));
    let document = reader.document(JobId(4)).await.unwrap().unwrap();
    assert_eq!(document, b"{\"id\":4,\"name\":\"build\"}");
    fs::remove_dir_all(dir.path().join("packs")).unwrap();
    assert!(reader.read_piece(&trace, 0).unwrap_err().is_damage());
}

#[tokio::test]
async fn a_damaged_log_is_stored_again_from_the_very_bytes_alone() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2, 3]).await;
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    harm(&store, 2).await;
    let damaged = Repair::damaged(&store, JobId(2)).await.unwrap();
    assert_eq!(damaged.len(), 1);
    assert_eq!(Repair::damaged(&store, JobId(1)).await.unwrap(), []);
    let mut repair = Repair::new(&store).await.unwrap();
    for other in [log(9, 50), log(2, 49), [log(2, 50), b"more\n".to_vec()].concat()] {
        assert!(!repair.put(&damaged[0], PROJECT, &mut other.as_slice(), now()).await.unwrap());
    }
    let good = log(2, 50);
    assert!(repair.put(&damaged[0], PROJECT, &mut good.as_slice(), now()).await.unwrap());
    repair.commit(now()).await.unwrap();
    assert_eq!(verify(&store, |_| {}).await.unwrap().damaged, []);
    assert_eq!(read(&store, 2).await.unwrap(), good);
    compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    for job in 1..=3 {
        assert_eq!(read(&store, job).await.unwrap(), log(job, 50));
    }
    assert_eq!(verify(&store, |_| {}).await.unwrap().damaged, []);
}

#[tokio::test]
async fn a_pack_of_which_little_is_needed_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = one_pack(dir.path(), 1..=8).await;
    // All but one trace move out of the pack; that one cannot be read meanwhile.
    let path = harm(&store, 5).await;
    compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let frame = trace_of(&store, 5).await.frames.remove(0);
    bytes[frame.offset as usize + frame.stored_bytes as usize / 2] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let dry = PruneOptions { dry_run: true, ..AT_ONCE };
    let told = prune(&store, dry, now()).await.unwrap();
    assert_eq!((told.rewritten.len(), told.deleted().count()), (1, 0), "{told:?}");
    assert!(told.spare_bytes > told.rewritten[0].bytes / 2, "{told:?}");
    let done = prune(&store, AT_ONCE, now()).await.unwrap();
    assert_eq!(done.superseded, told.rewritten);
    assert!(!path.exists());
    for job in 1..=8 {
        assert_eq!(read(&store, job).await.unwrap(), log(job, 50));
    }
    assert_eq!(verify(&store, |_| {}).await.unwrap().damaged, []);
    let again = prune(&store, AT_ONCE, now()).await.unwrap();
    assert_eq!(again.rewritten.len() + again.deleted().count(), 0, "{again:?}");
}

#[tokio::test]
async fn new_logs_do_not_depend_on_a_damaged_base() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..3).await;
    super::damage::flip_in_first_base(&store).await;
    store.close().await;
    let store = archive_of_runs(dir.path(), 3..5).await;
    for job in 3..5 {
        assert_eq!(read(&store, job).await.unwrap(), repeated(job));
    }
}

/// A copy of an archive's rebuilt catalogue says which log of job 1 stands.
async fn rebuilt_log_of_1(dir: &Path) -> Vec<u8> {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir, copy.path());
    rebuild(copy.path(), super::rebuild::parse, now()).await.unwrap();
    let store = Store::open(copy.path()).await.unwrap();
    let raw = read(&store, 1).await.unwrap();
    store.close().await;
    raw
}

#[tokio::test]
async fn records_do_not_pass_those_of_a_pack_that_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2]).await;
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let mut batch = store.batch(now()).await.unwrap();
    for (job, raw) in [(1, log(9, 60)), (3, log(3, 50))] {
        store_job(&mut batch, job, &raw).await;
        batch.commit(now()).await.unwrap();
    }
    let superseding = trace_of(&store, 1).await.frames.remove(0);
    let pack = store.packs().path(store.pack_of(&superseding).unwrap());
    let aside = dir.path().join("aside");
    fs::rename(&pack, &aside).unwrap();
    let done = compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    assert_eq!((done.packs_before, done.unreadable), (1, 1), "only the last pack may move");
    fs::rename(&aside, &pack).unwrap();
    assert_eq!(rebuilt_log_of_1(dir.path()).await, log(9, 60));
    // Now the pack that was compacted meanwhile must not be passed.
    for all in [false, true] {
        compact(&store, CompactOptions { all, ..NO_GRACE }, now(), |_| {}).await.unwrap();
        assert_eq!(rebuilt_log_of_1(dir.path()).await, log(9, 60), "all: {all}");
    }
    assert_eq!(store.catalogue().live_packs().await.unwrap().len(), 1);
    assert_eq!(verify(&store, |_| {}).await.unwrap().damaged, []);
}
