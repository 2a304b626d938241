//! Power cuts: work on an archive is stopped before and after every step of writing a pack and at awaits of the
//! catalogue's transactions, what was not synced is forgotten, and the archive has to be whole.
//!
//! Of the directory of packs everything unsynced is forgotten: names, folders, removals, bytes. SQLite is trusted
//! with its own files: its log loses only what came behind the last transaction that returned. Not covered: a disk
//! that lies about syncing.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use jiff::SignedDuration;

use super::compact::{NO_GRACE, archive_of_runs, assert_whole, repeated};
use super::*;
use crate::store::compact::{CompactOptions, compact};
use crate::store::packs::disk::{Disk, Step};
use crate::store::prune::{PruneOptions, prune};

const LOG: &str = "catalogue.sqlite-wal";

/// What was done and is not durable yet.
#[derive(Debug)]
enum Unsynced {
    Bytes(PathBuf),
    Folder(PathBuf),
    Name(PathBuf),
    Removal(PathBuf, Vec<u8>),
}

impl Unsynced {
    /// The folder whose syncing makes it durable.
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Bytes(_) => None,
            Self::Folder(path) | Self::Name(path) | Self::Removal(path, _) => path.parent(),
        }
    }

    /// Takes it back.
    fn forget(&self) {
        match self {
            Self::Bytes(path) => drop(fs::write(path, b"")),
            Self::Folder(path) => drop(fs::remove_dir_all(path)),
            Self::Name(path) => drop(fs::remove_file(path)),
            Self::Removal(path, bytes) => drop(fs::write(path, bytes)),
        }
    }
}

/// The power supply of a disk, cut at a moment.
#[derive(Debug, Default)]
pub(super) struct Power {
    moments: usize,
    pub(super) cut_at: usize,
    is_cut: bool,
    unsynced: Vec<Unsynced>,
}

impl Power {
    /// Is told of a step before and after it.
    pub(super) fn tell(&mut self, step: Step<'_>, done: bool) -> io::Result<()> {
        if self.is_cut {
            return Err(io::Error::other("there is no power"));
        }
        // What is removed or replaced is known only before it.
        match (step, done) {
            (Step::Remove(path) | Step::Rename { to: path, .. }, false) => {
                if let Ok(bytes) = fs::read(path) {
                    self.unsynced.push(Unsynced::Removal(path.to_owned(), bytes));
                }
            }
            (_, true) => self.done(step),
            _ => {}
        }
        // The moment before bytes are appended is like the one after the step before.
        self.moments += usize::from(done || !matches!(step, Step::Write(_)));
        self.is_cut = self.cut_at > 0 && self.moments == self.cut_at;
        if self.is_cut { Err(io::Error::other("the power was cut")) } else { Ok(()) }
    }

    fn done(&mut self, step: Step<'_>) {
        match step {
            Step::Write(path) => self.unsynced.push(Unsynced::Bytes(path.to_owned())),
            Step::SyncFile(path) => {
                self.unsynced.retain(|u| !matches!(u, Unsynced::Bytes(at) if at == path));
            }
            Step::CreateFolder(path) => self.unsynced.push(Unsynced::Folder(path.to_owned())),
            Step::Rename { from, to } => {
                for held in &mut self.unsynced {
                    if let Unsynced::Bytes(path) = held
                        && path == from
                    {
                        to.clone_into(path);
                    }
                }
                let replaced = |u: &Unsynced| matches!(u, Unsynced::Removal(path, _) if path == to);
                if !self.unsynced.iter().any(replaced) {
                    self.unsynced.push(Unsynced::Name(to.to_owned()));
                }
            }
            Step::SyncDir(path) => self.unsynced.retain(|u| u.folder() != Some(path)),
            Step::Remove(_) => {}
        }
    }
}

/// An archive that loses power.
pub(super) struct Room {
    pub(super) dir: tempfile::TempDir,
    pub(super) power: Arc<Mutex<Power>>,
}

impl Room {
    /// Copies an archive; the power is cut at a moment, or never where that is 0.
    pub(super) fn new(like: &Path, cut_at: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_tree(like, dir.path());
        Self { dir, power: Arc::new(Mutex::new(Power { cut_at, ..Power::default() })) }
    }

