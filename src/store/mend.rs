//! Mending: of a pack that is damaged beside its logs, what still reads is written anew.
//!
//! A footer that is lost, a ledger that nothing refers to, a base that nothing needs: such damage costs no log, and yet
//! the pack is not what was written. Every entry that still reads is copied as it stands, verified, into a new pack, and
//! one transaction refers to that. A log of which a frame cannot be read stays where it is, and so does a document that
//! is lost; both are named by every check until they are repaired. The old pack is deleted as a superseded one is, a time
//! of grace after nothing refers to it.
//!
//! Records count in the order of the numbers in footers. The new pack bears the number of the old one, so that its records
//! keep their place; the catalogue lists it under another, and a note in it says so.

pub(super) mod note;
mod notes;
mod plan;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::catalogue::{BaseRow, LivePack, MovedChunk, PackRow, Switch};
use super::check::Damage;
use super::compact::supersede;
use super::packs::{Entry, Kind, PackInfo, PackName, PackWriter};
use super::{Store, StoreError, TraceId, TraceRow, known, segment};
use plan::{Plan, Verdict};

/// How mending is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MendOptions {
    /// Tell what would be written anew, and change nothing.
    pub dry_run: bool,
}

/// A pack that was written anew, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MendedPack {
    /// The damaged pack.
    pub pack: PackInfo,
    /// What was wrong with it, in words.
    pub what: String,
    /// Entries that still read and stand in the new pack.
    pub entries: u64,
    /// Logs among them.
    pub traces: u64,
    /// Logs that stay in the old pack, because not all of them can be read.
    pub traces_left: u64,
}

/// What mending did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// Packs of which what still reads was written anew, in the order of their numbers.
    pub packs: Vec<MendedPack>,
    /// Packs that stay as they are, each with the reason.
    pub kept: Vec<Damage>,
}

/// Writes anew what still reads of those among `packs` that are damaged beside their logs.
///
/// Packs that the catalogue does not list, that are well, or of which nothing reads that does not stand elsewhere are
/// passed over. A second run finds nothing to do. Wherever it is stopped, what is left is a pack that nothing refers to.
///
/// # Errors
///
/// Where the catalogue or the file system fails; damage is no failure.
///
/// # Panics
///
/// Where the store was opened for reading, but for a dry run.
pub async fn mend(
    store: &Store,
    packs: &BTreeSet<PackName>,
    options: MendOptions,
    now: Timestamp,
) -> Result<Mended, StoreError> {
    assert!(options.dry_run || store.lock.is_some(), "mending needs a store opened for writing");
    let mut live = store.catalogue.live_packs().await?;
    live.retain(|pack| packs.contains(&pack.name));
    let mut mended = Mended::default();
    if live.is_empty() {
        return Ok(mended);
    }
    let is_sound = store.catalogue.is_sound(true).await;
    if !is_sound || store.catalogue.referenced_packs().await?.is_none() {
        let what =
            "the catalogue is damaged, and alone knows what it holds: jobvault rebuild first";
        let kept =
            |pack: &LivePack| Damage { job: None, pack: Some(pack.name), what: what.to_owned() };
        mended.kept = live.iter().map(kept).collect();
        return Ok(mended);
    }
    store.load_names().await?;
    let names = live.iter().map(|pack| pack.name).collect();
    let known: BTreeMap<u64, Vec<Entry>> = known::entries(&store.catalogue, &names)
        .await?
        .into_iter()
        .map(|(pack, entries)| (pack.id, entries))
        .collect();
    let needed = known::needed_bases(&store.catalogue).await?;
    let mut is_noted = false;
    for pack in live {
        let entries = known.get(&pack.id).cloned().unwrap_or_default();
        match examine(store, pack, entries, &needed).await {
            Ok(Verdict::Other) => {
                // It may be put back to where it belongs.
                let what = "it holds what another pack should hold, and stays".to_owned();
                mended.kept.push(Damage { job: None, pack: Some(pack.name), what });
            }
            Ok(Verdict::Mendable(plan)) => {
                mended.packs.push(plan.told());
                if !options.dry_run {
                    if plan.has_losses && !std::mem::replace(&mut is_noted, true) {
                        notes::write(store, &known, now).await?;
                    }
                    write(store, plan, now).await?;
                }
            }
            Ok(Verdict::Nothing) => {}
            Err(e) if e.is_of_one_pack() => {
                let what = format!("it cannot be written anew: {}", super::check::words(&e));
                mended.kept.push(Damage { job: None, pack: Some(pack.name), what });
            }
            Err(e) => return Err(e),
        }
        if !options.dry_run {
            // One that was emptied before may have become free since.
            supersede(store, &[pack], now).await?;
        }
    }
    Ok(mended)
}

