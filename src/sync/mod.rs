//! Sync: what the server has and the archive has not goes into the archive and its index.
//!
//! Joins the client, the store and the index; each knows nothing of the others. Walkers list, a queue orders,
//! fetchers fetch, one writer writes. One bad job never stops the others: it is counted, named and tried again.

mod fetch;
mod judge;
mod queue;
mod reindex;
mod scope;
mod spool;
mod stats;
mod walk;
mod writer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use jiff::Timestamp;
use jobvault_index::Index;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gitlab::{self, Client};
use crate::model::{ProjectId, TraceState};
use crate::store::Store;
use crate::store::catalogue::ProjectRow;
use queue::Queue;
pub use reindex::{catch_up, reindex};
pub use stats::{Failure, Options, OtherHost, Progress, SyncStats};
use writer::{Message, Writer};

/// Messages that wait for the writer; more make the fetchers wait.
const INBOX: usize = 16;
/// Projects walked at once.
const WALKERS: usize = 3;
/// The key under which the catalogue keeps the address of the one server that the archive is of.
pub const HOST_KEY: &str = "host";

/// What the parts of one sync share.
struct Run {
    client: Client,
    store: Store,
    options: Options,
    queue: Queue,
    permits: Semaphore,
    writer: Mutex<Option<mpsc::Sender<Message>>>,
    stop: CancellationToken,
    stats: Mutex<SyncStats>,
    paths: Mutex<HashMap<ProjectId, String>>,
    projects_done: std::sync::atomic::AtomicU64,
    hopeless: Mutex<Option<gitlab::Error>>,
    identified: tokio::sync::OnceCell<()>,
}

/// Syncs `options.projects` into the archive; `progress` is called now and then.
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
    check_host(store, &options).await?;
    catch_up(store, index).await?;
    let began = std::time::Instant::now();
    let (sender, inbox) = mpsc::channel(INBOX);
    let run = Arc::new(Run {
        client: client.clone(),
        store: store.clone(),
        queue: Queue::default(),
        permits: Semaphore::new(options.concurrency.max(1)),
        options,
        writer: Mutex::new(Some(sender)),
        stop: stop.child_token(),
        stats: Mutex::default(),
        paths: Mutex::default(),
        projects_done: Default::default(),
        hopeless: Mutex::default(),
        identified: Default::default(),
    });
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
    let watching = tokio::spawn(report(run.clone(), progress));
    let resolved = work(&run).await;
    run.writer.lock().unwrap_or_else(|e| e.into_inner()).take();
    let written = writing.await.context("the writer died")?;
    watching.abort();
    // It shares the archive's lock, which is free only when the task is gone.
    let _ = watching.await;
    index.reload()?;
    // A full disk explains everything else that went wrong.
    written?;
    resolved?;
    run.finish(stop.is_cancelled(), began.elapsed())
}

/// Resolves projects, walks them and fetches what they list.
async fn work(run: &Arc<Run>) -> anyhow::Result<()> {
    let projects = run.resolve_all().await?;
    // Not before the server has answered: a mistyped address shall not bind a new archive.
    run.store.set_meta(HOST_KEY, &run.options.host).await?;
    let mut fetchers = JoinSet::new();
    for _ in 0..run.options.concurrency.max(1) {
        fetchers.spawn({
            let run = run.clone();
            async move { run.fetch_all().await }
        });
    }
    let walkers = Arc::new(Semaphore::new(WALKERS));
    let mut walks = JoinSet::new();
    for project in projects {
        let (run, walkers) = (run.clone(), walkers.clone());
        walks.spawn(async move {
            let _turn = walkers.acquire().await.ok();
            run.walk_or_report(project).await;
        });
    }
    while walks.join_next().await.is_some() {}
    run.queue.close();
    while fetchers.join_next().await.is_some() {}
    Ok(())
}

async fn check_host(store: &Store, options: &Options) -> anyhow::Result<()> {
    match store.catalogue().meta(HOST_KEY).await? {
        Some(host) if host != options.host && !options.host_moved => {
            Err(OtherHost { archived: host, asked: options.host.clone() }.into())
        }
        _ => Ok(()),
    }
}

