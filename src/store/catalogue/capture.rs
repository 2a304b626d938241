//! What capturing needs to know: how far each project is, which pipelines and jobs are to be asked about.
//!
//! Knows neither the order in which jobs are fetched nor why. Fails as every reading of the catalogue.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::query::push_ids;
use super::rows::{JOB_COLUMNS, JOB_TABLES, JobRow};
use super::{Catalogue, CatalogueError};
use crate::model::{JobId, PipelineId, ProjectId};

/// Holds for a job that has ended, is no bridge and whose trace was never fetched.
pub(super) const WAITS_FOR_FETCH: &str = "j.next_at IS NOT NULL AND j.trace IS NULL AND j.bridge = 0 AND j.state = 'pending' \
     AND j.status IN ('success', 'failed', 'canceled')";
/// When a job's trace is expected to be lost, microseconds; NULL where nothing threatens it.
pub(super) const DEADLINE: &str = "min(coalesce(CASE WHEN j.artifacts_expire_at > now.at THEN j.artifacts_expire_at END, 9e18), \
     coalesce(j.created_at + p.delete_after_secs * 1000000, 9e18))";

/// How far the capture of a project is, beside its job list. What is `None` is not known, or stays when written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The server deletes pipelines of this age, in seconds; 0 where it keeps them.
    pub delete_after_secs: Option<u64>,
    /// Changes of pipelines up to this time were seen.
    pub changes_through: Option<Timestamp>,
    /// When all pipelines, or the child pipelines changed since, were last listed.
    pub children_at: Option<Timestamp>,
    /// When the slow sweep last looked.
    pub swept_at: Option<Timestamp>,
    /// Where it goes on; empty for the newest job.
    pub sweep_cursor: Option<String>,
}

impl Marks {
    /// Takes over what is known anew.
    pub(crate) fn update(&mut self, new: Marks) {
        self.delete_after_secs = new.delete_after_secs.or(self.delete_after_secs);
        self.changes_through = new.changes_through.or(self.changes_through);
        self.children_at = new.children_at.or(self.children_at);
        self.swept_at = new.swept_at.or(self.swept_at);
        self.sweep_cursor = new.sweep_cursor.or(self.sweep_cursor.take());
    }
}

/// A pipeline as far as capturing is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineRow {
    /// GitLab's id.
    pub id: PipelineId,
    /// Its project.
    pub project: ProjectId,
    /// When it last changed, in the server's word.
    pub updated_at: Option<Timestamp>,
    /// Its bridges are yet to be asked for.
    pub to_ask: bool,
    /// No walk of its project finds its jobs.
    pub apart: bool,
}

/// Which of the jobs that wait to be fetched are wanted.
#[derive(Debug, Clone)]
pub struct Backlog {
    /// Of these projects.
    pub projects: Vec<ProjectId>,
    /// Came to be at or after this time.
    pub since: Option<Timestamp>,
    /// Those that failed are wanted if they did before this time.
    pub failed_before: Timestamp,
    /// Those that failed are wanted only when their time has come.
    pub patient: bool,
    /// The time, in the server's reckoning.
    pub now: Timestamp,
    /// The soonest to be lost first, else the newest.
    pub threatened: bool,
    /// Of those in the order of newness only what is below this one.
    pub below: Option<JobId>,
    /// At most so many.
    pub limit: u32,
}

fn time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let micros = row.try_get::<Option<i64>, _>(column)?;
    Ok(micros.and_then(|m| Timestamp::from_microsecond(m).ok()))
}

fn marks(row: &SqliteRow) -> Result<Marks, sqlx::Error> {
    Ok(Marks {
        delete_after_secs: row.try_get::<Option<i64>, _>("delete_after_secs")?.map(|n| n as u64),
        changes_through: time(row, "changes_through")?,
        children_at: time(row, "children_at")?,
        swept_at: time(row, "swept_at")?,
        sweep_cursor: row.try_get("sweep_cursor")?,
    })
}

fn pipeline(row: &SqliteRow) -> Result<PipelineRow, sqlx::Error> {
    Ok(PipelineRow {
        id: PipelineId(row.try_get::<i64, _>("id")? as u64),
        project: ProjectId(row.try_get::<i64, _>("project")? as u64),
        updated_at: time(row, "updated_at")?,
        to_ask: row.try_get("to_ask")?,
        apart: row.try_get("apart")?,
    })
}

impl Catalogue {
    /// Returns how far the capture of a project is; of an unknown project, nothing.
    pub async fn marks(&self, project: ProjectId) -> Result<Marks, CatalogueError> {
        let failed = self.failed("read");
        let row = sqlx::query("SELECT * FROM projects WHERE id = ?")
            .bind(project.0 as i64)
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        row.map_or(Ok(Marks::default()), |row| marks(&row).map_err(&failed))
    }

