//! What is fetched next. Pure but for the waiting of those who fetch.
//!
//! Soonest expected loss first, then newest. Knows neither GitLab nor the archive: an item is a job's number, its
//! deadline and what the fetcher needs to know.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::model::{JobId, ProjectId};
use crate::store::TraceId;

/// A trace that stands for a job already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// The archive's number of it.
    pub(crate) trace: TraceId,
    /// Its length.
    pub(crate) bytes: u64,
    /// BLAKE3 of it.
    pub(crate) hash: [u8; 32],
}

/// A job whose trace is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// The job.
    pub(crate) job: JobId,
    /// Its project.
    pub(crate) project: ProjectId,
    /// When its trace is expected to be lost; `None` where nothing threatens it.
    pub(crate) deadline: Option<Timestamp>,
    /// When it ended.
    pub(crate) finished_at: Option<Timestamp>,
    /// The server says that it was erased.
    pub(crate) erased: bool,
    /// Announced length of the trace.
    pub(crate) announced: Option<u64>,
    /// What the archive holds of it already.
    pub(crate) held: Option<Held>,
    /// How often fetching it has gone wrong in earlier runs.
    pub(crate) attempts: u32,
    /// How often it has gone wrong in this run.
    pub(crate) tries: u32,
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives its greatest: fewest tries, then the earliest deadline, then the newest job.
        let deadline = |item: &Self| item.deadline.unwrap_or(Timestamp::MAX);
        (other.tries.cmp(&self.tries))
            .then_with(|| deadline(other).cmp(&deadline(self)))
            .then_with(|| self.job.cmp(&other.job))
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug, Default)]
struct State {
    heap: BinaryHeap<Item>,
    /// Items taken and not yet done with.
    taken: usize,
    /// Nothing will be pushed any more but what is put back.
    closed: bool,
}

/// The queue that walkers fill and fetchers empty.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, so the state is whole.
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Adds a job.
    pub(crate) fn push(&self, item: Item) {
        self.lock().heap.push(item);
        self.changed.notify_one();
    }

    /// Says that nothing more will be pushed.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Takes the most urgent job; waits for one, and returns `None` once there will be none.
    ///
    /// Each job taken must be given back by [`Queue::done`] or [`Queue::put_back`].
    pub(crate) async fn take(&self) -> Option<Item> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listens before it looks, so that a push between the two is not lost.
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                if let Some(item) = state.heap.pop() {
                    state.taken += 1;
                    return Some(item);
                }
                if state.closed && state.taken == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Says that a job taken is dealt with.
    pub(crate) fn done(&self) {
        self.lock().taken -= 1;
        self.changed.notify_waiters();
    }

    /// Puts a job back behind all that was tried less often.
    pub(crate) fn put_back(&self, item: Item) {
        let mut state = self.lock();
        state.taken -= 1;
        state.heap.push(Item { tries: item.tries + 1, ..item });
        drop(state);
        self.changed.notify_waiters();
    }

    /// Returns how many jobs wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().heap.len()
    }

    /// Takes out all that waits, for reporting it.
    pub(crate) fn drain(&self) -> Vec<Item> {
        std::mem::take(&mut self.lock().heap).into_vec()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn item(job: u64, deadline: Option<i64>, tries: u32) -> Item {
        Item {
            job: JobId(job),
            project: ProjectId(1),
            deadline: deadline.map(|s| Timestamp::from_second(s).unwrap()),
            finished_at: None,
            erased: false,
            announced: None,
            held: None,
            attempts: 0,
            tries,
        }
    }

    #[tokio::test]
    async fn the_soonest_loss_comes_first_then_the_newest_and_what_failed_last() {
        let queue = Queue::default();
        for i in [
            item(1, None, 0),
            item(2, Some(50), 0),
            item(9, None, 1),
            item(3, Some(10), 0),
            item(5, None, 0),
        ] {
            queue.push(i);
        }
        queue.close();
        let mut order = Vec::new();
        while let Some(item) = queue.take().await {
            order.push(item.job.0);
            queue.done();
        }
        assert_eq!(order, [3, 2, 5, 1, 9]);
    }

    #[tokio::test]
    async fn a_job_put_back_keeps_the_queue_open() {
        let queue = Queue::default();
        queue.push(item(1, None, 0));
        queue.close();
        let first = queue.take().await.unwrap();
        let (second, ()) = tokio::join!(queue.take(), async { queue.put_back(first) });
        assert_eq!(second.unwrap().tries, 1);
        queue.done();
        assert_eq!(queue.take().await, None);
    }
}
