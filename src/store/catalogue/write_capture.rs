//! The part of a batch's transaction that is about capturing: marks of projects, pipelines, postponed jobs.
//!
//! Runs after the rows of jobs were written. Fails as the transaction does.

use sqlx::{QueryBuilder, Sqlite};

use super::capture::Marks;
use super::write::{Tx, Writes, micros};
use crate::model::ProjectId;

/// Rows a statement inserts at once.
const ROWS_PER_STATEMENT: usize = 1000;

/// Writes it all.
pub(super) async fn apply(tx: &mut Tx<'_>, writes: &Writes) -> Result<(), sqlx::Error> {
    put_pipelines(tx, writes).await?;
    for (project, marks) in &writes.marks {
        put_marks(tx, *project, marks).await?;
    }
    for (job, at) in &writes.postponed {
        // A job that got a state in the same batch has its time from there.
        sqlx::query("UPDATE job_rows SET next_at = ? WHERE id = ? AND next_at IS NOT NULL")
            .bind(at.as_microsecond())
            .bind(job.0 as i64)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn put_pipelines(tx: &mut Tx<'_>, writes: &Writes) -> Result<(), sqlx::Error> {
    let met: Vec<_> = writes.pipelines_met.iter().collect();
    for chunk in met.chunks(ROWS_PER_STATEMENT) {
        let mut sql = QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO pipelines (id, project) ");
        sql.push_values(chunk, |mut row, (id, project)| {
            row.push_bind(id.0 as i64).push_bind(project.0 as i64);
        });
        sql.build().persistent(false).execute(&mut **tx).await?;
    }
    let rows: Vec<_> = writes.pipelines.values().collect();
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "INSERT INTO pipelines (id, project, updated_at, to_ask, apart) ",
        );
        sql.push_values(chunk, |mut row, pipeline| {
            row.push_bind(pipeline.id.0 as i64)
                .push_bind(pipeline.project.0 as i64)
                .push_bind(micros(pipeline.updated_at))
                .push_bind(pipeline.to_ask)
                .push_bind(pipeline.apart);
        });
        sql.push(
            " ON CONFLICT (id) DO UPDATE SET updated_at = coalesce(excluded.updated_at, updated_at), \
             to_ask = excluded.to_ask, apart = max(apart, excluded.apart)",
        );
        sql.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}

async fn put_marks(tx: &mut Tx<'_>, project: ProjectId, marks: &Marks) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE projects SET delete_after_secs = nullif(coalesce(?, delete_after_secs), 0), \
         changes_through = coalesce(?, changes_through), children_at = coalesce(?, children_at), \
         swept_at = coalesce(?, swept_at), sweep_cursor = coalesce(?, sweep_cursor) WHERE id = ?",
    )
    .bind(marks.delete_after_secs.and_then(|n| i64::try_from(n).ok()))
    .bind(micros(marks.changes_through))
    .bind(micros(marks.children_at))
    .bind(micros(marks.swept_at))
    .bind(&marks.sweep_cursor)
    .bind(project.0 as i64)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
