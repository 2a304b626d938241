//! Writing rows of traces while a catalogue is made anew from packs.

use jiff::Timestamp;

use super::frames;
use super::words::Words;
use super::{Catalogue, CatalogueError, TraceId, TraceRow};
use crate::model::{JobId, ProjectId};

/// A trace as a note tells of it.
#[derive(Debug, Clone)]
pub(crate) struct NotedTrace {
    pub(crate) id: TraceId,
    pub(crate) job: JobId,
    pub(crate) raw_bytes: u64,
    pub(crate) hash: [u8; 32],
    pub(crate) fetched_at: i64,
    /// Sections open at the start of each frame; empty where none is at any.
    pub(crate) open: Vec<Vec<String>>,
}

impl Catalogue {
    /// Puts the traces of a pack as its footer tells of them. A later pack's frames of the same trace replace those of an
    /// earlier one; a number that another job's trace has already gives way to `spare`, which is counted up.
    pub(crate) async fn put_found(
        &self,
        traces: Vec<TraceRow>,
        spare: &mut u64,
    ) -> Result<(), CatalogueError> {
        let failed = self.failed("written");
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        for mut trace in traces {
            for id in [trace.id.0, *spare] {
                trace.id = TraceId(id);
                let (hash, list) = frames::encode(&trace);
                let done = sqlx::query(
                    "INSERT INTO traces (id, job, raw_bytes, lines, hash, fetched_at, frames) \
                     VALUES (?, ?, ?, ?, ?, 0, ?) ON CONFLICT (id) DO UPDATE SET \
                     lines = excluded.lines, hash = excluded.hash, frames = excluded.frames \
                     WHERE job = excluded.job AND raw_bytes = excluded.raw_bytes",
                )
                .bind(id as i64)
                .bind(trace.job.0 as i64)
                .bind(trace.raw_bytes as i64)
                .bind(trace.lines as i64)
                .bind(hash)
                .bind(list)
                .execute(&mut *tx)
                .await
                .map_err(&failed)?;
                if done.rows_affected() > 0 {
                    break;
                }
                *spare += 1;
            }
        }
        tx.commit().await.map_err(&failed)
    }

    /// Completes the row of a trace by what its note says; `None` where no pack holds such a trace.
    pub(crate) async fn put_noted(
        &self,
        noted: &NotedTrace,
    ) -> Result<Option<TraceId>, CatalogueError> {
        let failed = self.failed("written");
        let row = sqlx::query(
            "SELECT * FROM traces WHERE job = ? AND raw_bytes = ? ORDER BY id = ? DESC LIMIT 1",
        )
        .bind(noted.job.0 as i64)
        .bind(noted.raw_bytes as i64)
        .bind(noted.id.0 as i64)
        .fetch_optional(&self.pool)
        .await
        .map_err(&failed)?;
        let found = row.map(|row| TraceRow::read(&row)).transpose().map_err(&failed)?;
        let Some(Ok(mut trace)) = found else { return Ok(None) };
        // The hash of an only frame is known, and is that of the trace.
        if trace.frames.len() == 1 && trace.hash != noted.hash {
            return Ok(None);
        }
        trace.hash = noted.hash;
        for (frame, open) in trace.frames.iter_mut().zip(&noted.open) {
            frame.open.clone_from(open);
        }
        let (hash, list) = frames::encode(&trace);
        sqlx::query("UPDATE traces SET hash = ?, fetched_at = ?, frames = ? WHERE id = ?")
            .bind(hash)
            .bind(noted.fetched_at)
            .bind(list)
            .bind(trace.id.0 as i64)
            .execute(&self.pool)
            .await
            .map_err(&failed)?;
        Ok(Some(trace.id))
    }

