//! The part of a batch's transaction that is about artifacts. Runs after the rows of jobs were written.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::artifacts::{BlobRow, ChunkRow, StoredFile, level};
use super::blobs::{put_blobs, put_chunks};
use super::write::{PackRow, Tx, Writes, micros, put_pack};
use crate::model::{ArtifactMode, ArtifactState, JobId};

/// Paths of one archive that can be searched for; the listing itself has all.
const MAX_PATHS: usize = 20_000;

/// A listing and where it stands in this batch's pack.
#[derive(Debug, Clone)]
pub(crate) struct ListingPlace {
    /// Offset of the ledger, number within it.
    pub(crate) doc: (u64, u64),
    pub(crate) entries: u64,
    pub(crate) paths: Vec<String>,
}

/// What became of a job's artifacts, for its row.
#[derive(Debug, Clone)]
pub(crate) struct ArtifactWrite {
    pub(crate) state: ArtifactState,
    pub(crate) reason: String,
    pub(crate) at: Timestamp,
    pub(crate) level: ArtifactMode,
    pub(crate) next_at: Option<Timestamp>,
    pub(crate) attempts: u32,
    /// `None` leaves it as it is.
    pub(crate) archive: Option<[u8; 32]>,
    /// Empty leaves them as they are.
    pub(crate) files: Vec<StoredFile>,
}

/// Everything of a batch that is about artifacts.
#[derive(Debug, Default)]
pub(crate) struct ArtifactWrites {
    /// Packs of chunks alone.
    pub(crate) packs: Vec<PackRow>,
    pub(crate) chunks: Vec<ChunkRow>,
    pub(crate) blobs: Vec<BlobRow>,
    pub(crate) listings: BTreeMap<JobId, ListingPlace>,
    pub(crate) states: BTreeMap<JobId, ArtifactWrite>,
}

/// Writes it all.
pub(super) async fn apply(tx: &mut Tx<'_>, writes: &Writes) -> Result<(), sqlx::Error> {
    let own = &writes.artifacts;
    for pack in &own.packs {
        put_pack(tx, pack).await?;
    }
    put_chunks(tx, &own.chunks).await?;
    put_blobs(tx, &own.blobs).await?;
    for listing in writes.listings.values() {
        let Some(archive) = listing.job.archive() else { continue };
        sqlx::query(
            "INSERT INTO artifacts (job, bytes, at) VALUES (?, ?, ?) \
             ON CONFLICT (job) DO UPDATE SET bytes = coalesce(excluded.bytes, bytes)",
        )
        .bind(listing.job.id.0 as i64)
        .bind(archive.size.and_then(|n| i64::try_from(n).ok()))
        .bind(listing.at.as_microsecond())
        .execute(&mut **tx)
        .await?;
    }
    let pack = writes.documents_in.or(writes.pack.as_ref().map(|p| p.id));
    for (job, listing) in &own.listings {
        put_listing(tx, *job, listing, pack.unwrap_or_default()).await?;
    }
    for (job, state) in &own.states {
        put_state(tx, *job, state).await?;
    }
    Ok(())
}

async fn put_listing(
    tx: &mut Tx<'_>,
    job: JobId,
    listing: &ListingPlace,
    pack: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO artifacts (job, at, listing_pack, listing_offset, listing_index, entries) \
         VALUES (?, 0, ?, ?, ?, ?) ON CONFLICT (job) DO UPDATE SET listing_pack = excluded.listing_pack, \
         listing_offset = excluded.listing_offset, listing_index = excluded.listing_index, \
         entries = excluded.entries",
    )
    .bind(job.0 as i64)
    .bind(pack as i64)
    .bind(listing.doc.0 as i64)
    .bind(listing.doc.1 as i64)
    .bind(listing.entries as i64)
    .execute(&mut **tx)
    .await?;
    // A text in SQLite ends at a NUL for some of its functions.
    let paths: Vec<String> =
        listing.paths.iter().take(MAX_PATHS).map(|path| path.replace('\0', "\u{fffd}")).collect();
    let paths = serde_json::Value::from(paths).to_string();
    sqlx::query(
        "INSERT INTO artifact_paths (path) SELECT value FROM json_each(?) WHERE true \
         ON CONFLICT (path) DO NOTHING",
    )
    .bind(&paths)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "INSERT INTO artifact_entries (path, job) SELECT known.id, ? FROM json_each(?) own \
         JOIN artifact_paths known ON known.path = own.value WHERE true ON CONFLICT (path, job) DO NOTHING",
    )
    .bind(job.0 as i64)
    .bind(&paths)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn put_state(tx: &mut Tx<'_>, job: JobId, state: &ArtifactWrite) -> Result<(), sqlx::Error> {
    let files = (!state.files.is_empty()).then(|| serde_json::json!(state.files).to_string());
    sqlx::query(
        "INSERT INTO artifacts (job, state, reason, at, level, next_at, attempts, archive, files) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job) DO UPDATE SET state = excluded.state, \
         reason = excluded.reason, at = excluded.at, level = max(level, excluded.level), \
         next_at = excluded.next_at, attempts = excluded.attempts, \
         archive = coalesce(excluded.archive, archive), files = coalesce(excluded.files, files)",
    )
    .bind(job.0 as i64)
    .bind(state.state.as_str())
    .bind(&state.reason)
    .bind(state.at.as_microsecond())
    .bind(level(state.level))
    .bind(micros(state.next_at))
    .bind(i64::from(state.attempts))
    .bind(state.archive.map(|hash| hash.to_vec()))
    .bind(files)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
