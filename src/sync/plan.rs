//! The dry run: what a sync would fetch, found by listing alone. Nothing is written.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::run::Run;
use super::scope::Listed;
use super::{Options, SyncStats};
use crate::gitlab::Client;
use crate::model::{JobId, ProjectId};
use crate::store::Store;

/// A job whose trace would be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The job.
    pub job: JobId,
    /// Its project.
    pub project_id: ProjectId,
    /// The project's path.
    pub project: String,
    /// The trace's length, where the server announces it.
    pub bytes: Option<u64>,
    /// When it is expected to be lost; `None` where nothing threatens it.
    pub deadline: Option<Timestamp>,
}

/// Lists what a sync would fetch, as it is found. Reads from the server and from the store, and writes nothing.
///
/// # Errors
///
/// As [`super::run()`], but for writing.
pub async fn plan(
    store: &Store,
    client: &Client,
    options: Options,
    stop: CancellationToken,
    mut tell: impl FnMut(Planned),
) -> anyhow::Result<SyncStats> {
    let began = std::time::Instant::now();
    let options = Options { dry_run: true, ..options };
    // Nothing is ever sent in a dry run, so nobody needs to listen.
    let (sender, _inbox) = mpsc::channel(1);
    let run = Arc::new(Run::new(client, store, options, sender, &stop));
    let projects = run.resolve_all(&mut Listed::default()).await?;
    run.synced(projects.iter().map(|p| p.id));
    run.queue.fall_short();
    let ids = projects.iter().map(|p| p.id).collect();
    let refill = run.clone();
    let refilling = tokio::spawn(async move { refill.refill(ids).await });
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
        tell(Planned {
            job: item.job,
            project_id: item.project,
            project: run.known(item.project).path,
            bytes: item.announced,
            deadline: item.deadline,
        });
        run.queue.done(item.job);
    }
    walking.await?;
    refilling.await??;
    run.finish(stop.is_cancelled(), began.elapsed())
}
