//! Rows of files by content, and of the chunks that make them up.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::artifacts::{BlobRow, ChunkRow};
use super::frames::SEAL_BYTES;
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
    let bytes = row.try_get::<i64, _>("bytes")? as u64;
    Ok(read_blob(hash(row)?, bytes, &coded))
}

/// Reads the list of a file's chunks. One of another file is none, so that reading says what is missing.
fn read_blob(hash: [u8; 32], bytes: u64, coded: &[u8]) -> BlobRow {
    let (list, sealed) = coded.as_chunks::<32>();
    let blob = BlobRow { hash, bytes, chunks: list.to_vec() };
    // One without a seal is of an early jobvault, and is believed.
    match sealed.is_empty() || sealed == seal(&blob) {
        true => blob,
        false => BlobRow { chunks: Vec::new(), ..blob },
    }
}

/// Hashes what belongs together in the row of a file: the hashes of its chunks do not tell in which order, or in which
/// file, they stand.
fn seal(blob: &BlobRow) -> [u8; SEAL_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&blob.hash).update(&blob.bytes.to_le_bytes()).update(blob.chunks.as_flattened());
    let mut seal = [0; SEAL_BYTES];
    hasher.finalize_xof().fill(&mut seal);
    seal
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
        let rows = rows.iter().map(|row| blob(row).map_err(&failed));
        let rows = rows.collect::<Result<Vec<BlobRow>, _>>()?;
        self.in_order(after, rows.iter().map(|row| row.hash))?;
        Ok(rows)
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

    /// Returns the chunks that stand in a pack.
    pub(crate) async fn chunks_in(&self, pack: u64) -> Result<Vec<ChunkRow>, CatalogueError> {
        let failed = self.failed("read");
        let rows = sqlx::query("SELECT * FROM chunks WHERE pack = ?")
            .bind(pack as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        rows.iter().map(|row| chunk(row).map_err(&failed)).collect()
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
        .bind([blob.chunks.as_flattened(), &seal(blob)].concat())
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_chunks_is_none_in_any_row_but_its_own() {
        let own = BlobRow { hash: [1; 32], bytes: 9, chunks: vec![[2; 32], [3; 32]] };
        let coded = [own.chunks.as_flattened(), &seal(&own)].concat();
        assert_eq!(read_blob([1; 32], 9, &coded), own);
        assert_eq!(read_blob([1; 32], 9, &coded[..64]), own, "without a seal");
        let mut turned = coded.clone();
        turned[..64].rotate_left(32);
        let others = [([4; 32], 9, &coded), ([1; 32], 8, &coded), ([1; 32], 9, &turned)];
        for (hash, bytes, coded) in others {
            assert!(read_blob(hash, bytes, coded).chunks.is_empty());
        }
    }
}
