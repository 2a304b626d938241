//! Filling packs: frames wait in a segment, then they and the bases made of them go into the pack being written.
//!
//! Captures and compaction fill packs alike, with another [`Effort`]. Knows what went where; the catalogue is the
//! caller's. Dropped, it leaves nothing behind.

use std::collections::HashMap;

use jiff::Timestamp;

use super::catalogue::{BaseRow, PackRow};
use super::packs::base::{Bases, Known, MAX_KNOWN};
use super::packs::encoders::{Effort, Encoders};
use super::packs::shapes::Sketch;
use super::packs::{Entry, FramePlace, Kind, PackWriter};
use super::segment::{self, Segment, Written, compress};
use super::{Store, StoreError, TraceId, TraceRow};

/// How much less a frame takes than its text, for telling how full a pack is before it is compressed. A guess.
const LIKELY_RATIO: u64 = 10;

/// A pack being filled, and the next after it.
pub(super) struct Filler {
    store: Store,
    compacted: bool,
    pack: Option<PackWriter>,
    pack_id: u64,
    segment: Segment,
    bases: Bases,
    encoders: Encoders,
    /// The bases that stand in the pack being written.
    fresh: HashMap<u64, Entry>,
    new_bases: Vec<BaseRow>,
    written: Vec<Written>,
}

/// What stands in a pack that became durable.
#[derive(Debug)]
pub(super) struct Filled {
    /// The pack's row.
    pub(super) pack: PackRow,
    /// The rows of its bases.
    pub(super) bases: Vec<BaseRow>,
}

impl Filler {
    /// Begins with the pack `pack_id` and the bases of the archive; a compacted pack needs none but compacted ones.
    pub(super) async fn new(
        store: Store,
        effort: Effort,
        compacted: bool,
        pack_id: u64,
    ) -> Result<Self, StoreError> {
        let rows = store.catalogue.sketched_bases(MAX_KNOWN, compacted).await?;
        Self::with_bases(store, effort, compacted, pack_id, rows).await
    }

    /// Begins with the pack `pack_id` and no bases but those it will make.
    pub(super) async fn without_bases(
        store: Store,
        effort: Effort,
        pack_id: u64,
    ) -> Result<Self, StoreError> {
        Self::with_bases(store, effort, false, pack_id, Vec::new()).await
    }

    /// Begins with the pack `pack_id` and some bases of the archive.
    pub(super) async fn with_bases(
        store: Store,
        effort: Effort,
        compacted: bool,
        pack_id: u64,
        rows: Vec<BaseRow>,
    ) -> Result<Self, StoreError> {
        let known = rows.into_iter().filter_map(|row| {
            let sketch = Sketch::decode(&row.sketch)?;
            Some(Known { id: row.id, hash: row.hash, project: row.project, sketch })
        });
        let next = store.catalogue.highest_base().await? + 1;
        Ok(Self {
            bases: Bases::new(known.collect(), next),
            encoders: Encoders::new(effort).map_err(compress)?,
            store,
            compacted,
            pack: None,
            pack_id,
            segment: Segment::new(effort.segment_bytes),
            fresh: HashMap::new(),
            new_bases: Vec::new(),
            written: Vec::new(),
        })
    }

    /// Returns the number of the pack being filled.
    pub(super) fn pack_id(&self) -> u64 {
        self.pack_id
    }

    /// Passes over numbers that other packs got which were written beside this one.
    pub(super) fn skip_packs(&mut self, count: u64) {
        self.pack_id += count;
    }

    /// Takes in a frame, the `index`-th of its trace, and returns its hash.
    pub(super) fn push(
        &mut self,
        raw: &[u8],
        place: FramePlace,
        index: usize,
    ) -> Result<[u8; 32], StoreError> {
        // Before, not after: the last frame of a trace still waits when the trace is closed.
        if self.segment.bytes() + raw.len() > self.encoders.effort().segment_bytes {
            self.flush()?;
        }
        Ok(self.segment.push(raw, place, index))
    }

    /// Marks the frame taken in last as the last of its trace.
    pub(super) fn close_trace(&mut self) {
        self.segment.close_trace();
    }