    pub(super) async fn open(&self) -> Store {
        let mut store = Store::open_for_writing(self.dir.path(), "test", now()).await.unwrap();
        self.supply(&mut store.packs.disk);
        store
    }

    /// Has a disk depend on this room's power.
    pub(super) fn supply(&self, disk: &mut Disk) {
        let power = self.power.clone();
        disk.probe = Some(Arc::new(move |step, done| power.lock().unwrap().tell(step, done)));
    }

    /// Forgets what was not synced: all of it, or what the bits of `which` say.
    pub(super) fn forget(&self, which: usize) {
        let power = self.power.lock().unwrap();
        for (at, unsynced) in power.unsynced.iter().enumerate() {
            if which >> (at % 8) & 1 == 1 {
                unsynced.forget();
            }
        }
    }

    /// Forgets what stands in the catalogue's log behind so many bytes.
    fn forget_log(&self, bytes: u64) {
        let log = self.dir.path().join(LOG);
        if self.log_bytes() > bytes {
            fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(bytes).unwrap();
        }
    }

    fn log_bytes(&self) -> u64 {
        fs::metadata(self.dir.path().join(LOG)).map_or(0, |m| m.len())
    }
}

/// What is done when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Jobs 4 and 5 are stored, each in a batch of its own.
    Capture,
    /// All is compacted, and the old packs deleted at once.
    Compact,
    /// Stray packs are deleted.
    Prune,
}

impl Work {
    /// Does it all. Tells the last job of a batch that was committed, and the length of the log then.
    async fn run(self, room: &Room, store: &Store, acknowledged: &mut (u64, u64)) -> bool {
        match self {
            Self::Capture => {
                let Ok(mut batch) = store.batch(now()).await else { return false };
                for job in acknowledged.0 + 1..6 {
                    let raw = repeated(job);
                    if store_quietly(&mut batch, job, &raw).is_err() {
                        return false;
                    }
                    if batch.commit(now()).await.is_err() {
                        return false;
                    }
                    *acknowledged = (job, room.log_bytes());
                }
                true
            }
            Self::Compact => compact(store, NO_GRACE, now(), |_| {}).await.is_ok(),
            Self::Prune => {
                let options = PruneOptions { grace: SignedDuration::ZERO, ..Default::default() };
                prune(store, options, now()).await.is_ok()
            }
        }
    }

    /// An archive of jobs 1 to 3 that is ready for it.
    async fn begin(self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        archive_of_runs(dir.path(), 1..4).await.close().await;
        if self == Self::Prune {
            let before = tempfile::tempdir().unwrap();
            copy_tree(dir.path(), before.path());
            // Compactions that were stopped before they referred to what they had written.
            for minutes in 1..4 {
                let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
                let at = now() + jiff::SignedDuration::from_mins(minutes);
                compact(&store, CompactOptions::default(), at, |_| {}).await.unwrap();
                store.close().await;
                super::damage::take_back_catalogue(dir.path(), before.path());
            }
        }
        dir
    }
}

fn store_quietly(batch: &mut Batch, job: u64, raw: &[u8]) -> Result<(), StoreError> {
    let model = Job { id: JobId(job), name: Some("build".to_owned()), ..Job::default() };
    let document = format!("{{\"id\":{job},\"name\":\"build\"}}");
    let received = Received {
        job: &model,
        project: PROJECT,
        document: document.as_bytes(),
        artifacts: None,
        digest: 1,
    };
    batch.put_job(&received, "https://gitlab.example.com/group/project", now())?;
    batch.begin_trace(JobId(job), PROJECT, now());
    let lines = raw.iter().filter(|b| **b == b'\n').count() as u64;
    batch.add_frame(NewFrame { raw, lines, continues: false, open: vec![] })?;
    batch.end_trace(raw.len() as u64, *blake3::hash(raw).as_bytes(), archived(), now())?;
    Ok(())
}

