//! Rows of artifacts out of footers, listings and notes.

use jiff::Timestamp;
use serde_json::Value;

use crate::model::{ArtifactListing, ArtifactMode, ArtifactState, JobId};
use crate::store::catalogue::{ArtifactWrite, ArtifactWrites, BlobRow, ChunkRow, ListingPlace};
use crate::store::packs::ledger::Record;
use crate::store::packs::{Footer, Kind};

/// Returns where the chunks of a pack stand.
pub(super) fn chunks(pack: u64, footer: &Footer) -> Vec<ChunkRow> {
    let chunks = footer.entries.iter().filter(|entry| entry.kind == Kind::Chunk);
    let row = |entry: &crate::store::packs::Entry| ChunkRow {
        hash: entry.hash,
        pack,
        offset: entry.offset,
        stored_bytes: entry.stored_bytes,
        raw_bytes: entry.raw_bytes,
    };
    chunks.map(row).collect()
}

/// Takes in a listing, which stands at `doc`. One that cannot be read is passed over.
pub(super) fn listing(writes: &mut ArtifactWrites, record: &Record<'_>, doc: (u64, u64)) {
    let Ok(listing) = serde_json::from_slice::<ArtifactListing>(record.bytes) else { return };
    let entries = listing.entries.len() as u64 + listing.more;
    let paths = listing.entries.into_iter().map(|entry| entry.path).collect();
    writes.listings.insert(JobId(record.job), ListingPlace { doc, entries, paths });
}

fn hash(value: &Value) -> Option<[u8; 32]> {
    Some(*blake3::Hash::from_hex(value.as_str()?).ok()?.as_bytes())
}

/// Takes in the note of a file.
pub(super) fn blob(writes: &mut ArtifactWrites, note: &Value) {
    let chunks = note["chunks"].as_array().and_then(|list| list.iter().map(hash).collect());
    if let (Some(hash), Some(bytes), Some(chunks)) =
        (hash(&note["blake3"]), note["bytes"].as_u64(), chunks)
    {
        writes.blobs.push(BlobRow { hash, bytes, chunks });
    }
}

/// Takes in the note of what became of a job's artifacts; a later one adds to an earlier one.
pub(super) fn state(writes: &mut ArtifactWrites, job: JobId, note: &Value, at: Timestamp) {
    let word = |key: &str| note[key].as_str().unwrap_or_default();
    let before = writes.states.get(&job);
    let files = serde_json::from_value(note["files"].clone()).unwrap_or_default();
    let micros = |at| Timestamp::from_microsecond(at).ok();
    let level: ArtifactMode = word("settled").parse().unwrap_or_default();
    let write = ArtifactWrite {
        state: word("state").parse().unwrap_or(ArtifactState::Pending),
        reason: word("reason").to_owned(),
        at,
        level: before.map_or(level, |before| before.level.max(level)),
        next_at: note["next_at"].as_i64().and_then(micros),
        attempts: note["attempts"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or_default(),
        archive: hash(&note["archive"]).or(before.and_then(|before| before.archive)),
        files: match before {
            Some(before) if Vec::is_empty(&files) => before.files.clone(),
            _ => files,
        },
    };
    writes.states.insert(job, write);
}
