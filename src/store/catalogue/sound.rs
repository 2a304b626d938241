//! Whether the rows fit each other: asked by a check, and before anything is deleted because no row refers to it.

use std::collections::BTreeSet;

use super::query::push_ids;
use super::rows::{JOB_COLUMNS, JOB_TABLES, JobRow};
use super::{Catalogue, CatalogueError, TraceId};
use crate::model::JobId;
use crate::store::packs::NO_BASE;

/// Traces read at once.
const TRACES_AT_ONCE: u32 = 1000;
/// The number before the first: one below 0 is damage, and must not be passed over.
const BEFORE_ALL: TraceId = TraceId(1 << 63);

/// Jobs named at most.
const MAX_MISPLACED: u32 = 100_000;

impl Catalogue {
    /// Returns the packs that a trace, a document, or a base which a trace needs stands in.
    ///
    /// A row that cannot be read refers to who knows what, and so does one that refers to what is not listed: then `None`.
    pub(crate) async fn referenced_packs(&self) -> Result<Option<BTreeSet<u64>>, CatalogueError> {
        let failed = self.failed("read");
        let is_lost = "SELECT EXISTS (SELECT 1 FROM job_rows j WHERE j.trace IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM traces t WHERE t.id = j.trace))";
        if sqlx::query_scalar(is_lost).fetch_one(&self.pool).await.map_err(&failed)? {
            return Ok(None);
        }
        let docs: Vec<i64> =
            sqlx::query_scalar("SELECT DISTINCT doc_pack FROM job_rows WHERE doc_pack IS NOT NULL")
                .fetch_all(&self.pool)
                .await
                .map_err(&failed)?;
        let mut packs: BTreeSet<u64> = docs.into_iter().map(|id| id as u64).collect();
        let mut bases = BTreeSet::new();
        let mut after = BEFORE_ALL;
        loop {
            let rows = self.traces_after(after, TRACES_AT_ONCE).await?;
            if rows.is_empty() {
                break;
            }
            for (id, row) in rows {
                let Ok(row) = row else { return Ok(None) };
                after = id;
                packs.extend(row.frames.iter().map(|f| f.pack));
                bases.extend(row.frames.iter().filter_map(|f| f.base));
            }
        }
        // One that was nowhere when the catalogue was made anew is not lost by a row.
        bases.remove(&NO_BASE);
        for base in self.bases().await? {
            if bases.remove(&base.id) {
                packs.insert(base.pack);
            }
        }
        packs.extend(self.artifact_packs().await?);
        let listed: BTreeSet<u64> = self.packs().await?.into_iter().map(|(id, ..)| id).collect();
        Ok((bases.is_empty() && packs.is_subset(&listed)).then_some(packs))
    }

    /// Returns the jobs that refer to a trace or project that is not theirs, and those whose traces no job refers to, with
    /// what is wrong.
    pub(crate) async fn misplaced_traces(
        &self,
    ) -> Result<Vec<(JobId, &'static str)>, CatalogueError> {
        // A trace that no note told of, after a rebuild, was never fetched as far as is known.
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT j.id, 0 FROM job_rows j LEFT JOIN traces t ON t.id = j.trace \
             WHERE j.trace IS NOT NULL AND t.job IS NOT j.id \
             UNION ALL SELECT j.id, 1 FROM job_rows j JOIN traces t ON t.id = j.trace WHERE EXISTS \
                 (SELECT 1 FROM traces n WHERE n.job = j.id AND n.id > t.id AND n.fetched_at > t.fetched_at) \
             UNION ALL SELECT j.id, 3 FROM job_rows j WHERE NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = j.project) \
             UNION ALL SELECT t.job, 2 FROM traces t LEFT JOIN job_rows j ON j.id = t.job \
                 WHERE j.id IS NULL OR (j.trace IS NULL AND t.fetched_at <> 0) LIMIT ?",
        )
        .bind(MAX_MISPLACED)
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        let what = |kind| match kind {
            0 => "the catalogue refers it to a log that is not its own",
            1 => "the catalogue refers it to a log that a later one superseded",
            2 => "the catalogue refers no job to its log",
            _ => "the catalogue does not list its project",
        };
        Ok(rows.into_iter().map(|(job, kind)| (JobId(job as u64), what(kind))).collect())
    }

    /// Returns the jobs of which there is no document, ascending, at most so many as are named of other damage.
    pub(crate) async fn jobs_without_document(&self) -> Result<Vec<JobId>, CatalogueError> {
        let sql = "SELECT id FROM job_rows WHERE doc_pack IS NULL ORDER BY id LIMIT ?";
        let ids: Vec<i64> = sqlx::query_scalar(sql)
            .bind(MAX_MISPLACED)
            .fetch_all(&self.pool)
            .await
            .map_err(self.failed("read"))?;
        Ok(ids.into_iter().map(|id| JobId(id as u64)).collect())
    }

    /// Returns of some jobs those whose rows cannot be read, with the reason.
    pub(crate) async fn unreadable_jobs(
        &self,
        jobs: impl Iterator<Item = JobId>,
    ) -> Result<Vec<(JobId, String)>, CatalogueError> {
        let mut sql = sqlx::QueryBuilder::new("SELECT ");
        sql.push(JOB_COLUMNS).push(" FROM ").push(JOB_TABLES).push(" WHERE j.id IN ");
        push_ids(&mut sql, jobs.map(|job| job.0));
        let rows = sql.build().fetch_all(&self.pool).await.map_err(self.failed("read"))?;
        let unreadable = rows.iter().filter_map(|row| {
            let error = JobRow::read(row).err()?;
            Some((JobId(sqlx::Row::try_get::<i64, _>(row, "id").ok()? as u64), error.to_string()))
        });
        Ok(unreadable.collect())
    }

    /// Returns the places of the documents of jobs behind `after`, by job, at most `limit`: number of the pack, offset of
    /// the ledger, number within it.
    pub(crate) async fn documents_after(
        &self,
        after: JobId,
        limit: u32,
    ) -> Result<Vec<(JobId, (u64, u64, u64))>, CatalogueError> {
        let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT id, doc_pack, coalesce(doc_offset, -1), coalesce(doc_index, -1) FROM job_rows \
             WHERE id > ? AND doc_pack IS NOT NULL ORDER BY id LIMIT ?",
        )
        .bind(after.0 as i64)
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        self.in_order(after.0 as i64, rows.iter().map(|row| row.0))?;
        let place = |(job, pack, offset, index): (i64, i64, i64, i64)| {
            (JobId(job as u64), (pack as u64, offset as u64, index as u64))
        };
        Ok(rows.into_iter().map(place).collect())
    }
}
