//! The one transaction that makes a batch true.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::bases::{BaseRow, put_bases};
use super::capture::{Marks, PipelineRow};
use super::frames;
use super::rows::{ProjectRow, TraceId, TraceRow, Walk};
use super::write_artifacts::{self, ArtifactWrites};
use super::{Catalogue, CatalogueError, write_capture, write_jobs};
use crate::model::{Job, JobId, PipelineId, ProjectId, TraceState};

/// Rows a statement inserts at once; SQLite takes at most 32,766 values in one. Such a statement is not kept prepared:
/// each number of rows is another one, of up to half a megabyte.
const ROWS_PER_STATEMENT: usize = 500;

/// A job as the server described it, for its row.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) job: Job,
    pub(crate) project: ProjectId,
    /// The server's list of its files as JSON, `None` where empty.
    pub(crate) artifacts: Option<String>,
    pub(crate) digest: i64,
    /// Where the document stands in this batch's pack: offset of the ledger, number within it.
    pub(crate) doc: Option<(u64, u64)>,
    pub(crate) bridge: bool,
    /// The pipeline it started.
    pub(crate) downstream: Option<(ProjectId, PipelineId)>,
    pub(crate) at: Timestamp,
}

/// What became of a job's trace, for its row.
#[derive(Debug, Clone)]
pub(crate) struct JobState {
    pub(crate) state: TraceState,
    pub(crate) reason: String,
    pub(crate) at: Timestamp,
    /// When to look again; `None` settles the job.
    pub(crate) next_at: Option<Timestamp>,
    pub(crate) attempts: u32,
    /// The trace that stands for it from now on; `None` leaves it as it is.
    pub(crate) trace: Option<TraceId>,
    pub(crate) capture: Option<u64>,
    /// Set when the server turned out to have the job no longer.
    pub(crate) gone_at: Option<Timestamp>,
    /// Set when the server turned out to have erased the log.
    pub(crate) erased_seen_at: Option<Timestamp>,
}

/// A pack that became durable.
#[derive(Debug, Clone)]
pub(crate) struct PackRow {
    pub(crate) id: u64,
    pub(crate) name: [u8; 32],
    pub(crate) bytes: u64,
    /// Entries in it.
    pub(crate) entries: u64,
    pub(crate) at: Timestamp,
    pub(crate) compacted: bool,
}

/// By whom jobs were captured.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    pub(crate) id: u64,
    pub(crate) host: String,
    pub(crate) gitlab_version: String,
    pub(crate) user: String,
    /// The version of jobvault that captured.
    pub(crate) version: String,
    pub(crate) at: Timestamp,
}

/// Everything one transaction writes.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) pack: Option<PackRow>,
    /// The pack in which the documents stand, where it is another.
    pub(crate) documents_in: Option<u64>,
    pub(crate) bases: Vec<BaseRow>,
    pub(crate) captures: Vec<Capture>,
    pub(crate) projects: Vec<ProjectRow>,
    pub(crate) listings: BTreeMap<JobId, Listing>,
    pub(crate) states: BTreeMap<JobId, JobState>,
    pub(crate) traces: Vec<(TraceRow, Timestamp)>,
    /// Walks begun or moved on.
    pub(crate) walks: BTreeMap<u64, Walk>,
    /// Walks at their end.
    pub(crate) walks_done: Vec<u64>,
    pub(crate) synced: BTreeMap<ProjectId, Timestamp>,
    pub(crate) marks: BTreeMap<ProjectId, Marks>,
    /// Pipelines met; one that is known stays as it is.
    pub(crate) pipelines_met: BTreeMap<PipelineId, ProjectId>,
    pub(crate) pipelines: BTreeMap<PipelineId, PipelineRow>,
    /// Jobs that are looked at again at another time than their state said.
    pub(crate) postponed: BTreeMap<JobId, Timestamp>,
    pub(crate) artifacts: ArtifactWrites,
}

pub(super) type Tx<'a> = Transaction<'a, Sqlite>;

impl Catalogue {
    /// Writes all of it, or nothing.
    pub(crate) async fn write(&self, writes: &Writes) -> Result<(), CatalogueError> {
        let failed = self.failed("written");
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        apply(&mut tx, writes).await.map_err(&failed)?;
        tx.commit().await.map_err(&failed)
    }