async fn report(run: Arc<Run>, progress: impl Fn(Progress)) {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(200));
    loop {
        tick.tick().await;
        progress(run.progress());
    }
}

impl Run {
    fn now(&self) -> Timestamp {
        (self.options.clock)()
    }

    /// Returns the server's time, which decides how old a job is.
    fn server_now(&self) -> Timestamp {
        self.client.server_time().unwrap_or_else(|| self.now())
    }

    fn tally(&self, change: impl FnOnce(&mut SyncStats)) {
        change(&mut self.stats.lock().unwrap_or_else(|e| e.into_inner()));
    }

    fn count(&self, state: TraceState) {
        self.tally(|s| match state {
            TraceState::Archived => s.archived += 1,
            TraceState::NoLog => s.no_log += 1,
            TraceState::Erased => s.erased += 1,
            TraceState::Forbidden => s.forbidden += 1,
            TraceState::Truncated => s.truncated += 1,
            TraceState::Vanished => s.vanished += 1,
            TraceState::Pending => s.pending += 1,
        });
    }

    fn fail(&self, failure: Failure) {
        tracing::debug!(job = ?failure.job, project = failure.project, "{}", failure.reason);
        self.tally(|s| s.failed.push(failure));
    }

    fn project_path(&self, project: ProjectId) -> String {
        let paths = self.paths.lock().unwrap_or_else(|e| e.into_inner());
        paths.get(&project).cloned().unwrap_or_else(|| project.to_string())
    }

    /// Hands a message to the writer; once it has ended there is nothing left to hand over.
    async fn send(&self, message: Message) {
        let sender = self.writer.lock().unwrap_or_else(|e| e.into_inner()).clone();
        if let Some(sender) = sender
            && sender.send(message).await.is_err()
        {
            self.stop.cancel();
        }
    }

    fn progress(&self) -> Progress {
        let stats = self.stats.lock().unwrap_or_else(|e| e.into_inner());
        Progress {
            listed: stats.listed,
            done: stats.archived
                + stats.truncated
                + stats.no_log
                + stats.erased
                + stats.forbidden
                + stats.vanished,
            waiting: self.queue.len() as u64,
            raw_bytes: stats.raw_bytes,
            projects: self.projects_done.load(std::sync::atomic::Ordering::Relaxed),
        }
    }

    async fn walk_or_report(&self, project: ProjectRow) {
        let path = project.path.clone();
        if self.stop.is_cancelled() {
            return;
        }
        if let Err(e) = self.walk_project(project).await {
            let reason = format!("{e:#}");
            self.fail(Failure { job: None, project: path, reason });
            if let Ok(e) = e.downcast::<gitlab::Error>() {
                // The caller hears of it at the end; nothing else can be done with it here.
                let _ = self.give_up_if_hopeless(e);
            }
        }
        self.projects_done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// Stops the run where every further request would fail alike.
    fn give_up_if_hopeless(&self, error: gitlab::Error) -> anyhow::Result<()> {
        use gitlab::Error::{Connect, Tls, Unauthorized};
        let hopeless = match &error {
            Unauthorized { token_accepted, .. } => !token_accepted,
            Connect { .. } | Tls { .. } => true,
            _ => false,
        };
        if hopeless {
            self.stop.cancel();
            self.hopeless.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
        }
        Ok(())
    }

    fn finish(&self, interrupted: bool, took: std::time::Duration) -> anyhow::Result<SyncStats> {
        let hopeless = self.hopeless.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(error) = hopeless {
            return Err(error).context("go on syncing");
        }
        let mut stats = std::mem::take(&mut *self.stats.lock().unwrap_or_else(|e| e.into_inner()));
        let sent = self.client.stats();
        stats.requests = sent.requests;
        stats.retries = sent.retries;
        stats.seconds = took.as_secs_f64();
        stats.interrupted = interrupted;
        stats.pending += self.queue.drain().len() as u64;
        Ok(stats)
    }
}

/// Puts an error of the client into one line, causes included.
fn reason(error: &gitlab::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
