//! Rewriting packs without what nothing refers to. Entries are copied as they stand, verified, none is compressed anew.
//!
//! Only packs whose ledgers stand elsewhere or that have none: records count in the order of packs and must not move
//! behind later ones. Compaction leaves few others. A pack that cannot be read stays as it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::json;

use super::catalogue::{LivePack, PackRow, Switch};
use super::check::{Damage, words};
use super::packs::codec::Base;
use super::packs::ledger::{self, Record, RecordKind};
use super::packs::{Entry, Footer, Kind, PackWriter};
use super::segment::entry;
use super::{Store, StoreError, TraceId, TraceRow};

/// A pack is closed at this length.
const PACK_BYTES: u64 = 16 * 1024 * 1024;
/// A pack is rewritten where less than this part of its entries is needed.
const NEEDED_PART: f64 = 0.75;
/// Traces read from the catalogue at once.
const TRACES_AT_ONCE: u32 = 1000;

/// What of some packs is needed: offsets of frames and bases.
#[derive(Debug, Default)]
pub(super) struct Needed {
    frames: BTreeMap<u64, BTreeMap<u64, (TraceId, usize)>>,
    bases: BTreeMap<u64, BTreeMap<u64, u64>>,
}

/// A pack of which part is needed.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) pack: LivePack,
    /// Bytes of entries that nothing needs.
    pub(super) spare_bytes: u64,
    footer: Footer,
}

impl Needed {
    /// Finds what is needed of `packs`; `None` where a row cannot be read and may refer to anything.
    pub(super) async fn find(
        store: &Store,
        packs: &BTreeSet<u64>,
    ) -> Result<Option<Self>, StoreError> {
        let mut needed = Self::default();
        let mut bases = BTreeSet::new();
        let mut after = TraceId(0);
        loop {
            let rows = store.catalogue.traces_after(after, TRACES_AT_ONCE).await?;
            if rows.is_empty() {
                break;
            }
            for (id, row) in rows {
                let Ok(row) = row else { return Ok(None) };
                after = id;
                for (index, frame) in row.frames.iter().enumerate() {
                    bases.extend(frame.base);
                    if packs.contains(&frame.pack) {
                        let frames = needed.frames.entry(frame.pack).or_default();
                        frames.insert(frame.offset, (row.id, index));
                    }
                }
            }
        }
        for base in store.catalogue.bases().await? {
            if packs.contains(&base.pack) && bases.contains(&base.id) {
                needed.bases.entry(base.pack).or_default().insert(base.offset, base.id);
            }
        }
        Ok(Some(needed))
    }

    fn needs(&self, pack: u64, entry: &Entry) -> bool {
        let held = |offsets: Option<bool>| offsets.unwrap_or_default();
        match entry.kind {
            Kind::Frame => held(self.frames.get(&pack).map(|f| f.contains_key(&entry.offset))),
            Kind::Base => held(self.bases.get(&pack).map(|b| b.contains_key(&entry.offset))),
            _ => false,
        }
    }
}

/// Returns the packs that are worth being rewritten, and what of them is needed.
pub(super) async fn parts(store: &Store) -> Result<(Vec<Part>, Needed), StoreError> {
    let mut readable = Vec::new();
    for pack in store.catalogue.log_packs().await? {
        let Ok(footer) = store.packs.footer(pack.name) else { continue };
        let has_ledger = footer.entries.iter().any(|e| e.kind == Kind::Ledger);
        if pack.ledgers_moved || !has_ledger {
            readable.push(Part { pack, spare_bytes: 0, footer });
        }
    }
    let ids = readable.iter().map(|part| part.pack.id).collect();
    let Some(needed) = Needed::find(store, &ids).await? else {
        return Ok((Vec::new(), Needed::default()));
    };
    readable.retain_mut(|part| {
        let all: u64 = part.footer.entries.iter().map(|e| e.stored_bytes).sum();
        let spare = part.footer.entries.iter().filter(|e| !needed.needs(part.pack.id, e));
        part.spare_bytes = spare.map(|e| e.stored_bytes).sum();
        // One that nothing needs is superseded as a whole.
        part.spare_bytes < all && ((all - part.spare_bytes) as f64) < all as f64 * NEEDED_PART
    });
    Ok((readable, needed))
}

/// Copies what is needed of packs into new ones and refers to those. Returns the packs that stay because they cannot be
/// read, with what is wrong.
pub(super) async fn rewrite(
    store: &Store,
    parts: Vec<Part>,
    needed: &Needed,
    now: Timestamp,
) -> Result<Vec<Damage>, StoreError> {
    let mut failed = Vec::new();
    let [packs, ..] = store.catalogue.highest().await?;
    let mut next = packs + 1;
    let mut parts = parts.into_iter().peekable();
    while parts.peek().is_some() {
        let mut copy = Copy { store, number: next, moved: Vec::new(), writer: None };
        for part in parts.by_ref() {
            match copy.take(&part, needed) {
                Ok(()) => {}
                Err(e) if e.is_of_one_pack() => {
                    let what = format!("it cannot be rewritten: {}", words(&e));
                    failed.push(Damage { job: None, pack: Some(part.pack.name), what });
                }
                Err(e) => return Err(e),
            }
            if copy.writer.as_ref().is_some_and(|w| w.bytes() >= PACK_BYTES) {
                break;
            }
        }
        copy.commit(needed, now).await?;
        next += 1;
    }
    Ok(failed)
}

