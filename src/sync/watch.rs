//! Watching: round after round, for months, of a server that may be away for a while.
//!
//! What is wrong is said once, when it begins, and once when it is over; between, rounds become rarer. Ends when it is
//! told to, or where what was asked for can never be done.

use std::time::Duration;

use jobvault_index::Index;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::scope::Listed;
use super::{Options, OtherHost, Progress, SyncStats, round};
use crate::gitlab::{self, Client};
use crate::store::Store;

/// The longest wait between two rounds of a server that is away, unless rounds are rarer anyway.
const MAX_WAIT: Duration = Duration::from_secs(600);

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
    mut tell: impl FnMut(Event),
) -> anyhow::Result<()> {
    let mut now = setup().await?;
    let (mut listed, mut failures, mut first) = (Listed::default(), 0u32, true);
    while !stop.is_cancelled() {
        let began = Instant::now();
        let options = Options { patient: true, ..now.options.clone() };
        let early = stop.child_token();
        let (ended, mut next) = {
            let (stop, progress) = (early.clone(), progress.clone());
            let round = round(store, index, &now.client, options, stop, progress, &mut listed);
            tokio::pin!(round);
            tokio::select! {
                ended = &mut round => (ended, None),
                setup = reloaded(&mut setup, reload, &mut tell) => {
                    early.cancel();
                    (round.await, Some(setup))
                }
            }
        };
        match judge(ended) {
            Ok(stats) => {
                if failures > 0 {
                    tell(Event::Back);
                }
                (failures, first) = (0, false);
                tell(Event::Round(stats));
            }
            Err(error) if error.is::<OtherHost>() || (first && is_final(&error)) => {
                return Err(error);
            }
            Err(error) => {
                if failures == 0 {
                    tell(Event::Away(error));
                }
                failures = failures.saturating_add(1);
            }
        }
        if next.is_none() {
            next = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(began + wait(now.every, failures)) => None,
                setup = reloaded(&mut setup, reload, &mut tell) => Some(setup),
            };
        }
        if let Some(setup) = next {
            (now, listed) = (setup, Listed::default());
            tell(Event::Reloaded);
        }
    }
    Ok(())
}

/// Waits until the configuration was read again and is usable.
async fn reloaded(
    setup: &mut impl AsyncFnMut() -> anyhow::Result<Setup>,
    reload: &Notify,
    tell: &mut impl FnMut(Event),
) -> Setup {
    loop {
        reload.notified().await;
        match setup().await {
            Ok(setup) => return setup,
            Err(error) => tell(Event::Unusable(error)),
        }
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
