//! The four job actions. They alone change anything on the server, and only when called by name.
//!
//! What GitLab's rules forbid is said in plain words. Erasing takes an [`Erasure`], which there is only for a job whose
//! trace the archive holds, whole and verified.

use anyhow::Context;
use jobvault_index::Index;
use tokio_util::sync::CancellationToken;

use super::decide::{digest, item};
use super::run::Run;
use super::writer::{Listed, Message};
use super::{HOST_KEY, Options, begin, written};
use crate::gitlab::{self, Client, JobVariable, ProjectRef, Received};
use crate::model::{Artifact, Job, JobId, ProjectId, Status, TraceState};
use crate::store::catalogue::ProjectRow;
use crate::store::{JobRow, NewState, Store};

/// The `file_type` of the log among a job's files.
const TRACE_FILE_TYPE: &str = "trace";

/// Why a job was not acted upon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// GitLab's rules do not allow it, for the reason given.
    #[error("job {job} cannot be {done}: {reason}")]
    NotAllowed {
        /// The job.
        job: JobId,
        /// What was to be done, as a participle.
        done: &'static str,
        /// Why not, in words.
        reason: String,
    },
    /// The archive does not hold what would be erased.
    #[error("job {job} is not erased: {reason}")]
    NotHeld {
        /// The job.
        job: JobId,
        /// What is missing.
        reason: String,
    },
    /// The request failed otherwise.
    #[error("job {job} may not have been {done}")]
    Failed {
        /// The job.
        job: JobId,
        /// What was to be done, as a participle.
        done: &'static str,
        /// Why.
        #[source]
        source: gitlab::Error,
    },
}

/// Puts GitLab's refusal into plain words.
fn explain(job: JobId, done: &'static str, source: gitlab::Error) -> ActError {
    // Only GitLab's words tell one rule from another; an unknown one is passed on.
    let rule = |message: &str| {
        if message.contains("insufficient_scope") || message.contains("insufficient scope") {
            "the token lacks the scope api".to_owned()
        } else if message.contains("not erasable") {
            "it still runs, is locked as archived, or has neither log nor artifacts".to_owned()
        } else if message.contains("not retryable") {
            "only a job that has ended can be retried, and only once".to_owned()
        } else if message.contains("Unplayable") {
            "it is no manual or scheduled job that waits".to_owned()
        } else {
            format!("GitLab says: {message}")
        }
    };
    let reason = match &source {
        gitlab::Error::Forbidden { message, .. } => rule(message),
        gitlab::Error::Refused { message, .. } => rule(message),
        gitlab::Error::NotFound { .. } => "there is no such job for this token".to_owned(),
        gitlab::Error::Unauthorized { .. } => "the token is refused".to_owned(),
        _ => return ActError::Failed { job, done, source },
    };
    ActError::NotAllowed { job, done, reason }
}

/// Cancels a job and returns it as GitLab answered. One that has ended stays as it is.
///
/// # Errors
///
/// [`ActError::NotAllowed`] by GitLab's rules, else [`ActError::Failed`].
pub async fn cancel(
    client: &Client,
    project: &ProjectRef,
    job: JobId,
) -> Result<Received<Job>, ActError> {
    client.cancel(project, job).await.map_err(|e| explain(job, "cancelled", e))
}

/// Retries a job and returns the new one as GitLab answered.
///
/// # Errors
///
/// [`ActError::NotAllowed`] by GitLab's rules, else [`ActError::Failed`].
pub async fn retry(
    client: &Client,
    project: &ProjectRef,
    job: JobId,
) -> Result<Received<Job>, ActError> {
    client.retry(project, job).await.map_err(|e| explain(job, "retried", e))
}

/// Starts a manual job and returns it as GitLab answered.
///
/// # Errors
///
/// [`ActError::NotAllowed`] by GitLab's rules, else [`ActError::Failed`].
pub async fn play(
    client: &Client,
    project: &ProjectRef,
    job: JobId,
    variables: &[JobVariable],
) -> Result<Received<Job>, ActError> {
    client.play(project, job, variables).await.map_err(|e| explain(job, "played", e))
}

/// What may be lost by an erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Artifacts {
    /// A job with files that the archive does not hold is not erased.
    Keep,
    /// They may go.
    Give,
}

/// Leave to erase a job: the archive holds its trace, or it has none.
#[derive(Debug)]
pub struct Erasure {
    project: ProjectId,
    job: Job,
    trace_bytes: Option<u64>,
}

impl Erasure {
    /// Returns the job as the server describes it.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Returns the length of the trace that the archive holds, `None` if the job has none.
    #[must_use]
    pub fn trace_bytes(&self) -> Option<u64> {
        self.trace_bytes
    }

    /// Returns the files besides the log that go with it, none of which the archive is known to hold.
    pub fn artifacts(&self) -> impl Iterator<Item = &Artifact> {
        self.job.artifacts.iter().filter(|a| a.file_type.as_deref() != Some(TRACE_FILE_TYPE))
    }
}