/// Finds out what of a pack can be written anew.
async fn examine(
    store: &Store,
    pack: LivePack,
    known: Vec<Entry>,
    needed: &BTreeSet<u64>,
) -> Result<Verdict, StoreError> {
    let frames = known.iter().filter(|e| e.kind == Kind::Frame);
    let ids: BTreeSet<TraceId> = frames.map(|e| TraceId(e.place.trace)).collect();
    let ids: Vec<TraceId> = ids.into_iter().collect();
    let rows = store.catalogue.traces(&ids).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
    let bases = store.catalogue.bases().await?;
    let here = bases.iter().filter(|base| base.pack == pack.id && needed.contains(&base.id));
    let needed_bases: BTreeSet<u64> = here.map(|base| base.offset).collect();
    let reader = store.clone();
    tokio::task::spawn_blocking(move || Plan::of(&reader, pack, known, rows, &needed_bases))
        .await
        .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
}

/// Writes a new pack, makes it durable, and switches all references to it.
async fn write(store: &Store, plan: Plan, now: Timestamp) -> Result<(), StoreError> {
    let [packs, ..] = store.catalogue.highest().await?;
    let (id, old) = (packs + 1, plan.pack);
    let mut writer = store.packs.create(plan.number, old.compacted)?;
    let mut places: BTreeMap<u64, u64> = BTreeMap::new();
    for entry in &plan.copied {
        let stored = store.packs.stored(old.name, entry)?;
        places.insert(entry.offset, writer.add(&stored, entry.clone())?.offset);
    }
    add_ledgers(&mut writer, &[note::mend(&plan, id, now)])?;
    let pack = finish(writer, id, old.compacted, now).await?;
    let is_copied = |base: &BaseRow| {
        let is_it = |e: &Entry| (e.kind, e.offset, e.hash) == (Kind::Base, base.offset, base.hash);
        base.pack == old.id && plan.copied.iter().any(is_it)
    };
    let bases = store.catalogue.bases().await?.into_iter().filter(is_copied);
    let moved_bases = bases.map(|base| (base.id, places[&base.offset])).collect();
    let switch = Switch {
        pack,
        bases: Vec::new(),
        traces: moved_traces(store, &plan, &places, id).await?,
        documents: plan.documents(&places),
        chunks: plan
            .copied
            .iter()
            .filter(|entry| entry.kind == Kind::Chunk)
            .map(|entry| MovedChunk {
                hash: entry.hash,
                from: (old.id, entry.offset),
                offset: places[&entry.offset],
            })
            .collect(),
        moved_bases,
        ledgers_moved: vec![old.id],
    };
    store.catalogue.switch(&switch).await?;
    store.load_names().await
}

/// Returns the traces that move, their frames at their new places.
async fn moved_traces(
    store: &Store,
    plan: &Plan,
    places: &BTreeMap<u64, u64>,
    id: u64,
) -> Result<Vec<TraceRow>, StoreError> {
    let rows = store.catalogue.traces(&plan.traces).await?;
    let mut traces = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
    for frame in traces.iter_mut().flat_map(|trace| &mut trace.frames) {
        if frame.pack == plan.pack.id {
            (frame.pack, frame.offset) = (id, places[&frame.offset]);
        }
    }
    Ok(traces)
}

fn add_ledgers(writer: &mut PackWriter, ledgers: &[Vec<u8>]) -> Result<(), StoreError> {
    for ledger in ledgers {
        let stored = zstd::bulk::compress(ledger, 3).map_err(segment::compress)?;
        let hash = *blake3::hash(ledger).as_bytes();
        writer.add(&stored, segment::entry(Kind::Ledger, ledger.len() as u64, hash))?;
    }
    Ok(())
}

/// Makes a pack durable and returns its row.
async fn finish(
    writer: PackWriter,
    id: u64,
    compacted: bool,
    now: Timestamp,
) -> Result<PackRow, StoreError> {
    let entries = writer.entry_count() as u64;
    let info = tokio::task::spawn_blocking(move || writer.finish())
        .await
        .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
    let (name, bytes) = (info.name.0, info.bytes);
    Ok(PackRow { id, name, bytes, entries, at: now, compacted })
}
