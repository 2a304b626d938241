//! Packs that no row of the catalogue tells of: named by a check, kept by pruning, and not dropped by a rebuild.

use jiff::SignedDuration;

use super::compact::{NO_GRACE, archive_of_runs, assert_whole, repeated};
use super::rebuild::{answers, parse};
use super::*;
use crate::store::check::{Report, VerifyOptions, verify_with};
use crate::store::compact::compact;
use crate::store::prune::{PruneOptions, Pruned, prune};
use crate::store::rebuild::rebuild;

/// A time behind that of all files, which the clock of the machine gives.
fn end_of_time() -> Option<Timestamp> {
    Some(Timestamp::MAX)
}

async fn settled(dir: &Path) -> Report {
    let store = Store::open(dir).await.unwrap();
    let options = VerifyOptions { settled_before: end_of_time(), ..VerifyOptions::default() };
    verify_with(&store, options, |_| {}).await.unwrap()
}

async fn pruned(dir: &Path) -> Pruned {
    let store = Store::open_for_writing(dir, "test", now()).await.unwrap();
    let options = PruneOptions { grace: SignedDuration::ZERO, dry_run: false };
    let pruned = prune(&store, options, now()).await.unwrap();
    store.close().await;
    pruned
}

/// The packs of an archive, in the order of their numbers.
async fn packs(dir: &Path) -> Vec<PathBuf> {
    let store = Store::open(dir).await.unwrap();
    let packs = store.catalogue().packs().await.unwrap();
    packs.into_iter().map(|(_, name, _)| store.packs().path(name)).collect()
}

fn flip(pack: &Path, from_end: usize) {
    let mut bytes = fs::read(pack).unwrap();
    let at = bytes.len() - from_end;
    bytes[at] ^= 1;
    fs::write(pack, bytes).unwrap();
}

fn append(pack: &Path) {
    fs::write(pack, [fs::read(pack).unwrap(), b"x".to_vec()].concat()).unwrap();
}

fn remove_catalogue(dir: &Path) {
    for file in ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
        let _ = fs::remove_file(dir.join(file));
    }
}

#[tokio::test]
async fn a_rebuild_keeps_what_the_catalogue_knew_of_a_pack_without_a_footer() {
    for compacted in [false, true] {
        let harms: [fn(&Path); 2] = [|pack| flip(pack, 100), append];
        for harm in harms {
            let dir = tempfile::tempdir().unwrap();
            let store = archive_of_runs(dir.path(), 1..5).await;
            if compacted {
                compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
            }
            store.close().await;
            rebuild(dir.path(), parse, now()).await.unwrap();
            let before = answers(dir.path()).await;
            let pack = packs(dir.path()).await.remove(0);
            let good = fs::read(&pack).unwrap();
            harm(&pack);
            for _ in 0..2 {
                let rebuilt = rebuild(dir.path(), parse, now()).await.unwrap();
                assert_eq!(rebuilt.damaged.len(), 1, "{:?}", rebuilt.damaged);
                assert!(rebuilt.damaged[0].what.contains("is kept"), "{:?}", rebuilt.damaged);
            }
            let store = Store::open(dir.path()).await.unwrap();
            for job in 1..5 {
                assert_eq!(read(&store, job).await.unwrap(), repeated(job));
            }
            store.close().await;
            assert_ne!(settled(dir.path()).await.damaged, []);
            assert_eq!(pruned(dir.path()).await.deleted().count(), 0);
            // All is well where the pack comes back.
            fs::write(&pack, good).unwrap();
            assert_eq!(settled(dir.path()).await.damaged, []);
            assert_eq!(answers(dir.path()).await, before);
        }
    }
}

#[tokio::test]
async fn a_pack_without_a_footer_that_nobody_knows_is_named_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    archive_of_runs(dir.path(), 1..4).await.close().await;
    let last = packs(dir.path()).await.pop().unwrap();
    flip(&last, 100);
    remove_catalogue(dir.path());
    let rebuilt = rebuild(dir.path(), parse, now()).await.unwrap();
    assert_eq!((rebuilt.packs, rebuilt.damaged.len()), (2, 1), "{:?}", rebuilt.damaged);
    let store = Store::open(dir.path()).await.unwrap();
    let report = verify(&store, |_| {}).await.unwrap();
    assert_eq!(report.damaged.len(), 1, "{:?}", report.damaged);
    assert!(report.damaged[0].what.contains("cannot be read"), "{:?}", report.damaged);
    store.close().await;
    let pruned = pruned(dir.path()).await;
    assert_eq!((pruned.deleted().count(), pruned.kept.len()), (0, 1));
    assert!(last.exists());
}

#[tokio::test]
async fn a_rebuild_names_each_job_of_a_pack_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2, 3]).await;
    fs::remove_file(&packs(dir.path()).await[1]).unwrap();
    let rebuilt = rebuild(dir.path(), parse, now()).await.unwrap();
    let jobs: Vec<_> = rebuilt.damaged.iter().filter_map(|d| d.job).collect();
    assert_eq!(jobs, [JobId(2)], "{:?}", rebuilt.damaged);
}

