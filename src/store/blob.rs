//! Reading files by content: chunk after chunk, each verified.

use std::io::{self, Read, Seek, SeekFrom};

use super::catalogue::ChunkRow;
use super::packs::ledger::RecordKind;
use super::packs::{Entry, Kind};
use super::segment::entry;
use super::{Store, StoreError};
use crate::model::{ArtifactListing, JobId};

/// Reads a file of the archive. Every byte that comes out was verified; what cannot be is an error of
/// [`io::ErrorKind::InvalidData`] that holds the [`StoreError`]. Blocks; keeps one chunk in memory.
#[derive(Debug)]
pub struct BlobReader {
    store: Store,
    /// Where each chunk begins in the file, and where it stands.
    chunks: Vec<(u64, ChunkRow)>,
    bytes: u64,
    at: u64,
    /// The chunk read last, by its number.
    read: Option<(usize, Vec<u8>)>,
}

impl BlobReader {
    /// Returns the file's length in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.bytes
    }

    fn chunk(&mut self, index: usize) -> io::Result<&[u8]> {
        if self.read.as_ref().is_none_or(|(read, _)| *read != index) {
            let content = self.store.read_chunk(&self.chunks[index].1);
            let damaged = |e| io::Error::new(io::ErrorKind::InvalidData, e);
            self.read = Some((index, content.map_err(damaged)?));
        }
        Ok(self.read.as_ref().map_or(&[], |(_, content)| content))
    }
}

impl Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.bytes {
            return Ok(0);
        }
        let at = self.at;
        let index = self.chunks.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        let from = (at - self.chunks[index].0) as usize;
        let content = self.chunk(index)?.get(from..).unwrap_or_default();
        let len = content.len().min(out.len());
        out[..len].copy_from_slice(&content[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl ChunkRow {
    /// Returns the row of the entry table that the chunk is.
    pub(super) fn entry(&self) -> Entry {
        let ChunkRow { hash, offset, stored_bytes, raw_bytes, .. } = *self;
        Entry { offset, stored_bytes, ..entry(Kind::Chunk, raw_bytes, hash) }
    }
}

impl Store {
    fn read_chunk(&self, chunk: &ChunkRow) -> Result<Vec<u8>, StoreError> {
        Ok(self.packs.read(self.name(chunk.pack)?, &chunk.entry(), None)?)
    }

    /// Opens a file by its content, or returns `None` if the archive does not hold it.
    pub async fn blob(&self, hash: [u8; 32]) -> Result<Option<BlobReader>, StoreError> {
        let Some(row) = self.catalogue.blob(hash).await? else { return Ok(None) };
        let found = self.catalogue.chunks(&row.chunks).await?;
        // A sync beside us may have stored it after we opened the archive.
        self.load_names().await?;
        let mut at = 0u64;
        let mut chunks = Vec::with_capacity(row.chunks.len());
        for hash in &row.chunks {
            let Some(chunk) = found.get(hash) else { return Err(StoreError::NoChunk(row.hash)) };
            chunks.push((at, chunk.clone()));
            at = at.checked_add(chunk.raw_bytes).ok_or(StoreError::NoChunk(row.hash))?;
        }
        if at != row.bytes {
            return Err(StoreError::NoChunk(row.hash));
        }
        Ok(Some(BlobReader { store: self.clone(), chunks, bytes: at, at: 0, read: None }))
    }

    /// Returns the list of the files in a job's artifacts archive, or `None` where the archive has none.
    pub async fn artifact_listing(
        &self,
        job: JobId,
    ) -> Result<Option<ArtifactListing>, StoreError> {
        let row = self.catalogue.artifacts(&[job]).await?.pop();
        let Some(place) = row.and_then(|row| row.listing) else { return Ok(None) };
        self.load_names().await?;
        let is_listing = |kind| kind == RecordKind::ArtifactListing;
        let document = self.record(job, place, is_listing).await?;
        Ok(serde_json::from_slice(&document).ok())
    }
}
