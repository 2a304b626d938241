//! What the catalogue's rows say, as values.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::frames::{self, Frame};
use super::{CatalogueError, files};
use crate::model::{JobId, PipelineId, ProjectId, TraceState};

/// The archive's own number of a stored trace; it grows with each one stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TraceId(pub u64);

/// A job as the archive knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// GitLab's id.
    pub id: JobId,
    /// The project.
    pub project: ProjectId,
    /// The project's full path when it was last seen.
    pub project_path: String,
    /// The pipeline, where the server named one.
    pub pipeline: Option<PipelineId>,
    /// The job's name.
    pub name: String,
    /// The stage's name.
    pub stage: String,
    /// The status in the server's word.
    pub status: String,
    /// Branch, tag or merge request ref.
    pub git_ref: String,
    /// The ref is a tag.
    pub tag: bool,
    /// The commit.
    pub sha: String,
    /// When the job came to be.
    pub created_at: Option<Timestamp>,
    /// When a runner began it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Seconds it ran.
    pub duration: Option<f64>,
    /// When it was erased upstream.
    pub erased_at: Option<Timestamp>,
    /// When its artifacts expire upstream.
    pub artifacts_expire_at: Option<Timestamp>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// Who began it.
    pub user: Option<String>,
    /// The runner's description.
    pub runner: Option<String>,
    /// The server's list of its files, as JSON.
    pub artifacts: Option<String>,
    /// Announced length of the trace, in bytes.
    pub trace_size: Option<u64>,
    /// The job's page.
    pub web_url: String,
    /// Tells whether a later document says anything new.
    pub digest: i64,
    /// What became of its trace.
    pub state: TraceState,
    /// Why it is in that state, in words.
    pub reason: String,
    /// Since when.
    pub state_at: Timestamp,
    /// When it is looked at again; `None` when it is settled.
    pub next_at: Option<Timestamp>,
    /// How often fetching it has gone wrong in a row.
    pub attempts: u32,
    /// The trace that stands for it.
    pub trace: Option<TraceId>,
    /// Length of that trace, in bytes.
    pub raw_bytes: Option<u64>,
    /// BLAKE3 of that trace.
    pub hash: Option<[u8; 32]>,
    /// When we noticed that the server no longer has the job.
    pub gone_at: Option<Timestamp>,
    /// It starts another pipeline and has no log.
    pub bridge: bool,
    /// The pipeline it started, where that is known, and that one's project.
    pub downstream: Option<(ProjectId, PipelineId)>,
}

/// The columns that [`JobRow::read`] expects, of `jobs j`, `projects p` and `traces t`.
///
/// By name, for all of `jobs` would be half as many again, and what a statement of many rows takes is their columns.
pub(super) const JOB_COLUMNS: &str = "j.id, j.project, j.pipeline, j.name, j.stage, j.status, j.ref, j.tag, j.sha, \
     j.created_at, j.started_at, j.finished_at, j.duration, j.erased_at, j.artifacts_expire_at, j.failure_reason, \
     j.user, j.runner, j.artifacts, j.artifact_sizes, j.trace_size, j.web_url, j.digest, j.state, j.reason, \
     j.state_at, j.next_at, j.attempts, j.trace, j.gone_at, j.bridge, j.downstream_project, j.downstream_pipeline, \
     p.path AS project_path, p.web_url AS project_url, t.raw_bytes AS trace_bytes, t.hash AS trace_hash";
/// What [`JOB_COLUMNS`] are of.
pub(super) const JOB_TABLES: &str = "jobs j JOIN projects p ON p.id = j.project \
     LEFT JOIN traces t ON t.id = j.trace";

impl JobRow {
    pub(super) fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let id = JobId(row.try_get::<i64, _>("id")? as u64);
        let web_url: Option<String> = row.try_get("web_url")?;
        let web_url = match web_url {
            Some(url) => url,
            None => usual_url(&row.try_get::<String, _>("project_url")?, id),
        };
        let state: String = row.try_get("state")?;
        let hash: Option<&[u8]> = row.try_get("trace_hash")?;
        Ok(Self {
            id,
            project: ProjectId(row.try_get::<i64, _>("project")? as u64),
            project_path: row.try_get("project_path")?,
            pipeline: number(row, "pipeline")?.map(PipelineId),
            name: row.try_get("name")?,
            stage: row.try_get("stage")?,
            status: row.try_get("status")?,
            git_ref: row.try_get("ref")?,
            tag: row.try_get("tag")?,
            sha: row.try_get("sha")?,
            created_at: time(row, "created_at")?,
            started_at: time(row, "started_at")?,
            finished_at: time(row, "finished_at")?,
            duration: row.try_get("duration")?,
            erased_at: time(row, "erased_at")?,
            artifacts_expire_at: time(row, "artifacts_expire_at")?,
            failure_reason: row.try_get("failure_reason")?,
            user: row.try_get("user")?,
            runner: row.try_get("runner")?,
            artifacts: artifacts(row)?,
            trace_size: number(row, "trace_size")?,
            web_url,
            digest: row.try_get("digest")?,
            state: state.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))?,
            reason: row.try_get("reason")?,
            state_at: time(row, "state_at")?.unwrap_or_default(),
            next_at: time(row, "next_at")?,
            attempts: row.try_get("attempts")?,
            trace: number(row, "trace")?.map(TraceId),
            raw_bytes: number(row, "trace_bytes")?,
            hash: hash.and_then(|coded| Some(frames::hash(coded)?.0)),
            gone_at: time(row, "gone_at")?,
            bridge: row.try_get("bridge")?,
            downstream: number(row, "downstream_project")?
                .map(ProjectId)
                .zip(number(row, "downstream_pipeline")?.map(PipelineId)),
        })
    }
}