#[tokio::test]
async fn a_pack_later_than_the_catalogue_is_named_and_stays() {
    let (dir, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    archive_of_runs(dir.path(), 1..3).await.close().await;
    copy_tree(dir.path(), before.path());
    archive_of_runs(dir.path(), 3..5).await.close().await;
    let later = packs(dir.path()).await.split_off(2);
    super::damage::take_back_catalogue(dir.path(), before.path());
    // The catalogue may be of a copy that was made beside a writer: then nothing is wrong, and it is told.
    let report = settled(dir.path()).await;
    assert_eq!((report.damaged.len(), report.later.len()), (0, 2), "{report:?}");
    assert!(report.later[0].what.contains("stands nowhere else"), "{report:?}");
    // They may as well be of a writer at work.
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(verify(&store, |_| {}).await.unwrap().later, []);
    store.close().await;
    let pruned = pruned(dir.path()).await;
    assert_eq!((pruned.deleted().count(), pruned.kept.len()), (0, 2));
    assert!(later.iter().all(|pack| pack.exists()));
    rebuild(dir.path(), parse, now()).await.unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    assert_whole(&store, 1..5).await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_and_stops_neither_check_nor_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2, 3]).await;
    let pack = packs(dir.path()).await.remove(1);
    fs::remove_file(&pack).unwrap();
    fs::create_dir(&pack).unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let report = verify(&store, |_| {}).await.unwrap();
    assert_eq!(report.checked, 2);
    assert!(report.damaged.iter().any(|d| d.job == Some(JobId(2))), "{:?}", report.damaged);
    store.close().await;
    let rebuilt = rebuild(dir.path(), parse, now()).await.unwrap();
    assert!(rebuilt.damaged.iter().any(|d| d.pack.is_some()), "{:?}", rebuilt.damaged);
    let store = Store::open(dir.path()).await.unwrap();
    assert_eq!(read(&store, 3).await.unwrap(), log(3, 50));
    let kept = store.catalogue().job(JobId(2)).await.unwrap().unwrap();
    assert_eq!((kept.name.as_str(), kept.trace.is_some()), ("build", true));
    assert!(read(&store, 2).await.is_err());
}

#[tokio::test]
async fn a_pack_in_a_folder_of_another_is_named_where_it_is_and_never_counted() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2]).await;
    let pack = packs(dir.path()).await.remove(1);
    let astray = dir.path().join("packs/zz").join(pack.file_name().unwrap());
    fs::create_dir(astray.parent().unwrap()).unwrap();
    fs::rename(&pack, &astray).unwrap();
    let is_named = |damaged: &[check::Damage]| damaged.iter().any(|d| d.what.contains("packs/zz/"));
    assert!(is_named(&settled(dir.path()).await.damaged));
    let rebuilt = rebuild(dir.path(), parse, now()).await.unwrap();
    assert!(is_named(&rebuilt.damaged), "{:?}", rebuilt.damaged);
    assert_eq!(rebuilt.packs, 1);
    assert!(is_named(&settled(dir.path()).await.damaged));
    assert_eq!(pruned(dir.path()).await.deleted().count(), 0);
    assert!(astray.exists());
}

#[tokio::test]
async fn a_pack_that_cannot_be_rewritten_is_not_counted_as_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = one_pack(dir.path(), 1..=8).await;
    // The damaged log alone stays in its pack.
    super::care::harm(&store, 5).await;
    compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    store.close().await;
    let pruned = pruned(dir.path()).await;
    assert_eq!((pruned.rewritten.len(), pruned.spare_bytes, pruned.failed.len()), (0, 0, 1));
}

#[tokio::test]
async fn a_pack_of_a_job_that_no_row_tells_of_is_damage_of_the_catalogue_and_stays() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    archive_of_runs(dir.path(), 1..3).await.close().await;
    archive_of_runs(other.path(), 3..4).await.close().await;
    let stray = packs(other.path()).await.remove(0);
    copy_tree(&other.path().join("packs"), &dir.path().join("packs"));
    let store = Store::open(dir.path()).await.unwrap();
    let report = verify(&store, |_| {}).await.unwrap();
    assert!(report.in_catalogue && report.damaged.len() == 1, "{report:?}");
    assert!(report.damaged[0].what.contains("job 3 stands nowhere else"), "{report:?}");
    store.close().await;
    let pruned = pruned(dir.path()).await;
    assert_eq!((pruned.deleted().count(), pruned.kept.len()), (0, 1));
    let name = stray.strip_prefix(other.path()).unwrap();
    assert!(dir.path().join(name).exists());
    rebuild(dir.path(), parse, now()).await.unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    for job in 1..4 {
        assert_eq!(read(&store, job).await.unwrap(), repeated(job));
    }
}
