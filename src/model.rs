//! The things of GitLab CI: projects, pipelines, jobs, bridges, artifacts, runners.
//!
//! Owns plain values and their names. Does not know how they are sent, stored or shown. Every
//! field but an id is optional, because servers of all ages leave out fields, and every
//! enumeration is open. Only reading a name or an id from text can fail.

mod artifact;
mod id;
mod status;
#[cfg(test)]
mod tests;

pub use artifact::{
    ArtifactEntry, ArtifactListing, ArtifactMode, ArtifactState, EntryFlag, UnknownWord,
};
pub use id::{InvalidId, JobId, MAX_ID, PipelineId, ProjectId, RunnerId, UserId};
pub use status::{Status, TraceState, UnknownTraceState};

use jiff::Timestamp;

/// The `file_type` of an artifact that is the job's own log.
const TRACE_FILE_TYPE: &str = "trace";

/// One job of a pipeline, as the server last described it.
///
/// Source: <https://docs.gitlab.com/api/jobs/>.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Job {
    /// The id, unique over the instance and shared with bridges.
    pub id: JobId,
    /// The project, known only through the pipeline; `None` from servers of 2021.
    pub project: Option<ProjectId>,
    /// The pipeline the job belongs to.
    pub pipeline: Option<PipelineId>,
    /// The number of the pipeline within its project.
    pub pipeline_iid: Option<u64>,
    /// What began the pipeline: `push`, `schedule`, `parent_pipeline` and so on.
    pub pipeline_source: Option<String>,
    /// The name, up to 255 characters of any kind.
    pub name: Option<String>,
    /// The stage's name.
    pub stage: Option<String>,
    /// How far the job is.
    pub status: Option<Status>,
    /// The branch, the tag, or `refs/merge-requests/N/head`.
    pub git_ref: Option<String>,
    /// Whether `git_ref` is a tag.
    pub tag: Option<bool>,
    /// The commit, from the pipeline, else from the commit object.
    pub sha: Option<String>,
    /// When the job came to be.
    pub created_at: Option<Timestamp>,
    /// When a runner began it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When its log and artifacts were erased; `None` also from servers before 15.
    pub erased_at: Option<Timestamp>,
    /// Seconds it ran; grows while it runs.
    pub duration: Option<f64>,
    /// Seconds it waited for a runner.
    pub queued_duration: Option<f64>,
    /// Why it failed; only of failed jobs. An open set.
    pub failure_reason: Option<String>,
    /// Whether its failure leaves the pipeline green.
    pub allow_failure: Option<bool>,
    /// The job's page.
    pub web_url: Option<String>,
    /// The name of the user who began it.
    pub user: Option<String>,
    /// The author of the commit.
    pub author: Option<String>,
    /// Who runs or ran it; `None` before it is picked up.
    pub runner: Option<Runner>,
    /// Its files, the archived log among them.
    pub artifacts: Vec<Artifact>,
    /// When the artifacts expire; `None` if never.
    pub artifacts_expire_at: Option<Timestamp>,
    /// The tags a runner must have.
    pub tag_list: Vec<String>,
    /// Whether the job is too old to be retried or erased.
    pub archived: Option<bool>,
    /// The test coverage in percent.
    pub coverage: Option<f64>,
}

impl Job {
    /// Returns the size in bytes of the archived log, or `None` if the server tells none (yet).
    ///
    /// The entry appears about two minutes after the job's end and is exact.
    #[must_use]
    pub fn trace_size(&self) -> Option<u64> {
        self.artifacts
            .iter()
            .filter(|artifact| artifact.file_type.as_deref() == Some(TRACE_FILE_TYPE))
            .find_map(|artifact| artifact.size)
    }

    /// Returns the job's files besides the log.
    pub fn files(&self) -> impl Iterator<Item = &Artifact> {
        self.artifacts.iter().filter(|file| file.file_type.as_deref() != Some(TRACE_FILE_TYPE))
    }

    /// Returns whether the job has ended. One of unknown status has if the server says when.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.status {
            Some(Status::Other(_)) | None => self.finished_at.is_some(),
            Some(status) => status.is_finished(),
        }
    }
}

/// A job that starts another pipeline. It has no log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bridge {
    /// What a bridge has in common with a job.
    pub job: Job,
    /// The pipeline it started, if it did and the caller may see it.
    pub downstream: Option<Pipeline>,
}

/// A pipeline, in a list or alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pipeline {
    /// The id, unique over the instance.
    pub id: PipelineId,
    /// The number within the project.
    pub iid: Option<u64>,
    /// The project.
    pub project: Option<ProjectId>,
    /// How far it is.
    pub status: Option<Status>,
    /// What began it.
    pub source: Option<String>,
    /// The branch or tag.
    pub git_ref: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// The name given by the configuration.
    pub name: Option<String>,
    /// The page.
    pub web_url: Option<String>,
    /// When it came to be.
    pub created_at: Option<Timestamp>,
    /// When anything of it last changed.
    pub updated_at: Option<Timestamp>,
    /// When its first job began; only of a pipeline asked for alone.
    pub started_at: Option<Timestamp>,
    /// When its last job ended; only of a pipeline asked for alone.
    pub finished_at: Option<Timestamp>,
}

/// A project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Project {
    /// The id.
    pub id: ProjectId,
    /// The full path, `group/subgroup/project`.
    pub path_with_namespace: Option<String>,
    /// The name as people read it.
    pub name: Option<String>,
    /// The default branch; `None` for an empty repository.
    pub default_branch: Option<String>,
    /// Whether the project is read-only.
    pub archived: Option<bool>,
    /// The page.
    pub web_url: Option<String>,
    /// `private`, `internal` or `public`.
    pub visibility: Option<String>,
    /// When something last happened in it.
    pub last_activity_at: Option<Timestamp>,
    /// Pipelines older than this many seconds are deleted by the server; `None` if none are.
    pub ci_delete_pipelines_in_seconds: Option<u64>,
    /// Whether CI is switched on.
    pub jobs_enabled: Option<bool>,
    /// Who may see CI: `disabled`, `private` or `enabled`.
    pub builds_access_level: Option<String>,
    /// Whether people who may only see the project may see its jobs.
    pub public_jobs: Option<bool>,
    /// Whether the newest artifacts of each ref are kept for ever.
    pub keep_latest_artifact: Option<bool>,
    /// Whether there is no commit.
    pub empty_repo: Option<bool>,
}

/// What ran a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runner {
    /// The id.
    pub id: RunnerId,
    /// The description people know it by.
    pub description: Option<String>,
    /// The name of its software, `gitlab-runner`.
    pub name: Option<String>,
    /// `instance_type`, `group_type` or `project_type`.
    pub runner_type: Option<String>,
}

/// One file of a job, as listed. It may be gone although it is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Artifact {
    /// `archive`, `metadata`, `trace`, `junit` and so on; an open set.
    pub file_type: Option<String>,
    /// Bytes as stored by the server.
    pub size: Option<u64>,
    /// The file's name.
    pub filename: Option<String>,
    /// `zip`, `gzip`, `raw`, or nothing.
    pub file_format: Option<String>,
}

/// What the server says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// The version, `17.5.0-ee`.
    pub version: Option<String>,
    /// The revision it was built from.
    pub revision: Option<String>,
}

/// The owner of a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name used to sign in.
    pub username: Option<String>,
    /// The name as people read it.
    pub name: Option<String>,
}
