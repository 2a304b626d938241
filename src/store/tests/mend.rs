//! Mending: damage that costs no log does not stay for ever, and nothing that reads is lost on the way.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::compact::{NO_GRACE, archive_of_runs, assert_whole, repeated};
use super::rebuild::{answers, parse, varied};
use super::*;
use crate::store::check::Report;
use crate::store::compact::compact;
use crate::store::mend::{MendOptions, Mended, mend};
use crate::store::packs::Kind;
use crate::store::prune::{PruneOptions, prune};
use crate::store::rebuild::rebuild;
use crate::store::repair::Repair;

const AT_ONCE: PruneOptions = PruneOptions { grace: SignedDuration::ZERO, dry_run: false };

/// Changes the bytes of the `at`-th pack in the order of numbers.
async fn change(store: &Store, at: usize, change: impl FnOnce(&mut Vec<u8>, &packs::Footer)) {
    let (_, name, _) = store.catalogue().packs().await.unwrap()[at];
    let path = store.packs().path(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes, &store.packs().footer(name).unwrap());
    fs::write(&path, bytes).unwrap();
}

/// Flips a bit in the hash of a pack's footer.
async fn lose_footer(store: &Store, at: usize) {
    change(store, at, |bytes, _| {
        let trailer = bytes.len() - 48;
        bytes[trailer] ^= 1;
    })
    .await;
}

fn flip(bytes: &mut [u8], entry: &packs::Entry) {
    bytes[(entry.offset + entry.stored_bytes / 2) as usize] ^= 1;
}

/// Flips a bit in each entry of a kind.
async fn harm_all(store: &Store, at: usize, kind: Kind) {
    change(store, at, |bytes, footer| {
        footer.entries.iter().filter(|e| e.kind == kind).for_each(|e| flip(bytes, e));
    })
    .await;
}

async fn checked(store: &Store) -> Report {
    verify(store, |_| {}).await.unwrap()
}

/// Mends what a check names.
async fn mended(store: &Store) -> Mended {
    mended_with(store, MendOptions::default()).await
}

async fn mended_with(store: &Store, options: MendOptions) -> Mended {
    let report = checked(store).await;
    let named: BTreeSet<PackName> = report.damaged.iter().filter_map(|d| d.pack).collect();
    mend(store, &named, options, now()).await.unwrap()
}

#[tokio::test]
async fn a_pack_without_its_footer_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..5).await;
    // The second needs bases of the first.
    for at in [0, 1] {
        lose_footer(&store, at).await;
    }
    assert!(checked(&store).await.damaged.iter().any(|d| d.job.is_none()));
    let before = store.packs().list().unwrap();
    let told = mended_with(&store, MendOptions { dry_run: true }).await;
    assert_eq!((told.packs.len(), store.packs().list().unwrap().len()), (2, before.len()));
    assert!(!checked(&store).await.damaged.is_empty());
    assert_eq!(mended(&store).await, told);
    assert_eq!((told.packs[0].traces, told.packs[0].traces_left), (1, 0));
    assert_whole(&store, 1..5).await;
    assert_eq!(mended(&store).await, Mended::default());
    assert_whole(&Store::open(dir.path()).await.unwrap(), 1..5).await;
    // The old packs go as superseded ones do.
    assert_eq!(store.packs().list().unwrap().len(), before.len() + 2);
    assert_eq!(prune(&store, PruneOptions::default(), now()).await.unwrap().deleted().count(), 0);
    assert_eq!(prune(&store, AT_ONCE, now()).await.unwrap().superseded.len(), 2);
    assert_whole(&store, 1..5).await;
    compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    assert_whole(&store, 1..5).await;
    assert_eq!(store.packs().list().unwrap().len(), 1);
}

