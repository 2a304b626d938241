//! Watching: round after round, for months, of a server that may be away for a while.
//!
//! What is wrong is said once, when it begins, and once when it is over; between, rounds become rarer. Ends when it is
//! told to, or where what was asked for can never be done.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jobvault_index::Index;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::scope::Listed;
use super::{Options, OtherHost, Progress, SyncStats, round};
use crate::gitlab::{self, Client};
use crate::store::Store;
use crate::store::compact::compact_step;

/// The longest wait between two rounds of a server that is away, unless rounds are rarer anyway.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// Bytes of logs compacted between two rounds: a second's work, and more than most servers write in a minute.
const TIDY_BYTES: u64 = 32 * 1024 * 1024;

/// What a watch works with; made anew when the configuration is read again.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The client.
    pub client: Client,
    /// What to sync.
    pub options: Options,
    /// From the beginning of one round to that of the next.
    pub every: Duration,
}

/// What a watch tells.
#[derive(Debug)]
pub enum Event {
    /// A round came to its end.
    Round(SyncStats),
    /// Rounds fail from now on; it is not said again while they do.
    Away(anyhow::Error),
    /// They no longer do.
    Back,
    /// The configuration was read again and is what counts from now on.
    Reloaded,
    /// The configuration was read again and is not usable; the former one stays.
    Unusable(anyhow::Error),
}

/// Syncs round after round until `stop` is cancelled. `setup` is called at the start and after each `reload`, which
/// ends a round early: what it has not come to, the next one takes up by what was configured anew.
///
/// # Errors
///
/// What `setup` says at the start, [`OtherHost`], and what makes the first round fail for good: a token that is
/// refused, a project that is not there.
pub async fn watch(
    store: &Store,
    index: &mut Index,
    mut setup: impl AsyncFnMut() -> anyhow::Result<Setup>,
    reload: &Notify,
    stop: CancellationToken,
    progress: impl Fn(Progress) + Clone + Send + Sync + 'static,
    tell: impl FnMut(Event),
) -> anyhow::Result<()> {
    let now = setup().await?;
    let listed = Listed::default();
    let mut watch = Watch { now, listed, setup, tell, reload, stop, failures: 0, first: true };
    while !watch.stop.is_cancelled() {
        let began = Instant::now();
        let (ended, next) = watch.round(store, index, progress.clone()).await;
        watch.judge(ended)?;
        if watch.failures == 0 && next.is_none() {
            tokio::select! {
                () = tidy(store, (watch.now.options.clock)()) => {}
                // What is left undone is for the next step, or the next run.
                () = watch.stop.cancelled() => {}
            }
        }
        let next = match next {
            None => watch.rest(began).await,
            next => next,
        };
        if let Some(setup) = next {
            (watch.now, watch.listed) = (setup, Listed::default());
            (watch.tell)(Event::Reloaded);
        }
    }
    Ok(())
}

/// Compacts a little of what rounds left, on a thread of its own. A round never waits long for it, nor fails by it.
async fn tidy(store: &Store, now: Timestamp) {
    let (store, handle) = (store.clone(), tokio::runtime::Handle::current());
    let step = move || handle.block_on(compact_step(&store, TIDY_BYTES, now));
    match tokio::task::spawn_blocking(step).await {
        Ok(Ok(done)) if done.traces > 0 => {
            tracing::info!(traces = done.traces, "Compacted {} logs", done.traces);
        }
        Ok(Ok(_)) => {}
        Ok(Err(e)) => tracing::warn!("Not compacted: {e}"),
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}

/// A watch under way.
struct Watch<'a, S, T> {
    now: Setup,
    listed: Listed,
    setup: S,
    tell: T,
    reload: &'a Notify,
    stop: CancellationToken,
    /// Rounds that failed one after the other.
    failures: u32,
    /// No round has succeeded yet.
    first: bool,
}

