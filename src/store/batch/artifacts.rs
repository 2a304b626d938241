//! What a batch takes of artifacts: files by content, listings, and what became of each archive.
//!
//! Files are cut into chunks, which go into packs of their own: they are compressed already, and compaction leaves
//! them alone. A chunk that the archive holds is not written again.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use super::Batch;
use crate::model::{ArtifactListing, ArtifactMode, ArtifactState, JobId, ProjectId};
use crate::store::catalogue::{
    ArtifactWrite, BlobRow, ChunkRow, ListingPlace, PackRow, StoredFile,
};
use crate::store::packs::codec::Encoder;
use crate::store::packs::format::MAX_CHUNK_BYTES;
use crate::store::packs::ledger::RecordKind;
use crate::store::packs::{Kind, PackWriter};
use crate::store::segment::{compress, entry};
use crate::store::{StoreError, io};

/// A pack of chunks is closed at this length, so that a large file makes a few packs and no single huge one.
const PACK_BYTES: u64 = 64 * 1024 * 1024;
/// zstd's level for chunks: what is in archives is compressed, and trying hard gains nothing.
const LEVEL: i32 = 1;

/// What became of a job's artifacts archive.
#[derive(Debug, Clone)]
pub struct NewArtifacts {
    /// The state.
    pub state: ArtifactState,
    /// Why, in words.
    pub reason: String,
    /// What was wanted, where that is settled; `None` leaves it to be tried again.
    pub settled: ArtifactMode,
    /// When to try again.
    pub next_at: Option<Timestamp>,
    /// How often it failed in a row.
    pub attempts: u32,
    /// What stands in the archive, where that was read.
    pub listing: Option<ArtifactListing>,
    /// BLAKE3 of the archive, where it was put by [`Batch::put_blob`].
    pub archive: Option<[u8; 32]>,
    /// Files put by themselves.
    pub files: Vec<StoredFile>,
}

/// Chunks on their way into packs.
#[derive(Default)]
pub(super) struct Chunks {
    pack: Option<PackWriter>,
    encoder: Option<Encoder>,
    /// Chunks of this batch, those of packs closed already among them.
    fresh: HashMap<[u8; 32], ChunkRow>,
    /// Packs closed, which are not in the catalogue yet.
    closed: u64,
    /// Listings in the ledger being filled.
    in_ledger: Vec<JobId>,
}

impl Batch {
    /// Puts a file by its content, read from `input` to its end, and returns its BLAKE3 and length.
    ///
    /// Blocks while it writes. Fails as the reading does, naming the file.
    pub async fn put_blob(
        &mut self,
        input: &mut (impl Read + Send),
        now: Timestamp,
    ) -> Result<([u8; 32], u64), StoreError> {
        let mut hasher = blake3::Hasher::new();
        let (mut bytes, mut chunks) = (0, Vec::new());
        loop {
            let mut content = Vec::new();
            let read = input.by_ref().take(MAX_CHUNK_BYTES).read_to_end(&mut content);
            read.map_err(io("read back", &PathBuf::from("fetched artifacts")))?;
            if content.is_empty() {
                break;
            }
            hasher.update(&content);
            bytes += content.len() as u64;
            chunks.push(self.put_chunk(&content, now).await?);
        }
        let hash = *hasher.finalize().as_bytes();
        let known = self.writes.artifacts.blobs.iter().any(|blob| blob.hash == hash);
        if !known && self.store.catalogue.blob(hash).await?.is_none() {
            let hex = |hash: &[u8; 32]| blake3::Hash::from_bytes(*hash).to_hex().to_string();
            let list: Vec<String> = chunks.iter().map(hex).collect();
            let note =
                json!({"event": "blob", "blake3": hex(&hash), "bytes": bytes, "chunks": list});
            self.note(0, 0, &note, now)?;
            self.writes.artifacts.blobs.push(BlobRow { hash, bytes, chunks });
        }
        Ok((hash, bytes))
    }