    /// Forgets what waits of a trace. What is written already stays, and is no trace.
    pub(super) fn forget(&mut self, trace: TraceId) {
        self.segment.forget(trace);
        self.written.retain(|w| w.trace != trace);
    }

    /// Writes a ledger and returns its offset.
    pub(super) fn add_ledger(&mut self, ledger: &[u8]) -> Result<u64, StoreError> {
        let stored = self.encoders.alone().encode(ledger).map_err(compress)?;
        let hash = *blake3::hash(ledger).as_bytes();
        let entry = segment::entry(Kind::Ledger, ledger.len() as u64, hash);
        Ok(self.pack()?.add(&stored, entry)?.offset)
    }

    /// Compresses and writes everything that waits.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        if self.segment.bytes() == 0 {
            return Ok(());
        }
        self.pack()?;
        let pack = self.pack.as_mut().expect("it was just made");
        let (store, fresh) = (&self.store, &self.fresh);
        let content = |pack: &mut PackWriter, id: u64| match fresh.get(&id) {
            Some(entry) => Ok(pack.read_back(entry)?),
            None => store.base_content(id).map(|(_, content)| content),
        };
        let (written, new) =
            self.segment.flush(&mut self.bases, &mut self.encoders, pack, content)?;
        self.written.extend(written);
        for base in new {
            self.new_bases.push(BaseRow {
                id: base.id,
                hash: base.entry.hash,
                pack: self.pack_id,
                offset: base.entry.offset,
                stored_bytes: base.entry.stored_bytes,
                raw_bytes: base.entry.raw_bytes,
                project: base.project,
                sketch: base.sketch.encode(),
            });
            self.fresh.insert(base.id, base.entry);
        }
        Ok(())
    }

    /// Takes where frames were written since the last call.
    pub(super) fn take_written(&mut self) -> Vec<Written> {
        std::mem::take(&mut self.written)
    }

    /// Tells traces where their frames were written since the last call.
    pub(super) fn place(&mut self, traces: &mut [TraceRow]) {
        let places: HashMap<TraceId, usize> =
            traces.iter().enumerate().map(|(at, trace)| (trace.id, at)).collect();
        for written in self.take_written() {
            let frames = places.get(&written.trace).map(|at| &mut traces[*at].frames);
            if let Some(frame) = frames.and_then(|f| f.get_mut(written.index)) {
                frame.offset = written.entry.offset;
                frame.stored_bytes = written.entry.stored_bytes;
                frame.base = written.base;
            }
        }
    }

    /// Returns about how many bytes and entries the pack will have.
    pub(super) fn filled(&self) -> (u64, usize) {
        let waiting = self.segment.bytes() as u64 / LIKELY_RATIO;
        let pack = self.pack.as_ref().map_or((0, 0), |p| (p.bytes(), p.entry_count()));
        (pack.0 + waiting, pack.1 + self.segment.count())
    }

    /// Returns how many bytes the pack would have if it were ended now; what waits is written.
    pub(super) fn ended_bytes(&mut self) -> Result<u64, StoreError> {
        self.flush()?;
        Ok(self.pack.as_ref().map_or(0, PackWriter::ended_bytes))
    }

    /// Writes everything that waits and makes the pack durable; `None` where there was nothing.
    pub(super) async fn finish(&mut self, now: Timestamp) -> Result<Option<Filled>, StoreError> {
        self.flush()?;
        let Some(pack) = self.pack.take() else { return Ok(None) };
        let entries = pack.entry_count() as u64;
        let finish = move || pack.finish();
        let info = tokio::task::spawn_blocking(finish)
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
        let id = self.pack_id;
        self.pack_id += 1;
        self.fresh.clear();
        let bases = std::mem::take(&mut self.new_bases);
        self.store.places.learn(std::iter::once((id, info.name)), &bases);
        let pack = PackRow {
            id,
            name: info.name.0,
            bytes: info.bytes,
            entries,
            at: now,
            compacted: self.compacted,
        };
        Ok(Some(Filled { pack, bases }))
    }

    fn pack(&mut self) -> Result<&mut PackWriter, StoreError> {
        if self.pack.is_none() {
            self.pack = Some(self.store.packs.create(self.pack_id, self.compacted)?);
        }
        Ok(self.pack.as_mut().expect("it was just made"))
    }
}
