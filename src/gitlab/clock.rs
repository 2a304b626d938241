//! The server's clock, as its answers tell it.
//!
//! How old a job is, is a question of the server's time: that of this machine may be off.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::headers;

/// The speed of the server's clock is measured over the answers of the last one to two of these.
const WINDOW: Duration = Duration::from_secs(5);
/// A span too short to measure a speed: `Date` tells whole seconds.
const MIN_SPAN: Duration = Duration::from_millis(500);
/// By how much answers may be late or early without meaning that the server's clock runs at a speed of its own.
const JITTER: f64 = 2.0;

/// What an answer's `Date` said, and when it came.
#[derive(Debug, Clone, Copy)]
struct Seen {
    date: Timestamp,
    at: Instant,
}

/// The `Date` of the latest answer, and of earlier ones to see how fast that clock runs.
///
/// A server's clock keeps time, or it is being put right, or it runs many times as fast in a trial of what happens
/// over months. Then the time that passed since its last answer counts as often, but only as long as it was observed.
#[derive(Debug, Clone, Copy)]
struct Observed {
    first: Seen,
    middle: Seen,
    latest: Seen,
}

impl Observed {
    fn begin(seen: Seen) -> Self {
        Self { first: seen, middle: seen, latest: seen }
    }

    fn note(&mut self, seen: Seen) {
        if seen.at.saturating_duration_since(self.middle.at) >= WINDOW {
            self.first = self.middle;
            self.middle = seen;
        }
        self.latest = seen;
    }

    /// Seconds of the server in one of ours, and for how long that may be believed.
    fn speed(&self) -> (f64, Duration) {
        let span = self.latest.at.saturating_duration_since(self.first.at);
        let told = self.latest.date.duration_since(self.first.date).as_secs_f64();
        match span >= MIN_SPAN && told > 2.0 * span.as_secs_f64() + JITTER {
            true => (told / span.as_secs_f64(), span),
            false => (1.0, span),
        }
    }

    fn now(&self, at: Instant) -> Option<Timestamp> {
        let passed = at.saturating_duration_since(self.latest.at);
        let (speed, trusted) = self.speed();
        let fast = passed.min(trusted).as_secs_f64() * (speed - 1.0);
        let passed = SignedDuration::try_from(passed).ok()?;
        let fast = SignedDuration::try_from_secs_f64(fast).ok()?;
        self.latest.date.checked_add(passed.checked_add(fast)?).ok()
    }
}

/// The server's clock.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    observed: Mutex<Option<Observed>>,
    answered: AtomicBool,
}

impl ServerClock {
    /// Takes note of an answer.
    pub(crate) fn note(&self, headers: &HeaderMap, at: Instant) {
        self.answered.store(true, Ordering::Relaxed);
        if let Some(date) = headers::date(headers) {
            let seen = Seen { date, at };
            // Nothing panics while the lock is held.
            let mut observed = self.observed.lock().unwrap_or_else(|e| e.into_inner());
            observed.get_or_insert_with(|| Observed::begin(seen)).note(seen);
        }
    }

    /// Returns whether there was an answer at all.
    pub(crate) fn has_started(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Returns the server's time, or `None` before its first answer.
    pub(crate) fn now(&self, at: Instant) -> Option<Timestamp> {
        (*self.observed.lock().unwrap_or_else(|e| e.into_inner()))?.now(at)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// Says the time after answers at these (seconds of ours, seconds of the server).
    fn told(answers: &[(f64, i64)], asked: f64) -> f64 {
        let (zero, clock) = (Instant::now(), ServerClock::default());
        for (at, date) in answers {
            let date = Timestamp::from_second(*date).unwrap();
            let text =
                jiff::fmt::rfc2822::to_string(&date.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert("date", text.parse().unwrap());
            clock.note(&headers, zero + Duration::from_secs_f64(*at));
        }
        let now = clock.now(zero + Duration::from_secs_f64(asked)).unwrap();
        now.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
    }

    #[test]
    fn a_clock_that_keeps_time_is_read_to_the_second() {
        assert_eq!(told(&[(0.0, 100)], 7.5), 107.5);
        // Answers that came late, or whose second was about to end, are no speed.
        assert_eq!(told(&[(0.0, 100), (0.6, 101), (0.7, 102)], 1.7), 103.0);
        assert_eq!(told(&[(0.0, 100), (4.0, 104), (9.0, 109), (13.0, 113)], 3613.0), 3713.0);
    }

    #[test]
    fn a_clock_that_runs_fast_is_ahead_of_its_last_answer() {
        assert_eq!(told(&[(0.0, 0), (1.0, 3600)], 1.5), 5400.0);
        // Nobody knows how it goes on after that.
        assert_eq!(told(&[(0.0, 0), (1.0, 3600)], 12.0), 7200.0 + 10.0);
    }

    #[test]
    fn a_clock_that_was_put_right_is_believed_and_soon_runs_as_it_did() {
        let mut answers: Vec<(f64, i64)> = (0..10).map(|s| (s as f64, s)).collect();
        answers.extend((10..30).map(|s| (s as f64, 3600 + s)));
        assert_eq!(told(&answers, 31.0), 3631.0);
    }
}
