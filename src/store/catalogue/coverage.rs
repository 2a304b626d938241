//! Counting what became of jobs: by project, state and reason, and what still waits.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::capture::{DEADLINE, WAITS_FOR_FETCH, list};
use super::{Catalogue, CatalogueError};
use crate::model::{ProjectId, TraceState};

/// Groups counted at most; only reasons that name something of each job could be more.
const MAX_GROUPS: u32 = 100_000;
/// Deadlines read at most; a forecast over more differs little.
const MAX_DEADLINES: u32 = 1_000_000;
/// The rate of fetching is that of the latest so many traces, within so many microseconds.
const RATE_TRACES: u32 = 1000;
const RATE_MICROS: i64 = 600_000_000;

/// Which jobs are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Of these projects; `None` for all.
    pub projects: Option<Vec<ProjectId>>,
    /// Came to be at or after this time.
    pub since: Option<Timestamp>,
}

impl Counted {
    fn push(&self, sql: &mut QueryBuilder<Sqlite>) {
        if let Some(projects) = &self.projects {
            sql.push(" AND j.project IN (SELECT value FROM json_each(");
            sql.push_bind(list(projects)).push("))");
        }
        if let Some(since) = self.since {
            sql.push(" AND j.created_at >= ").push_bind(since.as_microsecond());
        }
    }
}

/// How many jobs of a project are in a state for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoverageRow {
    /// The project.
    pub project: ProjectId,
    /// Its path when it was last seen.
    pub path: String,
    /// The state.
    pub state: TraceState,
    /// Why, in words.
    pub reason: String,
    /// The jobs have ended.
    pub finished: bool,
    /// How many.
    pub jobs: u64,
}

impl Catalogue {
    /// Counts jobs by project, state and reason.
    pub async fn coverage(&self, counted: &Counted) -> Result<Vec<CoverageRow>, CatalogueError> {
        let failed = self.failed("read");
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT j.project, p.path, j.state, j.reason, \
             j.status IN ('success', 'failed', 'canceled', 'skipped') AS finished, count(*) AS jobs \
             FROM jobs j JOIN projects p ON p.id = j.project WHERE 1",
        );
        counted.push(&mut sql);
        sql.push(" GROUP BY j.project, j.state, j.reason, finished ORDER BY p.path LIMIT ");
        sql.push_bind(MAX_GROUPS);
        let rows = sql.build().fetch_all(&self.pool).await.map_err(&failed)?;
        let read = |row: &sqlx::sqlite::SqliteRow| -> Result<CoverageRow, sqlx::Error> {
            let state: String = row.try_get("state")?;
            Ok(CoverageRow {
                project: ProjectId(row.try_get::<i64, _>("project")? as u64),
                path: row.try_get("path")?,
                state: state.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))?,
                reason: row.try_get("reason")?,
                finished: row.try_get("finished")?,
                jobs: row.try_get::<i64, _>("jobs")? as u64,
            })
        };
        rows.iter().map(|row| read(row).map_err(&failed)).collect()
    }

    /// Counts the jobs that wait to be fetched.
    pub async fn waiting(&self, counted: &Counted) -> Result<u64, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT count(*) FROM jobs j WHERE ");
        sql.push(WAITS_FOR_FETCH);
        counted.push(&mut sql);
        let count: i64 =
            sql.build_query_scalar().fetch_one(&self.pool).await.map_err(self.failed("read"))?;
        Ok(count as u64)
    }

    /// Returns when the jobs that wait are expected to be lost, soonest first; those that nothing threatens are left
    /// out.
    pub async fn deadlines(
        &self,
        counted: &Counted,
        now: Timestamp,
    ) -> Result<Vec<Timestamp>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new("WITH now (at) AS (SELECT ");
        sql.push_bind(now.as_microsecond()).push("), due (at) AS (SELECT ").push(DEADLINE);
        sql.push(" FROM now, jobs j JOIN projects p ON p.id = j.project WHERE ");
        sql.push(WAITS_FOR_FETCH);
        counted.push(&mut sql);
        sql.push(
            ") SELECT CAST(due.at AS INTEGER) FROM due, now WHERE due.at BETWEEN now.at AND 8e18 \
             ORDER BY due.at LIMIT ",
        );
        sql.push_bind(MAX_DEADLINES);
        let micros: Vec<i64> =
            sql.build_query_scalar().fetch_all(&self.pool).await.map_err(self.failed("read"))?;
        Ok(micros.into_iter().filter_map(|at| Timestamp::from_microsecond(at).ok()).collect())
    }

    /// Returns how many traces a second were fetched of late, `None` where too few were to tell.
    pub async fn fetch_rate(&self) -> Result<Option<f64>, CatalogueError> {
        let (count, first, last): (i64, Option<i64>, Option<i64>) = sqlx::query_as(
            "WITH latest AS (SELECT fetched_at AS at FROM traces ORDER BY id DESC LIMIT ?) \
             SELECT count(*), min(at), max(at) FROM latest WHERE at >= (SELECT max(at) FROM latest) - ?",
        )
        .bind(RATE_TRACES)
        .bind(RATE_MICROS)
        .fetch_one(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        let micros = last.zip(first).map_or(0, |(last, first)| last - first);
        Ok((count > 1 && micros > 0).then(|| (count - 1) as f64 * 1e6 / micros as f64))
    }
}
