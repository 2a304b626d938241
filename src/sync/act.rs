//! The four job actions. They alone change anything on the server, and only when called by name.
//!
//! What GitLab's rules forbid is said in plain words. Erasing takes an [`Erasure`], which there is only for a job whose
//! trace the archive holds, whole and verified.

mod refusal;

use anyhow::Context;
use jobvault_index::Index;
use tokio_util::sync::CancellationToken;

use super::decide::{digest, item};
use super::run::Run;
use super::walk::Round;
use super::writer::{Listed, Message};
use super::{HOST_KEY, Options, begin, written};
use crate::gitlab::{self, Client, JobVariable, ProjectRef, Received};
use crate::model::{Artifact, Job, JobId, ProjectId, Status, TraceState};
use crate::store::catalogue::ProjectRow;
use crate::store::{JobRow, NewState, Store};

pub use refusal::Refusal;

/// Why a job was not acted upon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// GitLab's rules do not allow it, for the reason given.
    #[error("job {job} cannot be {done}: {refusal}")]
    NotAllowed {
        /// The job.
        job: JobId,
        /// What was to be done, as a participle.
        done: &'static str,
        /// Why not.
        refusal: Refusal,
    },
    /// The archive does not hold what would be erased.
    #[error("job {job} is not erased: {reason}")]
    NotHeld {
        /// The job.
        job: JobId,
        /// What is missing.
        reason: String,
        /// Files are missing, and not the log.
        artifacts: bool,
    },
    /// The request did not come to the server.
    #[error("job {job} was not {done}")]
    NotSent {
        /// The job.
        job: JobId,
        /// What was to be done, as a participle.
        done: &'static str,
        /// Why.
        #[source]
        source: gitlab::Error,
    },
    /// The request was sent, and the answer is none. It is not sent again, for it may have been heard.
    #[error("it is not known whether job {job} was {done}")]
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

fn explain(job: JobId, done: &'static str, source: gitlab::Error) -> ActError {
    match Refusal::of(&source) {
        Some(refusal) => ActError::NotAllowed { job, done, refusal },
        None if is_unsent(&source) => ActError::NotSent { job, done, source },
        None => ActError::Failed { job, done, source },
    }
}

fn is_unsent(error: &gitlab::Error) -> bool {
    use gitlab::Error::{Connect, Options, RateLimited, Redirect, Spent, Tls};
    matches!(
        error,
        Connect { .. }
            | Tls { .. }
            | RateLimited { .. }
            | Options { .. }
            | Spent { .. }
            | Redirect { .. }
    )
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
    client.cancel(project, job).await.map_err(|e| explain(job, "canceled", e))
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
    archive_bytes: Option<u64>,
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

    /// Returns the length of the artifacts archive, where our archive holds that whole.
    #[must_use]
    pub fn archive_bytes(&self) -> Option<u64> {
        self.archive_bytes
    }

    /// Returns the files that would be lost: those besides the log, and what is made of them, that the archive does not
    /// hold.
    pub fn unheld(&self) -> impl Iterator<Item = &Artifact> {
        // GitLab makes the metadata from the archive.
        let held = |file: &&Artifact| {
            matches!(file.file_type.as_deref(), Some("archive" | "metadata"))
                && self.archive_bytes.is_some()
        };
        self.job.files().filter(move |file| !held(file))
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
    let files = erasure.unheld().count();
    if artifacts == Artifacts::Keep && files > 0 {
        let reason = format!("the archive does not hold {files} of its artifacts");
        return Err(ActError::NotHeld { job, reason, artifacts: true });
    }
    client.erase(erasure.project, job).await.map_err(|e| explain(job, "erased", e))
}

/// Writes down a job as GitLab answered after an erasure, so that the archive knows of it without another listing.
///
/// # Errors
///
/// As every writing.
pub async fn record(
    store: &Store,
    index: &mut Index,
    client: &Client,
    options: Options,
    received: Received<Job>,
) -> anyhow::Result<()> {
    let (run, inbox) = begin(store, index, client, options, &CancellationToken::new()).await?;
    let noting = async {
        let Some(row) = store.catalogue().job(received.value.id).await? else { return Ok(()) };
        let projects = store.catalogue().projects().await?;
        if let Some(project) = projects.into_iter().find(|project| project.id == row.project) {
            let (listed, _) = run.decide(&project, vec![received], &mut Round::default()).await?;
            run.send(Message::Jobs { project, listed }).await;
        }
        Ok(())
    };
    written(&run, inbox, index, noting).await
}

/// Archives a job anew, with its artifacts archive where `options` want all artifacts, verifies what the archive holds,
/// and gives leave to erase the job. Nothing is erased yet.
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
        return Err(ActError::NotHeld { job, reason: failure.reason, artifacts: false }.into());
    }
    if !received.is_finished() {
        let reason = "it has not ended".to_owned();
        return Err(ActError::NotHeld { job, reason, artifacts: false }.into());
    }
    let row = store.catalogue().job(job).await?.context("read the job from the archive")?;
    let trace_bytes = verified(store, &row, &received).await?;
    let archive_bytes = verified_archive(store, &received).await?;
    Ok(Erasure { project, job: received, trace_bytes, archive_bytes })
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
        run.archive_artifacts(job).await?;
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
    let refuse = |reason: String| ActError::NotHeld { job: job.id, reason, artifacts: false };
    let announced = job.trace_size();
    let Some(trace) = store.catalogue().trace_of(row).await? else {
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

/// Reads the artifacts archive back and returns its length, `None` if the archive does not hold it as the server has it.
async fn verified_archive(store: &Store, job: &Job) -> anyhow::Result<Option<u64>> {
    let row = store.catalogue().artifacts(&[job.id]).await?.pop();
    let (Some(announced), Some(hash)) = (job.archive(), row.and_then(|row| row.archive)) else {
        return Ok(None);
    };
    let Some(mut blob) = store.blob(hash).await? else { return Ok(None) };
    if announced.size.is_some_and(|bytes| bytes != blob.total_bytes()) {
        return Ok(None);
    }
    let reading = tokio::task::spawn_blocking(move || {
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut blob, &mut hasher)?;
        anyhow::Ok((*hasher.finalize().as_bytes() == hash).then_some(blob.total_bytes()))
    });
    reading.await.context("the reading of the artifacts died")?
}
