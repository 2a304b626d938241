//! Counts that are asked for often: kept by the catalogue's triggers, or read from an index alone.

use jiff::Timestamp;

use super::{Catalogue, CatalogueError};
use crate::model::{ProjectId, TraceState};

/// How many jobs are in a state, and the bytes of their traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRow {
    /// The state.
    pub state: TraceState,
    /// Jobs in it.
    pub jobs: u64,
    /// Bytes of the traces that stand for them.
    pub raw_bytes: u64,
}

impl Catalogue {
    /// Counts jobs and bytes by state.
    pub async fn status(&self) -> Result<Vec<StatusRow>, CatalogueError> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT w.text, sum(t.jobs), sum(t.raw_bytes) FROM tallies t JOIN words w ON w.id = t.state \
             GROUP BY t.state HAVING sum(t.jobs) > 0 ORDER BY w.text",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        let known = |(state, jobs, bytes): (String, i64, i64)| {
            let state = state.parse().ok()?;
            Some(StatusRow { state, jobs: jobs as u64, raw_bytes: bytes as u64 })
        };
        Ok(rows.into_iter().filter_map(known).collect())
    }

    /// Counts jobs that lack a trace, by state and reason, most first.
    pub async fn missing(&self) -> Result<Vec<(TraceState, String, u64)>, CatalogueError> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT s.text, r.text, g.jobs FROM \
             (SELECT state, reason, count(*) AS jobs FROM job_rows WHERE trace IS NULL GROUP BY state, reason) g \
             JOIN words s ON s.id = g.state JOIN words r ON r.id = g.reason \
             ORDER BY g.jobs DESC, r.text LIMIT 50",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        let known = |(state, reason, jobs): (String, String, i64)| {
            Some((state.parse().ok()?, reason, jobs as u64))
        };
        Ok(rows.into_iter().filter_map(known).collect())
    }

    /// Counts the jobs of each project that has any.
    pub async fn project_jobs(&self) -> Result<Vec<(ProjectId, u64)>, CatalogueError> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT project, sum(jobs) FROM tallies GROUP BY project")
                .fetch_all(&self.pool)
                .await
                .map_err(self.failed("read"))?;
        Ok(rows.into_iter().map(|(id, jobs)| (ProjectId(id as u64), jobs as u64)).collect())
    }

    /// Returns when the jobs with the lowest and the highest id came to be, and the next expiry of artifacts after `now`
    /// among the jobs that are not settled.
    pub async fn span(&self, now: Timestamp) -> Result<[Option<Timestamp>; 3], CatalogueError> {
        let (oldest, newest, expiry): (Option<i64>, Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT (SELECT created_at FROM job_rows WHERE created_at IS NOT NULL ORDER BY id LIMIT 1), \
             (SELECT created_at FROM job_rows WHERE created_at IS NOT NULL ORDER BY id DESC LIMIT 1), \
             (SELECT min(artifacts_expire_at) FROM job_rows WHERE next_at IS NOT NULL AND artifacts_expire_at > ?)",
        )
        .bind(now.as_microsecond())
        .fetch_one(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        let time = |micros: Option<i64>| micros.and_then(|m| Timestamp::from_microsecond(m).ok());
        Ok([time(oldest), time(newest), time(expiry)])
    }
}
