//! Rows of files by content, and of the chunks that make them up.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::artifacts::{BlobRow, ChunkRow};
use super::write::Tx;
use super::{Catalogue, CatalogueError};

/// Hashes looked up in one statement.
const HASHES_PER_STATEMENT: usize = 1000;

fn hash(row: &SqliteRow) -> Result<[u8; 32], sqlx::Error> {
    let hash: Vec<u8> = row.try_get("hash")?;
    hash.try_into().map_err(|_| sqlx::Error::Decode("a hash has 32 bytes".into()))
}

fn blob(row: &SqliteRow) -> Result<BlobRow, sqlx::Error> {
    let coded: Vec<u8> = row.try_get("chunks")?;
    let chunks = coded.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).collect();
    Ok(BlobRow { hash: hash(row)?, bytes: row.try_get::<i64, _>("bytes")? as u64, chunks })
}

fn chunk(row: &SqliteRow) -> Result<ChunkRow, sqlx::Error> {
    let number = |column| Ok::<u64, sqlx::Error>(row.try_get::<i64, _>(column)? as u64);
    Ok(ChunkRow {
        hash: hash(row)?,
        pack: number("pack")?,
        offset: number("offset")?,
        stored_bytes: number("stored_bytes")?,
        raw_bytes: number("raw_bytes")?,
    })
}

impl Catalogue {
    /// Returns a file by its content, or `None` if the archive does not hold it.
    pub async fn blob(&self, hash: [u8; 32]) -> Result<Option<BlobRow>, CatalogueError> {
        let failed = self.failed("read");
        let row = sqlx::query("SELECT * FROM blobs WHERE hash = ?")
            .bind(hash.to_vec())
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        row.map(|row| blob(&row).map_err(&failed)).transpose()
    }

    /// Returns the files with a hash above `after`, ascending, at most `limit`.
    pub(crate) async fn blobs_after(
        &self,
        after: [u8; 32],
        limit: u32,
    ) -> Result<Vec<BlobRow>, CatalogueError> {
        let failed = self.failed("read");
        let rows = sqlx::query("SELECT * FROM blobs WHERE hash > ? ORDER BY hash LIMIT ?")
            .bind(after.to_vec())
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        rows.iter().map(|row| blob(row).map_err(&failed)).collect()
    }

    /// Returns where chunks stand, by hash; one that is not in the archive is left out.
    pub(crate) async fn chunks(
        &self,
        hashes: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], ChunkRow>, CatalogueError> {
        let failed = self.failed("read");
        let mut found = HashMap::with_capacity(hashes.len());
        for some in hashes.chunks(HASHES_PER_STATEMENT) {
            let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM chunks WHERE hash IN (");
            let mut separated = sql.separated(", ");
            for hash in some {
                separated.push_bind(hash.to_vec());
            }
            sql.push(")");
            let rows = sql.build().fetch_all(&self.pool).await.map_err(&failed)?;
            for row in &rows {
                let chunk = chunk(row).map_err(&failed)?;
                found.insert(chunk.hash, chunk);
            }
        }
        Ok(found)
    }

    /// Returns the packs in which chunks and listings of artifacts stand.
    pub(super) async fn artifact_packs(&self) -> Result<Vec<u64>, CatalogueError> {
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT pack FROM chunks UNION \
             SELECT DISTINCT listing_pack FROM artifacts WHERE listing_pack IS NOT NULL",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        Ok(ids.into_iter().map(|id| id as u64).collect())
    }
}

/// Puts chunks; of two with one content the first stands.
pub(super) async fn put_chunks(tx: &mut Tx<'_>, chunks: &[ChunkRow]) -> Result<(), sqlx::Error> {
    for chunk in chunks {
        sqlx::query(
            "INSERT INTO chunks (hash, pack, offset, stored_bytes, raw_bytes) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (hash) DO NOTHING",
        )
        .bind(chunk.hash.to_vec())
        .bind(chunk.pack as i64)
        .bind(chunk.offset as i64)
        .bind(chunk.stored_bytes as i64)
        .bind(chunk.raw_bytes as i64)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Puts files.
pub(super) async fn put_blobs(tx: &mut Tx<'_>, blobs: &[BlobRow]) -> Result<(), sqlx::Error> {
    for blob in blobs {
        sqlx::query(
            "INSERT INTO blobs (hash, bytes, chunks) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING",
        )
        .bind(blob.hash.to_vec())
        .bind(blob.bytes as i64)
        .bind(blob.chunks.concat())
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