/// Erases a job's log and artifacts on the server and returns it as GitLab answered.
///
/// # Errors
///
/// [`ActError::NotHeld`] if files would be lost that are to be kept, [`ActError::NotAllowed`] by GitLab's rules, else
/// [`ActError::Failed`].
pub async fn erase(
    client: &Client,
    erasure: Erasure,
    artifacts: Artifacts,
) -> Result<Received<Job>, ActError> {
    let job = erasure.job.id;
    let files = erasure.artifacts().count();
    if artifacts == Artifacts::Keep && files > 0 {
        let reason = format!("the archive does not hold its artifacts ({files} files)");
        return Err(ActError::NotHeld { job, reason });
    }
    client.erase(erasure.project, job).await.map_err(|e| explain(job, "erased", e))
}

/// Archives a job anew, verifies what the archive holds, and gives leave to erase it. Nothing is erased yet.
///
/// # Errors
///
/// [`ActError::NotHeld`] if the archive does not hold the trace whole; else as a sync.
pub async fn prepare_erase(
    store: &Store,
    index: &mut Index,
    client: &Client,
    options: Options,
    project: &ProjectRef,
    job: JobId,
) -> anyhow::Result<Erasure> {
    let stop = CancellationToken::new();
    let (run, inbox) = begin(store, index, client, options, &stop).await?;
    let (project, received) = written(&run, inbox, index, archive(&run, project, job)).await?;
    store.set_meta(super::HOST_KEY, &run.options.host).await?;
    let stats = run.finish(false, std::time::Duration::ZERO)?;
    if let Some(failure) = stats.failed.into_iter().next() {
        return Err(ActError::NotHeld { job, reason: failure.reason }.into());
    }
    if !received.is_finished() {
        let reason = "it has not ended".to_owned();
        return Err(ActError::NotHeld { job, reason }.into());
    }
    let row = store.catalogue().job(job).await?.context("read the job from the archive")?;
    let trace_bytes = verified(store, &row, &received).await?;
    Ok(Erasure { project, job: received, trace_bytes })
}

/// Reads the job from the server and writes its document and its trace.
async fn archive(run: &Run, project: &ProjectRef, job: JobId) -> anyhow::Result<(ProjectId, Job)> {
    let known = run.store.catalogue().projects().await?;
    let document = run.client.project(project).await.context("read the project")?;
    run.store.set_meta(HOST_KEY, &run.options.host).await?;
    let project = run.take_project(document, &known).await;
    let received = run.client.job(project.id, job).await.context("read the job")?;
    let value = received.value.clone();
    let row = run.store.catalogue().job(job).await?;
    put(run, &project, received, row.as_ref()).await;
    if value.is_finished() && value.status != Some(Status::Skipped) {
        let now = run.server_now();
        run.queue.push(item(&value, project.id, row.as_ref(), None, now), now);
        run.queue.close();
        run.fetch_all().await;
    }
    Ok((project.id, value))
}

async fn put(run: &Run, project: &ProjectRow, received: Received<Job>, row: Option<&JobRow>) {
    let digest = digest(&received.value);
    let changed = row.is_none_or(|row| row.digest != digest);
    let waits = || NewState {
        state: TraceState::Pending,
        reason: "to be archived before it is erased".to_owned(),
        next_at: Some(run.server_now()),
        attempts: 0,
        gone: false,
        erased: false,
    };
    let state = row.is_none().then(waits);
    let listed = Listed { received, digest, changed, state, postponed: None };
    run.send(Message::Jobs { project: project.clone(), listed: vec![listed] }).await;
}

/// Reads the trace back and returns its length, `None` if the job has none.
async fn verified(store: &Store, row: &JobRow, job: &Job) -> anyhow::Result<Option<u64>> {
    let refuse = |reason: String| ActError::NotHeld { job: job.id, reason };
    let announced = job.trace_size();
    let Some(id) = row.trace else {
        let none = matches!(row.state, TraceState::NoLog | TraceState::Erased);
        return match none && announced.unwrap_or(0) == 0 {
            true => Ok(None),
            false => Err(refuse(format!("its log is not archived ({})", row.reason)).into()),
        };
    };
    if let (Some(announced), Some(held)) = (announced, row.raw_bytes)
        && announced != held
    {
        let reason = format!("the archive holds {held} bytes of its log, the server {announced}");
        return Err(refuse(reason).into());
    }
    let trace = store.catalogue().traces(&[id]).await?.pop();
    let trace = trace.context("read the trace's row")??;
    store.load_names().await?;
    let reading = store.clone();
    let hash = tokio::task::spawn_blocking(move || {
        let mut hasher = blake3::Hasher::new();
        for frame in 0..trace.frames.len() {
            hasher.update(&reading.read_piece(&trace, frame)?);
        }
        anyhow::Ok((*hasher.finalize().as_bytes() == trace.hash).then_some(trace.raw_bytes))
    });
    match hash.await.context("the reading of the trace died")?? {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(refuse("what the archive holds of its log is damaged".to_owned()).into()),
    }
}
