//! Rebuilding: a new catalogue out of the packs alone.
//!
//! Footers tell where frames and bases are, ledgers what the server said and what became of each job. What a row
//! says follows from the job's document, which the caller reads: the store does not know GitLab's JSON. Damage is named
//! and passed over; where a pack is missing, how far capturing was is not believed and the next sync lists again.

mod artifacts;
mod complete;
mod frames;
mod mended;
mod notes;
mod old;
mod progress;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::catalogue::{Access, Catalogue};
use super::check::{Damage, words};
use super::compact::supersede;
use super::marker::put_marker;
use super::packs::disk::Disk;
use super::packs::ledger::RecordKind;
use super::packs::{Footer, PackError, PackInfo, Packs};
use super::{Store, StoreError, check_marker, io, lock, packs, remove_leftovers};
use crate::model::{Job, PipelineId, ProjectId};
use complete::complete;
use frames::find_traces;
use mended::Found;
use notes::Replay;
use old::{Old, Salvaged};

/// A job's document, read.
#[derive(Debug, Clone, Default)]
pub struct ParsedJob {
    /// The job.
    pub job: Job,
    /// See [`crate::store::Received::artifacts`].
    pub artifacts: Option<String>,
    /// See [`crate::store::JobRow::digest`].
    pub digest: i64,
    /// The pipeline that a bridge started; its project where the document names it, else that of the bridge.
    pub downstream: Option<(Option<ProjectId>, PipelineId)>,
}

/// What was found in the packs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Packs read.
    pub packs: u64,
    /// Traces found.
    pub traces: u64,
    /// Job documents read, later ones of a job included.
    pub documents: u64,
    /// What could not be read.
    pub damaged: Vec<Damage>,
}

/// A pack and the number it has in the new catalogue.
#[derive(Debug, Clone)]
struct Numbered {
    info: PackInfo,
    id: u64,
    compacted: bool,
    /// What the old catalogue says of it, where its footer cannot be read.
    salvaged: Option<Arc<Salvaged>>,
    /// Another pack of its number stands in its place.
    is_replaced: bool,
}

impl Numbered {
    fn footer(&self, packs: &Packs) -> Result<Footer, PackError> {
        match &self.salvaged {
            Some(salvaged) => Ok(salvaged.footer.clone()),
            None => packs.footer(self.info.name),
        }
    }
}

/// A catalogue that was made anew and stands beside the old one. Dropped, it leaves the old one as it is.
#[derive(Debug)]
pub struct Rebuilding {
    pub(super) store: Store,
    path: PathBuf,
    found: Rebuilt,
    /// The time now, where the archive is without its marker.
    unmarked: Option<Timestamp>,
}

impl Rebuilding {
    /// Returns the archive with the new catalogue, for reading.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns what was found.
    pub fn found(&self) -> &Rebuilt {
        &self.found
    }

    /// Puts the new catalogue in the place of the old one.
    pub async fn put_in_place(self) -> Result<Rebuilt, StoreError> {
        self.store.catalogue.close().await;
        let root = &self.store.root;
        Catalogue::fold(&self.path).await?;
        // The old one is whole until it is replaced; one that cannot be opened has nothing to lose.
        if let Err(e) = Catalogue::fold(&root.join("catalogue.sqlite")).await {
            tracing::debug!("The old catalogue is left as it is: {e}");
        }
        put_in_place(&self.store.packs.disk, root, &self.path)?;
        if let Some(now) = self.unmarked {
            put_marker(&self.store.packs.disk, root, now)?;
        }
        Ok(self.found)
    }
}

/// Makes the catalogue of the archive at `root` anew and puts it in the place of the old one.
///
/// As [`build`] and [`Rebuilding::put_in_place`]. The full-text index has to be made anew afterwards.
pub async fn rebuild(
    root: &Path,
    parse: impl Fn(RecordKind, &[u8]) -> Option<ParsedJob>,
    now: Timestamp,
) -> Result<Rebuilt, StoreError> {
    build(root, parse, now, |_, _| {}).await?.put_in_place().await
}

