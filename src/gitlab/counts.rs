//! What a client did, in numbers.
//!
//! Owns the counters. They are read while others write, so the numbers of one reading may be a
//! request apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a client sent and received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests sent, redirects and repetitions included.
    pub requests: u64,
    /// Requests sent again after a failure other than 429.
    pub retries: u64,
    /// Answers of 429.
    pub rate_limited: u64,
    /// Bytes of bodies received, as on the wire.
    pub bytes: u64,
    /// Requests that met a broken connection, silence or a failure of the server.
    pub troubled: u64,
    /// Requests that had an answer or a failure.
    pub answered: u64,
    /// How long those took together, up to the first byte of their answers.
    pub waited: Duration,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    requests: AtomicU64,
    retries: AtomicU64,
    rate_limited: AtomicU64,
    bytes: AtomicU64,
    troubled: AtomicU64,
    answered: AtomicU64,
    waited_micros: AtomicU64,
}

impl Counts {
    pub(crate) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            requests: read(&self.requests),
            retries: read(&self.retries),
            rate_limited: read(&self.rate_limited),
            bytes: read(&self.bytes),
            troubled: read(&self.troubled),
            answered: read(&self.answered),
            waited: Duration::from_micros(read(&self.waited_micros)),
        }
    }

    /// Counts a request and returns how many there were before it.
    pub(crate) fn requested(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes back a request that is not sent after all.
    pub(crate) fn unrequested(&self) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn troubled(&self) {
        self.troubled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, after: Duration) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(after.as_micros()).unwrap_or_default();
        self.waited_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn rate_limited(&self) {
        self.rate_limited.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
