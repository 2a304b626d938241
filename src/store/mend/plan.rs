//! What of one damaged pack is written anew. Reads the pack and writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{MendedPack, note};
use crate::model::JobId;
use crate::store::catalogue::{LivePack, MovedDocument};
use crate::store::check::{PackBases, words};
use crate::store::packs::ledger::{self, RecordKind};
use crate::store::packs::{Entry, Footer, Kind, PackError, PackInfo};
use crate::store::{Store, StoreError, TraceId, TraceRow};

/// What becomes of a damaged pack.
pub(super) struct Plan {
    pub(super) pack: LivePack,
    /// The number in its footer.
    pub(super) number: u64,
    /// What is wrong with it.
    what: String,
    /// The entries that read and move, in their order.
    pub(super) copied: Vec<Entry>,
    /// The traces whose frames move.
    pub(super) traces: Vec<TraceId>,
    /// The documents in its ledgers, at the offsets that these have now.
    documents: Vec<MovedDocument>,
    /// How many traces stay.
    traces_left: u64,
    /// Records were lost, or may have been.
    pub(super) has_losses: bool,
}

/// What examining a pack came to.
pub(super) enum Verdict {
    /// There is no need to mend it, or nothing to gain.
    Nothing,
    /// Its file is that of another pack.
    Other,
    /// This can be written anew.
    Mendable(Plan),
}

/// A pack as it was read.
struct Read {
    well: Vec<Entry>,
    /// Ledgers, and bases that nothing needs, which do not read.
    lost: Vec<(Entry, String)>,
    /// Nothing at all is wrong with any entry.
    is_well: bool,
}

impl Plan {
    /// Reads a pack, of which `known` stands in the catalogue.
    pub(super) fn of(
        store: &Store,
        pack: LivePack,
        known: Vec<Entry>,
        rows: Vec<TraceRow>,
        needed_bases: &BTreeSet<u64>,
    ) -> Result<Verdict, StoreError> {
        let packs = store.packs();
        let mut what = None;
        let footer = match packs.footer(pack.name) {
            Ok(footer) => footer,
            // What is not there cannot be read.
            Err(PackError::Missing { .. }) => return Ok(Verdict::Nothing),
            Err(e) if e.is_damage() => {
                what = Some(reason(&e));
                salvaged(store, pack, known.clone())?
            }
            Err(e) => return Err(e.into()),
        };
        let has_footer = what.is_none();
        if has_footer && footer.number != note::number(packs, (pack.name, pack.id), &footer.entries)
        {
            return Ok(Verdict::Other);
        }
        let mut read = read(store, pack, &footer.entries, needed_bases)?;
        if pack.ledgers_moved {
            read.well.retain(|entry| entry.kind != Kind::Ledger);
            read.lost.retain(|(entry, _)| entry.kind != Kind::Ledger);
        }
        let has_losses = !pack.ledgers_moved
            && match has_footer {
                true => read.lost.iter().any(|(entry, _)| entry.kind == Kind::Ledger),
                // What is in a gap that nobody knows may have been a ledger.
                false => (footer.entries.len() as u64) < pack.entries,
            };
        if has_footer && let Some((entry, words)) = read.lost.first() {
            let kind = if entry.kind == Kind::Ledger { "records" } else { "a base" };
            what = Some(format!("{kind} cannot be read ({words})"));
        }
        if has_footer && read.is_well && packs.check_name(pack.name).is_err_and(|e| e.is_damage()) {
            what = Some("the pack does not match its name".to_owned());
        }
        let Some(what) = what else { return Ok(Verdict::Nothing) };
        // Records prove that they are some, and what stands beside them whose they are.
        if !has_footer && !known.is_empty() && !known.iter().any(|e| read.well.contains(e)) {
            return Ok(Verdict::Nothing);
        }
        let (traces, left): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| is_among(row, pack.id, &read.well));
        let frames = left.iter().flat_map(|row| &row.frames).filter(|f| f.pack == pack.id);
        let stay: BTreeSet<u64> = frames.map(|frame| frame.offset).collect();
        let mut copied = read.well;
        copied.retain(|entry| entry.kind != Kind::Frame || !stay.contains(&entry.offset));
        if copied.is_empty() && !has_losses {
            return Ok(Verdict::Nothing);
        }
        let (number, traces_left) = (footer.number, left.len() as u64);
        let traces = traces.into_iter().map(|row| row.id).collect();
        let documents = documents(store, pack, &copied)?;
        Ok(Verdict::Mendable(Self {
            pack,
            number,
            what,
            copied,
            documents,
            traces,
            traces_left,
            has_losses,
        }))
    }

    /// Tells whether nothing that is known stays behind.
    pub(super) fn is_whole(&self) -> bool {
        self.traces_left == 0
    }

    /// Returns the documents that move; `places` are new offsets by old ones.
    pub(super) fn documents(&self, places: &BTreeMap<u64, u64>) -> Vec<MovedDocument> {
        let moved = |document: &MovedDocument| {
            let (offset, index) = document.to;
            MovedDocument { to: (places[&offset], index), ..*document }
        };
        self.documents.iter().map(moved).collect()
    }

    /// Says so.
    pub(super) fn told(&self) -> MendedPack {
        MendedPack {
            pack: PackInfo { name: self.pack.name, bytes: self.pack.bytes },
            what: self.what.clone(),
            entries: self.copied.len() as u64,
            traces: self.traces.len() as u64,
            traces_left: self.traces_left,
        }
    }
}