/// Makes a new catalogue of the archive at `root`, beside the old one.
///
/// `parse` reads the document of a job or bridge; `progress` is called with packs read and packs there are. Fails with
/// [`StoreError::Locked`] beside a writer.
pub async fn build(
    root: &Path,
    parse: impl Fn(RecordKind, &[u8]) -> Option<ParsedJob>,
    now: Timestamp,
    mut progress: impl FnMut(u64, u64),
) -> Result<Rebuilding, StoreError> {
    let unmarked = match check_marker(root) {
        Err(StoreError::Unmarked { .. }) => Some(now),
        checked => checked.map(|()| None)?,
    };
    let lock = lock::Lock::take(root, "jobvault rebuild", now)?;
    remove_leftovers(&root.join("tmp"), now)?;
    let path = root.join("tmp").join("catalogue.sqlite");
    let store = Store {
        root: root.to_owned(),
        catalogue: Catalogue::open(&path, Access::Write).await?,
        packs: packs::Packs::new(root.join("packs"), root.join("tmp")),
        places: Default::default(),
        bases: Default::default(),
        lock: Some(Arc::new(lock)),
    };
    let mut found = Rebuilt::default();
    let old = Old::open(&root.join("catalogue.sqlite")).await;
    let numbered = number(&store, old.as_ref(), &mut found).await?;
    find_traces(&store, &numbered, &mut found, now).await?;
    let mut replay = Replay::new(&store, parse, now);
    for (done, pack) in numbered.iter().enumerate() {
        replay.pack(pack, &mut found).await?;
        progress(done as u64 + 1, numbered.len() as u64);
    }
    // A pack that cannot be read leaves a gap, too.
    if found.packs == store.packs.list()?.len() as u64 {
        let there = numbered.iter().map(|pack| pack.id).collect();
        for id in replay.missing(&there) {
            let what = format!("pack number {id} is missing");
            found.damaged.push(Damage { job: None, pack: None, what });
        }
    }
    let is_whole = found.damaged.is_empty() && !replay.has_losses();
    replay.finish(is_whole).await?;
    let replaced: Vec<u64> =
        numbered.iter().filter(|pack| pack.is_replaced).map(|pack| pack.id).collect();
    store.catalogue.set_ledgers_moved(&replaced).await?;
    // Where all packs are well they tell everything, and what else a catalogue has is its damage.
    let asked = old.as_ref().filter(|_| !is_whole);
    complete(&store, &numbered, asked, &mut found, now).await?;
    if let Some(old) = old {
        old.close().await;
    }
    let live = store.catalogue.live_packs().await?;
    supersede(&store, &live, now).await?;
    Ok(Rebuilding { store, path, found, unmarked })
}

/// Removes the write-ahead log of the old catalogue, which is not one of the new, and puts the new one in place.
fn put_in_place(disk: &Disk, root: &Path, path: &Path) -> Result<(), StoreError> {
    for rest in ["catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
        let rest = root.join(rest);
        disk.remove(&rest).map_err(io("remove", &rest))?;
    }
    // That they are gone is durable first: a log that came back beside the new catalogue would be taken for its own.
    disk.sync_dir(root).map_err(io("write", root))?;
    let place = root.join("catalogue.sqlite");
    let sync = fs::File::open(path).and_then(|file| disk.sync_file(path, &file));
    sync.and_then(|()| disk.rename(path, &place)).map_err(io("write", &place))?;
    disk.sync_dir(root).map_err(io("write", root))
}

/// Lists the packs in the order of their numbers. Of two with one number, as a crash may leave, one gets a new one.
///
/// A pack whose footer cannot be read is among them where the old catalogue knows it.
async fn number(
    store: &Store,
    old: Option<&Old>,
    rebuilt: &mut Rebuilt,
) -> Result<Vec<Numbered>, StoreError> {
    let (mut found, mut broken) = (Vec::new(), BTreeMap::new());
    for info in store.packs.list()? {
        match store.packs.footer(info.name) {
            Ok(footer) => found.push(Found { info, footer, salvaged: None }),
            Err(e) if e.is_of_one_pack() => drop(broken.insert(info.name, (info, words(&e)))),
            Err(e) => return Err(e.into()),
        }
    }
    rebuilt.packs = found.len() as u64;
    let mut salvaged = match old {
        Some(old) => old.salvage(&store.packs, &broken.keys().copied().collect()).await,
        None => HashMap::new(),
    };
    for (name, (info, mut what)) in broken {
        if let Some(salvaged) = salvaged.remove(&name) {
            let footer = salvaged.footer.clone();
            found.push(Found { info, footer, salvaged: Some(salvaged) });
            what.push_str("; what the catalogue knew of it is kept");
        }
        rebuilt.damaged.push(Damage { job: None, pack: Some(name), what });
    }
    for stray in store.packs.strays()? {
        rebuilt.damaged.push(Damage::of_stray(&stray));
    }
    Ok(mended::order(store.packs(), found))
}
