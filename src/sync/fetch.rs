//! Fetching: one job's trace at a time, from the queue to the writer.

use jiff::SignedDuration;

use super::Failure;
use super::judge::is_doubtful;
use super::queue::Item;
use super::run::{Run, reason};
use super::spool::Spool;
use super::writer::Message;
use crate::gitlab::{self, TraceHead};
use crate::model::TraceState;
use crate::store::NewState;

/// How long a watch lets a job rest that failed; it doubles with each failure.
const REST: SignedDuration = SignedDuration::from_mins(1);
/// Doublings at most: a day, about.
const MAX_DOUBLINGS: u32 = 10;

/// How often a job is put back in one run before it is left to the next.
const TRIES: u32 = 2;

/// The same for a trace that has not the announced length, the first time: a fault that meets every fifth answer gets
/// through once in ten thousand jobs.
const DOUBTFUL_TRIES: u32 = 5;

/// What comes of one attempt.
enum Outcome {
    /// The trace is whole.
    Fetched(Spool, TraceHead),
    /// The job has a state without a trace.
    State(TraceState, String),
    /// The attempt failed; the same may work later.
    Failed(gitlab::Error),
    /// The run is stopping.
    Stopped,
}

impl Run {
    /// Fetches what the queue gives until it gives no more.
    pub(super) async fn fetch_all(&self) {
        loop {
            let item = tokio::select! {
                item = self.choose() => item,
                () = self.stop.cancelled() => return,
            };
            let Some(item) = item else { return };
            self.note_begun();
            self.fetch_one(item).await;
            if self.is_spent() {
                return self.stop.cancelled().await;
            }
        }
    }

    async fn fetch_one(&self, item: Item) {
        let job = item.job;
        match self.attempt(&item).await {
            // A proxy cut it, perhaps; what is still so at the last look is kept and named.
            Outcome::Fetched(_, head)
                if item.tries < doubtful_tries(&item) && is_doubtful(&item, head.bytes) =>
            {
                tracing::debug!(job = %item.job, bytes = head.bytes, "Not of the announced length");
                return self.queue.put_back(item, self.server_now());
            }
            Outcome::Fetched(spool, head) => {
                self.send(Message::Fetched { item, spool, head }).await;
            }
            Outcome::State(state, reason) => {
                let state = NewState {
                    state,
                    reason,
                    next_at: None,
                    attempts: 0,
                    gone: state == TraceState::Vanished,
                    erased: false,
                };
                self.send(Message::State { item, state }).await;
            }
            Outcome::Failed(error)
                if error.is_transient() && item.tries < TRIES && !is_gone(&error) =>
            {
                tracing::debug!(job = %item.job, "{}", reason(&error));
                return self.queue.put_back(item, self.server_now());
            }
            Outcome::Failed(error) => self.leave(item, error).await,
            // Still pending in the catalogue; the next run takes it up.
            Outcome::Stopped => return self.queue.put_back(item, self.server_now()),
        }
        self.queue.done(job);
        self.note_done();
    }

    async fn attempt(&self, item: &Item) -> Outcome {
        match self.identify().await {
            None => return Outcome::Stopped,
            Some(Err(e)) => return Outcome::Failed(e),
            Some(Ok(())) => {}
        }
        let mut spool = Spool::new(&self.store.tmp_dir());
        match self.ask(self.client.trace(item.project, item.job, &mut spool)).await {
            None => Outcome::Stopped,
            Some(Ok(head)) => Outcome::Fetched(spool, head),
            Some(Err(gitlab::Error::NotFound { .. })) => self.without_trace(item).await,
            Some(Err(gitlab::Error::Forbidden { message, .. })) => {
                let hint = "a token of at least Developer role reads debug logs too";
                Outcome::State(
                    TraceState::Forbidden,
                    format!("the server refuses its log: {message} ({hint})"),
                )
            }
            Some(Err(e)) => Outcome::Failed(e),
        }
    }

    /// Tells a job that is gone from one that has no log, which the documentation gives the same answer. No log is
    /// judged as an empty one, which is what other servers send for it.
    async fn without_trace(&self, item: &Item) -> Outcome {
        let held = item.held.is_some();
        let Some(job) = self.ask(self.client.job(item.project, item.job)).await else {
            return Outcome::Stopped;
        };
        match job {
            Ok(_) => {
                let empty = TraceHead { bytes: 0, hash: blake3::hash(b"") };
                Outcome::Fetched(Spool::new(&self.store.tmp_dir()), empty)
            }
            Err(gitlab::Error::NotFound { .. }) if held => {
                Outcome::State(TraceState::Archived, "deleted upstream".to_owned())
            }
            Err(gitlab::Error::NotFound { .. }) => {
                let reason = "deleted upstream before it was captured";
                Outcome::State(TraceState::Vanished, reason.to_owned())
            }
            Err(e) => Outcome::Failed(e),
        }
    }

    /// Leaves a job to the next run, and stops this one where every other job would fail alike.
    async fn leave(&self, item: Item, error: gitlab::Error) {
        let reason = reason(&error);
        let project = self.known(item.project).path;
        self.fail(Failure { job: Some(item.job), project, reason: reason.clone() });
        let rest = REST * (1 << item.attempts.min(MAX_DOUBLINGS));
        let state = NewState {
            state: TraceState::Pending,
            reason,
            next_at: Some(self.server_now() + rest),
            attempts: item.attempts + 1,
            gone: false,
            erased: false,
        };
        self.send(Message::State { item, state }).await;
        self.give_up_if_hopeless(error);
    }
}

fn doubtful_tries(item: &Item) -> u32 {
    if item.attempts == 0 { DOUBTFUL_TRIES } else { 0 }
}

/// Trying again is no use: the client tried for long enough that the server is gone.
fn is_gone(error: &gitlab::Error) -> bool {
    matches!(error, gitlab::Error::Connect { .. })
}
