//! Damage and crashes: every flipped bit, cut, swap and loss is found, and nothing wrong is ever served.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::compact::{NO_GRACE, archive_of_runs, assert_whole, repeated};
use super::*;
use crate::store::compact::{CompactOptions, compact};
use crate::store::prune::{PruneOptions, prune};

/// What happens to a pack file.
#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Zero(prop::sample::Index, usize),
    Swap,
    Delete,
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        6 => (any::<prop::sample::Index>(), 0..8u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        2 => any::<prop::sample::Index>().prop_map(Harm::Cut),
        2 => (any::<prop::sample::Index>(), 1..600usize).prop_map(|(at, len)| Harm::Zero(at, len)),
        1 => Just(Harm::Swap),
        1 => Just(Harm::Delete),
    ]
}

/// Does it, and returns whether any byte is another now.
fn inflict(harm: &Harm, pack: &Path, other: &Path) -> bool {
    let good = fs::read(pack).unwrap();
    let mut bad = good.clone();
    match harm {
        Harm::Flip(at, bit) => bad[at.index(good.len())] ^= 1 << bit,
        Harm::Cut(at) => bad.truncate(at.index(good.len())),
        Harm::Zero(at, len) => {
            let at = at.index(good.len());
            let end = (at + len).min(good.len());
            bad[at..end].fill(0);
        }
        Harm::Swap => {
            fs::copy(other, pack).unwrap();
            fs::write(other, &good).unwrap();
            return true;
        }
        Harm::Delete => {
            fs::remove_file(pack).unwrap();
            return true;
        }
    }
    fs::write(pack, &bad).unwrap();
    bad != good
}

/// Checks an archive of runs 1 to 6 after harm: found, named, and no wrong byte served.
async fn assert_found(dir: &Path, changed: bool) {
    let store = Store::open(dir).await.unwrap();
    let report = verify(&store, |_| {}).await.unwrap();
    assert_eq!(!report.damaged.is_empty(), changed);
    for job in 1..7 {
        match read(&store, job).await {
            Ok(raw) => assert_eq!(raw, repeated(job)),
            Err(e) => {
                assert!(e.is_damage(), "{e}");
                let named = report.damaged.iter().any(|d| d.job == Some(JobId(job)));
                assert!(named, "job {job} cannot be read and verify did not say so");
            }
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn harm_to_any_pack_is_found_and_named(harm in harm(), which in any::<prop::sample::Index>()) {
        let dir = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            let store = archive_of_runs(dir.path(), 1..5).await;
            compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
            store.close().await;
            let store = archive_of_runs(dir.path(), 5..7).await;
            let packs = store.catalogue().packs().await.unwrap();
            let at = which.index(packs.len());
            let pack = store.packs().path(packs[at].1);
            let other = store.packs().path(packs[(at + 1) % packs.len()].1);
            store.close().await;
            let changed = inflict(&harm, &pack, &other);
            assert_found(dir.path(), changed).await;
        });
    }
}

/// Flips a bit in the middle of the first base of the first pack.
pub(super) async fn flip_in_first_base(store: &Store) {
    let (_, name, _) = store.catalogue().packs().await.unwrap()[0];
    let footer = store.packs().footer(name).unwrap();
    let base = footer.entries.iter().find(|e| e.kind == packs::Kind::Base).unwrap();
    let path = store.packs().path(name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[base.offset as usize + base.stored_bytes as usize / 2] ^= 4;
    fs::write(&path, &bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_base_names_each_job_that_needs_it_wherever_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..7).await;
    flip_in_first_base(&store).await;
    store.close().await;
    let store = Store::open(dir.path()).await.unwrap();
    let report = verify(&store, |_| {}).await.unwrap();
    let mut jobs: Vec<_> = report.damaged.iter().filter_map(|d| d.job).collect();
    jobs.dedup();
    assert_eq!(jobs, (1..7).map(JobId).collect::<Vec<_>>());
    assert!(report.damaged.iter().any(|d| d.what.starts_with("a base")));
    assert!(matches!(read(&store, 6).await, Err(StoreError::Base { .. })));
}

/// Puts the catalogue of `before` beside the packs of now, as if the transaction had not come about.
pub(super) fn take_back_catalogue(dir: &Path, before: &Path) {
    for file in ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
        let _ = fs::remove_file(dir.join(file));
        if before.join(file).exists() {
            fs::copy(before.join(file), dir.join(file)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_crash_between_pack_and_catalogue_costs_the_unacknowledged_batch_alone() {
    let (dir, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    archive_of_runs(dir.path(), 1..4).await.close().await;
    copy_tree(dir.path(), before.path());
    archive_of_runs(dir.path(), 4..5).await.close().await;
    take_back_catalogue(dir.path(), before.path());
    let store = archive_of_runs(dir.path(), 4..6).await;
    assert_whole(&store, 1..6).await;
    let pruned = prune(&store, PruneOptions::default(), now()).await.unwrap();
    // The same log in the same pack number is the same pack: then nothing is left over.
    assert!(pruned.unlisted.len() <= 1);
    assert_whole(&store, 1..6).await;
}

#[tokio::test]
async fn a_compaction_stopped_before_its_switch_leaves_a_stray_pack_and_is_done_again() {
    let (dir, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    archive_of_runs(dir.path(), 1..6).await.close().await;
    copy_tree(dir.path(), before.path());
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let later = now() + SignedDuration::from_mins(1);
    compact(&store, CompactOptions::default(), later, |_| {}).await.unwrap();
    store.close().await;
    take_back_catalogue(dir.path(), before.path());
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    assert_whole(&store, 1..6).await;
    let done = compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    assert_eq!((done.traces, done.deleted), (5, 5));
    assert_whole(&store, 1..6).await;
    prune(&store, PruneOptions::default(), now()).await.unwrap();
    assert_eq!(store.packs().list().unwrap().len(), 1);
    assert_whole(&store, 1..6).await;
}

#[tokio::test]
async fn a_compaction_killed_half_way_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..6).await;
    let killed = store.clone();
    let task = tokio::spawn(async move {
        compact(&killed, NO_GRACE, now(), |raw| assert!(raw < 100_000, "killed")).await
    });
    assert!(task.await.is_err());
    assert_eq!(fs::read_dir(store.tmp_dir()).unwrap().count(), 0);
    assert_whole(&store, 1..6).await;
    assert_eq!(compact(&store, NO_GRACE, now(), |_| {}).await.unwrap().traces, 5);
    assert_whole(&store, 1..6).await;
}

#[tokio::test]
async fn verify_covers_all_packs_in_turn() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..7).await;
    let (mut after, mut rounds, mut checked) = (0, 0, 0);
    loop {
        let options = check::VerifyOptions { max_bytes: Some(1), after, ..Default::default() };
        let report = check::verify_with(&store, options, |_| {}).await.unwrap();
        assert_eq!(report.damaged, []);
        (after, rounds, checked) = (report.through, rounds + 1, checked + report.checked);
        if after == 0 {
            break;
        }
    }
    assert_eq!((rounds, checked), (6, 6));
    let fast = check::VerifyOptions { fast: true, ..Default::default() };
    let report = check::verify_with(&store, fast, |_| {}).await.unwrap();
    assert_eq!((report.checked, report.damaged.len()), (6, 0));
}
