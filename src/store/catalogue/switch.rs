//! Switching references from packs to others that hold the same, and forgetting packs nothing refers to.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Sqlite};

use super::bases::{BaseRow, put_bases};
use super::frames;
use super::write::{PackRow, Tx, put_pack};
use super::{Catalogue, CatalogueError, TraceId, TraceRow};
use crate::model::JobId;
use crate::store::packs::PackName;

/// A pack and how far it is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LivePack {
    pub(crate) id: u64,
    pub(crate) name: PackName,
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    pub(crate) compacted: bool,
    pub(crate) ledgers_moved: bool,
}

/// A document that stands elsewhere from now on: pack, offset of the ledger, number within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MovedDocument {
    pub(crate) job: JobId,
    pub(crate) from: (u64, u64, u64),
    /// Offset and number in the new pack.
    pub(crate) to: (u64, u64),
    /// It is the listing of the job's artifacts, not the job's document.
    pub(crate) listing: bool,
}

/// A chunk that stands elsewhere from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MovedChunk {
    pub(crate) hash: [u8; 32],
    /// The pack and offset where it stood.
    pub(crate) from: (u64, u64),
    /// The offset in the new pack.
    pub(crate) offset: u64,
}

/// What one transaction switches to a new pack.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) pack: PackRow,
    pub(crate) bases: Vec<BaseRow>,
    /// Traces whose frames stand elsewhere from now on.
    pub(crate) traces: Vec<TraceRow>,
    pub(crate) documents: Vec<MovedDocument>,
    pub(crate) chunks: Vec<MovedChunk>,
    /// Bases that stand in the new pack from now on: number and offset.
    pub(crate) moved_bases: Vec<(u64, u64)>,
    /// Packs whose ledgers stand in the new pack too.
    pub(crate) ledgers_moved: Vec<u64>,
}

impl Catalogue {
    /// Returns the packs that are not superseded, by number.
    pub(crate) async fn live_packs(&self) -> Result<Vec<LivePack>, CatalogueError> {
        self.packs_where("superseded_at IS NULL").await
    }

    /// Returns those of them that may be written anew: all but packs of chunks, which hold nothing else.
    pub(crate) async fn log_packs(&self) -> Result<Vec<LivePack>, CatalogueError> {
        self.packs_where("superseded_at IS NULL AND id NOT IN (SELECT pack FROM chunks)").await
    }

    /// Returns all packs, by number.
    pub(crate) async fn all_packs(&self) -> Result<Vec<LivePack>, CatalogueError> {
        self.packs_where("1").await
    }

