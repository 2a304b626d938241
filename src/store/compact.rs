//! Compaction: packs as captured are read back, series by series, and written anew, like beside like.
//!
//! Frames keep their places in their traces and traces their numbers, so that the full-text index stays true.
//! Every new pack is durable before one transaction switches references to it; the old packs are deleted a time of
//! grace after nothing refers to them. Wherever it is stopped, what is left is an unreferenced pack at worst, and
//! the next run goes on. A trace that cannot be read stays where it is, and so do its packs; a pack whose records
//! cannot be read stays, and so does all before it. Small packs at the end of what was compacted before are merged with
//! what came since, so that they do not pile up.

mod ledgers;
mod order;
mod step;

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::catalogue::{LivePack, MovedDocument, Switch};
use super::filler::Filler;
use super::packs::base::MAX_KNOWN;
use super::packs::encoders::{COMPACT, Effort};
use super::{PackName, Store, StoreError, TraceId, TraceRow};
use ledgers::Ledgers;
use order::Movable;
pub use step::compact_step;

/// A pack is closed at this length.
const PACK_BYTES: u64 = 16 * 1024 * 1024;
/// A pack is closed at this many entries.
const PACK_ENTRIES: usize = 20_000;
/// A pack with less than this part of both is small.
const SMALL_PART: u64 = 2;
/// Traces read from the catalogue at once.
const TRACES_AT_ONCE: usize = 200;
/// Logs taken together where the work is bounded, in bytes: beside a sync, memory is scarce.
const STEP_SEGMENT_BYTES: usize = 16 * 1024 * 1024;

/// How compaction is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactOptions {
    /// How long packs stay after nothing refers to them, for readers and backups under way.
    pub grace: SignedDuration,
    /// Tell what it would gain, and change nothing. The work is done in a temporary file of the new size.
    pub dry_run: bool,
    /// Write everything anew, compacted before or not: bases are chosen again over the whole history.
    pub all: bool,
    /// Stop when traces of so many bytes were written; what is left is for the next run. `None` for no bound.
    pub max_raw_bytes: Option<u64>,
}

impl Default for CompactOptions {
    /// An hour of grace.
    fn default() -> Self {
        let grace = SignedDuration::from_hours(1);
        Self { grace, dry_run: false, all: false, max_raw_bytes: None }
    }
}

impl LivePack {
    fn is_small(&self) -> bool {
        self.bytes < PACK_BYTES / SMALL_PART && self.entries < PACK_ENTRIES as u64 / SMALL_PART
    }
}

/// Returns the packs worth being written anew.
///
/// Records count in the order of packs, so a compacted one may move behind what was captured since only if no other
/// compacted one stands between: those are the small ones at the end.
fn sources(live: Vec<LivePack>, all: bool) -> Vec<LivePack> {
    if all {
        return live;
    }
    let (compacted, captured): (Vec<_>, Vec<_>) = live.into_iter().partition(|p| p.compacted);
    let newest = compacted.last().map_or(0, |p| p.id);
    let tail = compacted.into_iter().rev().take_while(LivePack::is_small);
    // What was emptied and is still needed for its bases is not moved again.
    let mut tail: Vec<LivePack> = tail.filter(|p| !p.ledgers_moved).collect();
    if tail.len() < 2 && !captured.iter().any(|p| p.id > newest) {
        tail.clear();
    }
    tail.extend(captured);
    tail.sort_unstable_by_key(|p| p.id);
    tail
}

/// What compaction did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Packs that were read; 0 where there was nothing to do.
    pub packs_before: u64,
    /// Their bytes.
    pub bytes_before: u64,
    /// Packs that were written.
    pub packs_after: u64,
    /// Their bytes.
    pub bytes_after: u64,
    /// Traces that were written anew.
    pub traces: u64,
    /// Bytes of these traces.
    pub raw_bytes: u64,
    /// Traces and ledgers that could not be read and stay where they are.
    pub unreadable: u64,
    /// Superseded packs that were deleted, after their grace.
    pub deleted: u64,
}

