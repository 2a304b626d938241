//! The dry run: what a sync would fetch, found by listing alone. Nothing is written, here or there.
//!
//! What only a pipeline's bridges lead to is not followed. Fails as a sync, but for writing.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::artifacts::ArtifactSum;
use super::decide::held_item;
use super::queue::Item;
use super::run::Run;
use super::scope::Listed;
use super::{Options, SyncStats};
use crate::gitlab::Client;
use crate::model::{JobId, ProjectId};
use crate::store::Store;
use crate::store::catalogue::Backlog;

/// Jobs of earlier runs read from the catalogue at once.
const AT_ONCE: u32 = 5000;

/// A job whose trace would be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The job.
    pub job: JobId,
    /// Its project.
    pub project_id: ProjectId,
    /// The trace's length, where the server announces it.
    pub bytes: Option<u64>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it is expected to be lost; `None` where nothing threatens it.
    pub deadline: Option<Timestamp>,
}

/// What a sync would do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// What it would fetch: soonest loss first, then the newest. About 80 bytes a job.
    pub jobs: Vec<Planned>,
    /// The paths of their projects.
    pub projects: HashMap<ProjectId, String>,
    /// Archives of artifacts of which something would be fetched, where artifacts are wanted.
    pub artifacts: Option<ArtifactSum>,
    /// What listing took, and what could not be listed.
    pub stats: SyncStats,
}

/// Lists what a sync would fetch. Reads from the server and from the store, and writes nothing.
///
/// # Errors
///
/// As [`super::run()`], but for writing.
pub async fn plan(
    store: &Store,
    client: &Client,
    options: Options,
    stop: CancellationToken,
) -> anyhow::Result<Plan> {
    let began = std::time::Instant::now();
    let options = Options { dry_run: true, ..options };
    super::check_host(store, &options).await?;
    // Nothing is ever sent in a dry run, so nobody needs to listen.
    let (sender, _inbox) = mpsc::channel(1);
    let run = Arc::new(Run::new(client, store, options, sender, &stop));
    let projects = run.resolve_all(&mut Listed::default()).await?;
    let ids: Vec<ProjectId> = projects.iter().map(|p| p.id).collect();
    run.synced(ids.iter().copied());
    let mut jobs = left_before(&run, ids).await?;
    let walking = tokio::spawn({
        let run = run.clone();
        async move {
            run.walk_all(projects).await;
            run.queue.close();
        }
    });
    loop {
        let item = tokio::select! {
            item = run.queue.take(|| run.server_now()) => item,
            () = run.stop.cancelled() => None,
        };
        let Some(item) = item else { break };
        jobs.push(planned(&item));
        run.queue.done(item.job);
    }
    walking.await?;
    let before = super::artifacts::left_before(&run).await?;
    let stats = run.finish(stop.is_cancelled(), began.elapsed())?;
    // What is past its time can be saved no more surely than what nothing threatens.
    let now = run.server_now();
    let loss = |p: &Planned| p.deadline.filter(|at| *at > now).unwrap_or(Timestamp::MAX);
    jobs.sort_by_key(|p| (loss(p), std::cmp::Reverse(p.job)));
    jobs.dedup_by_key(|p| p.job);
    let path = |id: ProjectId| (id, run.known(id).path);
    let projects = jobs.iter().map(|p| p.project_id).map(path).collect();
    let artifacts = before.map(|before| before.plus(stats.new_artifacts));
    Ok(Plan { jobs, projects, artifacts, stats })
}

fn planned(item: &Item) -> Planned {
    Planned {
        job: item.job,
        project_id: item.project,
        bytes: item.announced,
        finished_at: item.finished_at,
        deadline: item.deadline,
    }
}

/// Returns what earlier runs left.
async fn left_before(run: &Run, mut projects: Vec<ProjectId>) -> anyhow::Result<Vec<Planned>> {
    let now = run.server_now();
    projects.extend(run.store.catalogue().open_projects_apart().await?);
    let mut wanted = Backlog {
        projects,
        since: run.options.since,
        failed_before: run.began,
        patient: run.options.patient,
        now,
        threatened: false,
        below: None,
        limit: AT_ONCE,
    };
    let mut jobs = Vec::new();
    loop {
        let rows = run.store.catalogue().backlog(&wanted).await?;
        wanted.below = rows.last().map(|row| row.id);
        let item = |row| held_item(row, run.known(row.project).delete_after, now);
        jobs.extend(rows.iter().map(|row| planned(&item(row))));
        if rows.len() < AT_ONCE as usize {
            return Ok(jobs);
        }
    }
}
