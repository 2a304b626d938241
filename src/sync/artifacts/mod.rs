//! Artifacts beside the logs: their list, their reports, or all of them, soonest loss first.
//!
//! Works from the catalogue, a few at a time, so that logs keep most of the requests; whatever goes wrong with
//! artifacts is recorded with them and stops no log. Knows nothing of walking.

mod counts;
mod fetch;
mod outcome;
mod part;
mod source;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub use counts::{ArtifactLine, artifact_lines};
pub(in crate::sync) use outcome::Outcome;

use super::run::Run;
use super::spool::Spool;
use super::writer::Message;
use crate::model::{ArtifactListing, ArtifactMode, JobId, ProjectId};
use crate::store::catalogue::ArtifactBacklog;

/// Jobs read from the catalogue at once. What is listed meanwhile and is lost sooner comes with the next.
const AT_ONCE: u32 = 100;
/// One of so many requests under way may be for artifacts.
const SHARE: usize = 4;
/// How often the catalogue is asked for more while jobs are still being listed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Failures in a row that may pass by themselves, after which artifacts are left to the next run: the storage is away.
const MAX_FAILURES: u32 = 20;

/// What was fetched of a job's artifacts, for the writer.
#[derive(Debug)]
pub(in crate::sync) struct Fetched {
    pub(in crate::sync) job: JobId,
    pub(in crate::sync) project: ProjectId,
    pub(in crate::sync) outcome: Outcome,
    pub(in crate::sync) listing: Option<ArtifactListing>,
    /// The whole archive.
    pub(in crate::sync) archive: Option<Spool>,
    /// Reports out of it: paths and contents.
    pub(in crate::sync) reports: Vec<(String, Vec<u8>)>,
}

/// The fetching of artifacts, under way.
pub(super) struct Fetching {
    task: Option<JoinHandle<anyhow::Result<()>>>,
    /// Nothing more will be listed.
    listed: CancellationToken,
}

/// Begins to fetch artifacts, if any are wanted.
pub(super) fn spawn(run: &Arc<Run>) -> Fetching {
    let listed = CancellationToken::new();
    let wanted = run.options.artifacts != ArtifactMode::None && !run.options.dry_run;
    let task = wanted.then(|| {
        let (run, listed) = (run.clone(), listed.clone());
        tokio::spawn(async move { fetch_all(&run, &listed).await })
    });
    Fetching { task, listed }
}

impl Fetching {
    /// Waits until all artifacts of the jobs listed are dealt with.
    pub(super) async fn finish(self, run: &Run) -> anyhow::Result<()> {
        let Some(task) = self.task else { return Ok(()) };
        run.flush().await;
        self.listed.cancel();
        task.await.context("the fetching of artifacts died")?
    }
}

async fn fetch_all(run: &Arc<Run>, listed: &CancellationToken) -> anyhow::Result<()> {
    let failures = Arc::new(AtomicU32::new(0));
    let places = Arc::new(Semaphore::new((run.options.concurrency / SHARE).max(1)));
    while !run.stop.is_cancelled() {
        // Asked before the catalogue is, so that what was listed last is in it.
        let last = listed.is_cancelled();
        let jobs = run.store.catalogue().artifact_backlog(&wanted(run)).await?;
        if jobs.is_empty() {
            if last {
                return Ok(());
            }
            tokio::select! {
                () = listed.cancelled() => {}
                () = run.stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            continue;
        }
        let mut fetches = JoinSet::new();
        for job in jobs {
            let Ok(place) = places.clone().acquire_owned().await else { break };
            if run.stop.is_cancelled() || failures.load(Ordering::Relaxed) >= MAX_FAILURES {
                break;
            }
            let (run, failures) = (run.clone(), failures.clone());
            fetches.spawn(async move {
                let Some(fetched) = run.fetch_artifacts(job).await else { return };
                match fetched.outcome.next_at {
                    Some(_) => drop(failures.fetch_add(1, Ordering::Relaxed)),
                    None => failures.store(0, Ordering::Relaxed),
                }
                run.send(Message::Artifacts(Box::new(fetched))).await;
                drop(place);
            });
        }
        while let Some(ended) = fetches.join_next().await {
            ended.context("the fetching of a job's artifacts died")?;
        }
        if failures.load(Ordering::Relaxed) >= MAX_FAILURES {
            tracing::warn!("Artifacts are left to the next run: {MAX_FAILURES} failed in a row");
            return Ok(());
        }
        // What was just done must not be read again.
        run.flush().await;
    }
    Ok(())
}

impl Run {
    /// Fetches all of one job's artifacts, if all are wanted and they are not held.
    pub(super) async fn archive_artifacts(&self, job: JobId) -> anyhow::Result<()> {
        if self.options.artifacts != ArtifactMode::All {
            return Ok(());
        }
        self.flush().await;
        let Some(job) = self.store.catalogue().artifact_to_fetch(job).await? else { return Ok(()) };
        if job.row.archive.is_none()
            && let Some(fetched) = self.fetch_artifacts(job).await
        {
            self.send(Message::Artifacts(Box::new(fetched))).await;
        }
        Ok(())
    }
}

/// How many archives of artifacts, and their bytes as announced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ArtifactSum {
    /// Jobs with such an archive.
    pub jobs: u64,
    /// Bytes of those whose length is known.
    pub bytes: u64,
}

impl ArtifactSum {
    /// Of one job.
    pub(in crate::sync) fn one(bytes: Option<u64>) -> Self {
        Self { jobs: 1, bytes: bytes.unwrap_or(0) }
    }

    pub(in crate::sync) fn plus(self, other: Self) -> Self {
        Self { jobs: self.jobs + other.jobs, bytes: self.bytes + other.bytes }
    }
}

/// Sums up the artifacts of jobs that earlier runs listed and that are to be fetched, a hundred thousand at most; `None`
/// where none are wanted.
pub(super) async fn left_before(run: &Run) -> anyhow::Result<Option<ArtifactSum>> {
    if run.options.artifacts == ArtifactMode::None {
        return Ok(None);
    }
    let wanted = ArtifactBacklog { limit: 100_000, ..wanted(run) };
    let jobs = run.store.catalogue().artifact_backlog(&wanted).await?;
    let sums = jobs.iter().map(|job| ArtifactSum::one(job.row.bytes));
    Ok(Some(sums.fold(ArtifactSum::default(), ArtifactSum::plus)))
}

fn wanted(run: &Run) -> ArtifactBacklog {
    ArtifactBacklog {
        projects: run.synced_projects(),
        since: run.options.since,
        mode: run.options.artifacts,
        max_bytes: if run.options.artifacts == ArtifactMode::All {
            run.options.artifact_limit
        } else {
            0
        },
        failed_before: run.began,
        patient: run.options.patient,
        now: run.server_now(),
        limit: AT_ONCE,
    }
}