    /// Returns some pipelines, in no order; an unknown id gives none.
    pub async fn pipelines_by_id(
        &self,
        ids: &[PipelineId],
    ) -> Result<Vec<PipelineRow>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM pipelines WHERE id IN ");
        push_ids(&mut sql, ids.iter().map(|id| id.0));
        self.pipeline_rows(sql).await
    }

    /// Returns pipelines whose bridges are to be asked for, newest first, of one project or of all that stand apart.
    pub async fn pipelines_to_ask(
        &self,
        project: Option<ProjectId>,
        limit: u32,
    ) -> Result<Vec<PipelineRow>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM pipelines WHERE to_ask = 1 AND ");
        match project {
            Some(id) => {
                sql.push("apart = 0 AND project = ").push_bind(id.0 as i64);
                sql.push(" ORDER BY id DESC LIMIT ");
            }
            None => drop(sql.push("apart = 1 LIMIT ")),
        }
        sql.push_bind(limit);
        self.pipeline_rows(sql).await
    }

    async fn pipeline_rows(
        &self,
        mut sql: QueryBuilder<Sqlite>,
    ) -> Result<Vec<PipelineRow>, CatalogueError> {
        let failed = self.failed("read");
        let rows = sql.build().fetch_all(&self.pool).await.map_err(&failed)?;
        rows.iter().map(|row| pipeline(row).map_err(&failed)).collect()
    }

    /// Returns which of some pipelines have bridges.
    pub async fn with_bridges(
        &self,
        ids: &[PipelineId],
    ) -> Result<Vec<PipelineId>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT DISTINCT pipeline FROM jobs WHERE bridge = 1 AND pipeline IN ",
        );
        push_ids(&mut sql, ids.iter().map(|id| id.0));
        let ids: Vec<i64> =
            sql.build_query_scalar().fetch_all(&self.pool).await.map_err(self.failed("read"))?;
        Ok(ids.into_iter().map(|id| PipelineId(id as u64)).collect())
    }

    /// Returns the jobs that ended and wait to be fetched.
    pub async fn backlog(&self, wanted: &Backlog) -> Result<Vec<JobRow>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new("WITH now (at) AS (SELECT ");
        sql.push_bind(wanted.now.as_microsecond()).push(") SELECT ").push(JOB_COLUMNS);
        sql.push(" FROM now, ").push(JOB_TABLES).push(" WHERE ").push(WAITS_FOR_FETCH);
        sql.push(" AND j.project IN (SELECT value FROM json_each(")
            .push_bind(list(&wanted.projects));
        sql.push(")) AND (j.attempts = 0 OR (j.state_at < ");
        sql.push_bind(wanted.failed_before.as_microsecond());
        if wanted.patient {
            sql.push(" AND j.next_at <= now.at");
        }
        sql.push("))");
        if let Some(since) = wanted.since {
            sql.push(" AND j.created_at >= ").push_bind(since.as_microsecond());
        }
        if let Some(below) = wanted.below {
            sql.push(" AND j.id < ").push_bind(below.0 as i64);
        }
        if wanted.threatened {
            sql.push(" AND ").push(DEADLINE).push(" BETWEEN now.at AND 8e18 ORDER BY ");
            sql.push(DEADLINE).push(", j.id DESC LIMIT ");
        } else {
            sql.push(" ORDER BY j.id DESC LIMIT ");
        }
        sql.push_bind(wanted.limit);
        self.job_rows(sql).await
    }

    /// Returns the jobs of a project that are not settled, were listed before `listed_before` and do not merely wait
    /// to be fetched, the longest overdue first, at most `limit`.
    pub async fn open_jobs(
        &self,
        project: ProjectId,
        listed_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<JobRow>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT ");
        sql.push(JOB_COLUMNS).push(" FROM ").push(JOB_TABLES);
        sql.push(" WHERE j.next_at IS NOT NULL AND j.project = ").push_bind(project.0 as i64);
        sql.push(" AND j.listed_at < ").push_bind(listed_before.as_microsecond());
        sql.push(" AND NOT (").push(WAITS_FOR_FETCH).push(") ORDER BY j.next_at LIMIT ");
        sql.push_bind(limit);
        self.job_rows(sql).await
    }

    /// Returns the projects of pipelines apart that have jobs which are not settled.
    pub async fn open_projects_apart(&self) -> Result<Vec<ProjectId>, CatalogueError> {
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT project FROM pipelines pl WHERE apart = 1 AND EXISTS \
                 (SELECT 1 FROM jobs j WHERE j.pipeline = pl.id AND j.next_at IS NOT NULL)",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        Ok(ids.into_iter().map(|id| ProjectId(id as u64)).collect())
    }

    /// Counts the jobs of a project above an id.
    pub async fn jobs_above(&self, project: ProjectId, id: JobId) -> Result<u64, CatalogueError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM jobs WHERE bridge = 0 AND project = ? AND id > ?",
        )
        .bind(project.0 as i64)
        .bind(id.0 as i64)
        .fetch_one(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        Ok(count as u64)
    }

    /// Returns the settled jobs of a project between two ids, ends included, that the server is known to have had.
    pub async fn settled_between(
        &self,
        project: ProjectId,
        low: JobId,
        high: JobId,
    ) -> Result<Vec<JobRow>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT ");
        sql.push(JOB_COLUMNS).push(" FROM ").push(JOB_TABLES);
        sql.push(
            " WHERE j.next_at IS NULL AND j.gone_at IS NULL AND j.bridge = 0 AND j.project = ",
        );
        sql.push_bind(project.0 as i64).push(" AND j.id BETWEEN ").push_bind(low.0 as i64);
        sql.push(" AND ").push_bind(high.0 as i64).push(" LIMIT 1000");
        self.job_rows(sql).await
    }
}

/// Writes ids as JSON, since a statement takes a bounded number of values.
pub(super) fn list(projects: &[ProjectId]) -> String {
    let ids: Vec<String> = projects.iter().map(ToString::to_string).collect();
    format!("[{}]", ids.join(","))
}
