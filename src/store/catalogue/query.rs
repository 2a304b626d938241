//! Reading the catalogue: jobs by condition, traces, what is open, what is held.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::rows::{JOB_COLUMNS, JOB_TABLES, JobRow, ProjectRow, TraceId, TraceRow, Walk};
use super::{Catalogue, CatalogueError};
use crate::model::{JobId, ProjectId};
use crate::store::packs::PackName;

/// Ids looked up in one statement.
pub(super) const IDS_PER_STATEMENT: usize = 1000;

/// What a condition on jobs looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The project's full path.
    Project,
    /// The job's name.
    Name,
    /// The stage's name.
    Stage,
    /// The status.
    Status,
    /// Branch or tag.
    Ref,
    /// Branch or tag, of jobs of tags alone.
    Tag,
    /// The runner's description.
    Runner,
    /// Who began it.
    User,
    /// The commit.
    Sha,
    /// Why it failed.
    Reason,
    /// What became of its trace.
    State,
    /// The job's id.
    Id,
    /// The pipeline's id.
    Pipeline,
    /// When it ended, or came to be where it has not ended; microseconds.
    Time,
    /// How long it ran; microseconds.
    Took,
}

impl Column {
    /// Returns the column of the word's number, where the column's text is a word.
    fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::Name => "j.name_id",
            Self::Stage => "j.stage_id",
            Self::Status => "j.status_id",
            Self::Ref => "j.ref_id",
            Self::Runner => "j.runner_id",
            Self::User => "j.user_id",
            Self::Reason => "j.failure_reason_id",
            Self::State => "j.state_id",
            _ => return None,
        })
    }

    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Project => "p.path",
            Self::Name => "j.name",
            Self::Stage => "j.stage",
            Self::Status => "j.status",
            Self::Ref => "j.ref",
            Self::Tag => "CASE j.tag WHEN 1 THEN j.ref END",
            Self::Runner => "j.runner",
            Self::User => "j.user",
            Self::Sha => "j.sha",
            Self::Reason => "j.failure_reason",
            Self::State => "j.state",
            Self::Id => "j.id",
            Self::Pipeline => "j.pipeline",
            Self::Time => "coalesce(j.finished_at, j.created_at)",
            Self::Took => "cast(j.duration * 1000000 AS INTEGER)",
        }
    }
}

/// A condition on jobs. A column without a value meets no condition but a negated one.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The column's text fits a glob of `*` and `?`; any other character stands for itself.
    Glob(Column, String),
    /// A path in the listing of the job's artifacts fits a glob.
    Artifact(String),
    /// The column's text is this one.
    Is(Column, String),
    /// The column's number lies between both, ends included.
    Between(Column, i64, i64),
    /// The condition does not hold.
    Not(Box<Condition>),
    /// All hold; true of none.
    All(Vec<Condition>),
    /// One holds; false of none.
    Any(Vec<Condition>),
}

/// Which jobs come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The highest id first.
    Newest,
    /// The lowest id first.
    Oldest,
}

pub(super) fn push_condition(sql: &mut QueryBuilder<Sqlite>, condition: &Condition) {
    match condition {
        Condition::Glob(column, glob) => {
            // SQLite's GLOB knows classes as well; a bracket of ours is only a bracket.
            let glob = glob.replace('[', "[[]");
            match column.word() {
                // Few words are compared instead of many rows.
                Some(word) => sql
                    .push("coalesce(")
                    .push(word)
                    .push(" IN (SELECT id FROM words WHERE text GLOB ")
                    .push_bind(glob)
                    .push("), 0)"),
                None => {
                    sql.push("coalesce(").push(column.sql()).push(" GLOB ").push_bind(glob);
                    sql.push(", 0)")
                }
            };
        }
        Condition::Artifact(glob) => {
            sql.push("j.id IN (SELECT e.job FROM artifact_paths f JOIN artifact_entries e ON e.path = f.id ");
            sql.push("WHERE f.path GLOB ").push_bind(glob.replace('[', "[[]")).push(")");
        }
        Condition::Is(column, text) => {
            match column.word() {
                Some(word) => sql
                    .push("coalesce(")
                    .push(word)
                    .push(" = (SELECT id FROM words WHERE text = ")
                    .push_bind(text.clone())
                    .push("), 0)"),
                None => {
                    sql.push("coalesce(").push(column.sql()).push(" = ").push_bind(text.clone());
                    sql.push(", 0)")
                }
            };
        }
        Condition::Between(column, low, high) => {
            sql.push("coalesce(").push(column.sql()).push(" BETWEEN ").push_bind(*low);
            sql.push(" AND ").push_bind(*high).push(", 0)");
        }
        Condition::Not(inner) => {
            sql.push("NOT (");
            push_condition(sql, inner);
            sql.push(")");
        }
        Condition::All(all) => push_joined(sql, all, " AND ", "1"),
        Condition::Any(any) => push_joined(sql, any, " OR ", "0"),
    }
}