impl<S: AsyncFnMut() -> anyhow::Result<Setup>, T: FnMut(Event)> Watch<'_, S, T> {
    /// Syncs once. Ends early where the configuration was read anew, and returns what it says.
    async fn round(
        &mut self,
        store: &Store,
        index: &mut Index,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> (anyhow::Result<SyncStats>, Option<Setup>) {
        let early = self.stop.child_token();
        let heard = Arc::new(Notify::new());
        let options = Options { patient: true, ..self.now.options.clone() };
        let client = self.now.client.clone();
        let (stop, progress) = (early.clone(), telling(progress, heard.clone()));
        let round = round(store, index, &client, options, stop, progress, &mut self.listed);
        tokio::pin!(round);
        let mut next = None;
        loop {
            tokio::select! {
                ended = &mut round => return (ended, next),
                // Not only at the end of a round: the first one after a while away may take hours.
                () = heard.notified(), if self.failures > 0 => {
                    self.failures = 0;
                    (self.tell)(Event::Back);
                }
                () = self.reload.notified(), if next.is_none() => {
                    next = read_again(&mut self.setup, &mut self.tell).await;
                    if next.is_some() {
                        early.cancel();
                    }
                }
            }
        }
    }

    /// Tells how a round ended; fails where every other would end alike.
    fn judge(&mut self, ended: anyhow::Result<SyncStats>) -> anyhow::Result<()> {
        match judge(ended) {
            Ok(stats) => {
                if self.failures > 0 {
                    (self.tell)(Event::Back);
                }
                (self.failures, self.first) = (0, false);
                (self.tell)(Event::Round(stats));
            }
            Err(error) if error.is::<OtherHost>() || (self.first && is_final(&error)) => {
                return Err(error);
            }
            Err(error) => {
                if self.failures == 0 {
                    (self.tell)(Event::Away(error));
                }
                self.failures = self.failures.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Waits until the next round is due, or the configuration was read anew.
    async fn rest(&mut self, began: Instant) -> Option<Setup> {
        let due = began + wait(self.now.every, self.failures);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep_until(due) => return None,
                () = self.reload.notified() => {
                    let next = read_again(&mut self.setup, &mut self.tell).await;
                    if next.is_some() {
                        return next;
                    }
                }
            }
        }
    }
}

/// Reads the configuration again; one that is not usable is told of and changes nothing.
async fn read_again(
    setup: &mut impl AsyncFnMut() -> anyhow::Result<Setup>,
    tell: &mut impl FnMut(Event),
) -> Option<Setup> {
    match setup().await {
        Ok(setup) => Some(setup),
        Err(error) => {
            tell(Event::Unusable(error));
            None
        }
    }
}

/// Says through `heard` as well when the server listed something.
fn telling(
    progress: impl Fn(Progress) + Send + Sync + 'static,
    heard: Arc<Notify>,
) -> impl Fn(Progress) + Send + Sync + 'static {
    move |p| {
        if p.listed > 0 {
            heard.notify_one();
        }
        progress(p);
    }
}

/// Tells whether an error will be the same in the next round.
fn is_final(error: &anyhow::Error) -> bool {
    let gitlab = error.chain().find_map(|cause| cause.downcast_ref::<gitlab::Error>());
    gitlab.is_some_and(|error| !error.is_transient())
}

/// A round in which every project failed and nothing came is a failure as a whole.
fn judge(ended: anyhow::Result<SyncStats>) -> anyhow::Result<SyncStats> {
    let stats = ended?;
    let nothing = stats.listed == 0 && stats.done() == 0 && !stats.interrupted;
    match stats.failed.iter().find(|failure| failure.job.is_none()) {
        Some(failure) if nothing && stats.reached == 0 => {
            Err(anyhow::anyhow!("{}: {}", failure.project, failure.reason))
        }
        _ => Ok(stats),
    }
}

/// Returns the time from one round's beginning to the next one's: it doubles with each failure.
fn wait(every: Duration, failures: u32) -> Duration {
    every.saturating_mul(1 << failures.min(16)).min(MAX_WAIT.max(every))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_of_a_server_that_is_away_become_rarer_up_to_a_bound() {
        let minute = Duration::from_secs(60);
        assert_eq!([0, 1, 2, 9, 99].map(|n| wait(minute, n).as_secs()), [60, 120, 240, 600, 600]);
        assert_eq!(wait(minute * 60, 5), minute * 60);
    }
}
