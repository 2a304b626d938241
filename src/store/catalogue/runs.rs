//! Reading many jobs at a glance: those with a log, when they ran, and one property of each.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{QueryBuilder, Sqlite};

use super::query::push_condition;
use super::{Catalogue, CatalogueError, Column, Condition};

/// Rows read at once.
const ROWS_AT_ONCE: i64 = 20_000;

/// A job that has a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The job's id.
    pub id: u64,
    /// When it ended, or came to be where it has not ended.
    pub time: Option<Timestamp>,
    /// Length of its log, in bytes.
    pub raw_bytes: u64,
    /// Its place among [`Runs::values`]; `None` where it has no such property.
    pub value: Option<usize>,
}

/// Jobs that have a log, and one property of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    /// The jobs, by id.
    pub list: Vec<Run>,
    /// What the property says, each text once.
    pub values: Vec<String>,
}

impl Catalogue {
    /// Returns the jobs with a log that meet a condition, and what a column of text says of each.
    pub async fn runs(
        &self,
        condition: &Condition,
        column: Column,
    ) -> Result<Runs, CatalogueError> {
        let mut runs = Runs::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        loop {
            let after = runs.list.last().map_or(-1, |run| run.id as i64);
            let mut sql = QueryBuilder::<Sqlite>::new("SELECT j.id, ");
            sql.push(Column::Time.sql()).push(", t.raw_bytes, CAST(").push(column.sql());
            sql.push(
                " AS TEXT) FROM jobs j JOIN projects p ON p.id = j.project \
                 JOIN traces t ON t.id = j.trace WHERE j.id > ",
            );
            sql.push_bind(after).push(" AND ");
            push_condition(&mut sql, condition);
            sql.push(" ORDER BY j.id LIMIT ").push_bind(ROWS_AT_ONCE);
            let rows: Vec<(i64, Option<i64>, i64, Option<String>)> =
                sql.build_query_as().fetch_all(&self.pool).await.map_err(self.failed("read"))?;
            self.check_order(after, rows.iter().map(|row| row.0))?;
            let last = (rows.len() as i64) < ROWS_AT_ONCE;
            for (id, time, raw_bytes, text) in rows {
                let value = text.filter(|text| !text.is_empty()).map(|text| {
                    *places.entry(text).or_insert_with_key(|text| {
                        runs.values.push(text.clone());
                        runs.values.len() - 1
                    })
                });
                let time = time.and_then(|micros| Timestamp::from_microsecond(micros).ok());
                runs.list.push(Run { id: id as u64, time, raw_bytes: raw_bytes as u64, value });
            }
            if last {
                return Ok(runs);
            }
        }
    }
}
