//! What a search reads: jobs beside the traces that stand for them, and where the packs and bases of these are.
//!
//! Each question is one statement, and asks for no more than is needed: a search is over in the time that a few
//! thousand rows take.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::query::{IDS_PER_STATEMENT, push_ids};
use super::rows::{JOB_COLUMNS, JOB_TABLES};
use super::{BaseRow, Catalogue, CatalogueError, JobRow, TraceId, TraceRow};
use crate::model::JobId;
use crate::store::packs::PackName;

/// A job and the trace that stands for it, where there is one; a damaged row of a trace gives its error.
pub(crate) type FoundJob = (JobRow, Option<Result<TraceRow, CatalogueError>>);

impl Catalogue {
    /// Makes the statements of a search ready, which takes as long as their first rows: for while the index is asked.
    pub(crate) async fn prepare_search(&self) -> Result<(), CatalogueError> {
        for mut sql in [jobs_and_traces(&[]), packs_and_bases(&[], &[])] {
            sql.build().fetch_all(&self.pool).await.map_err(self.failed("read"))?;
        }
        self.traces_after(TraceId(i64::MAX as u64), 0).await.map(drop)
    }

    /// Returns some jobs and their traces, in no order; an unknown id gives none.
    pub(crate) async fn found_jobs(&self, ids: &[JobId]) -> Result<Vec<FoundJob>, CatalogueError> {
        let failed = self.failed("read");
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(IDS_PER_STATEMENT) {
            let mut sql = jobs_and_traces(chunk);
            let rows = sql.build().fetch_all(&self.pool).await.map_err(&failed)?;
            for row in &rows {
                let job = JobRow::read(row).map_err(&failed)?;
                let trace = job.trace.map(|id| read_trace(row, id, &job)).transpose();
                let trace = trace.map_err(&failed)?;
                found.push((job, trace));
            }
        }
        Ok(found)
    }

    /// Returns the names of some packs, and where some bases stand with the names of their packs.
    pub(crate) async fn places(
        &self,
        packs: &[u64],
        bases: &[u64],
    ) -> Result<(Vec<(u64, PackName)>, Vec<BaseRow>), CatalogueError> {
        let failed = self.failed("read");
        let (mut names, mut places) = (Vec::new(), Vec::new());
        let steps = packs.len().max(bases.len()).div_ceil(IDS_PER_STATEMENT);
        for step in 0..steps {
            let mut sql = packs_and_bases(part(packs, step), part(bases, step));
            for row in sql.build().fetch_all(&self.pool).await.map_err(&failed)? {
                let (name, base) = read_place(&row).map_err(&failed)?;
                names.extend(name);
                places.extend(base);
            }
        }
        Ok((names, places))
    }
}

fn jobs_and_traces(ids: &[JobId]) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(JOB_COLUMNS);
    sql.push(", t.job AS trace_job, t.lines AS trace_lines, t.frames AS trace_frames FROM ");
    sql.push(JOB_TABLES).push(" WHERE j.id IN ");
    push_ids(&mut sql, ids.iter().map(|id| id.0));
    sql
}

fn packs_and_bases(packs: &[u64], bases: &[u64]) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(
        "SELECT id AS pack, name, NULL AS id, NULL AS hash, 0 AS offset, 0 AS stored_bytes, 0 AS raw_bytes \
         FROM packs WHERE id IN ",
    );
    push_ids(&mut sql, packs.iter().copied());
    sql.push(
        " UNION ALL SELECT b.pack, p.name, b.id, b.hash, b.offset, b.stored_bytes, b.raw_bytes \
         FROM bases b LEFT JOIN packs p ON p.id = b.pack WHERE b.id IN ",
    );
    push_ids(&mut sql, bases.iter().copied());
    sql
}

/// Returns those of a list of ids that one statement asks for.
fn part(ids: &[u64], step: usize) -> &[u64] {
    ids.chunks(IDS_PER_STATEMENT).nth(step).unwrap_or_default()
}

fn read_trace(
    row: &SqliteRow,
    id: TraceId,
    job: &JobRow,
) -> Result<Result<TraceRow, CatalogueError>, sqlx::Error> {
    let Some(raw_bytes) = job.raw_bytes else {
        return Ok(Err(CatalogueError::Row { job: job.id.0, what: "its log is not listed" }));
    };
    let number = |column| row.try_get::<i64, _>(column).map(|n| n as u64);
    let (owner, lines) = (JobId(number("trace_job")?), number("trace_lines")?);
    let bare = TraceRow { id, job: owner, raw_bytes, lines, hash: [0; 32], frames: Vec::new() };
    let trace = bare.with(row.try_get("trace_hash")?, row.try_get("trace_frames")?);
    Ok(trace.and_then(|trace| trace.of(job.id)))
}

type Place = (Option<(u64, PackName)>, Option<BaseRow>);

fn read_place(row: &SqliteRow) -> Result<Place, sqlx::Error> {
    let number = |column| row.try_get::<i64, _>(column).map(|n| n as u64);
    let pack = number("pack")?;
    let name: Option<Vec<u8>> = row.try_get("name")?;
    let name = name.and_then(|name| name.try_into().ok()).map(|name| (pack, PackName(name)));
    let Some(id) = row.try_get::<Option<i64>, _>("id")? else { return Ok((name, None)) };
    let base = BaseRow {
        id: id as u64,
        // A hash of another length matches no content.
        hash: row.try_get::<Vec<u8>, _>("hash")?.try_into().unwrap_or_default(),
        pack,
        offset: number("offset")?,
        stored_bytes: number("stored_bytes")?,
        raw_bytes: number("raw_bytes")?,
        project: 0,
        sketch: Vec::new(),
    };
    Ok((name, Some(base)))
}