/// Writes what was captured since the last time into packs that take less, and deletes packs superseded longer
/// than the grace ago.
///
/// `progress` is called with bytes of traces written so far.
///
/// # Panics
///
/// Where the store was opened for reading.
pub async fn compact(
    store: &Store,
    options: CompactOptions,
    now: Timestamp,
    progress: impl FnMut(u64),
) -> Result<Compacted, StoreError> {
    assert!(store.lock.is_some(), "compaction needs a store opened for writing");
    let sources = sources(store.catalogue.log_packs().await?, options.all);
    let Movable { mut sources, unreadable } = Movable::find(store, sources).await?;
    // What was compacted before and has nothing to be merged with stays as it is.
    if !options.all && sources.len() < 2 && sources.iter().all(|pack| pack.compacted) {
        sources.clear();
    }
    let mut done = Compacted {
        packs_before: sources.len() as u64,
        bytes_before: sources.iter().map(|p| p.bytes).sum(),
        unreadable,
        ..Compacted::default()
    };
    if !sources.is_empty() {
        let mut run = Run::new(store, options, &sources, now).await?;
        run.move_ledgers(&sources)?;
        run.move_traces(&sources, progress).await?;
        run.commit().await?;
        run.add_to(&mut done)?;
    }
    if !options.dry_run {
        if !sources.is_empty() {
            supersede(store, &sources, now).await?;
        }
        let until = now.checked_sub(options.grace).unwrap_or(Timestamp::MIN);
        done.deleted = delete_superseded(store, until).await?.len() as u64;
    }
    Ok(done)
}

/// Records which of the packs nothing refers to any more.
pub(super) async fn supersede(
    store: &Store,
    sources: &[LivePack],
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(referenced) = store.catalogue.referenced_packs().await? else { return Ok(()) };
    let moved = store.catalogue.log_packs().await?;
    let moved: BTreeSet<u64> = moved.iter().filter(|p| p.ledgers_moved).map(|p| p.id).collect();
    let free = |id: &u64| moved.contains(id) && !referenced.contains(id);
    let superseded: Vec<u64> = sources.iter().map(|p| p.id).filter(free).collect();
    Ok(store.catalogue.supersede(&superseded, now).await?)
}

/// Returns the packs that were superseded at `until` or before: number, name and length.
///
/// That nothing refers to them is looked up once more: a row that says so may be damaged, and what is deleted is gone.
pub(super) async fn superseded(
    store: &Store,
    until: Timestamp,
) -> Result<Vec<(u64, PackName, u64)>, StoreError> {
    let mut packs = store.catalogue.superseded(until).await?;
    if !packs.is_empty() {
        let referenced = store.catalogue.referenced_packs().await?;
        packs.retain(|(id, ..)| referenced.as_ref().is_some_and(|packs| !packs.contains(id)));
    }
    Ok(packs)
}

/// Deletes the packs that were superseded at `until` or before; returns their lengths.
pub(super) async fn delete_superseded(
    store: &Store,
    until: Timestamp,
) -> Result<Vec<u64>, StoreError> {
    let mut deleted = Vec::new();
    for (id, name, bytes) in superseded(store, until).await? {
        // The row first: a file without a row is found by prune, a row without a file is damage.
        store.catalogue.forget_pack(id).await?;
        store.packs.remove(name)?;
        deleted.push(bytes);
    }
    if !deleted.is_empty() {
        store.catalogue.vacuum().await?;
    }
    Ok(deleted)
}

/// A compaction under way.
struct Run<'a> {
    store: &'a Store,
    options: CompactOptions,
    now: Timestamp,
    filler: Filler,
    /// Traces whose frames stand in the pack being filled.
    traces: Vec<TraceRow>,
    documents: Vec<MovedDocument>,
    ledgers_moved: Vec<u64>,
    done: Compacted,
}

impl<'a> Run<'a> {
    async fn new(
        store: &'a Store,
        options: CompactOptions,
        sources: &[LivePack],
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let [packs, ..] = store.catalogue.highest().await?;
        // A base of a pack on its way out would keep that pack.
        let leaving: BTreeSet<u64> = sources.iter().map(|p| p.id).collect();
        let mut bases = store.catalogue.sketched_bases(MAX_KNOWN, true).await?;
        bases.retain(|base| !leaving.contains(&base.pack));
        let effort = match options.max_raw_bytes {
            Some(_) => Effort { segment_bytes: STEP_SEGMENT_BYTES, ..COMPACT },
            None => COMPACT,
        };
        let filler = Filler::with_bases(store.clone(), effort, true, packs + 1, bases).await?;
        Ok(Self {
            store,
            options,
            now,
            filler,
            traces: Vec::new(),
            documents: Vec::new(),
            ledgers_moved: Vec::new(),
            done: Compacted::default(),
        })
    }