    async fn put_chunk(&mut self, content: &[u8], now: Timestamp) -> Result<[u8; 32], StoreError> {
        let hash = *blake3::hash(content).as_bytes();
        if self.chunks.fresh.contains_key(&hash)
            || !self.store.catalogue.chunks(&[hash]).await?.is_empty()
        {
            return Ok(hash);
        }
        if self.chunks.pack.as_ref().is_some_and(|pack| pack.bytes() >= PACK_BYTES) {
            self.close_chunk_pack(now).await?;
        }
        if self.chunks.encoder.is_none() {
            self.chunks.encoder = Some(Encoder::new(LEVEL).map_err(compress)?);
        }
        let encoder = self.chunks.encoder.as_mut().expect("it was just made");
        let stored = encoder.encode(content).map_err(compress)?;
        if self.chunks.pack.is_none() {
            // Its number is known when it is closed.
            self.chunks.pack = Some(self.store.packs.create(0, true)?);
        }
        let pack = self.chunks.pack.as_mut().expect("it was just made");
        let entry = pack.add(&stored, entry(Kind::Chunk, content.len() as u64, hash))?;
        let row = ChunkRow {
            hash,
            pack: 0,
            offset: entry.offset,
            stored_bytes: entry.stored_bytes,
            raw_bytes: entry.raw_bytes,
        };
        self.chunks.fresh.insert(hash, row);
        Ok(hash)
    }

    /// Makes the chunks durable and returns the bytes of their packs.
    pub(super) async fn finish_chunks(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        self.close_chunk_pack(now).await?;
        self.chunks.fresh.clear();
        Ok(self.writes.artifacts.packs.iter().map(|pack| pack.bytes).sum())
    }

    async fn close_chunk_pack(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let Some(mut pack) = self.chunks.pack.take() else { return Ok(()) };
        // The pack of frames being filled has its number already, by which its frames go.
        self.chunks.closed += 1;
        let id = self.filler.pack_id() + self.chunks.closed;
        pack.renumber(id);
        let entries = pack.entry_count() as u64;
        let info = tokio::task::spawn_blocking(move || pack.finish())
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
        self.store.places.learn(std::iter::once((id, info.name)), &[]);
        for chunk in self.chunks.fresh.values_mut().filter(|chunk| chunk.pack == 0) {
            chunk.pack = id;
            self.writes.artifacts.chunks.push(chunk.clone());
        }
        self.writes.artifacts.packs.push(PackRow {
            id,
            name: info.name.0,
            bytes: info.bytes,
            entries,
            at: now,
            compacted: true,
        });
        Ok(())
    }

    /// Leaves the numbers of packs of chunks to them; called between the pack of frames and the catalogue.
    pub(super) fn skip_chunk_packs(&mut self) {
        let closed = std::mem::take(&mut self.chunks.closed);
        self.filler.skip_packs(closed);
    }

    /// Tells the listings where the ledger stands which was just written.
    pub(super) fn place_listings(&mut self, offset: u64) {
        for job in self.chunks.in_ledger.drain(..) {
            if let Some(listing) = self.writes.artifacts.listings.get_mut(&job) {
                listing.doc.0 = offset;
            }
        }
    }

    /// Puts what became of a job's artifacts archive.
    pub fn put_artifacts(
        &mut self,
        job: JobId,
        project: ProjectId,
        new: NewArtifacts,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(listing) = &new.listing {
            let document = serde_json::to_vec(listing).expect("a listing is plain JSON");
            let kind = RecordKind::ArtifactListing;
            let index = self.record(kind, job.0, project.0, &document, now)?;
            let paths = listing.entries.iter().map(|entry| entry.path.clone()).collect();
            let entries = listing.entries.len() as u64 + listing.more;
            let place = ListingPlace { doc: (0, index), entries, paths };
            self.writes.artifacts.listings.insert(job, place);
            self.chunks.in_ledger.push(job);
            self.close_full_ledger()?;
        }
        let mut note = json!({"event": "artifacts", "state": new.state.as_str(), "reason": new.reason,
            "settled": new.settled.as_str()});
        if let Some(at) = new.next_at {
            note["next_at"] = json!(at.as_microsecond());
            note["attempts"] = json!(new.attempts);
        }
        if let Some(hash) = new.archive {
            note["archive"] = json!(blake3::Hash::from_bytes(hash).to_hex().as_str());
        }
        if !new.files.is_empty() {
            note["files"] = json!(new.files);
        }
        self.note(job.0, project.0, &note, now)?;
        let write = ArtifactWrite {
            state: new.state,
            reason: new.reason,
            at: now,
            level: new.settled,
            next_at: new.next_at,
            attempts: new.attempts,
            archive: new.archive,
            files: new.files,
        };
        self.writes.artifacts.states.insert(job, write);
        Ok(())
    }
}
