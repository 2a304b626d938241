//! Carrying ledgers over: records keep their order, documents stand beside documents and notes beside notes.

use jiff::Timestamp;

use crate::model::JobId;
use crate::store::catalogue::{LivePack, MovedDocument};
use crate::store::filler::Filler;
use crate::store::mend::note;
use crate::store::packs::ledger::{self, Record, RecordKind};
use crate::store::packs::{Kind, PackError, PackName};
use crate::store::{Store, StoreError};

/// A ledger is closed at this length: four of those that captures write, for the gain of a fifth.
const LEDGER_BYTES: usize = 1024 * 1024;

/// One ledger being filled.
#[derive(Default)]
struct Lane {
    ledger: Vec<u8>,
    records: u64,
    /// Documents whose new place is known when the ledger is written.
    waiting: Vec<MovedDocument>,
}

/// The ledgers being filled, and the documents that moved.
#[derive(Default)]
pub(super) struct Ledgers {
    documents: Lane,
    notes: Lane,
    moved: Vec<MovedDocument>,
    /// Numbers of the packs whose records are carried over.
    packs: Vec<u64>,
}

impl Ledgers {
    /// Copies the records of a pack's ledgers.
    pub(super) fn copy(
        &mut self,
        store: &Store,
        pack: &LivePack,
        filler: &mut Filler,
    ) -> Result<(), StoreError> {
        for_each_record(store, pack.name, |record, (offset, index)| {
            self.put(record, (pack.id, offset, index), filler)
        })?;
        // A rebuild knows a mended pack by its number, whatever the catalogue listed it under.
        let footer = store.packs().footer(pack.name)?;
        self.packs.push(match footer.number == pack.id {
            true => pack.id,
            false => note::number(store.packs(), (pack.name, pack.id), &footer.entries),
        });
        Ok(())
    }

    fn put(
        &mut self,
        record: &Record<'_>,
        from: (u64, u64, u64),
        filler: &mut Filler,
    ) -> Result<(), StoreError> {
        let lane = match record.kind {
            RecordKind::Note => &mut self.notes,
            _ => &mut self.documents,
        };
        let listing = record.kind == RecordKind::ArtifactListing;
        if listing || matches!(record.kind, RecordKind::Job | RecordKind::Bridge) {
            let to = (0, lane.records);
            lane.waiting.push(MovedDocument { job: JobId(record.job), from, to, listing });
        }
        ledger::put(&mut lane.ledger, record);
        lane.records += 1;
        if lane.ledger.len() >= LEDGER_BYTES {
            self.moved.extend(lane.close(filler)?);
        }
        Ok(())
    }

    /// Writes what is left and returns where the documents stand that moved since the last call.
    pub(super) fn take(
        &mut self,
        filler: &mut Filler,
        now: Timestamp,
    ) -> Result<Vec<MovedDocument>, StoreError> {
        let packs = std::mem::take(&mut self.packs);
        if !packs.is_empty() {
            let note = serde_json::json!({"event": "compact", "packs": packs}).to_string();
            let at_micros = u64::try_from(now.as_microsecond()).unwrap_or_default();
            let bytes = note.as_bytes();
            let record = Record { kind: RecordKind::Note, job: 0, project: 0, at_micros, bytes };
            self.put(&record, (0, 0, 0), filler)?;
        }
        self.moved.extend(self.documents.close(filler)?);
        self.moved.extend(self.notes.close(filler)?);
        Ok(std::mem::take(&mut self.moved))
    }
}

/// Reads all records of a pack, each with the offset of its ledger and its number within it.
pub(super) fn for_each_record(
    store: &Store,
    name: PackName,
    mut f: impl FnMut(&Record<'_>, (u64, u64)) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let footer = store.packs().footer(name)?;
    for entry in footer.entries.iter().filter(|e| e.kind == Kind::Ledger) {
        let bytes = store.packs().read(name, entry, None)?;
        for (index, record) in ledger::records(&bytes).enumerate() {
            let record = record.map_err(|source| PackError::Damaged { pack: name, source })?;
            f(&record, (entry.offset, index as u64))?;
        }
    }
    Ok(())
}

impl Lane {
    fn close(&mut self, filler: &mut Filler) -> Result<Vec<MovedDocument>, StoreError> {
        let lane = std::mem::take(self);
        if lane.ledger.is_empty() {
            return Ok(Vec::new());
        }
        let offset = filler.add_ledger(&lane.ledger)?;
        let placed = |moved: MovedDocument| MovedDocument { to: (offset, moved.to.1), ..moved };
        Ok(lane.waiting.into_iter().map(placed).collect())
    }
}