    /// Sets a value of the archive's own, such as the host it archives.
    pub(crate) async fn set_meta(&self, key: &str, value: &str) -> Result<(), CatalogueError> {
        sqlx::query("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
            .bind(key)
            .bind(value)
            .execute(&self.pool)
            .await
            .map_err(self.failed("written"))?;
        Ok(())
    }
}

async fn apply(tx: &mut Tx<'_>, writes: &Writes) -> Result<(), sqlx::Error> {
    if let Some(pack) = &writes.pack {
        put_pack(tx, pack).await?;
    }
    put_bases(tx, &writes.bases).await?;
    for capture in &writes.captures {
        put_capture(tx, capture).await?;
    }
    for project in &writes.projects {
        put_project(tx, project).await?;
    }
    write_jobs::put_listings(tx, writes).await?;
    put_traces(tx, &writes.traces).await?;
    write_jobs::put_states(tx, &writes.states).await?;
    put_walks(tx, writes).await?;
    write_capture::apply(tx, writes).await?;
    write_artifacts::apply(tx, writes).await?;
    for (project, at) in &writes.synced {
        sqlx::query("UPDATE projects SET synced_at = ? WHERE id = ?")
            .bind(at.as_microsecond())
            .bind(project.0 as i64)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Inserts the row of a pack.
pub(super) async fn put_pack(tx: &mut Tx<'_>, pack: &PackRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO packs (id, name, bytes, entries, created_at, compacted) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(pack.id as i64)
    .bind(&pack.name[..])
    .bind(pack.bytes as i64)
    .bind(pack.entries as i64)
    .bind(pack.at.as_microsecond())
    .bind(pack.compacted)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn put_capture(tx: &mut Tx<'_>, capture: &Capture) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO captures (id, host, gitlab_version, user, jobvault_version, started_at) \
         VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
    )
    .bind(capture.id as i64)
    .bind(&capture.host)
    .bind(&capture.gitlab_version)
    .bind(&capture.user)
    .bind(&capture.version)
    .bind(capture.at.as_microsecond())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn put_project(tx: &mut Tx<'_>, project: &ProjectRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO projects (id, path, web_url, seen_at, newest_job) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (id) DO UPDATE SET path = excluded.path, web_url = excluded.web_url, \
         seen_at = excluded.seen_at, newest_job = max(newest_job, excluded.newest_job)",
    )
    .bind(project.id.0 as i64)
    .bind(&project.path)
    .bind(&project.web_url)
    .bind(project.seen_at.as_microsecond())
    .bind(project.newest_job.0 as i64)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn put_traces(tx: &mut Tx<'_>, traces: &[(TraceRow, Timestamp)]) -> Result<(), sqlx::Error> {
    for chunk in traces.chunks(ROWS_PER_STATEMENT) {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "INSERT INTO traces (id, job, raw_bytes, lines, hash, fetched_at, frames) ",
        );
        sql.push_values(chunk, |mut row, (trace, at)| {
            let (hash, list) = frames::encode(trace);
            row.push_bind(trace.id.0 as i64)
                .push_bind(trace.job.0 as i64)
                .push_bind(trace.raw_bytes as i64)
                .push_bind(trace.lines as i64)
                .push_bind(hash)
                .push_bind(at.as_microsecond())
                .push_bind(list);
        });
        sql.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn put_walks(tx: &mut Tx<'_>, writes: &Writes) -> Result<(), sqlx::Error> {
    for walk in writes.walks.values() {
        sqlx::query(
            "INSERT INTO walks (id, project, cursor, until, reached_at) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET cursor = excluded.cursor, until = excluded.until, \
             reached_at = excluded.reached_at",
        )
        .bind(walk.id as i64)
        .bind(walk.project.0 as i64)
        .bind(&walk.cursor)
        .bind(walk.until.0 as i64)
        .bind(micros(walk.reached_at))
        .execute(&mut **tx)
        .await?;
    }
    for walk in &writes.walks_done {
        sqlx::query("DELETE FROM walks WHERE id = ?").bind(*walk as i64).execute(&mut **tx).await?;
    }
    Ok(())
}

pub(super) fn micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(|t| t.as_microsecond())
}