#[tokio::test]
async fn records_of_a_mended_pack_keep_their_place_in_a_rebuild() {
    for prune_before in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let store = varied(dir.path()).await;
        let packs = store.catalogue().packs().await.unwrap().len();
        store.close().await;
        rebuild(dir.path(), parse, now()).await.unwrap();
        let before = answers(dir.path()).await;
        for at in 0..packs {
            let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
            lose_footer(&store, at).await;
            assert_eq!(mended(&store).await.packs.len(), 1);
            if prune_before {
                prune(&store, AT_ONCE, now()).await.unwrap();
            }
            store.close().await;
            assert_eq!(answers(dir.path()).await, before);
            let rebuilt = rebuild(dir.path(), parse, now()).await.unwrap();
            assert_eq!(rebuilt.damaged.is_empty(), prune_before, "{:?}", rebuilt.damaged);
            assert_eq!(answers(dir.path()).await, before, "pack {at}, pruned: {prune_before}");
            let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
            prune(&store, AT_ONCE, now()).await.unwrap();
            assert_eq!(store.packs().list().unwrap().len(), packs);
            store.close().await;
        }
    }
}

#[tokio::test]
async fn a_footer_lost_twice_does_not_move_records() {
    let dir = tempfile::tempdir().unwrap();
    let store = varied(dir.path()).await;
    store.close().await;
    rebuild(dir.path(), parse, now()).await.unwrap();
    let before = answers(dir.path()).await;
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    lose_footer(&store, 0).await;
    mended(&store).await;
    prune(&store, AT_ONCE, now()).await.unwrap();
    let newest = store.catalogue().packs().await.unwrap().len() - 1;
    lose_footer(&store, newest).await;
    assert_eq!(mended(&store).await.packs.len(), 1);
    prune(&store, AT_ONCE, now()).await.unwrap();
    store.close().await;
    assert_eq!(rebuild(dir.path(), parse, now()).await.unwrap().damaged, []);
    assert_eq!(answers(dir.path()).await, before);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_stays_named_and_the_rest_is_cured() {
    let dir = tempfile::tempdir().unwrap();
    let store = one_pack(dir.path(), 1..=4).await;
    super::care::harm(&store, 2).await;
    lose_footer(&store, 0).await;
    let done = mended(&store).await;
    assert_eq!((done.packs[0].traces, done.packs[0].traces_left), (3, 1));
    let report = checked(&store).await;
    assert!(report.damaged.iter().any(|d| d.job == Some(JobId(2))), "{report:?}");
    assert!(report.damaged.iter().all(|d| d.job.is_none_or(|job| job == JobId(2))), "{report:?}");
    assert_eq!(mended(&store).await, Mended::default());
    for job in [1, 3, 4] {
        assert_eq!(read(&store, job).await.unwrap(), log(job, 50));
    }
    assert!(prune(&store, AT_ONCE, now()).await.unwrap().deleted().count() == 0);
    let frames = |job| async move {
        let row = store.catalogue().job(JobId(job)).await.unwrap().unwrap();
        let trace = store.catalogue().trace_of(&row).await.unwrap().unwrap();
        trace.frames.iter().filter(|frame| store.read_frame(frame).is_ok()).count()
    };
    assert_eq!(frames(2).await, 1, "what still reads of it");
}

#[tokio::test]
async fn lost_records_that_the_catalogue_knows_are_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = varied(dir.path()).await;
    store.close().await;
    rebuild(dir.path(), parse, now()).await.unwrap();
    let before = answers(dir.path()).await;
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let packs = store.catalogue().packs().await.unwrap().len();
    // All documents come again, in a later pack, and then what came before is lost.
    let mut batch = store.batch(now()).await.unwrap();
    for job in 1..=4 {
        let model = Job { id: JobId(job), name: Some("build".to_owned()), ..Job::default() };
        let document = format!("{{\"id\":{job},\"name\":\"build\"}}");
        let document = document.as_bytes();
        let received =
            Received { job: &model, project: PROJECT, document, artifacts: None, digest: 1 };
        batch.put_job(&received, "https://gitlab.example.com/group/project", now()).unwrap();
    }
    batch.commit(now()).await.unwrap();
    for at in 0..packs {
        harm_all(&store, at, Kind::Ledger).await;
    }
    let report = checked(&store).await;
    assert!(!report.damaged.is_empty() && report.damaged.iter().all(|d| d.job.is_none()));
    assert_eq!(mended(&store).await.packs.len(), packs);
    assert_eq!(checked(&store).await.damaged, []);
    assert_eq!(mended(&store).await, Mended::default());
    prune(&store, AT_ONCE, now()).await.unwrap();
    store.close().await;
    assert_eq!(answers(dir.path()).await, before);
    for file in ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
        let _ = fs::remove_file(dir.path().join(file));
    }
    assert_eq!(rebuild(dir.path(), parse, now()).await.unwrap().damaged, []);
    assert_eq!(answers(dir.path()).await, before);
}