/// One new pack being filled.
struct Copy<'a> {
    store: &'a Store,
    number: u64,
    /// Packs copied, each with the old and new places of its entries.
    moved: Vec<(LivePack, Vec<(Entry, u64)>)>,
    writer: Option<PackWriter>,
}

impl Copy<'_> {
    /// Copies what is needed of a pack; all of it can be read or nothing is.
    fn take(&mut self, part: &Part, needed: &Needed) -> Result<(), StoreError> {
        let (id, name) = (part.pack.id, part.pack.name);
        let entries = part.footer.entries.iter().filter(|e| needed.needs(id, e));
        for entry in entries.clone() {
            let base = entry.base.map(|hash| self.base(hash)).transpose()?;
            self.store.packs.read(name, entry, base.as_deref())?;
        }
        if self.writer.is_none() {
            self.writer = Some(self.store.packs.create(self.number, true)?);
        }
        let writer = self.writer.as_mut().expect("it was just made");
        let mut places = Vec::new();
        for entry in entries {
            let stored = self.store.packs.stored(name, entry)?;
            places.push((entry.clone(), writer.add(&stored, entry.clone())?.offset));
        }
        self.moved.push((part.pack, places));
        Ok(())
    }

    fn base(&self, hash: [u8; 32]) -> Result<std::sync::Arc<Base>, StoreError> {
        let id = self.store.places.base_of_hash(&hash).ok_or(StoreError::NoBase(0))?;
        self.store.base(id)
    }

    /// Makes the pack durable, then refers to it.
    async fn commit(self, needed: &Needed, now: Timestamp) -> Result<(), StoreError> {
        let Some(mut writer) = self.writer else { return Ok(()) };
        let ids: Vec<u64> = self.moved.iter().map(|(pack, _)| pack.id).collect();
        add_note(&mut writer, &ids, now)?;
        let entries = writer.entry_count() as u64;
        let info = tokio::task::spawn_blocking(move || writer.finish())
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
        let number = self.number;
        let (mut moved_bases, mut frames) = (Vec::new(), HashMap::new());
        for (pack, places) in &self.moved {
            for (entry, offset) in places {
                match entry.kind {
                    Kind::Base => {
                        moved_bases.push((needed.bases[&pack.id][&entry.offset], *offset));
                    }
                    _ => drop(frames.insert((pack.id, entry.offset), *offset)),
                }
            }
        }
        let traces = moved_traces(self.store, needed, &frames, number).await?;
        let row = PackRow {
            id: number,
            name: info.name.0,
            bytes: info.bytes,
            entries,
            at: now,
            compacted: true,
        };
        let switch = Switch {
            pack: row,
            bases: Vec::new(),
            traces,
            documents: Vec::new(),
            chunks: Vec::new(),
            moved_bases,
            ledgers_moved: ids,
        };
        self.store.catalogue.switch(&switch).await?;
        self.store.load_names().await
    }
}

/// Returns all traces concerned, their frames at their new places.
async fn moved_traces(
    store: &Store,
    needed: &Needed,
    frames: &HashMap<(u64, u64), u64>,
    number: u64,
) -> Result<Vec<TraceRow>, StoreError> {
    let of = |(pack, offset): &(u64, u64)| needed.frames.get(pack)?.get(offset).map(|(id, _)| *id);
    let ids: BTreeSet<TraceId> = frames.keys().filter_map(of).collect();
    let ids: Vec<TraceId> = ids.into_iter().collect();
    let rows = store.catalogue.traces(&ids).await?;
    let mut moved = Vec::with_capacity(rows.len());
    for row in rows {
        let mut row = row?;
        for frame in &mut row.frames {
            if let Some(offset) = frames.get(&(frame.pack, frame.offset)) {
                (frame.pack, frame.offset) = (number, *offset);
            }
        }
        moved.push(row);
    }
    Ok(moved)
}

/// Notes which packs' records stand in this one: all that they had, which is none.
fn add_note(writer: &mut PackWriter, packs: &[u64], now: Timestamp) -> Result<(), StoreError> {
    let note = json!({"event": "compact", "packs": packs}).to_string();
    let at_micros = u64::try_from(now.as_microsecond()).unwrap_or_default();
    let mut bytes = Vec::new();
    let record =
        Record { kind: RecordKind::Note, job: 0, project: 0, at_micros, bytes: note.as_bytes() };
    ledger::put(&mut bytes, &record);
    let hash = *blake3::hash(&bytes).as_bytes();
    let stored = zstd::bulk::compress(&bytes, 3).map_err(super::segment::compress)?;
    writer.add(&stored, entry(Kind::Ledger, bytes.len() as u64, hash))?;
    Ok(())
}
