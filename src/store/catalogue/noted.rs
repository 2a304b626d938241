//! What the rows say that notes said: from these notes are written anew where a ledger is lost.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::artifacts::{mode, time};
use super::{Capture, Catalogue, CatalogueError, JobState, TraceId};
use crate::model::{ArtifactMode, JobId, ProjectId, TraceState};

/// What became of a job, and its project.
#[derive(Debug, Clone)]
pub(crate) struct KnownState {
    pub(crate) job: JobId,
    pub(crate) project: ProjectId,
    pub(crate) state: JobState,
}

/// What became of a job's artifacts, and its project; the rest in the words of a note.
#[derive(Debug, Clone)]
pub(crate) struct KnownArtifacts {
    pub(crate) job: JobId,
    pub(crate) project: ProjectId,
    pub(crate) at: Timestamp,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) level: ArtifactMode,
    pub(crate) next_at: Option<i64>,
    pub(crate) attempts: i64,
    pub(crate) archive: Option<Vec<u8>>,
    /// JSON.
    pub(crate) files: Option<String>,
}

fn state(row: &SqliteRow) -> Result<KnownState, sqlx::Error> {
    let state: String = row.try_get("state")?;
    Ok(KnownState {
        job: JobId(row.try_get::<i64, _>("id")? as u64),
        project: ProjectId(row.try_get::<i64, _>("project")? as u64),
        state: JobState {
            state: state.parse().unwrap_or(TraceState::Pending),
            reason: row.try_get("reason")?,
            at: time(row, "state_at")?.unwrap_or_default(),
            next_at: time(row, "next_at")?,
            attempts: row.try_get::<i64, _>("attempts")?.try_into().unwrap_or_default(),
            trace: row.try_get::<Option<i64>, _>("trace")?.map(|id| TraceId(id as u64)),
            capture: row.try_get::<Option<i64>, _>("capture")?.map(|id| id as u64),
            gone_at: time(row, "gone_at")?,
            erased_seen_at: time(row, "erased_seen_at")?,
        },
    })
}

impl Catalogue {
    /// Returns what became of jobs behind `after`, by number, at most so many.
    pub(crate) async fn states_after(
        &self,
        after: JobId,
        limit: u32,
    ) -> Result<Vec<KnownState>, CatalogueError> {
        let failed = self.failed("read");
        let rows = sqlx::query(
            "SELECT id, project, state, reason, state_at, next_at, attempts, trace, capture, gone_at, \
             erased_seen_at FROM jobs WHERE id > ? ORDER BY id LIMIT ?",
        )
        .bind(after.0 as i64)
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(&failed)?;
        rows.iter().map(|row| state(row).map_err(&failed)).collect()
    }

    /// Returns when the log of each trace was fetched, microseconds since 1970, and the project of its job.
    pub(crate) async fn fetched_at(
        &self,
    ) -> Result<Vec<(TraceId, i64, ProjectId)>, CatalogueError> {
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT t.id, t.fetched_at, coalesce(j.project, 0) FROM traces t \
             LEFT JOIN job_rows j ON j.id = t.job ORDER BY t.id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        let row = |(id, at, project)| (TraceId(id as u64), at, ProjectId(project as u64));
        Ok(rows.into_iter().map(row).collect())
    }

    /// Returns by whom jobs were captured, all of it.
    pub(crate) async fn captures(&self) -> Result<Vec<Capture>, CatalogueError> {
        let rows: Vec<(i64, String, String, String, String, i64)> = sqlx::query_as(
            "SELECT id, host, gitlab_version, user, jobvault_version, started_at FROM captures ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        let capture = |(id, host, gitlab_version, user, version, at)| Capture {
            id: i64::cast_unsigned(id),
            host,
            gitlab_version,
            user,
            version,
            at: Timestamp::from_microsecond(at).unwrap_or_default(),
        };
        Ok(rows.into_iter().map(capture).collect())
    }

    /// Returns what became of the artifacts of jobs behind `after`, by number, at most so many.
    pub(crate) async fn artifact_states_after(
        &self,
        after: JobId,
        limit: u32,
    ) -> Result<Vec<KnownArtifacts>, CatalogueError> {
        let failed = self.failed("read");
        let rows = sqlx::query(
            "SELECT a.job, coalesce(j.project, 0) AS project, a.at, a.state, a.reason, a.level, a.next_at, \
             a.attempts, a.archive, a.files FROM artifacts a LEFT JOIN job_rows j ON j.id = a.job \
             WHERE a.job > ? ORDER BY a.job LIMIT ?",
        )
        .bind(after.0 as i64)
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(&failed)?;
        let read = |row: &SqliteRow| -> Result<KnownArtifacts, sqlx::Error> {
            Ok(KnownArtifacts {
                job: JobId(row.try_get::<i64, _>("job")? as u64),
                project: ProjectId(row.try_get::<i64, _>("project")? as u64),
                at: time(row, "at")?.unwrap_or_default(),
                state: row.try_get("state")?,
                reason: row.try_get("reason")?,
                level: mode(row.try_get("level")?),
                next_at: row.try_get("next_at")?,
                attempts: row.try_get("attempts")?,
                archive: row.try_get("archive")?,
                files: row.try_get("files")?,
            })
        };
        rows.iter().map(|row| read(row).map_err(&failed)).collect()
    }

    /// Returns the jobs the lists of whose artifacts stand in a pack, or in one ledger of it, by its offset.
    pub(crate) async fn jobs_listed_in(
        &self,
        pack: u64,
        offset: Option<u64>,
    ) -> Result<Vec<JobId>, CatalogueError> {
        let sql = "SELECT job FROM artifacts WHERE listing_pack = ? \
                   AND listing_offset = coalesce(?, listing_offset) ORDER BY job";
        let ids: Vec<i64> = sqlx::query_scalar(sql)
            .bind(pack as i64)
            .bind(offset.map(|offset| offset as i64))
            .fetch_all(&self.pool)
            .await
            .map_err(self.failed("read"))?;
        Ok(ids.into_iter().map(|id| JobId(id as u64)).collect())
    }
}
