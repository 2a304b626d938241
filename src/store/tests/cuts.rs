//! Power cuts while an archive is created, its catalogue rebuilt and its logs repaired: what [`super::power`] does not
//! reach through captures and compactions.

use super::compact::{archive_of_runs, assert_whole, repeated};
use super::power::{Power, Room};
use super::rebuild::{answers, parse, varied};
use super::*;
use crate::store::packs::disk::Disk;
use crate::store::rebuild::{build, rebuild};
use crate::store::repair::Repair;

/// What of the unsynced is forgotten: all, nothing, every other one, pairs.
const FORGOTTEN: [usize; 4] = [0xff, 0, 0b0101_0101, 0b1010_1010];

/// Has a new catalogue put in the place of the old one; false where the power went.
async fn rebuilt(room: &Room) -> bool {
    let mut rebuilding = build(room.dir.path(), parse, now(), |_, _| {}).await.unwrap();
    room.supply(&mut rebuilding.store.packs.disk);
    rebuilding.put_in_place().await.is_ok()
}

/// Cuts the power at each moment of a rebuild; returns the moments. Where the old catalogue is well, one is always there.
async fn cut_rebuilds(begin: &Path, before: &[super::rebuild::Answer], old_is_well: bool) -> usize {
    for cut_at in 1.. {
        let mut finished = false;
        for which in FORGOTTEN {
            let case = format!("cut at moment {cut_at}, forgetting {which:08b}");
            let room = Room::new(begin, cut_at);
            finished = rebuilt(&room).await;
            room.forget(which);
            let opened = Store::open(room.dir.path()).await;
            let opens = opened.is_ok();
            if let Ok(store) = opened {
                store.close().await;
            }
            assert!(opens || !old_is_well && !finished, "{case}");
            if opens {
                assert_eq!(answers(room.dir.path()).await, before, "{case}");
            }
            rebuild(room.dir.path(), parse, now()).await.unwrap();
            assert_eq!(answers(room.dir.path()).await, before, "{case}, done again");
        }
        if finished {
            return cut_at - 1;
        }
    }
    unreachable!("some run is not cut")
}

#[tokio::test]
async fn a_power_cut_while_rebuilding_leaves_the_old_catalogue_or_the_new_one() {
    let (begin, before) = super::rebuild::rebuilt().await;
    assert!(cut_rebuilds(begin.path(), &before, true).await > 5);
}

#[tokio::test]
async fn the_log_of_a_lost_catalogue_does_not_come_back_beside_the_new_one() {
    let (dir, begin) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = varied(dir.path()).await;
    copy_tree(dir.path(), begin.path());
    store.close().await;
    assert!(fs::metadata(begin.path().join("catalogue.sqlite-wal")).unwrap().len() > 0);
    rebuild(dir.path(), parse, now()).await.unwrap();
    let before = answers(dir.path()).await;
    fs::write(begin.path().join("catalogue.sqlite"), vec![7; 4096]).unwrap();
    cut_rebuilds(begin.path(), &before, false).await;
}

/// Stores the damaged traces of job 3 again; false where the power went.
async fn repaired(store: &Store) -> bool {
    let mut repair = Repair::new(store).await.unwrap();
    for row in Repair::damaged(store, JobId(3)).await.unwrap() {
        let put = repair.put(&row, PROJECT, &mut repeated(3).as_slice(), now()).await;
        if put.is_err() {
            return false;
        }
    }
    repair.commit(now()).await.is_ok()
}

#[tokio::test]
async fn a_power_cut_while_repairing_costs_nothing_and_the_next_run_repairs() {
    let begin = tempfile::tempdir().unwrap();
    let store = archive_of_runs(begin.path(), 1..4).await;
    super::care::harm(&store, 3).await;
    store.close().await;
    for cut_at in 1.. {
        let mut finished = false;
        for which in FORGOTTEN {
            let case = format!("cut at moment {cut_at}, forgetting {which:08b}");
            let room = Room::new(begin.path(), cut_at);
            let store = room.open().await;
            finished = repaired(&store).await;
            store.close().await;
            room.forget(which);
            *room.power.lock().unwrap() = Power::default();
            let store = room.open().await;
            for job in 1..3 {
                assert_eq!(read(&store, job).await.unwrap(), repeated(job), "{case}");
            }
            assert_eq!(read(&store, 3).await.is_ok(), finished, "{case}");
            assert!(repaired(&store).await, "{case}");
            assert_whole(&store, 1..4).await;
            store.close().await;
        }
        if finished {
            assert!(cut_at > 5);
            break;
        }
    }
}

#[tokio::test]
async fn a_power_cut_while_an_archive_is_created_leaves_none_or_a_whole_one() {
    for cut_at in 1.. {
        let mut finished = false;
        for which in FORGOTTEN {
            let case = format!("cut at moment {cut_at}, forgetting {which:08b}");
            let nothing = tempfile::tempdir().unwrap();
            let room = Room::new(nothing.path(), cut_at);
            let root = room.dir.path().join("team").join("archive");
            let mut disk = Disk::default();
            room.supply(&mut disk);
            finished = marker::create(&disk, &root, now()).is_ok();
            room.forget(which);
            assert!(!finished || root.join(MARKER).exists(), "{case}");
            archive_of(&root, &[1]).await;
            let store = Store::open(&root).await.unwrap();
            assert_eq!(read(&store, 1).await.unwrap(), log(1, 50), "{case}");
        }
        if finished {
            assert!(cut_at > 10);
            break;
        }
    }
}
