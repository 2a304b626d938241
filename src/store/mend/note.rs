//! The note of a mended pack: which number it bears, in whose place it stands, whether records were lost. Pure but for
//! reading ledgers.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::plan::Plan;
use crate::store::packs::ledger::{self, Record, RecordKind};
use crate::store::packs::{Entry, Kind, PackName, Packs};

/// A ledger of notes about packs alone is hardly ever longer; a longer one is taken for one of records.
const MAX_NOTE_BYTES: u64 = 64 * 1024;

/// What a note of the event `mend` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Mend {
    /// Under which number the catalogue listed the pack that the note was written into.
    pub(in crate::store) pack: u64,
    /// The number in that pack's footer.
    pub(in crate::store) number: u64,
    /// The pack in whose place it stands.
    pub(in crate::store) of: Option<PackName>,
    /// Records were lost, or may have been.
    pub(in crate::store) lost: bool,
    /// Nothing that is known stayed in the old pack.
    pub(in crate::store) whole: bool,
}

impl Mend {
    /// Reads it, `None` where a note is another.
    pub(in crate::store) fn of(note: &Value) -> Option<Self> {
        if note["event"] != "mend" {
            return None;
        }
        Some(Self {
            pack: note["pack"].as_u64()?,
            number: note["number"].as_u64()?,
            of: note["of"].as_str().and_then(|name| name.parse().ok()),
            lost: note["lost"].as_bool().unwrap_or_default(),
            whole: note["whole"].as_bool().unwrap_or_default(),
        })
    }
}

/// Makes the ledger that holds the note.
pub(super) fn mend(plan: &Plan, id: u64, now: Timestamp) -> Vec<u8> {
    let note = json!({"event": "mend", "pack": id, "number": plan.number,
        "of": plan.pack.name.to_string(), "lost": plan.has_losses, "whole": plan.is_whole()});
    let mut ledger = Vec::new();
    put(&mut ledger, (0, 0), &note, now);
    ledger
}

/// Appends a note about a job and its project.
pub(super) fn put(ledger: &mut Vec<u8>, (job, project): (u64, u64), note: &Value, at: Timestamp) {
    let note = note.to_string();
    let at_micros = u64::try_from(at.as_microsecond()).unwrap_or_default();
    let bytes = note.as_bytes();
    ledger::put(ledger, &Record { kind: RecordKind::Note, job, project, at_micros, bytes });
}

/// Reads the notes of mending in a pack. A ledger that cannot be read tells none.
pub(in crate::store) fn mends(packs: &Packs, name: PackName, entries: &[Entry]) -> Vec<Mend> {
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Ledger) {
        let Ok(ledger) = packs.read(name, entry, None) else { continue };
        let notes = ledger::records(&ledger)
            .filter_map(Result::ok)
            .filter(|record| record.kind == RecordKind::Note)
            // Few notes are of this kind: the others need not be read for it.
            .filter(|record| memchr::memmem::find(record.bytes, b"\"mend\"").is_some());
        found.extend(notes.filter_map(|r| Mend::of(&serde_json::from_slice(r.bytes).ok()?)));
    }
    found
}

/// Returns the number of a pack whose footer is lost and which the catalogue lists under `id`.
pub(in crate::store) fn number(
    packs: &Packs,
    (name, id): (PackName, u64),
    entries: &[Entry],
) -> u64 {
    let mends = mends(packs, name, entries);
    mends.iter().find(|mend| mend.pack == id).map_or(id, |mend| mend.number)
}

/// Tells whether a pack has records that count in their order, as all do but notes about packs.
pub(in crate::store) fn has_order(packs: &Packs, name: PackName, entries: &[Entry]) -> bool {
    let is_about_packs = |bytes: &[u8]| {
        let note: Value = serde_json::from_slice(bytes).unwrap_or_default();
        matches!(note["event"].as_str(), Some("compact" | "mend"))
    };
    entries.iter().filter(|entry| entry.kind == Kind::Ledger).any(|entry| {
        if entry.raw_bytes > MAX_NOTE_BYTES {
            return true;
        }
        let Ok(ledger) = packs.read(name, entry, None) else { return true };
        let mut records = ledger::records(&ledger);
        !records.all(|r| r.is_ok_and(|r| r.kind == RecordKind::Note && is_about_packs(r.bytes)))
    })
}

/// Returns the packs in whose place a pack of that number stands, at first or second hand.
pub(in crate::store) fn replaced(
    packs: &Packs,
    (name, number): (PackName, u64),
    entries: &[Entry],
) -> BTreeSet<PackName> {
    let mends = mends(packs, name, entries);
    mends.into_iter().filter(|mend| mend.number == number).filter_map(|mend| mend.of).collect()
}