/// Opens what a cut left: all that was acknowledged is whole, and the work can be done to its end.
async fn recover(room: &Room, work: Work, acknowledged: u64, case: &str) {
    let reader = Store::open(room.dir.path()).await.unwrap();
    let report = verify(&reader, |_| {}).await.unwrap();
    assert_eq!(report.damaged, [], "{case}");
    assert_whole(&reader, 1..acknowledged + 1).await;
    drop(reader);
    *room.power.lock().unwrap() = Power::default();
    let store = room.open().await;
    let known = (acknowledged + 1..6).take_while(|job| *job == acknowledged + 1);
    let mut last = acknowledged;
    for job in known {
        // A transaction may have come through although nobody was told.
        if store.catalogue().job(JobId(job)).await.unwrap().is_some() {
            last = job;
        }
    }
    let end = if work == Work::Capture { 6 } else { last + 1 };
    assert!(work.run(room, &store, &mut (last, 0)).await, "{case}");
    assert_whole(&store, 1..end).await;
    assert!(Work::Prune.run(room, &store, &mut (0, 0)).await, "{case}");
    let listed = store.catalogue().packs().await.unwrap().len();
    assert_eq!(store.packs().list().unwrap().len(), listed, "{case}");
    assert_whole(&store, 1..end).await;
    store.close().await;
}

/// Cuts the power at each moment of some work; of what was not synced, `which` says what is forgotten.
async fn cut_at_every_moment(work: Work, which: &[usize]) -> usize {
    let begin = work.begin().await;
    let mut cut_at = 0;
    loop {
        cut_at += 1;
        let mut finished = false;
        for which in which {
            let case = format!("{work:?} cut at moment {cut_at}, forgetting {which:08b}");
            let room = Room::new(begin.path(), cut_at);
            let store = room.open().await;
            let mut acknowledged = (3, room.log_bytes());
            finished = work.run(&room, &store, &mut acknowledged).await;
            store.close().await;
            room.forget(*which);
            recover(&room, work, acknowledged.0, &case).await;
        }
        if finished {
            return cut_at - 1;
        }
    }
}

#[tokio::test]
async fn a_power_cut_while_capturing_costs_nothing_acknowledged() {
    assert!(cut_at_every_moment(Work::Capture, &[0xff]).await > 20);
}

#[tokio::test]
async fn a_power_cut_while_compacting_costs_nothing() {
    assert!(cut_at_every_moment(Work::Compact, &[0xff]).await > 10);
}

#[tokio::test]
async fn a_power_cut_while_pruning_costs_nothing() {
    assert!(cut_at_every_moment(Work::Prune, &[0xff, 0]).await > 3);
}

#[tokio::test]
#[ignore = "takes minutes; .ci/long runs it"]
async fn a_power_cut_that_forgets_some_of_it_costs_nothing() {
    for work in [Work::Capture, Work::Compact, Work::Prune] {
        let moments = cut_at_every_moment(work, &[0, 0b0101_0101, 0b1010_1010, 0b0011_0101]).await;
        assert!(moments > 0);
    }
}

/// Polls a future so many times and drops it then; `None` where it was not ready by then.
pub(super) async fn polled<T>(work: impl Future<Output = T>, mut times: usize) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        if times == 0 {
            return Poll::Ready(None);
        }
        times -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// Stops some work at each await, where transactions of the catalogue begin and end, and forgets the end of the log.
async fn stop_at_every_await(work: Work) {
    let begin = work.begin().await;
    for times in 1.. {
        let room = Room::new(begin.path(), 0);
        let store = room.open().await;
        let mut acknowledged = (3, room.log_bytes());
        let finished = polled(work.run(&room, &store, &mut acknowledged), times).await;
        // The process is gone: nothing closes the catalogue, and its files are copied as they are.
        let copy = Room::new(room.dir.path(), 0);
        if work == Work::Capture {
            // Other work does not tell which transaction returned last.
            copy.forget_log(acknowledged.1);
        }
        drop(store);
        let case = format!("{work:?} stopped at await {times}");
        recover(&copy, work, acknowledged.0, &case).await;
        if finished.is_some() {
            break;
        }
    }
}

#[tokio::test]
async fn work_stopped_between_transactions_is_done_by_the_next_run() {
    for work in [Work::Capture, Work::Compact, Work::Prune] {
        stop_at_every_await(work).await;
    }
}
