//! Rows of artifacts: what became of each archive, where its listing and its bytes are.
//!
//! Knows neither archives nor GitLab. Fails as every reading of the catalogue.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::capture::list;
use super::query::push_ids;
use super::{Catalogue, CatalogueError};
use crate::model::{ArtifactMode, ArtifactState, JobId, ProjectId};

/// Ids looked up in one statement.
const IDS_PER_STATEMENT: usize = 1000;

/// A file of an archive that is kept by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its path in the archive.
    pub path: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// BLAKE3 of it, in hexadecimal.
    pub blake3: String,
}

impl StoredFile {
    /// Returns the hash, or `None` where it is none.
    pub fn hash(&self) -> Option<[u8; 32]> {
        Some(*blake3::Hash::from_hex(&self.blake3).ok()?.as_bytes())
    }
}

/// What became of a job's artifacts archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactRow {
    /// The job.
    pub job: JobId,
    /// Length of the archive as announced, in bytes.
    pub bytes: Option<u64>,
    /// What became of it.
    pub state: ArtifactState,
    /// Why, in words.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// What was wanted when it was settled.
    pub level: ArtifactMode,
    /// When it is tried again, where it failed.
    pub next_at: Option<Timestamp>,
    /// How often it failed in a row.
    pub attempts: u32,
    /// Where its listing stands: pack, offset of the ledger, number within it.
    pub listing: Option<(u64, u64, u64)>,
    /// Entries of the archive, where its listing is kept.
    pub entries: Option<u64>,
    /// BLAKE3 of the archive, where it is kept.
    pub archive: Option<[u8; 32]>,
    /// Files that are kept by themselves.
    pub files: Vec<StoredFile>,
}

/// A job whose artifacts are to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactToFetch {
    /// What is known of it.
    pub row: ArtifactRow,
    /// Its project.
    pub project: ProjectId,
    /// The server's list of its files, as JSON.
    pub listed: Option<String>,
    /// When they expire.
    pub expire_at: Option<Timestamp>,
    /// The job was erased, or deleted.
    pub is_gone: bool,
}

/// Which artifacts are to be fetched.
#[derive(Debug, Clone)]
pub struct ArtifactBacklog {
    /// Of these projects.
    pub projects: Vec<ProjectId>,
    /// Of jobs that came to be at or after this time.
    pub since: Option<Timestamp>,
    /// How much is wanted.
    pub mode: ArtifactMode,
    /// Archives that were too large are wanted up to this length.
    pub max_bytes: u64,
    /// Those that failed are wanted if they did before this time.
    pub failed_before: Timestamp,
    /// Those that failed are wanted only when their time has come.
    pub patient: bool,
    /// The time, in the server's reckoning.
    pub now: Timestamp,
    /// At most so many.
    pub limit: u32,
}

/// How many artifacts of a project are in a state for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactCount {
    /// The project.
    pub project: ProjectId,
    /// Its path when it was last seen.
    pub path: String,
    /// The state.
    pub state: ArtifactState,
    /// Why, in words.
    pub reason: String,
    /// How many jobs.
    pub jobs: u64,
    /// Bytes of the archives as announced.
    pub bytes: u64,
}

/// A chunk and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkRow {
    pub(crate) hash: [u8; 32],
    pub(crate) pack: u64,
    pub(crate) offset: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) raw_bytes: u64,
}

/// A file by its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    /// BLAKE3 of it.
    pub hash: [u8; 32],
    /// Its length, in bytes.
    pub bytes: u64,
    /// Hashes of its chunks, in order.
    pub chunks: Vec<[u8; 32]>,
}

pub(super) fn level(mode: ArtifactMode) -> i64 {
    match mode {
        ArtifactMode::None => 0,
        ArtifactMode::Listing => 1,
        ArtifactMode::Reports => 2,
        ArtifactMode::All => 3,
    }
}

