//! Watching: round after round, for months, of a server that may be away for a while.
//!
//! What is wrong is said once, when it begins, and once when it is over; between, rounds become rarer. Ends when it is
//! told to, or where what was asked for can never be done.

use std::time::Duration;

use jiff::Timestamp;
use jobvault_index::Index;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::scope::Listed;
use super::{Options, OtherHost, Progress, SyncStats, round};
use crate::gitlab::Client;
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
    /// The configuration was read again and is not usable; the former one stays.
    Unusable(anyhow::Error),
}

/// Syncs round after round until `stop` is cancelled. `setup` is called at the start and after each `reload`.
///
/// # Errors
///
/// What `setup` says at the start, and [`OtherHost`].
pub async fn watch(
    store: &Store,
    index: &mut Index,
    mut setup: impl AsyncFnMut() -> anyhow::Result<Setup>,
    reload: &Notify,
    stop: CancellationToken,
    mut tell: impl FnMut(Event),
) -> anyhow::Result<()> {
    let mut now = setup().await?;
    let (mut listed, mut failures) = (Listed::default(), 0u32);
    while !stop.is_cancelled() {
        let began = Instant::now();
        let options = Options { patient: true, ..now.options.clone() };
        let none = |_: Progress| {};
        let ended =
            round(store, index, &now.client, options, stop.clone(), none, &mut listed).await;
        match judge(ended) {
            Ok(stats) => {
                if failures > 0 {
                    tell(Event::Back);
                }
                failures = 0;
                tell(Event::Round(stats));
                tidy(store, (now.options.clock)()).await;
            }
            Err(error) if error.is::<OtherHost>() => return Err(error),
            Err(error) => {
                if failures == 0 {
                    tell(Event::Away(error));
                }
                failures = failures.saturating_add(1);
            }
        }
        let next = began + wait(now.every, failures);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep_until(next) => {}
            () = reload.notified() => match setup().await {
                Ok(setup) => (now, listed) = (setup, Listed::default()),
                Err(error) => tell(Event::Unusable(error)),
            },
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
