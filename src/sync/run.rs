//! What the parts of one sync share: the client and its limits, the queue, the way to the writer, the account.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::{OnceCell, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::permits::Permits;
use super::queue::{Item, Queue};
use super::rate::Meter;
use super::writer::Message;
use super::{Failure, Options, Progress, SyncStats};
use crate::gitlab::{self, Client};
use crate::model::{ProjectId, TraceState};
use crate::store::{Identity, Store};

/// The key under which the catalogue keeps how many logs a second were fetched of late.
pub(super) const RATE_KEY: &str = "fetch_rate";

/// What is known of a project beside its row.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) path: String,
    /// The server deletes its pipelines at this age, in seconds.
    pub(super) delete_after: Option<u64>,
}

/// What the parts of one sync share.
pub(super) struct Run {
    pub(super) client: Client,
    pub(super) store: Store,
    pub(super) options: Options,
    pub(super) queue: Queue,
    /// Held by the one fetcher that chooses what it fetches.
    choosing: tokio::sync::Mutex<()>,
    pub(super) stop: CancellationToken,
    /// By the wall clock.
    pub(super) began: Timestamp,
    pub(super) projects_done: AtomicU64,
    /// What the client did before this run.
    before: gitlab::Stats,
    permits: Permits,
    writer: Mutex<Option<mpsc::Sender<Message>>>,
    stats: Mutex<SyncStats>,
    meter: Mutex<Meter>,
    known: Mutex<HashMap<ProjectId, Known>>,
    hopeless: Mutex<Option<gitlab::Error>>,
    spent: AtomicBool,
    identified: OnceCell<()>,
    synced: OnceLock<HashSet<ProjectId>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What they guard is whole after every statement.
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Run {
    pub(super) fn new(
        client: &Client,
        store: &Store,
        options: Options,
        writer: mpsc::Sender<Message>,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            client: client.clone(),
            store: store.clone(),
            queue: Queue::default(),
            choosing: tokio::sync::Mutex::default(),
            stop: stop.child_token(),
            began: (options.clock)(),
            projects_done: AtomicU64::default(),
            before: client.stats(),
            permits: Permits::new(options.concurrency, client.stats()),
            writer: Mutex::new(Some(writer)),
            stats: Mutex::default(),
            meter: Mutex::default(),
            known: Mutex::default(),
            hopeless: Mutex::default(),
            spent: AtomicBool::default(),
            identified: OnceCell::default(),
            synced: OnceLock::default(),
            options,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.options.clock)()
    }

    /// Returns the server's time, which decides how old a job is.
    pub(super) fn server_now(&self) -> Timestamp {
        self.client.server_time().unwrap_or_else(|| self.now())
    }

    /// Takes the job whose trace is fetched next, when its request may start and not before: meanwhile one that is lost
    /// sooner may come up, or this one be lost. `None` where there will be none.
    pub(super) async fn choose(&self) -> Option<Item> {
        let _choosing = self.choosing.lock().await;
        self.client.until_free().await;
        self.queue.take(|| self.server_now()).await
    }

    /// Waits until requests may go elsewhere than to jobs that will be lost. `false` where the run stops.
    pub(super) async fn aside(&self) -> bool {
        tokio::select! {
            () = self.queue.aside() => !self.stop.is_cancelled(),
            () = self.stop.cancelled() => false,
        }
    }

