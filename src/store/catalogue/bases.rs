//! Rows of bases: where each stands, and what choosing among them needs after a restart.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::write::Tx;
use super::{Catalogue, CatalogueError};

/// Rows a statement inserts at once.
const ROWS_PER_STATEMENT: usize = 500;

/// A base and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseRow {
    /// The catalogue's number of it; a later base has a higher one.
    pub(crate) id: u64,
    /// BLAKE3 of its content.
    pub(crate) hash: [u8; 32],
    /// The catalogue's number of the pack.
    pub(crate) pack: u64,
    /// Where it stands in the pack.
    pub(crate) offset: u64,
    /// Length of the stored bytes.
    pub(crate) stored_bytes: u64,
    /// Length of the content.
    pub(crate) raw_bytes: u64,
    /// The project whose logs it was made of.
    pub(crate) project: u64,
    /// What of its line shapes is kept.
    pub(crate) sketch: Vec<u8>,
}

impl Catalogue {
    /// Returns where all bases stand, without their sketches, oldest first.
    pub(crate) async fn bases(&self) -> Result<Vec<BaseRow>, CatalogueError> {
        self.base_rows("SELECT *, x'' AS sketch_read FROM bases ORDER BY id", None).await
    }

    /// Returns the newest bases of packs that are compacted, or of all, with their sketches, oldest first.
    pub(crate) async fn sketched_bases(
        &self,
        limit: usize,
        compacted: bool,
    ) -> Result<Vec<BaseRow>, CatalogueError> {
        let sql = match compacted {
            true => {
                "SELECT *, sketch AS sketch_read FROM bases WHERE pack IN \
                 (SELECT id FROM packs WHERE compacted AND superseded_at IS NULL) ORDER BY id DESC LIMIT ?"
            }
            false => {
                "SELECT *, sketch AS sketch_read FROM bases WHERE pack IN \
                 (SELECT id FROM packs WHERE superseded_at IS NULL) ORDER BY id DESC LIMIT ?"
            }
        };
        let mut rows = self.base_rows(sql, Some(limit)).await?;
        rows.reverse();
        Ok(rows)
    }

    async fn base_rows(
        &self,
        sql: &'static str,
        limit: Option<usize>,
    ) -> Result<Vec<BaseRow>, CatalogueError> {
        let mut query = sqlx::query(sql);
        if let Some(limit) = limit {
            query = query.bind(limit as i64);
        }
        let failed = self.failed("read");
        let rows = query.fetch_all(&self.pool).await.map_err(&failed)?;
        rows.iter().map(|row| read(row).map_err(&failed)).collect()
    }

    /// Returns the highest number of a base.
    pub(crate) async fn highest_base(&self) -> Result<u64, CatalogueError> {
        let highest: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM bases")
            .fetch_one(&self.pool)
            .await
            .map_err(self.failed("read"))?;
        Ok(highest as u64)
    }
}

fn read(row: &SqliteRow) -> Result<BaseRow, sqlx::Error> {
    let number = |column| row.try_get::<i64, _>(column).map(|n| n as u64);
    let hash: Vec<u8> = row.try_get("hash")?;
    Ok(BaseRow {
        id: number("id")?,
        // A hash of another length matches no content.
        hash: hash.try_into().unwrap_or_default(),
        pack: number("pack")?,
        offset: number("offset")?,
        stored_bytes: number("stored_bytes")?,
        raw_bytes: number("raw_bytes")?,
        project: number("project")?,
        sketch: row.try_get("sketch_read")?,
    })
}

/// Inserts rows of bases.
pub(super) async fn put_bases(tx: &mut Tx<'_>, bases: &[BaseRow]) -> Result<(), sqlx::Error> {
    for chunk in bases.chunks(ROWS_PER_STATEMENT) {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "INSERT INTO bases (id, hash, pack, offset, stored_bytes, raw_bytes, project, sketch) ",
        );
        sql.push_values(chunk, |mut row, base| {
            row.push_bind(base.id as i64)
                .push_bind(base.hash.to_vec())
                .push_bind(base.pack as i64)
                .push_bind(base.offset as i64)
                .push_bind(base.stored_bytes as i64)
                .push_bind(base.raw_bytes as i64)
                .push_bind(base.project as i64)
                .push_bind(base.sketch.clone());
        });
        sql.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}