/// Says what is wrong with a pack that is named already.
fn reason(error: &PackError) -> String {
    match error {
        PackError::Damaged { source, .. } => source.to_string(),
        error => words(error),
    }
}

/// Puts together what a lost footer said.
pub(super) fn salvaged(
    store: &Store,
    pack: LivePack,
    mut entries: Vec<Entry>,
) -> Result<Footer, StoreError> {
    let ledgers = store.packs().ledgers_beside(pack.name, &entries)?;
    let number = note::number(store.packs(), (pack.name, pack.id), &ledgers);
    entries.extend(ledgers);
    entries.sort_by_key(|entry| entry.offset);
    entries.dedup_by_key(|entry| entry.offset);
    Ok(Footer { number, compacted: pack.compacted, entries })
}

/// Reads all entries of a pack and verifies them.
fn read(
    store: &Store,
    pack: LivePack,
    table: &[Entry],
    needed_bases: &BTreeSet<u64>,
) -> Result<Read, StoreError> {
    let mut bases = PackBases::new(store, pack.name, table);
    let mut read = Read { well: Vec::new(), lost: Vec::new(), is_well: true };
    for entry in table {
        let base = entry.base.map(|hash| bases.get(hash)).transpose();
        match base.and_then(|base| Ok(store.packs().read(pack.name, entry, base.as_deref())?)) {
            Ok(_) => read.well.push(entry.clone()),
            Err(e) if e.is_damage() => {
                read.is_well = false;
                let is_spare = match entry.kind {
                    Kind::Ledger => true,
                    Kind::Base => !needed_bases.contains(&entry.offset),
                    Kind::Frame | Kind::Chunk => false,
                };
                if is_spare {
                    let words = match &e {
                        StoreError::Pack(e) => reason(e),
                        e => words(e),
                    };
                    read.lost.push((entry.clone(), words));
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok(read)
}

/// Finds the documents in some ledgers, each as if it moved to where it stands.
fn documents(
    store: &Store,
    pack: LivePack,
    entries: &[Entry],
) -> Result<Vec<MovedDocument>, StoreError> {
    let mut documents = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Ledger) {
        let ledger = store.packs().read(pack.name, entry, None)?;
        for (index, record) in ledger::records(&ledger).enumerate() {
            let Ok(record) = record else { break };
            let listing = record.kind == RecordKind::ArtifactListing;
            if listing || record.kind.is_listing() {
                let (job, to) = (JobId(record.job), (entry.offset, index as u64));
                let from = (pack.id, to.0, to.1);
                documents.push(MovedDocument { job, from, to, listing });
            }
        }
    }
    Ok(documents)
}

/// Tells whether all frames of a trace that stand in the pack are among its well entries.
fn is_among(row: &TraceRow, pack: u64, well: &[Entry]) -> bool {
    let well: BTreeMap<u64, &Entry> = well.iter().map(|entry| (entry.offset, entry)).collect();
    row.frames.iter().filter(|frame| frame.pack == pack).all(|frame| {
        let is_it = |entry: &&Entry| {
            (entry.kind, entry.hash) == (Kind::Frame, frame.hash)
                && (entry.stored_bytes, entry.raw_bytes) == (frame.stored_bytes, frame.raw_bytes)
        };
        well.get(&frame.offset).is_some_and(is_it)
    })
}