    /// Asks the server when there is a place for it. `None` where the run stops, or may ask no more.
    pub(super) async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, gitlab::Error>>,
    ) -> Option<Result<T, gitlab::Error>> {
        let asked = async {
            let _permit = self.permits.acquire().await;
            if self.is_spent() { None } else { Some(call.await) }
        };
        let answer = tokio::select! {
            answer = asked => answer,
            () = self.stop.cancelled() => return None,
        };
        self.permits.note(self.client.stats(), Instant::now());
        let spent = matches!(answer, Some(Err(gitlab::Error::Spent { .. })));
        if spent {
            self.spent.store(true, Ordering::Relaxed);
        }
        // What is under way was paid for and comes to its end first.
        if self.is_spent() && self.permits.are_free() {
            self.stop.cancel();
        }
        answer.filter(|_| !spent)
    }

    /// Returns whether no more requests may be sent.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    pub(super) fn tally(&self, change: impl FnOnce(&mut SyncStats)) {
        change(&mut lock(&self.stats));
    }

    /// Takes note that there is something to fetch.
    pub(super) fn note_begun(&self) {
        lock(&self.meter).begin(Instant::now());
    }

    /// Takes note that a job was dealt with.
    pub(super) fn note_done(&self) {
        let waiting = self.queue.len();
        lock(&self.meter).done(waiting, Instant::now());
    }

    /// Writes down how fast logs are fetched, for forecasts, where that is known.
    pub(super) async fn record_rate(&self) {
        let rate = lock(&self.meter).rate();
        if let Some(rate) = rate
            && let Err(e) = self.store.set_meta(RATE_KEY, &format!("{rate:.4}")).await
        {
            // A forecast is all that suffers; what is wrong with the disk is found by the writer.
            tracing::debug!("The rate of fetching was not recorded: {e}");
        }
    }

    pub(super) fn count(&self, state: TraceState) {
        self.tally(|s| s.count(state));
    }

    pub(super) fn fail(&self, failure: Failure) {
        tracing::debug!(job = ?failure.job, project = failure.project, "{}", failure.reason);
        self.tally(|s| s.fail(failure));
    }

    pub(super) fn know(&self, project: ProjectId, known: Known) {
        lock(&self.known).insert(project, known);
    }

    pub(super) fn known(&self, project: ProjectId) -> Known {
        let unknown = || Known { path: project.to_string(), delete_after: None };
        lock(&self.known).get(&project).cloned().unwrap_or_else(unknown)
    }

    /// Says which projects are walked in this run; only the first word counts.
    pub(super) fn synced(&self, projects: impl Iterator<Item = ProjectId>) {
        self.synced.get_or_init(|| projects.collect());
    }

    /// Returns the projects that are walked in this run.
    pub(super) fn synced_projects(&self) -> Vec<ProjectId> {
        self.synced.get().map(|synced| synced.iter().copied().collect()).unwrap_or_default()
    }

    /// Returns whether a project is walked in this run.
    pub(super) fn is_synced(&self, project: ProjectId) -> bool {
        self.synced.get().is_some_and(|synced| synced.contains(&project))
    }

    /// Hands a message to the writer; once it has ended there is nothing left to hand over.
    pub(super) async fn send(&self, message: Message) {
        if self.options.dry_run {
            return;
        }
        let sender = lock(&self.writer).clone();
        if let Some(sender) = sender
            && sender.send(message).await.is_err()
        {
            self.stop.cancel();
        }
    }

    /// Says that no more messages come.
    pub(super) fn end_messages(&self) {
        lock(&self.writer).take();
    }

    pub(super) fn progress(&self) -> Progress {
        let stats = lock(&self.stats);
        Progress {
            listed: stats.listed,
            done: stats.done(),
            waiting: self.queue.len() as u64,
            raw_bytes: stats.raw_bytes,
            projects: self.projects_done.load(Ordering::Relaxed),
        }
    }

    /// Asks once, before the first trace, by whom jobs are captured. `None` where the run stops.
    pub(super) async fn identify(&self) -> Option<Result<(), gitlab::Error>> {
        let ask = || async {
            let version = self.client.version().await?;
            let user = match self.client.whoami().await {
                Ok(user) => user.value.username.unwrap_or_default(),
                // A job token has no user that it may read.
                Err(gitlab::Error::Unauthorized { .. } | gitlab::Error::Forbidden { .. }) => {
                    String::new()
                }
                Err(e) => return Err(e),
            };
            let gitlab_version = version.and_then(|v| v.version).unwrap_or_default();
            let identity = Identity { host: self.options.host.clone(), gitlab_version, user };
            self.send(Message::Identity(identity)).await;
            Ok(())
        };
        if self.identified.initialized() {
            return Some(Ok(()));
        }
        self.ask(async { self.identified.get_or_try_init(ask).await.copied() }).await
    }

    /// Stops the run where every further request would fail alike.
    pub(super) fn give_up_if_hopeless(&self, error: gitlab::Error) {
        use gitlab::Error::{Connect, Io, Tls, Unauthorized};
        let hopeless = match &error {
            Unauthorized { token_accepted, .. } => !token_accepted,
            // What takes traces in is our own disk: it is full, or cannot be written.
            Connect { .. } | Tls { .. } | Io(_) => true,
            _ => false,
        };
        if hopeless {
            self.stop.cancel();
            // The caller hears of it at the end; nothing else can be done with it here.
            lock(&self.hopeless).get_or_insert(error);
        }
    }

    /// Returns whether the run stops because every further request would fail alike.
    pub(super) fn is_given_up(&self) -> bool {
        lock(&self.hopeless).is_some()
    }

    /// Returns the account, or why the run was given up.
    pub(super) fn finish(
        &self,
        interrupted: bool,
        took: std::time::Duration,
    ) -> anyhow::Result<SyncStats> {
        if let Some(error) = lock(&self.hopeless).take() {
            return Err(error).context("the sync was given up");
        }
        let mut stats = std::mem::take(&mut *lock(&self.stats));
        let sent = self.client.stats();
        stats.requests = sent.requests - self.before.requests;
        stats.retries = sent.retries - self.before.retries;
        stats.seconds = took.as_secs_f64();
        stats.spent = self.is_spent();
        stats.interrupted = interrupted || stats.spent;
        stats.pending += self.queue.len() as u64;
        Ok(stats)
    }
}

/// Puts an error of the client into one line, causes included.
pub(super) fn reason(error: &gitlab::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
