//! Verification on all processors: logs go in in order, and what came of them comes out as it is ready.
//!
//! Owns the threads and when they stop: no log is begun once those before it hold enough. Whoever asked puts the
//! results in order. A panic while a log is verified goes on in whoever waits for it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::verify::{Job, Outcome, Verifier};

/// Results handed over at once: each handing over wakes who waits, which takes a processor from the threads.
const BATCH: usize = 16;
/// Fewer are handed over when the last time is this long ago.
const PATIENCE: Duration = Duration::from_millis(4);
/// And before a log of more documents than these, which may take longer than that.
const SHORT: usize = 16;

/// What came of some logs, each with its number.
pub(super) type Results = Vec<(usize, Outcome)>;

/// Threads that verify logs. Dropped, they stop after the log at hand.
pub(super) struct Pool {
    shared: Arc<Shared>,
    results: mpsc::UnboundedReceiver<Results>,
    threads: Vec<JoinHandle<()>>,
    put: usize,
}

impl Pool {
    /// Starts threads for `logs` logs, which stop when those verified hold `limit` lines, or jobs. Where no more than
    /// `low` logs wait for them, they hand over what they have, so that more can be put.
    pub(super) fn start(verifier: &Verifier, logs: usize, limit: Option<u64>, low: usize) -> Self {
        let state = State { waiting: VecDeque::new(), found: 0, limit, low, closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let (sender, results) = mpsc::unbounded_channel();
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(logs);
        let thread = |_| {
            let (shared, sender, verifier) = (shared.clone(), sender.clone(), verifier.clone());
            tokio::task::spawn_blocking(move || work(verifier, &shared, &sender))
        };
        let threads = (0..threads).map(thread).collect();
        Self { shared, results, threads, put: 0 }
    }

    /// Adds logs, which are numbered from 0 as they come.
    pub(super) fn put(&mut self, jobs: Vec<Job>) {
        let numbers = self.put..;
        self.put += jobs.len();
        self.shared.lock().waiting.extend(numbers.zip(jobs));
        self.shared.changed.notify_all();
    }

    /// Returns how many logs were put.
    pub(super) fn count(&self) -> usize {
        self.put
    }

    /// Tells whether no more than `low` logs wait.
    pub(super) fn is_low(&self) -> bool {
        self.shared.lock().is_low()
    }

    /// Returns how much of the limit the logs verified so far leave.
    pub(super) fn left(&self) -> usize {
        let left = self.shared.lock().left().unwrap_or(u64::MAX);
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Says that no more logs will come.
    pub(super) fn close(&self) {
        self.shared.close();
    }

    /// Returns the next results, or `None` where nothing more comes: all logs are done, or hold enough.
    pub(super) async fn next(&mut self) -> Option<Results> {
        if let Some(results) = self.results.recv().await {
            return Some(results);
        }
        for thread in self.threads.drain(..) {
            if let Err(e) = thread.await {
                std::panic::resume_unwind(e.into_panic());
            }
        }
        None
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().waiting.clear();
        self.shared.close();
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: VecDeque<(usize, Job)>,
    /// What the limit counts, in the logs verified so far.
    found: u64,
    limit: Option<u64>,
    low: usize,
    closed: bool,
}

impl State {
    fn is_low(&self) -> bool {
        self.waiting.len() <= self.low
    }

    fn left(&self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.found))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Takes the next log, and how much of it is wanted at most; `None` where there is nothing more to do. Calls
    /// `few` where more logs should be put.
    fn take(&self, mut few: impl FnMut()) -> Option<(usize, Job, Option<u64>)> {
        let mut state = self.lock();
        if state.is_low() && !state.closed {
            few();
        }
        loop {
            // What was found is in logs before the one taken now, for they are taken in order.
            let left = state.left();
            if left == Some(0) {
                return None;
            }
            if let Some((number, job)) = state.waiting.pop_front() {
                return Some((number, job, left));
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }
}

/// Closes the pool where its thread panics, so that the other threads end and the panic is noticed.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().waiting.clear();
            self.0.close();
        }
    }
}

/// Results of a thread on their way to whoever asked.
struct Batch<'a> {
    done: Results,
    since: Instant,
    sender: &'a mpsc::UnboundedSender<Results>,
}

impl Batch<'_> {
    fn is_due(&self) -> bool {
        self.done.len() >= BATCH || self.since.elapsed() > PATIENCE
    }

    /// Hands over what there is. Where nobody listens any more nobody wants more, and that is false.
    fn hand_over(&mut self) -> bool {
        self.since = Instant::now();
        self.done.is_empty() || self.sender.send(std::mem::take(&mut self.done)).is_ok()
    }
}

/// Verifies logs until there are no more.
fn work(mut verifier: Verifier, shared: &Shared, sender: &mpsc::UnboundedSender<Results>) {
    let _closing = Closing(shared);
    let mut batch = Batch { done: Vec::new(), since: Instant::now(), sender };
    while let Some((number, job, left)) = shared.take(|| _ = batch.hand_over()) {
        if job.documents.len() > SHORT {
            batch.hand_over();
        }
        let outcome = verifier.log(&job, left);
        shared.lock().found += outcome.units();
        batch.done.push((number, outcome));
        if batch.is_due() && !batch.hand_over() {
            return;
        }
    }
    batch.hand_over();
}