/// Puts the list of a job's files together.
fn artifacts(row: &SqliteRow) -> Result<Option<String>, sqlx::Error> {
    let list: Option<String> = row.try_get("artifacts")?;
    let sizes: Option<Vec<u8>> = row.try_get("artifact_sizes")?;
    Ok(match (list, sizes) {
        // Sizes that do not fit are damage; the list without them is still worth more than none.
        (Some(shared), Some(sizes)) => files::join(&shared, &sizes).or(Some(shared)),
        (list, _) => list,
    })
}

/// Returns the address that GitLab gives a job's page.
pub(crate) fn usual_url(project_url: &str, job: JobId) -> String {
    format!("{project_url}/-/jobs/{job}")
}

fn number(row: &SqliteRow, column: &str) -> Result<Option<u64>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(|n| n as u64))
}

fn time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    let micros = row.try_get::<Option<i64>, _>(column)?;
    Ok(micros.and_then(|m| Timestamp::from_microsecond(m).ok()))
}

/// A stored trace and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRow {
    /// The archive's number of it.
    pub id: TraceId,
    /// The job it is the trace of.
    pub job: JobId,
    /// Its length, in bytes.
    pub raw_bytes: u64,
    /// Its plain lines.
    pub lines: u64,
    /// BLAKE3 of all its bytes.
    pub hash: [u8; 32],
    /// Its frames, in order.
    pub frames: Vec<Frame>,
}

impl TraceRow {
    pub(super) fn read(row: &SqliteRow) -> Result<Result<Self, CatalogueError>, sqlx::Error> {
        let number = |column| row.try_get::<i64, _>(column).map(|n| n as u64);
        let (id, job) = (TraceId(number("id")?), JobId(number("job")?));
        let (raw_bytes, lines) = (number("raw_bytes")?, number("lines")?);
        let bare = Self { id, job, raw_bytes, lines, hash: [0; 32], frames: Vec::new() };
        Ok(bare.with(row.try_get("hash")?, row.try_get("frames")?))
    }

    /// Completes a row by its columns of the hash and the frames.
    pub(super) fn with(self, hash: &[u8], frames: &[u8]) -> Result<Self, CatalogueError> {
        let job = self.job.0;
        frames::decode(hash, frames, self).map_err(|what| CatalogueError::Row { job, what })
    }

    /// Returns the trace where it is one of that job's, which refers to it.
    pub(super) fn of(self, job: JobId) -> Result<Self, CatalogueError> {
        match self.job == job {
            true => Ok(self),
            false => Err(CatalogueError::Row { job: job.0, what: "its log is another job's" }),
        }
    }

    /// Returns whether the hash of the whole is known. A log of several frames whose note is lost and which cannot be read
    /// has that of its first frame.
    pub(crate) fn has_hash(&self) -> bool {
        self.frames.len() < 2 || self.hash != self.frames[0].hash
    }

    /// Returns the ranges of frames that make one document each: a frame and those which continue it.
    pub fn documents(&self) -> Vec<std::ops::Range<usize>> {
        let mut documents: Vec<std::ops::Range<usize>> = Vec::new();
        for (i, frame) in self.frames.iter().enumerate() {
            match documents.last_mut() {
                Some(last) if frame.continues => last.end = i + 1,
                _ => documents.push(i..i + 1),
            }
        }
        documents
    }
}

#[cfg(test)]
impl JobRow {
    /// A pending job of project 1 of which nothing is known.
    pub(crate) fn bare(id: JobId) -> Self {
        Self {
            id,
            project: ProjectId(1),
            project_path: String::new(),
            pipeline: None,
            name: String::new(),
            stage: String::new(),
            status: String::new(),
            git_ref: String::new(),
            tag: false,
            sha: String::new(),
            created_at: None,
            started_at: None,
            finished_at: None,
            duration: None,
            erased_at: None,
            artifacts_expire_at: None,
            failure_reason: None,
            user: None,
            runner: None,
            artifacts: None,
            trace_size: None,
            web_url: String::new(),
            digest: 0,
            state: TraceState::Pending,
            reason: String::new(),
            state_at: Timestamp::UNIX_EPOCH,
            next_at: None,
            attempts: 0,
            trace: None,
            raw_bytes: None,
            hash: None,
            gone_at: None,
            bridge: false,
            downstream: None,
        }
    }
}

/// A project as the archive knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    /// GitLab's id.
    pub id: ProjectId,
    /// The full path.
    pub path: String,
    /// The project's page.
    pub web_url: String,
    /// When its document was last read.
    pub seen_at: Timestamp,
    /// Every job up to this id was listed, but for open walks.
    pub newest_job: JobId,
}

/// A walk of a project's job list that has not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The archive's number of it.
    pub id: u64,
    /// The project.
    pub project: ProjectId,
    /// Where to go on.
    pub cursor: String,
    /// Jobs up to this id are known already.
    pub until: JobId,
    /// When the job came to be at which it stopped, where that was too old for what was asked.
    pub reached_at: Option<Timestamp>,
}