    async fn packs_where(&self, condition: &'static str) -> Result<Vec<LivePack>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT id, name, bytes, entries, compacted, ledgers_moved FROM packs WHERE ",
        );
        sql.push(condition).push(" ORDER BY id");
        let rows: Vec<(i64, Vec<u8>, i64, i64, bool, bool)> =
            sql.build_query_as().fetch_all(&self.pool).await.map_err(self.failed("read"))?;
        let pack = |(id, name, bytes, entries, compacted, ledgers_moved)| {
            let name = PackName(Vec::try_into(name).ok()?);
            let (id, bytes, entries): (i64, i64, i64) = (id, bytes, entries);
            let [id, bytes, entries] = [id, bytes, entries].map(|n| n as u64);
            Some(LivePack { id, name, bytes, entries, compacted, ledgers_moved })
        };
        Ok(rows.into_iter().filter_map(pack).collect())
    }

    /// Returns the packs superseded at `until` or before: number, name and length.
    pub(crate) async fn superseded(
        &self,
        until: Timestamp,
    ) -> Result<Vec<(u64, PackName, u64)>, CatalogueError> {
        let rows: Vec<(i64, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT id, name, bytes FROM packs WHERE superseded_at <= ? ORDER BY id",
        )
        .bind(until.as_microsecond())
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        let pack = |(id, name, bytes): (i64, Vec<u8>, i64)| {
            Some((id as u64, PackName(name.try_into().ok()?), bytes as u64))
        };
        Ok(rows.into_iter().filter_map(pack).collect())
    }

    /// Returns all traces with their projects, those of one job's name together, in the order of storing.
    pub(crate) async fn traces_by_series(&self) -> Result<Vec<(TraceId, u64)>, CatalogueError> {
        let ids: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT t.id, coalesce(j.project, 0) FROM traces t LEFT JOIN jobs j ON j.id = t.job \
             ORDER BY j.project, j.name_id, t.id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        Ok(ids.into_iter().map(|(id, project)| (TraceId(id as u64), project as u64)).collect())
    }

    /// Returns the jobs whose documents stand in a pack, or in one ledger of it, by its offset.
    pub(crate) async fn jobs_documented_in(
        &self,
        pack: u64,
        offset: Option<u64>,
    ) -> Result<Vec<JobId>, CatalogueError> {
        let sql = "SELECT id FROM jobs WHERE doc_pack = ? AND doc_offset = coalesce(?, doc_offset) ORDER BY id";
        let ids: Vec<i64> = sqlx::query_scalar(sql)
            .bind(pack as i64)
            .bind(offset.map(|offset| offset as i64))
            .fetch_all(&self.pool)
            .await
            .map_err(self.failed("read"))?;
        Ok(ids.into_iter().map(|id| JobId(id as u64)).collect())
    }

    /// Returns all traces of a job, those superseded included, oldest first. A damaged row gives its error.
    pub(crate) async fn traces_of(
        &self,
        job: JobId,
    ) -> Result<Vec<Result<TraceRow, CatalogueError>>, CatalogueError> {
        let failed = self.failed("read");
        let rows = sqlx::query("SELECT * FROM traces WHERE job = ? ORDER BY id")
            .bind(job.0 as i64)
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        rows.iter().map(|row| TraceRow::read(row).map_err(&failed)).collect()
    }

    /// Switches references to a pack that is durable, all of them or none.
    pub(crate) async fn switch(&self, switch: &Switch) -> Result<(), CatalogueError> {
        let failed = self.failed("written");
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        put_pack(&mut tx, &switch.pack).await.map_err(&failed)?;
        put_bases(&mut tx, &switch.bases).await.map_err(&failed)?;
        for trace in &switch.traces {
            let (hash, list) = frames::encode(trace);
            sqlx::query("UPDATE traces SET hash = ?, frames = ? WHERE id = ?")
                .bind(hash)
                .bind(list)
                .bind(trace.id.0 as i64)
                .execute(&mut *tx)
                .await
                .map_err(&failed)?;
        }
        for moved in &switch.documents {
            sqlx::query(match moved.listing {
                false => {
                    "UPDATE job_rows SET doc_pack = ?, doc_offset = ?, doc_index = ? \
                     WHERE id = ? AND doc_pack = ? AND doc_offset = ? AND doc_index = ?"
                }
                true => {
                    "UPDATE artifacts SET listing_pack = ?, listing_offset = ?, listing_index = ? \
                     WHERE job = ? AND listing_pack = ? AND listing_offset = ? AND listing_index = ?"
                }
            })
            .bind(switch.pack.id as i64)
            .bind(moved.to.0 as i64)
            .bind(moved.to.1 as i64)
            .bind(moved.job.0 as i64)
            .bind(moved.from.0 as i64)
            .bind(moved.from.1 as i64)
            .bind(moved.from.2 as i64)
            .execute(&mut *tx)
            .await
            .map_err(&failed)?;
        }
        move_chunks(&mut tx, switch).await.map_err(&failed)?;
        for (base, offset) in &switch.moved_bases {
            sqlx::query("UPDATE bases SET pack = ?, offset = ? WHERE id = ?")
                .bind(switch.pack.id as i64)
                .bind(*offset as i64)
                .bind(*base as i64)
                .execute(&mut *tx)
                .await
                .map_err(&failed)?;
        }
        for pack in &switch.ledgers_moved {
            sqlx::query("UPDATE packs SET ledgers_moved = 1 WHERE id = ?")
                .bind(*pack as i64)
                .execute(&mut *tx)
                .await
                .map_err(&failed)?;
        }
        tx.commit().await.map_err(&failed)
    }

    /// Records that nothing refers to some packs any more.
    pub(crate) async fn supersede(
        &self,
        packs: &[u64],
        now: Timestamp,
    ) -> Result<(), CatalogueError> {
        let failed = self.failed("written");
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        for pack in packs {
            sqlx::query("UPDATE packs SET superseded_at = ? WHERE id = ?")
                .bind(now.as_microsecond())
                .bind(*pack as i64)
                .execute(&mut *tx)
                .await
                .map_err(&failed)?;
        }
        tx.commit().await.map_err(&failed)
    }

    /// Forgets a pack and its bases.
    pub(crate) async fn forget_pack(&self, pack: u64) -> Result<(), CatalogueError> {
        let failed = self.failed("written");
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        for sql in ["DELETE FROM bases WHERE pack = ?", "DELETE FROM packs WHERE id = ?"] {
            sqlx::query(sql).bind(pack as i64).execute(&mut *tx).await.map_err(&failed)?;
        }
        tx.commit().await.map_err(&failed)
    }

    /// Forgets the pack of a name, and its bases.
    pub(crate) async fn forget_named(&self, name: PackName) -> Result<(), CatalogueError> {
        let found = self.packs().await?.into_iter().find(|(_, known, _)| *known == name);
        match found {
            Some((id, ..)) => self.forget_pack(id).await,
            None => Ok(()),
        }
    }

    /// Gives back to the file system what rewritten rows left free.
    pub(crate) async fn vacuum(&self) -> Result<(), CatalogueError> {
        sqlx::query("VACUUM").execute(&self.pool).await.map_err(self.failed("written"))?;
        Ok(())
    }
}

async fn move_chunks(tx: &mut Tx<'_>, switch: &Switch) -> Result<(), sqlx::Error> {
    for moved in &switch.chunks {
        sqlx::query(
            "UPDATE chunks SET pack = ?, offset = ? WHERE hash = ? AND pack = ? AND offset = ?",
        )
        .bind(switch.pack.id as i64)
        .bind(moved.offset as i64)
        .bind(moved.hash.to_vec())
        .bind(moved.from.0 as i64)
        .bind(moved.from.1 as i64)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
