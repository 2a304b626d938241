//! Sync: what the server has and the archive has not goes into the archive and its index.
//!
//! Joins the client, the store and the index; each knows nothing of the others. Walkers list, a queue orders,
//! fetchers fetch, one writer writes. One bad job never stops the others: it is counted, named and tried again.

pub mod act;
pub mod artifacts;
pub mod coverage;
mod decide;
mod fetch;
mod judge;
mod open;
mod options;
mod permits;
mod pipelines;
mod plan;
mod queue;
mod rate;
mod rebuild;
mod refill;
mod reindex;
mod repair;
mod run;
mod schedule;
mod scope;
mod spool;
mod stats;
mod sweep;
mod walk;
mod watch;
mod writer;

use std::sync::Arc;

use anyhow::Context;
use jobvault_index::Index;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gitlab::Client;
use crate::model::ProjectId;
pub use crate::store::HOST_KEY;
use crate::store::Store;
pub use options::{ARTIFACT_LIMIT, Everything, Options, REPORT_LIMIT};
pub use plan::{Plan, Planned, plan};
pub use rebuild::{Rebuilding, rebuild};
pub use reindex::{Indexed, catch_up, merge, reindex};
pub use repair::{Repaired, repair};
use run::Run;
use scope::Listed;
pub use stats::{Failure, Progress, SyncStats};
pub use watch::{Event, Setup, watch};
use writer::{Message, Writer};

/// Messages that wait for the writer; more make the fetchers wait.
const INBOX: usize = 16;
/// How often progress is told.
const PROGRESS_EVERY: std::time::Duration = std::time::Duration::from_millis(200);
/// The rate of fetching is written down after so many of those: every half minute.
const RATE_TICKS: u64 = 150;

/// Syncs what `options` name into the archive; `progress` is called now and then.
///
/// Ends early, with everything fetched so far durable, when `stop` is cancelled. Fails where no further job could
/// be archived either: the server refuses the token or is gone, the disk is full.
pub async fn run(
    store: &Store,
    index: &mut Index,
    client: &Client,
    options: Options,
    stop: CancellationToken,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> anyhow::Result<SyncStats> {
    let mut listed = Listed::default();
    round(store, index, client, options, stop, progress, &mut listed).await
}

/// One run; `listed` remembers the projects of groups from one to the next.
async fn round(
    store: &Store,
    index: &mut Index,
    client: &Client,
    options: Options,
    stop: CancellationToken,
    progress: impl Fn(Progress) + Send + Sync + 'static,
    listed: &mut Listed,
) -> anyhow::Result<SyncStats> {
    let began = std::time::Instant::now();
    let (run, inbox) = begin(store, index, client, options, &stop).await?;
    let watching = tokio::spawn(report(run.clone(), progress));
    let worked = written(&run, inbox, index, work(&run, listed)).await;
    watching.abort();
    // It shares the archive's lock, which is free only when the task is gone.
    let _ = watching.await;
    worked?;
    run.finish(stop.is_cancelled(), began.elapsed())
}

/// Makes sure that the archive is of the server and its index of the archive, and sets up a run.
async fn begin(
    store: &Store,
    index: &mut Index,
    client: &Client,
    options: Options,
    stop: &CancellationToken,
) -> anyhow::Result<(Arc<Run>, mpsc::Receiver<Message>)> {
    check_host(store, &options).await?;
    catch_up(store, index).await?;
    let (sender, inbox) = mpsc::channel(INBOX);
    Ok((Arc::new(Run::new(client, store, options, sender, stop)), inbox))
}

/// Does some work while a writer writes what it sends; returns when all of it is durable and searchable.
async fn written<T>(
    run: &Arc<Run>,
    inbox: mpsc::Receiver<Message>,
    index: &mut Index,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let writer = Writer::new(run.clone(), index.writer()?).await?;
    let handle = tokio::runtime::Handle::current();
    let writing = tokio::task::spawn_blocking({
        let run = run.clone();
        move || {
            let written = handle.block_on(writer.run(inbox));
            if written.is_err() {
                run.stop.cancel();
            }
            written
        }
    });
    let worked = work.await;
    run.end_messages();
    let written = writing.await.context("the writer died")?;
    index.reload()?;
    // A full disk explains everything else that went wrong.
    written?;
    settle(run, index).await;
    worked
}

/// Merges parts of the index that were written since. That only saves time and space: whoever stops a sync does not
/// wait for it, and none fails by it.
async fn settle(run: &Run, index: &Index) {
    tokio::select! {
        biased;
        () = run.stop.cancelled() => {}
        settled = index.settle() => if let Err(e) = settled {
            tracing::warn!("Not merged: {e}");
        },
    }
}

/// Resolves projects, walks them and fetches what they list.
async fn work(run: &Arc<Run>, listed: &mut Listed) -> anyhow::Result<()> {
    let projects = run.resolve_all(listed).await?;
    // Not before the server has answered: a mistyped address shall not bind a new archive.
    run.store.set_meta(HOST_KEY, &run.options.host).await?;
    run.synced(projects.iter().map(|p| p.id));
    let mut fetchers = JoinSet::new();
    for _ in 0..run.options.concurrency.max(1) {
        fetchers.spawn({
            let run = run.clone();
            async move { run.fetch_all().await }
        });
    }
    let ids: Vec<ProjectId> = projects.iter().map(|p| p.id).collect();
    // What earlier runs left comes into the queue while new jobs are being listed.
    run.queue.fall_short();
    let refilling = tokio::spawn({
        let run = run.clone();
        async move {
            let filled = run.refill(ids).await;
            if filled.is_err() {
                // Those who wait for what it would have brought wait for ever.
                run.stop.cancel();
            }
            filled
        }
    });
    let artifacts = artifacts::spawn(run);
    run.walk_all(projects).await;
    let apart = run.walk_apart().await;
    run.queue.close();
    while fetchers.join_next().await.is_some() {}
    run.record_rate().await;
    // Whatever else went wrong, nothing that holds the archive's lock is left running.
    let fetched = artifacts.finish(run).await;
    refilling.await.context("the queue's filling died")??;
    fetched?;
    apart
}

async fn check_host(store: &Store, options: &Options) -> anyhow::Result<()> {
    match store.catalogue().meta(HOST_KEY).await? {
        Some(host) if host != options.host && !options.host_moved => {
            Err(OtherHost { archived: host, asked: options.host.clone() }.into())
        }
        _ => Ok(()),
    }
}

/// The archive is of another server.
#[derive(Debug, thiserror::Error)]
#[error("the archive holds jobs of {archived}, not of {asked}")]
pub struct OtherHost {
    /// The server whose jobs the archive holds.
    pub archived: String,
    /// The server that was to be synced.
    pub asked: String,
}

async fn report(run: Arc<Run>, progress: impl Fn(Progress)) {
    let mut tick = tokio::time::interval(PROGRESS_EVERY);
    for ticks in 1u64.. {
        tick.tick().await;
        progress(run.progress());
        if ticks % RATE_TICKS == 0 {
            run.record_rate().await;
        }
    }
}
