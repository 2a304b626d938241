//! Ledgers of a pack whose footer is lost, found between the entries that are known from elsewhere. Pure.
//!
//! Entries stand back to back and each is one zstd frame, which tells its own length and proves its content by a checksum.
//! What does not read as records from its first to its last byte is no ledger.

use zstd::zstd_safe;

use super::format::{Entry, FramePlace, Kind, MAGIC, MAX_LEDGER_BYTES};
use super::ledger::{self, RecordKind};

/// Returns the ledgers in the bytes of a pack, given its other entries.
pub(crate) fn ledgers(pack: &[u8], known: &[Entry]) -> Vec<Entry> {
    let mut known: Vec<(u64, u64)> = known.iter().map(|e| (e.offset, e.stored_bytes)).collect();
    known.sort_unstable();
    known.push((pack.len() as u64, 0));
    let (mut at, mut found) = (MAGIC.len() as u64, Vec::new());
    for (offset, stored_bytes) in known {
        while at < offset {
            let Some((stored, entry)) = pack.get(at as usize..).and_then(next) else { break };
            found.extend(entry.map(|entry| Entry { offset: at, ..entry }));
            at += stored;
        }
        at = at.max(offset.saturating_add(stored_bytes));
    }
    found
}

/// Returns the length of the zstd frame that the bytes begin with, and its entry where it is a ledger.
fn next(bytes: &[u8]) -> Option<(u64, Option<Entry>)> {
    let stored = zstd_safe::find_frame_compressed_size(bytes).ok().filter(|len| *len > 0)?;
    Some((stored as u64, ledger(bytes.get(..stored)?)))
}

fn ledger(stored: &[u8]) -> Option<Entry> {
    let raw_bytes = zstd_safe::get_frame_content_size(stored).ok()??;
    if raw_bytes == 0 || raw_bytes > MAX_LEDGER_BYTES {
        return None;
    }
    let content = zstd::bulk::decompress(stored, raw_bytes as usize).ok()?;
    let is_known = |kind| !matches!(kind, RecordKind::Other(_));
    let is_one = ledger::records(&content).all(|record| record.is_ok_and(|r| is_known(r.kind)));
    is_one.then(|| Entry {
        kind: Kind::Ledger,
        offset: 0,
        stored_bytes: stored.len() as u64,
        raw_bytes,
        hash: *blake3::hash(&content).as_bytes(),
        base: None,
        place: FramePlace::default(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::ledger::{Record, put};
    use super::*;
    use proptest::prelude::*;

    fn entry(kind: Kind, offset: usize, stored: &[u8], raw: &[u8]) -> Entry {
        Entry {
            kind,
            offset: offset as u64,
            stored_bytes: stored.len() as u64,
            raw_bytes: raw.len() as u64,
            hash: *blake3::hash(raw).as_bytes(),
            base: None,
            place: FramePlace::default(),
        }
    }

    #[test]
    fn ledgers_are_found_wherever_they_stand_and_nothing_else_is() {
        let mut records = Vec::new();
        let bytes = b"{\"id\":1}";
        put(
            &mut records,
            &Record { kind: RecordKind::Job, job: 1, project: 5, at_micros: 1, bytes },
        );
        let text = b"\x00no ledger: some line of a log\n".to_vec();
        let mut pack = MAGIC.to_vec();
        let (mut ledgers_there, mut known) = (Vec::new(), Vec::new());
        for (at, raw) in [&records, &text, &text, &records, &text, &records].into_iter().enumerate()
        {
            let stored = zstd::bulk::compress(raw, 3).unwrap();
            let offset = pack.len();
            pack.extend(&stored);
            match at {
                0 | 3 | 5 => ledgers_there.push(entry(Kind::Ledger, offset, &stored, raw)),
                1 => known.push(entry(Kind::Frame, offset, &stored, raw)),
                // What else stands there is not known, and stepped over.
                _ => {}
            }
        }
        pack.extend(b"what was the footer");
        assert_eq!(ledgers(&pack, &known), ledgers_there);
        assert_eq!(ledgers(&pack[..20], &known), []);
    }

    proptest! {
        #[test]
        fn hostile_packs_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at: u64) {
            let stray = Entry { offset: at, ..entry(Kind::Base, 0, b"x", b"x") };
            let _ = ledgers(&bytes, &[stray]);
        }
    }
}
