//! How fast logs are fetched while some wait: what a forecast reckons with. Pure.
//!
//! Time in which nothing waits tells nothing of the rate and is left out, so that a watch that fetches a job a minute,
//! because no more end, is not taken for slow.

use std::time::Duration;

use tokio::time::Instant;

/// Jobs measured before the rate means anything.
const MIN_JOBS: f64 = 20.0;
/// What was measured counts half after so many jobs more: the rate is that of late.
const FORGET_JOBS: f64 = 2000.0;

/// Measures the rate at which jobs are dealt with.
#[derive(Debug, Default)]
pub(super) struct Meter {
    jobs: f64,
    busy_secs: f64,
    /// When the last job was dealt with, if others waited then.
    since: Option<Instant>,
}

impl Meter {
    /// Takes note that the first jobs wait.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Takes note of a job that was dealt with; `waiting` are left.
    pub(super) fn done(&mut self, waiting: usize, now: Instant) {
        if let Some(since) = self.since {
            self.busy_secs += now.saturating_duration_since(since).as_secs_f64();
            self.jobs += 1.0;
        }
        self.since = (waiting > 0).then_some(now);
        if self.jobs >= 2.0 * FORGET_JOBS {
            self.jobs /= 2.0;
            self.busy_secs /= 2.0;
        }
    }

    /// Returns jobs a second, `None` where too few were measured.
    pub(super) fn rate(&self) -> Option<f64> {
        // A clock may be coarse; no server is faster than this.
        let shortest = Duration::from_micros(10).as_secs_f64() * self.jobs;
        (self.jobs >= MIN_JOBS).then(|| self.jobs / self.busy_secs.max(shortest))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use super::*;

    fn after(meter: &mut Meter, start: Instant, jobs: u64, each: f64, waiting: usize) -> Instant {
        (1..=jobs).fold(start, |_, n| {
            let now = start + Duration::from_secs_f64(n as f64 * each);
            meter.done(waiting, now);
            now
        })
    }

    #[test]
    fn time_in_which_nothing_waits_is_left_out() {
        let (mut meter, mut now) = (Meter::default(), Instant::now());
        meter.begin(now);
        now = after(&mut meter, now, 100, 0.1, 5);
        meter.done(0, now);
        // One job a minute, because no more end.
        after(&mut meter, now + Duration::from_secs(60), 60, 60.0, 0);
        let rate = meter.rate().unwrap();
        assert!((9.0..11.0).contains(&rate), "{rate}");
    }

    #[test]
    fn the_rate_is_that_of_late_and_needs_enough_jobs() {
        let (mut meter, mut now) = (Meter::default(), Instant::now());
        meter.begin(now);
        now = after(&mut meter, now, 10, 1.0, 5);
        assert_eq!(meter.rate(), None);
        now = after(&mut meter, now, 5_000, 0.1, 5);
        after(&mut meter, now, 20_000, 1.0, 5);
        let rate = meter.rate().unwrap();
        assert!((0.95..1.1).contains(&rate), "{rate}");
    }
}