    /// Carries over the records of all ledgers, in their order.
    ///
    /// All go into one pack, however long: were it two, a crash between them would leave records of earlier packs behind
    /// those of later ones.
    fn move_ledgers(&mut self, sources: &[LivePack]) -> Result<(), StoreError> {
        let mut ledgers = Ledgers::default();
        for pack in sources.iter().filter(|p| !p.ledgers_moved) {
            ledgers.copy(self.store, pack, &mut self.filler)?;
            self.ledgers_moved.push(pack.id);
        }
        self.documents = ledgers.take(&mut self.filler, self.now)?;
        Ok(())
    }

    async fn move_traces(
        &mut self,
        sources: &[LivePack],
        mut progress: impl FnMut(u64),
    ) -> Result<(), StoreError> {
        let sources: BTreeSet<u64> = sources.iter().map(|p| p.id).collect();
        let order = self.store.catalogue.traces_by_series().await?;
        for chunk in order.chunks(TRACES_AT_ONCE) {
            let ids: Vec<TraceId> = chunk.iter().map(|(id, _)| *id).collect();
            let rows = self.store.catalogue.traces(&ids).await?;
            self.done.unreadable += rows.iter().filter(|row| row.is_err()).count() as u64;
            let mut rows: HashMap<TraceId, TraceRow> =
                rows.into_iter().flatten().map(|row| (row.id, row)).collect();
            for (id, project) in chunk {
                let Some(row) = rows.remove(id) else { continue };
                if !row.frames.iter().any(|f| sources.contains(&f.pack)) {
                    continue;
                }
                match self.move_trace(row, *project) {
                    Ok(()) => {}
                    Err(e) if e.is_damage() => {
                        self.filler.forget(*id);
                        self.done.unreadable += 1;
                        tracing::warn!("Not compacted, trace {}: {e}", id.0);
                    }
                    Err(e) => return Err(e),
                }
                if self.is_full() {
                    // How much that takes which still waits was a guess.
                    self.filler.flush()?;
                    if self.is_full() {
                        self.commit().await?;
                    }
                }
                progress(self.done.raw_bytes);
                if self.options.max_raw_bytes.is_some_and(|max| self.done.raw_bytes >= max) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let (bytes, entries) = self.filler.filled();
        bytes >= PACK_BYTES || entries >= PACK_ENTRIES
    }

    fn move_trace(&mut self, mut row: TraceRow, project: u64) -> Result<(), StoreError> {
        let (id, job, count) = (row.id, row.job, row.frames.len());
        for (index, frame) in row.frames.iter_mut().enumerate() {
            let raw = self.store.read_frame(frame)?;
            let place = frame.place(id, job, project, index + 1 == count);
            self.filler.push(&raw, place, index)?;
            frame.pack = self.filler.pack_id();
        }
        self.done.traces += 1;
        self.done.raw_bytes += row.raw_bytes;
        self.traces.push(row);
        Ok(())
    }

    /// Makes the pack durable, and then switches all references to it.
    async fn commit(&mut self) -> Result<(), StoreError> {
        if self.options.dry_run {
            self.filler.take_written();
            self.traces.clear();
            return Ok(());
        }
        let Some(filled) = self.filler.finish(self.now).await? else { return Ok(()) };
        self.done.packs_after += 1;
        self.done.bytes_after += filled.pack.bytes;
        let mut traces = std::mem::take(&mut self.traces);
        self.filler.place(&mut traces);
        let switch = Switch {
            pack: filled.pack,
            bases: filled.bases,
            traces,
            documents: std::mem::take(&mut self.documents),
            chunks: Vec::new(),
            moved_bases: Vec::new(),
            ledgers_moved: std::mem::take(&mut self.ledgers_moved),
        };
        Ok(self.store.catalogue.switch(&switch).await?)
    }

    fn add_to(&mut self, done: &mut Compacted) -> Result<(), StoreError> {
        done.packs_after = self.done.packs_after;
        done.bytes_after = self.done.bytes_after;
        if self.options.dry_run {
            done.bytes_after = self.filler.ended_bytes()?;
            done.packs_after = done.bytes_after.div_ceil(PACK_BYTES);
        }
        done.traces = self.done.traces;
        done.raw_bytes = self.done.raw_bytes;
        done.unreadable += self.done.unreadable;
        Ok(())
    }
}
