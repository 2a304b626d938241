//! By whom and when jobs were captured.

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::query::push_ids;
use super::{Catalogue, CatalogueError};
use crate::model::JobId;

/// By whom and when a job was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The job.
    pub job: JobId,
    /// When its document was last received.
    pub listed_at: Option<Timestamp>,
    /// When its log was fetched; `None` where it has none.
    pub fetched_at: Option<Timestamp>,
    /// The server that was asked, and the rest of this; `None` where no capture got to this job.
    pub host: Option<String>,
    /// The server's version, empty where it did not tell.
    pub gitlab_version: Option<String>,
    /// The token's user, empty where the server did not tell.
    pub user: Option<String>,
    /// The version of jobvault.
    pub jobvault_version: Option<String>,
    /// When that run of jobvault began.
    pub began_at: Option<Timestamp>,
}

/// Jobs looked up in one statement.
const JOBS_PER_STATEMENT: usize = 1000;

impl Catalogue {
    /// Returns by whom some jobs were captured, in no order; an unknown id gives none.
    pub async fn provenance(&self, jobs: &[JobId]) -> Result<Vec<Provenance>, CatalogueError> {
        let failed = self.failed("read");
        let mut found = Vec::with_capacity(jobs.len());
        for chunk in jobs.chunks(JOBS_PER_STATEMENT) {
            let mut sql = QueryBuilder::<Sqlite>::new(
                "SELECT j.id, j.listed_at, t.fetched_at, c.host, c.gitlab_version, c.user, \
                 c.jobvault_version, c.started_at FROM jobs j LEFT JOIN traces t ON t.id = j.trace \
                 LEFT JOIN captures c ON c.id = j.capture WHERE j.id IN ",
            );
            push_ids(&mut sql, chunk.iter().map(|job| job.0));
            for row in sql.build().fetch_all(&self.pool).await.map_err(&failed)? {
                let time = |column| -> Result<Option<Timestamp>, sqlx::Error> {
                    let micros: Option<i64> = row.try_get(column)?;
                    Ok(micros.and_then(|at| Timestamp::from_microsecond(at).ok()))
                };
                let read = || -> Result<Provenance, sqlx::Error> {
                    Ok(Provenance {
                        job: JobId(row.try_get::<i64, _>("id")? as u64),
                        listed_at: time("listed_at")?,
                        fetched_at: time("fetched_at")?,
                        host: row.try_get("host")?,
                        gitlab_version: row.try_get("gitlab_version")?,
                        user: row.try_get("user")?,
                        jobvault_version: row.try_get("jobvault_version")?,
                        began_at: time("started_at")?,
                    })
                };
                found.push(read().map_err(&failed)?);
            }
        }
        Ok(found)
    }
}