#[tokio::test]
async fn documents_that_are_lost_stay_named_until_they_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..4).await;
    harm_all(&store, 1, Kind::Ledger).await;
    assert_eq!(mended(&store).await.packs.len(), 1);
    let named = |report: Report| -> Vec<_> {
        report.damaged.into_iter().map(|d| (d.job, d.what)).collect()
    };
    let lost = vec![(Some(JobId(2)), "its document cannot be read".to_owned())];
    assert_eq!(named(checked(&store).await), lost);
    assert_eq!(mended(&store).await, Mended::default());
    assert_eq!(named(checked(&store).await), lost);
    let mut batch = store.batch(now()).await.unwrap();
    store_job(&mut batch, 2, &repeated(2)).await;
    batch.commit(now()).await.unwrap();
    assert_whole(&store, 1..4).await;
    assert_eq!(prune(&store, AT_ONCE, now()).await.unwrap().superseded.len(), 1);
    assert_whole(&store, 1..4).await;
}

#[tokio::test]
async fn logs_whose_base_is_lost_stay_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..4).await;
    compact(&store, NO_GRACE, now(), |_| {}).await.unwrap();
    harm_all(&store, 0, Kind::Base).await;
    assert_eq!(mended(&store).await, Mended::default(), "logs need it, and none can be moved");
    let report = checked(&store).await;
    assert!((1..4).all(|job| report.damaged.iter().any(|d| d.job == Some(JobId(job)))));
}

#[tokio::test]
async fn a_base_that_nothing_needs_any_more_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..3).await;
    super::damage::flip_in_first_base(&store).await;
    let mut repair = Repair::new(&store).await.unwrap();
    for job in 1..3 {
        let damaged = Repair::damaged(&store, JobId(job)).await.unwrap().remove(0);
        let raw = repeated(job);
        assert!(repair.put(&damaged, PROJECT, &mut raw.as_slice(), now()).await.unwrap());
    }
    repair.commit(now()).await.unwrap();
    assert_ne!(checked(&store).await.damaged, []);
    assert_eq!(mended(&store).await.packs.len(), 1);
    assert_whole(&store, 1..3).await;
}

#[tokio::test]
async fn a_damaged_catalogue_is_not_asked() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..3).await;
    lose_footer(&store, 0).await;
    let mut catalogue = super::rows::connect(dir.path()).await;
    super::rows::run(&mut catalogue, "UPDATE job_rows SET trace = 77 WHERE id = 2").await;
    let done = mended(&store).await;
    assert_eq!((done.packs.len(), done.kept.len()), (0, 1));
    assert!(done.kept[0].what.contains("jobvault rebuild"), "{done:?}");
}

#[tokio::test]
async fn packs_that_changed_places_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..4).await;
    let packs = store.catalogue().packs().await.unwrap();
    let paths = [1, 2].map(|at: usize| store.packs().path(packs[at].1));
    let good = paths.clone().map(|path| fs::read(path).unwrap());
    for (path, bytes) in paths.iter().zip(good.iter().rev()) {
        fs::write(path, bytes).unwrap();
    }
    let done = mended(&store).await;
    assert_eq!((done.packs.len(), done.kept.len()), (0, 2), "{done:?}");
    for (path, bytes) in paths.iter().zip(&good) {
        fs::write(path, bytes).unwrap();
    }
    assert_whole(&Store::open(dir.path()).await.unwrap(), 1..4).await;
}

#[tokio::test]
async fn a_pack_of_nothing_but_records_is_not_pruned_before_they_are_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..3).await;
    let mut batch = store.batch(now()).await.unwrap();
    let gone = NewState { gone: true, reason: "deleted upstream".to_owned(), ..archived() };
    batch.put_state(JobId(2), PROJECT, gone, now()).unwrap();
    batch.commit(now()).await.unwrap();
    lose_footer(&store, 2).await;
    let packs = store.packs().list().unwrap().len();
    prune(&store, AT_ONCE, now()).await.unwrap();
    assert_eq!(store.packs().list().unwrap().len(), packs);
    assert_eq!(mended(&store).await.packs.len(), 1);
    assert_eq!(prune(&store, AT_ONCE, now()).await.unwrap().superseded.len(), 1);
    store.close().await;
    assert_eq!(rebuild(dir.path(), parse, now()).await.unwrap().damaged, []);
    let store = Store::open(dir.path()).await.unwrap();
    let row = store.catalogue().job(JobId(2)).await.unwrap().unwrap();
    assert_eq!((row.reason.as_str(), row.gone_at), ("deleted upstream", Some(now())));
    assert_whole(&store, 1..3).await;
}

