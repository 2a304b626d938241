//! The server's clock, as its answers tell it.
//!
//! How old a job is, is a question of the server's time: that of this machine may be off.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::headers;

/// The `Date` of the latest answer and when it came.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    latest: Mutex<Option<(Timestamp, Instant)>>,
    answered: AtomicBool,
}

impl ServerClock {
    /// Takes note of an answer.
    pub(crate) fn note(&self, headers: &HeaderMap, at: Instant) {
        self.answered.store(true, Ordering::Relaxed);
        if let Some(date) = headers::date(headers) {
            // Nothing panics while the lock is held.
            *self.latest.lock().unwrap_or_else(|e| e.into_inner()) = Some((date, at));
        }
    }

    /// Returns whether there was an answer at all.
    pub(crate) fn has_started(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Returns the server's time, or `None` before its first answer.
    pub(crate) fn now(&self, at: Instant) -> Option<Timestamp> {
        let (date, then) = (*self.latest.lock().unwrap_or_else(|e| e.into_inner()))?;
        let passed = SignedDuration::try_from(at.saturating_duration_since(then)).ok()?;
        date.checked_add(passed).ok()
    }
}