fn push_joined(sql: &mut QueryBuilder<Sqlite>, conditions: &[Condition], joint: &str, none: &str) {
    if conditions.is_empty() {
        sql.push(none);
    }
    for (i, condition) in conditions.iter().enumerate() {
        sql.push(if i == 0 { "(" } else { joint });
        sql.push("(");
        push_condition(sql, condition);
        sql.push(")");
    }
    if !conditions.is_empty() {
        sql.push(")");
    }
}

impl Catalogue {
    /// Returns jobs that meet a condition, at most `limit`.
    pub async fn jobs(
        &self,
        condition: &Condition,
        order: Order,
        limit: u64,
    ) -> Result<Vec<JobRow>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT ");
        sql.push(JOB_COLUMNS).push(" FROM ").push(JOB_TABLES).push(" WHERE ");
        push_condition(&mut sql, condition);
        sql.push(match order {
            Order::Newest => " ORDER BY j.id DESC LIMIT ",
            Order::Oldest => " ORDER BY j.id LIMIT ",
        });
        sql.push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
        self.job_rows(sql).await
    }

    /// Returns the ids of all jobs that meet a condition, ascending.
    pub async fn job_ids(&self, condition: &Condition) -> Result<Vec<u64>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT j.id FROM jobs j JOIN projects p ON p.id = j.project WHERE ",
        );
        push_condition(&mut sql, condition);
        sql.push(" ORDER BY j.id");
        let ids: Vec<i64> =
            sql.build_query_scalar().fetch_all(&self.pool).await.map_err(self.failed("read"))?;
        Ok(ids.into_iter().map(|id| id as u64).collect())
    }

    /// Returns the rows of some jobs, in no order; an unknown id gives none.
    pub async fn jobs_by_id(&self, ids: &[JobId]) -> Result<Vec<JobRow>, CatalogueError> {
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IDS_PER_STATEMENT) {
            let mut sql = QueryBuilder::<Sqlite>::new("SELECT ");
            sql.push(JOB_COLUMNS).push(" FROM ").push(JOB_TABLES).push(" WHERE j.id IN ");
            push_ids(&mut sql, chunk.iter().map(|id| id.0));
            rows.extend(self.job_rows(sql).await?);
        }
        Ok(rows)
    }

    /// Returns a job's row, or `None` if the archive never heard of it.
    pub async fn job(&self, id: JobId) -> Result<Option<JobRow>, CatalogueError> {
        Ok(self.jobs_by_id(&[id]).await?.pop())
    }

    pub(super) async fn job_rows(
        &self,
        mut sql: QueryBuilder<Sqlite>,
    ) -> Result<Vec<JobRow>, CatalogueError> {
        let failed = self.failed("read");
        let rows = sql.build().fetch_all(&self.pool).await.map_err(&failed)?;
        rows.iter().map(|row| JobRow::read(row).map_err(&failed)).collect()
    }

    /// Returns some traces, in no order; an unknown id gives none. A damaged row gives its error beside the others.
    pub async fn traces(
        &self,
        ids: &[TraceId],
    ) -> Result<Vec<Result<TraceRow, CatalogueError>>, CatalogueError> {
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IDS_PER_STATEMENT) {
            let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM traces WHERE id IN ");
            push_ids(&mut sql, chunk.iter().map(|id| id.0));
            rows.extend(self.trace_rows(sql.build()).await?);
        }
        Ok(rows)
    }

    /// Returns the trace that stands for a job, or `None` where none does.
    pub async fn trace_of(&self, job: &JobRow) -> Result<Option<TraceRow>, CatalogueError> {
        let Some(id) = job.trace else { return Ok(None) };
        let lost = CatalogueError::Row { job: job.id.0, what: "its log is not listed" };
        let found = self.traces(&[id]).await?.pop().ok_or(lost)?;
        found?.of(job.id).map(Some)
    }

    /// Returns the traces stored after `after`, in the order of storing, at most `limit`. A damaged row gives its error
    /// beside the others.
    pub async fn traces_after(
        &self,
        after: TraceId,
        limit: u32,
    ) -> Result<Vec<(TraceId, Result<TraceRow, CatalogueError>)>, CatalogueError> {
        let failed = self.failed("read");
        let sql = sqlx::query("SELECT * FROM traces WHERE id > ? ORDER BY id LIMIT ?")
            .bind(after.0 as i64)
            .bind(limit);
        let rows: Vec<SqliteRow> = sql.fetch_all(&self.pool).await.map_err(&failed)?;
        let read = |row: &SqliteRow| {
            Ok((TraceId(row.try_get::<i64, _>("id")? as u64), TraceRow::read(row)?))
        };
        let rows: Vec<_> =
            rows.iter().map(|row| read(row).map_err(&failed)).collect::<Result<_, _>>()?;
        self.check_order(after.0 as i64, rows.iter().map(|(id, _)| id.0 as i64))?;
        Ok(rows)
    }

    async fn trace_rows(
        &self,
        sql: sqlx::query::Query<'_, Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<Vec<Result<TraceRow, CatalogueError>>, CatalogueError> {
        let failed = self.failed("read");
        let rows: Vec<SqliteRow> = sql.fetch_all(&self.pool).await.map_err(&failed)?;
        rows.iter().map(|row| TraceRow::read(row).map_err(&failed)).collect()
    }

    /// Returns all projects, by path.
    pub async fn projects(&self) -> Result<Vec<ProjectRow>, CatalogueError> {
        let failed = self.failed("read");
        let rows = sqlx::query("SELECT * FROM projects ORDER BY path")
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        let read = |row: &SqliteRow| -> Result<ProjectRow, sqlx::Error> {
            Ok(ProjectRow {
                id: ProjectId(row.try_get::<i64, _>("id")? as u64),
                path: row.try_get("path")?,
                web_url: row.try_get("web_url")?,
                seen_at: Timestamp::from_microsecond(row.try_get("seen_at")?).unwrap_or_default(),
                newest_job: JobId(row.try_get::<i64, _>("newest_job")? as u64),
            })
        };
        rows.iter().map(|row| read(row).map_err(&failed)).collect()
    }

    /// Returns the walks of the job lists that have not come to their end.
    pub async fn walks(&self) -> Result<Vec<Walk>, CatalogueError> {
        let failed = self.failed("read");
        let rows = sqlx::query("SELECT * FROM walks ORDER BY id").fetch_all(&self.pool).await;
        let read = |row: &SqliteRow| -> Result<Walk, sqlx::Error> {
            Ok(Walk {
                id: row.try_get::<i64, _>("id")? as u64,
                project: ProjectId(row.try_get::<i64, _>("project")? as u64),
                cursor: row.try_get("cursor")?,
                until: JobId(row.try_get::<i64, _>("until")? as u64),
                reached_at: row
                    .try_get::<Option<i64>, _>("reached_at")?
                    .and_then(|at| Timestamp::from_microsecond(at).ok()),
            })
        };
        rows.map_err(&failed)?.iter().map(|row| read(row).map_err(&failed)).collect()
    }

    /// Returns the packs, by number: number, name and length.
    pub async fn packs(&self) -> Result<Vec<(u64, PackName, u64)>, CatalogueError> {
        let failed = self.failed("read");
        let rows: Vec<(i64, Vec<u8>, i64)> =
            sqlx::query_as("SELECT id, name, bytes FROM packs ORDER BY id")
                .fetch_all(&self.pool)
                .await
                .map_err(&failed)?;
        let named = |(id, name, bytes): (i64, Vec<u8>, i64)| {
            let name = <[u8; 32]>::try_from(name).ok()?;
            Some((id as u64, PackName(name), bytes as u64))
        };
        Ok(rows.into_iter().filter_map(named).collect())
    }

    /// Returns the highest number in use of packs, traces, walks and captures.
    pub(crate) async fn highest(&self) -> Result<[u64; 4], CatalogueError> {
        let (packs, traces, walks, captures): (i64, i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT coalesce(max(id), 0) FROM packs), (SELECT coalesce(max(id), 0) FROM traces), \
             (SELECT coalesce(max(id), 0) FROM walks), (SELECT coalesce(max(id), 0) FROM captures)",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        Ok([packs as u64, traces as u64, walks as u64, captures as u64])
    }

    /// Returns a value of the archive's own.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, CatalogueError> {
        sqlx::query_scalar("SELECT value FROM meta WHERE key = ?")
            .bind(key)
            .fetch_optional(&self.pool)
            .await
            .map_err(self.failed("read"))
    }

    /// Returns where the job's document stands: number of the pack, offset of the ledger, number within it.
    pub async fn document(&self, job: JobId) -> Result<Option<(u64, u64, u64)>, CatalogueError> {
        let row: Option<(Option<i64>, Option<i64>, Option<i64>)> =
            sqlx::query_as("SELECT doc_pack, doc_offset, doc_index FROM jobs WHERE id = ?")
                .bind(job.0 as i64)
                .fetch_optional(&self.pool)
                .await
                .map_err(self.failed("read"))?;
        Ok(match row {
            Some((Some(pack), Some(offset), Some(index))) => {
                Some((pack as u64, offset as u64, index as u64))
            }
            _ => None,
        })
    }
}

/// Adds a list of ids as one value, so that the statement is the same for any number of them and is kept prepared once.
pub(super) fn push_ids(sql: &mut QueryBuilder<Sqlite>, ids: impl Iterator<Item = u64>) {
    let ids: Vec<i64> = ids.map(|id| id as i64).collect();
    let list = serde_json::Value::from(ids).to_string();
    sql.push("(SELECT value FROM json_each(").push_bind(list).push("))");
}