pub(super) fn mode(level: i64) -> ArtifactMode {
    match level {
        ..=0 => ArtifactMode::None,
        1 => ArtifactMode::Listing,
        2 => ArtifactMode::Reports,
        3.. => ArtifactMode::All,
    }
}

pub(super) fn time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let micros = row.try_get::<Option<i64>, _>(column)?;
    Ok(micros.and_then(|m| Timestamp::from_microsecond(m).ok()))
}

fn read(row: &SqliteRow) -> Result<ArtifactRow, sqlx::Error> {
    let number = |column: &str| -> Result<Option<u64>, sqlx::Error> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(|n| n as u64))
    };
    let state: String = row.try_get("state")?;
    let archive: Option<Vec<u8>> = row.try_get("archive")?;
    let files: Option<String> = row.try_get("files")?;
    let place = (number("listing_pack")?, number("listing_offset")?, number("listing_index")?);
    Ok(ArtifactRow {
        job: JobId(row.try_get::<i64, _>("job")? as u64),
        bytes: number("bytes")?,
        state: state.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))?,
        reason: row.try_get("reason")?,
        at: time(row, "at")?.unwrap_or_default(),
        level: mode(row.try_get("level")?),
        next_at: time(row, "next_at")?,
        attempts: row.try_get("attempts")?,
        listing: match place {
            (Some(pack), Some(offset), Some(index)) => Some((pack, offset, index)),
            _ => None,
        },
        entries: number("entries")?,
        archive: archive.and_then(|hash| hash.try_into().ok()),
        files: files.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
    })
}

/// The rows that [`read_to_fetch`] reads.
const TO_FETCH: &str = "SELECT a.*, j.project, j.artifacts AS listed, \
     j.artifacts_expire_at AS expire_at, \
     (j.gone_at IS NOT NULL OR j.erased_at IS NOT NULL) AS is_gone \
     FROM artifacts a JOIN jobs j ON j.id = a.job";

fn read_to_fetch(row: &SqliteRow) -> Result<ArtifactToFetch, sqlx::Error> {
    Ok(ArtifactToFetch {
        row: read(row)?,
        project: ProjectId(row.try_get::<i64, _>("project")? as u64),
        listed: row.try_get("listed")?,
        expire_at: time(row, "expire_at")?,
        is_gone: row.try_get("is_gone")?,
    })
}

impl Catalogue {
    /// Returns what is known of the artifacts of some jobs, in no order; a job without any gives none.
    pub async fn artifacts(&self, jobs: &[JobId]) -> Result<Vec<ArtifactRow>, CatalogueError> {
        let failed = self.failed("read");
        let mut rows = Vec::new();
        for chunk in jobs.chunks(IDS_PER_STATEMENT) {
            let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM artifacts WHERE job IN ");
            push_ids(&mut sql, chunk.iter().map(|id| id.0));
            let found = sql.build().fetch_all(&self.pool).await.map_err(&failed)?;
            for row in &found {
                rows.push(read(row).map_err(&failed)?);
            }
        }
        Ok(rows)
    }