#[tokio::test]
async fn a_mended_pack_that_a_new_catalogue_does_not_know_is_no_damage_and_is_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..4).await;
    lose_footer(&store, 1).await;
    mended(&store).await;
    store.close().await;
    for file in ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
        let _ = fs::remove_file(dir.path().join(file));
    }
    assert_eq!(rebuild(dir.path(), parse, now()).await.unwrap().damaged.len(), 1);
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    assert_whole(&store, 1..4).await;
    let done = prune(&store, AT_ONCE, now()).await.unwrap();
    assert_eq!((done.unlisted.len(), done.kept.len()), (1, 0));
    assert_whole(&store, 1..4).await;
}

/// An archive of jobs 1 to 3: a footer is lost, and records of which the documents came again.
async fn sick() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = archive_of_runs(dir.path(), 1..4).await;
    let mut batch = store.batch(now()).await.unwrap();
    store_job(&mut batch, 2, &repeated(2)).await;
    batch.commit(now()).await.unwrap();
    lose_footer(&store, 0).await;
    harm_all(&store, 1, Kind::Ledger).await;
    store.close().await;
    dir
}

/// Opens what a stopped run left: nothing is lost, and the next run cures it.
async fn recover(dir: &Path, case: &str) {
    let store = Store::open_for_writing(dir, "test", now()).await.unwrap();
    for job in 1..4 {
        assert_eq!(read(&store, job).await.unwrap(), repeated(job), "{case}");
    }
    mended(&store).await;
    assert_whole(&store, 1..4).await;
    prune(&store, AT_ONCE, now()).await.unwrap();
    assert_whole(&store, 1..4).await;
    let listed = store.catalogue().packs().await.unwrap().len();
    assert_eq!(store.packs().list().unwrap().len(), listed, "{case}");
    store.close().await;
    assert_eq!(rebuild(dir, parse, now()).await.unwrap().damaged, [], "{case}");
    let store = Store::open(dir).await.unwrap();
    assert_whole(&store, 1..4).await;
    for job in 1..4 {
        let row = store.catalogue().job(JobId(job)).await.unwrap().unwrap();
        assert_eq!((row.state, row.reason.as_str()), (TraceState::Archived, ""), "{case}");
    }
}

#[tokio::test]
async fn mending_stopped_at_any_step_of_writing_is_done_by_the_next_run() {
    let dir = sick().await;
    for cut_at in 1.. {
        let room = super::power::Room::new(dir.path(), cut_at);
        let store = room.open().await;
        let report = checked(&store).await;
        let named: BTreeSet<PackName> = report.damaged.iter().filter_map(|d| d.pack).collect();
        let done = mend(&store, &named, MendOptions::default(), now()).await;
        store.close().await;
        room.forget(0xff);
        recover(room.dir.path(), &format!("cut at moment {cut_at}")).await;
        if done.is_ok() {
            assert!(cut_at > 20, "{cut_at}");
            break;
        }
    }
}

#[tokio::test]
async fn mending_stopped_between_transactions_is_done_by_the_next_run() {
    let dir = sick().await;
    for times in 1.. {
        let room = super::power::Room::new(dir.path(), 0);
        let store = room.open().await;
        let report = checked(&store).await;
        let named: BTreeSet<PackName> = report.damaged.iter().filter_map(|d| d.pack).collect();
        let work = mend(&store, &named, MendOptions::default(), now());
        let finished = super::power::polled(work, times).await;
        // The process is gone: nothing closes the catalogue, and its files are copied as they are.
        let copy = super::power::Room::new(room.dir.path(), 0);
        drop(store);
        recover(copy.dir.path(), &format!("stopped at await {times}")).await;
        if finished.is_some() {
            break;
        }
    }
}
