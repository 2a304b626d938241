//! How many requests are under way at once: fewer while the server is in trouble, more as it recovers.
//!
//! [`Pressure`] is the rule, pure; [`Permits`] makes those wait who are too many. Knows nothing of what is asked.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::gitlab::Stats;

/// Trouble and slowness lower the limit at most this often: requests under way suffer from one and the same cause.
const EASE_EVERY: Duration = Duration::from_secs(1);
/// What is left of the limit after trouble, and after slowness.
const LEFT_BY_TROUBLE: f64 = 0.6;
const LEFT_BY_SLOWNESS: f64 = 0.9;
/// Answers that take so many times as long as usual, and at least this long, are slow.
const SLOW_TIMES: f64 = 4.0;
const SLOW_SECS: f64 = 0.5;
/// How much one answer changes what counts as recent, and as usual where it is quicker or slower than that.
const RECENT_WEIGHT: f64 = 0.1;
const QUICKER_WEIGHT: f64 = 0.2;
const SLOWER_WEIGHT: f64 = 0.002;

/// The limit and what moves it: one more after a limit's worth of good answers, a share less after trouble.
#[derive(Debug)]
struct Pressure {
    limit: f64,
    max: f64,
    eased_at: Option<Instant>,
    recent_secs: Option<f64>,
    usual_secs: f64,
    seen: Stats,
}

impl Pressure {
    fn new(max: usize, seen: Stats) -> Self {
        let max = max.max(1) as f64;
        Self { limit: max, max, eased_at: None, recent_secs: None, usual_secs: 0.0, seen }
    }

    /// Takes note of what the client did since the last time.
    fn note(&mut self, stats: Stats, now: Instant) {
        let seen = std::mem::replace(&mut self.seen, stats);
        let answered = stats.answered.saturating_sub(seen.answered);
        if answered == 0 {
            return;
        }
        let waited = stats.waited.saturating_sub(seen.waited).as_secs_f64() / answered as f64;
        let recent = self.recent_secs.map_or(waited, |r| r + (waited - r) * RECENT_WEIGHT);
        let weight = if recent < self.usual_secs { QUICKER_WEIGHT } else { SLOWER_WEIGHT };
        self.usual_secs = match self.recent_secs {
            None => waited,
            Some(_) => self.usual_secs + (recent - self.usual_secs) * weight,
        };
        self.recent_secs = Some(recent);
        let troubled = stats.troubled > seen.troubled || stats.rate_limited > seen.rate_limited;
        let slow = recent > SLOW_SECS && recent > self.usual_secs * SLOW_TIMES;
        if troubled || slow {
            let left = if troubled { LEFT_BY_TROUBLE } else { LEFT_BY_SLOWNESS };
            if self.eased_at.is_none_or(|at| now.duration_since(at) >= EASE_EVERY) {
                self.eased_at = Some(now);
                self.limit = (self.limit * left).max(1.0);
            }
        } else {
            self.limit = (self.limit + answered as f64 / self.limit).min(self.max);
        }
    }
}

#[derive(Debug)]
struct State {
    pressure: Pressure,
    under_way: usize,
}

/// Lets as many requests be under way as the server bears.
#[derive(Debug)]
pub(super) struct Permits {
    state: Mutex<State>,
    freed: Notify,
}

impl Permits {
    /// Allows at most `max` at once; `seen` is what the client did before.
    pub(super) fn new(max: usize, seen: Stats) -> Self {
        let state = State { pressure: Pressure::new(max, seen), under_way: 0 };
        Self { state: Mutex::new(state), freed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, so the state is whole.
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Waits for a place, which is free again when the permit is dropped.
    pub(super) async fn acquire(&self) -> Permit<'_> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let mut state = self.lock();
                if (state.under_way as f64) < state.pressure.limit.floor() {
                    state.under_way += 1;
                    return Permit(self);
                }
            }
            freed.await;
        }
    }

    /// Returns whether nothing is under way.
    pub(super) fn are_free(&self) -> bool {
        self.lock().under_way == 0
    }

    /// Takes note of what the client did so far.
    pub(super) fn note(&self, stats: Stats, now: Instant) {
        self.lock().pressure.note(stats, now);
        self.freed.notify_one();
    }
}

/// A place among the requests under way.
#[derive(Debug)]
pub(super) struct Permit<'a>(&'a Permits);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(stats: Stats, good: u64, each: Duration) -> Stats {
        Stats {
            answered: stats.answered + good,
            waited: stats.waited + each * u32::try_from(good).unwrap_or(u32::MAX),
            ..stats
        }
    }

    #[test]
    fn trouble_lowers_the_limit_once_a_second_and_good_answers_raise_it() {
        let start = Instant::now();
        let mut pressure = Pressure::new(16, Stats::default());
        let quick = Duration::from_millis(20);
        let mut stats = after(Stats::default(), 1, quick);
        for _ in 0..9 {
            stats = Stats { troubled: stats.troubled + 1, ..after(stats, 1, quick) };
            pressure.note(stats, start);
        }
        assert!((9.0..10.0).contains(&pressure.limit), "{}", pressure.limit);
        for second in 1..20 {
            stats = Stats { rate_limited: stats.rate_limited + 1, ..after(stats, 1, quick) };
            pressure.note(stats, start + Duration::from_secs(second));
        }
        assert!(pressure.limit < 1.5, "{}", pressure.limit);
        for _ in 0..400 {
            stats = after(stats, 1, quick);
            pressure.note(stats, start + Duration::from_secs(60));
        }
        assert!(pressure.limit > 15.0, "{}", pressure.limit);
    }

    #[test]
    fn answers_that_grow_slow_lower_the_limit() {
        let start = Instant::now();
        let mut pressure = Pressure::new(16, Stats::default());
        let mut stats = Stats::default();
        for _ in 0..100 {
            stats = after(stats, 1, Duration::from_millis(50));
            pressure.note(stats, start);
        }
        assert!(pressure.limit > 15.0);
        for second in 0..60 {
            stats = after(stats, 2, Duration::from_secs(2));
            pressure.note(stats, start + Duration::from_secs(second));
        }
        assert!(pressure.limit < 8.0, "{}", pressure.limit);
    }

    #[tokio::test]
    async fn no_more_are_under_way_than_allowed_and_a_given_up_wait_takes_no_place() {
        let permits = Permits::new(2, Stats::default());
        let (one, two) = (permits.acquire().await, permits.acquire().await);
        {
            let third = permits.acquire();
            tokio::pin!(third);
            let none = std::future::poll_fn(|c| std::task::Poll::Ready(third.as_mut().poll(c)));
            assert!(none.await.is_pending());
        }
        drop(one);
        let three = permits.acquire().await;
        assert_eq!(permits.lock().under_way, 2);
        drop((two, three));
        assert_eq!(permits.lock().under_way, 0);
    }
}
