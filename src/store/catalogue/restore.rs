//! Writing rows of traces while a catalogue is made anew from packs.

use jiff::Timestamp;

use super::frames::{self, Frame};
use super::words::Words;
use super::{Catalogue, CatalogueError, TraceId};
use crate::model::JobId;

/// A trace as a footer tells of it: all but its hash and when it was fetched.
#[derive(Debug, Clone)]
pub(crate) struct FoundTrace {
    pub(crate) id: TraceId,
    pub(crate) job: JobId,
    pub(crate) frames: Vec<Frame>,
}

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
    /// Puts the traces of a pack. A later pack's frames of the same trace replace those of an earlier one; a number
    /// that another job's trace has already gives way to `spare`, which is counted up.
    pub(crate) async fn put_found(
        &self,
        traces: &[FoundTrace],
        spare: &mut u64,
    ) -> Result<(), CatalogueError> {
        let failed = self.failed("written");
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        for trace in traces {
            let raw: u64 = trace.frames.iter().map(|f| f.raw_bytes).sum();
            let lines: u64 = trace.frames.iter().map(|f| f.lines).sum();
            let hash = trace.frames.first().map_or([0; 32], |f| f.hash);
            for id in [trace.id.0, *spare] {
                let done = sqlx::query(
                    "INSERT INTO traces (id, job, raw_bytes, lines, hash, fetched_at, frames) \
                     VALUES (?, ?, ?, ?, ?, 0, ?) ON CONFLICT (id) DO UPDATE SET frames = excluded.frames \
                     WHERE job = excluded.job AND raw_bytes = excluded.raw_bytes",
                )
                .bind(id as i64)
                .bind(trace.job.0 as i64)
                .bind(raw as i64)
                .bind(lines as i64)
                .bind(hash.to_vec())
                .bind(frames::encode(&trace.frames))
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
        let row: Option<(i64, Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT id, hash, frames FROM traces WHERE job = ? AND raw_bytes = ? ORDER BY id = ? DESC LIMIT 1",
        )
        .bind(noted.job.0 as i64)
        .bind(noted.raw_bytes as i64)
        .bind(noted.id.0 as i64)
        .fetch_optional(&self.pool)
        .await
        .map_err(&failed)?;
        let Some((id, hash, coded)) = row else { return Ok(None) };
        let Some(mut list) = frames::decode(&coded, &noted.hash) else { return Ok(None) };
        // The hash of an only frame is known, and is that of the trace.
        if list.len() == 1 && hash != noted.hash {
            return Ok(None);
        }
        for (frame, open) in list.iter_mut().zip(&noted.open) {
            frame.open.clone_from(open);
        }
        sqlx::query("UPDATE traces SET hash = ?, fetched_at = ?, frames = ? WHERE id = ?")
            .bind(noted.hash.to_vec())
            .bind(noted.fetched_at)
            .bind(frames::encode(&list))
            .bind(id)
            .execute(&self.pool)
            .await
            .map_err(&failed)?;
        Ok(Some(TraceId(id as u64)))
    }

    /// Puts a trace of no bytes, which no footer tells of.
    pub(crate) async fn put_empty(&self, noted: &NotedTrace) -> Result<(), CatalogueError> {
        sqlx::query(
            "INSERT INTO traces (id, job, raw_bytes, lines, hash, fetched_at, frames) \
             VALUES (?, ?, 0, 0, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        )
        .bind(noted.id.0 as i64)
        .bind(noted.job.0 as i64)
        .bind(noted.hash.to_vec())
        .bind(noted.fetched_at)
        .bind(frames::encode(&[]))
        .execute(&self.pool)
        .await
        .map_err(self.failed("written"))?;
        Ok(())
    }

    /// Makes the jobs pending whose trace counts as stored and is not there.
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
             AND state IN (SELECT id FROM words WHERE text IN ('archived', 'truncated'))",
        )
        .bind(words.get("pending"))
        .bind(words.get(reason))
        .bind(now.as_microsecond())
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
