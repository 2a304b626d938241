//! When the next request may start.
//!
//! Owns one queue for all clones of a client: the rate asked for, the server's own budget, and
//! the gate a 429 closes. The rules are pure and take the time; only [`Pacer::turn`] waits.
//! Does not know what a request is. Fails only when the wait is longer than anyone should.

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::headers::Budget;

/// The longest own wait after a 429 without a time; GitLab's windows last a minute.
const MAX_OWN_WAIT: Duration = Duration::from_secs(60);
/// Below this share of the server's budget what is left is spread over the rest of the window.
const LOW_BUDGET_PARTS: u64 = 10;
/// The budget that counts as low where the server does not tell its limit.
const LOW_BUDGET: u64 = 20;

/// What the rules remember.
#[derive(Debug)]
struct State {
    /// The time between two requests that the rate asks for.
    interval: Duration,
    /// The first own wait.
    first_wait: Duration,
    /// No request starts before it.
    next_slot: Instant,
    /// Set by a 429: no request starts before it, whatever the rate.
    gate: Option<Instant>,
    /// When the gate was last set, to tell requests that were under way already.
    closed_at: Option<Instant>,
    /// The next wait for a 429 that names none.
    own_wait: Duration,
    /// What is left of the server's budget: the time between requests, and until when.
    spread: Option<(Duration, Instant)>,
}

impl State {
    fn new(interval: Duration, first_wait: Duration, now: Instant) -> Self {
        Self {
            interval,
            first_wait,
            next_slot: now,
            gate: None,
            closed_at: None,
            own_wait: first_wait,
            spread: None,
        }
    }

    /// Returns when the next turn is.
    fn free_at(&self) -> Instant {
        self.gate.map_or(self.next_slot, |gate| gate.max(self.next_slot))
    }

    /// Takes the turn, or says when to ask again.
    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let free_at = self.free_at();
        if now < free_at {
            return Err(free_at);
        }
        let spread = self.spread.filter(|(_, until)| now < *until);
        self.spread = spread;
        let interval = spread.map_or(self.interval, |(each, _)| each.max(self.interval));
        self.next_slot = now + interval;
        Ok(())
    }

    /// Closes the gate after a 429 of a request that began at `started`.
    fn close(&mut self, started: Instant, asked: Option<Duration>, now: Instant) -> Duration {
        // Requests under way when the gate closed were refused for the same reason.
        let known = self.closed_at.is_some_and(|closed_at| started <= closed_at);
        let wait = asked.unwrap_or(if known { Duration::ZERO } else { self.own_wait });
        if asked.is_none() && !known {
            self.own_wait = (self.own_wait * 2).min(MAX_OWN_WAIT);
        }
        if !known {
            self.closed_at = Some(now);
        }
        let until = now + wait;
        let gate = self.gate.map_or(until, |gate| gate.max(until));
        self.gate = Some(gate);
        gate.saturating_duration_since(now)
    }

    /// Notes an answer that was no 429.
    fn succeed(&mut self, started: Instant, budget: Option<Budget>, now: Instant) {
        if self.closed_at.is_none_or(|closed_at| started > closed_at) {
            self.own_wait = self.first_wait;
        }
        let Some(budget) = budget else { return };
        let low = budget.limit.map_or(LOW_BUDGET, |limit| limit / LOW_BUDGET_PARTS);
        self.spread = (budget.remaining <= low && !budget.window.is_zero()).then(|| {
            let shares = u32::try_from(budget.remaining).unwrap_or(u32::MAX).saturating_add(1);
            (budget.window / shares, now + budget.window)
        });
    }
}

/// The turn is further away than the client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong(pub(crate) Duration);

/// The one queue of all requests of a client and its clones.
#[derive(Debug)]
pub(crate) struct Pacer {
    state: Mutex<State>,
    /// One request at a time waits for its slot and the others queue behind it in order. A
    /// request given up while it waits leaves no trace.
    turnstile: Semaphore,
    max_wait: Duration,
}

impl Pacer {
    /// Makes a pacer for one request each `interval`, which never waits longer than `max_wait`.
    pub(crate) fn new(interval: Duration, first_wait: Duration, max_wait: Duration) -> Self {
        Self {
            state: Mutex::new(State::new(interval, first_wait, Instant::now())),
            turnstile: Semaphore::new(1),
            max_wait,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is valid after every statement, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request may start and returns when that was.
    pub(crate) async fn turn(&self) -> Result<Instant, TooLong> {
        let _turn = self.turnstile.acquire().await.expect("the turnstile is never closed");
        loop {
            let now = Instant::now();
            let Err(free_at) = self.state().take(now) else {
                return Ok(now);
            };
            let wait = free_at - now;
            if wait > self.max_wait {
                return Err(TooLong(wait));
            }
            tokio::time::sleep_until(free_at).await;
        }
    }

    /// Waits until a request would start at once, behind those that wait, and takes no turn. Returns at once where that is
    /// too far away, which the request will be told.
    pub(crate) async fn free(&self) {
        let _turn = self.turnstile.acquire().await.expect("the turnstile is never closed");
        loop {
            let (now, free_at) = (Instant::now(), self.state().free_at());
            if free_at <= now || free_at - now > self.max_wait {
                return;
            }
            tokio::time::sleep_until(free_at).await;
        }
    }

    /// Closes the gate after a 429; returns how long it stays closed.
    pub(crate) fn close(&self, started: Instant, asked: Option<Duration>) -> Duration {
        self.state().close(started, asked, Instant::now())
    }

    /// Notes an answer that was no 429.
    pub(crate) fn succeed(&self, started: Instant, budget: Option<Budget>) {
        self.state().succeed(started, budget, Instant::now());
    }
}