    /// Returns the artifacts to fetch, the soonest to be lost first, then the newest.
    pub async fn artifact_backlog(
        &self,
        wanted: &ArtifactBacklog,
    ) -> Result<Vec<ArtifactToFetch>, CatalogueError> {
        let failed = self.failed("read");
        let now = wanted.now.as_microsecond();
        let mut sql = QueryBuilder::<Sqlite>::new(TO_FETCH);
        sql.push(" WHERE (a.level < ").push_bind(level(wanted.mode));
        // What was too large for its listing's sake alone was not: only the archive has a limit.
        sql.push(" OR (a.state = 'too_large' AND a.archive IS NULL AND a.bytes <= ");
        sql.push_bind(i64::try_from(wanted.max_bytes).unwrap_or(i64::MAX));
        sql.push(
            ")) AND j.status IN ('success', 'failed', 'canceled') AND (a.attempts = 0 OR (a.at < ",
        );
        sql.push_bind(wanted.failed_before.as_microsecond());
        if wanted.patient {
            sql.push(" AND coalesce(a.next_at, 0) <= ").push_bind(now);
        }
        sql.push(")) AND j.project IN (SELECT value FROM json_each(");
        sql.push_bind(list(&wanted.projects)).push("))");
        if let Some(since) = wanted.since {
            sql.push(" AND j.created_at >= ").push_bind(since.as_microsecond());
        }
        sql.push(" ORDER BY CASE WHEN j.artifacts_expire_at > ").push_bind(now);
        sql.push(" THEN j.artifacts_expire_at ELSE 9e18 END, j.id DESC LIMIT ");
        sql.push_bind(wanted.limit);
        let rows = sql.build().fetch_all(&self.pool).await.map_err(&failed)?;
        rows.iter().map(|row| read_to_fetch(row).map_err(&failed)).collect()
    }

    /// Returns what is to be known for fetching one job's artifacts, `None` where it lists no archive.
    pub(crate) async fn artifact_to_fetch(
        &self,
        job: JobId,
    ) -> Result<Option<ArtifactToFetch>, CatalogueError> {
        let failed = self.failed("read");
        let mut sql = QueryBuilder::<Sqlite>::new(TO_FETCH);
        sql.push(" WHERE a.job = ").push_bind(job.0 as i64);
        let row = sql.build().fetch_optional(&self.pool).await.map_err(&failed)?;
        row.as_ref().map(read_to_fetch).transpose().map_err(&failed)
    }

    /// Counts artifacts by project, state and reason; those that nobody wanted are counted too.
    pub async fn artifact_counts(
        &self,
        projects: Option<&[ProjectId]>,
        since: Option<Timestamp>,
    ) -> Result<Vec<ArtifactCount>, CatalogueError> {
        let failed = self.failed("read");
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT j.project, p.path, a.state, a.reason, count(*) AS jobs, \
             coalesce(sum(a.bytes), 0) AS bytes FROM artifacts a JOIN jobs j ON j.id = a.job \
             JOIN projects p ON p.id = j.project WHERE 1",
        );
        if let Some(projects) = projects {
            sql.push(" AND j.project IN (SELECT value FROM json_each(");
            sql.push_bind(list(projects)).push("))");
        }
        if let Some(since) = since {
            sql.push(" AND j.created_at >= ").push_bind(since.as_microsecond());
        }
        sql.push(" GROUP BY j.project, a.state, a.reason ORDER BY p.path, a.state LIMIT 100000");
        let rows = sql.build().fetch_all(&self.pool).await.map_err(&failed)?;
        let count = |row: &SqliteRow| -> Result<ArtifactCount, sqlx::Error> {
            let state: String = row.try_get("state")?;
            Ok(ArtifactCount {
                project: ProjectId(row.try_get::<i64, _>("project")? as u64),
                path: row.try_get("path")?,
                state: state.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))?,
                reason: row.try_get("reason")?,
                jobs: row.try_get::<i64, _>("jobs")? as u64,
                bytes: row.try_get::<i64, _>("bytes")? as u64,
            })
        };
        rows.iter().map(|row| count(row).map_err(&failed)).collect()
    }

    /// Returns the jobs that have a file of this content, or an archive.
    pub(crate) async fn jobs_of_blob(&self, hash: [u8; 32]) -> Result<Vec<JobId>, CatalogueError> {
        let hex = blake3::Hash::from_bytes(hash).to_hex().to_string();
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT job FROM artifacts WHERE archive = ? OR instr(files, ?) > 0 ORDER BY job LIMIT 1000",
        )
        .bind(hash.to_vec())
        .bind(hex)
        .fetch_all(&self.pool)
        .await
        .map_err(self.failed("read"))?;
        Ok(ids.into_iter().map(|id| JobId(id as u64)).collect())
    }
}