    /// Puts a trace of no bytes, which no footer tells of.
    pub(crate) async fn put_empty(&self, noted: &NotedTrace) -> Result<(), CatalogueError> {
        let NotedTrace { id, job, hash, .. } = *noted;
        let (raw_bytes, lines, frames) = Default::default();
        let trace = TraceRow { id, job, raw_bytes, lines, hash, frames };
        let (hash, list) = frames::encode(&trace);
        sqlx::query(
            "INSERT INTO traces (id, job, raw_bytes, lines, hash, fetched_at, frames) \
             VALUES (?, ?, 0, 0, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        )
        .bind(noted.id.0 as i64)
        .bind(noted.job.0 as i64)
        .bind(hash)
        .bind(noted.fetched_at)
        .bind(list)
        .execute(&self.pool)
        .await
        .map_err(self.failed("written"))?;
        Ok(())
    }

    /// Returns the numbers of all jobs, ascending.
    pub(crate) async fn job_numbers(&self) -> Result<Vec<JobId>, CatalogueError> {
        self.job_ids_of("SELECT id FROM job_rows ORDER BY id").await
    }

    /// Returns the jobs that have a log, ascending.
    pub(crate) async fn jobs_with_log(&self) -> Result<Vec<JobId>, CatalogueError> {
        self.job_ids_of("SELECT id FROM job_rows WHERE trace IS NOT NULL ORDER BY id").await
    }

    /// Returns the jobs of logs that have no row.
    pub(crate) async fn logs_without_job(&self) -> Result<Vec<JobId>, CatalogueError> {
        self.job_ids_of(
            "SELECT DISTINCT job FROM traces WHERE job NOT IN (SELECT id FROM job_rows)",
        )
        .await
    }

    async fn job_ids_of(&self, sql: &'static str) -> Result<Vec<JobId>, CatalogueError> {
        let ids: Vec<i64> =
            sqlx::query_scalar(sql).fetch_all(&self.pool).await.map_err(self.failed("read"))?;
        Ok(ids.into_iter().map(|id| JobId(id as u64)).collect())
    }

    /// Returns the projects of jobs that have no row, each with the address of a job where one is known.
    pub(crate) async fn projects_missing(
        &self,
    ) -> Result<Vec<(ProjectId, Option<String>)>, CatalogueError> {
        let rows: Vec<(i64, Option<String>)> = sqlx::query_as(
            "SELECT project, max(web_url) FROM job_rows \
             WHERE project NOT IN (SELECT id FROM projects) GROUP BY project",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        Ok(rows.into_iter().map(|(id, url)| (ProjectId(id as u64), url)).collect())
    }

    /// Joins the newest log of each job that has none to it. One of whose state no note tells is archived then.
    pub(crate) async fn join_found(&self, reason: &str) -> Result<(), CatalogueError> {
        let failed = self.failed("written");
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        let said = ["pending", "archived", "", reason].into_iter();
        let words = Words::of(&mut tx, said).await.map_err(&failed)?;
        sqlx::query(
            "UPDATE job_rows SET state = ?, reason = ? WHERE trace IS NULL AND id IN (SELECT job FROM traces) \
             AND state = ? AND reason = ? AND next_at IS NULL",
        )
        .bind(words.get("archived"))
        .bind(words.get(reason))
        .bind(words.get("pending"))
        .bind(words.get(""))
        .execute(&mut *tx)
        .await
        .map_err(&failed)?;
        sqlx::query(
            "UPDATE job_rows SET trace = (SELECT max(t.id) FROM traces t WHERE t.job = job_rows.id) \
             WHERE trace IS NULL AND id IN (SELECT job FROM traces)",
        )
        .execute(&mut *tx)
        .await
        .map_err(&failed)?;
        tx.commit().await.map_err(&failed)
    }

    /// Returns logs behind `after` that no note tells of, in the order of their numbers, at most `limit`.
    pub(crate) async fn traces_unnoted(
        &self,
        after: TraceId,
        limit: u32,
    ) -> Result<Vec<TraceRow>, CatalogueError> {
        let failed = self.failed("read");
        let rows =
            sqlx::query("SELECT * FROM traces WHERE fetched_at = 0 AND id > ? ORDER BY id LIMIT ?")
                .bind(after.0 as i64)
                .bind(limit)
                .fetch_all(&self.pool)
                .await
                .map_err(&failed)?;
        let rows = rows.iter().map(|row| TraceRow::read(row).map_err(&failed));
        rows.collect::<Result<Result<Vec<_>, _>, _>>()?
    }

    /// Puts the hash of a log.
    pub(crate) async fn put_hash(&self, trace: &TraceRow) -> Result<(), CatalogueError> {
        let (hash, list) = frames::encode(trace);
        sqlx::query("UPDATE traces SET hash = ?, frames = ? WHERE id = ?")
            .bind(hash)
            .bind(list)
            .bind(trace.id.0 as i64)
            .execute(&self.pool)
            .await
            .map_err(self.failed("written"))?;
        Ok(())
    }

    /// Makes the jobs pending whose trace counts as stored and is not there, and those of whose trace nothing is known
    /// though they have ended.
    pub(crate) async fn reopen_lost(
        &self,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), CatalogueError> {
        let failed = self.failed("written");
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        let said = ["pending", reason].into_iter();
        let words = Words::of(&mut tx, said).await.map_err(&failed)?;
        sqlx::query(
            "UPDATE job_rows SET state = ?, reason = ?, next_at = ? WHERE trace IS NULL \
             AND (state IN (SELECT id FROM words WHERE text IN ('archived', 'truncated')) \
                 OR (state = ? AND next_at IS NULL AND finished_at IS NOT NULL AND bridge = 0))",
        )
        .bind(words.get("pending"))
        .bind(words.get(reason))
        .bind(now.as_microsecond())
        .bind(words.get("pending"))
        .execute(&mut *tx)
        .await
        .map_err(&failed)?;
        tx.commit().await.map_err(&failed)
    }

    /// Records that the ledgers of some packs stand in a later one too.
    pub(crate) async fn set_ledgers_moved(&self, packs: &[u64]) -> Result<(), CatalogueError> {
        for pack in packs {
            sqlx::query("UPDATE packs SET ledgers_moved = 1 WHERE id = ?")
                .bind(*pack as i64)
                .execute(&self.pool)
                .await
                .map_err(self.failed("written"))?;
        }
        Ok(())
    }
}
