//! How much the archive holds, cheaply enough to be asked after every search that finds nothing.

use jiff::Timestamp;

use super::{Catalogue, CatalogueError};

/// How many logs there are, their bytes, and the time of the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Traces that stand for jobs.
    pub logs: u64,
    /// Their bytes before compression.
    pub raw_bytes: u64,
    /// When the jobs with the lowest and the highest id came to be.
    pub period: Option<(Timestamp, Timestamp)>,
}

impl Catalogue {
    /// Returns what there is to search.
    pub async fn extent(&self) -> Result<Extent, CatalogueError> {
        let (logs, bytes, oldest, newest): (i64, i64, Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT coalesce(sum(traces), 0), coalesce(sum(raw_bytes), 0), \
             (SELECT created_at FROM job_rows ORDER BY id LIMIT 1), \
             (SELECT created_at FROM job_rows ORDER BY id DESC LIMIT 1) FROM tallies",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        let time = |micros: Option<i64>| Timestamp::from_microsecond(micros?).ok();
        let period = time(oldest).zip(time(newest));
        Ok(Extent { logs: logs as u64, raw_bytes: bytes as u64, period })
    }
}
