//! The queue that walkers fill and fetchers empty: a [`Schedule`] and the waiting of those who take from it.
//!
//! A job whose row is in the catalogue may fall out of a full queue; the queue then says that it is short, and is
//! filled again from there.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use tokio::sync::Notify;

pub(crate) use super::schedule::{Held, Item};
use super::schedule::{MAX_ITEMS, Schedule};
use crate::model::JobId;

/// Fewer items than this, and a queue that is short is filled again.
const LOW: usize = MAX_ITEMS / 10;

#[derive(Debug, Default)]
struct State {
    schedule: Schedule,
    /// Jobs taken and not yet done with.
    taken: HashSet<JobId>,
    /// Jobs done with since the filling began, whose rows may be older than that.
    done_meanwhile: Option<HashSet<JobId>>,
    /// The catalogue may hold more that waits.
    short: bool,
    /// Nothing will be pushed any more but what is put back or filled in.
    closed: bool,
}

impl State {
    fn is_over(&self) -> bool {
        self.closed && self.taken.is_empty() && !self.short && self.schedule.len() == 0
    }
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

    /// Adds a job whose row is, or is about to be, in the catalogue.
    pub(crate) fn push(&self, item: Item, now: Timestamp) {
        let mut state = self.lock();
        if state.taken.contains(&item.job) {
            return;
        }
        if state.schedule.push(item, now) {
            state.short = true;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Says that nothing more will be pushed.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Says that the catalogue may hold jobs that wait.
    pub(crate) fn fall_short(&self) {
        self.lock().short = true;
        self.changed.notify_waiters();
    }

    /// Waits until `look` finds something.
    async fn wait<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listens before it looks, so that a push between the two is not lost.
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    /// Takes the most urgent job; waits for one, and returns `None` once there will be none.
    ///
    /// Each job taken must be given back by [`Queue::done`] or [`Queue::put_back`].
    pub(crate) async fn take(&self, now: impl Fn() -> Timestamp) -> Option<Item> {
        let look = |state: &mut State| match state.schedule.take(now()) {
            Some(item) => {
                state.taken.insert(item.job);
                Some(Some(item))
            }
            None => state.is_over().then_some(None),
        };
        let item = self.wait(look).await;
        if self.lock().schedule.len() < LOW {
            self.changed.notify_waiters();
        }
        item
    }

    /// Waits until something else than the jobs that wait may be asked for.
    pub(crate) async fn aside(&self) {
        self.wait(|state| state.schedule.may_turn_aside().then_some(())).await;
    }

    /// Says that a job taken is dealt with.
    pub(crate) fn done(&self, job: JobId) {
        let mut state = self.lock();
        state.taken.remove(&job);
        if let Some(done) = &mut state.done_meanwhile {
            done.insert(job);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Puts a job back behind all that was tried less often.
    pub(crate) fn put_back(&self, item: Item, now: Timestamp) {
        let mut state = self.lock();
        state.taken.remove(&item.job);
        state.schedule.push(Item { tries: item.tries + 1, ..item }, now);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits until the queue is short and low; returns `false` once it is over.
    pub(crate) async fn needs_filling(&self) -> bool {
        let look = |state: &mut State| match state.short && state.schedule.len() < LOW {
            true => {
                state.done_meanwhile = Some(HashSet::new());
                Some(true)
            }
            false => state.is_over().then_some(false),
        };
        self.wait(look).await
    }

    /// Adds what the catalogue had; `more` if it may hold yet more.
    pub(crate) fn fill(&self, items: Vec<Item>, more: bool, now: Timestamp) {
        let mut state = self.lock();
        let done = state.done_meanwhile.take().unwrap_or_default();
        state.short = more;
        for item in items {
            if !done.contains(&item.job) && !state.taken.contains(&item.job) {
                state.short |= state.schedule.push(item, now);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Returns how many jobs wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().schedule.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::model::ProjectId;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn item(job: u64) -> Item {
        Item {
            job: JobId(job),
            project: ProjectId(1),
            deadline: None,
            finished_at: None,
            erased: false,
            announced: None,
            held: None,
            attempts: 0,
            tries: 0,
        }
    }

    #[tokio::test]
    async fn a_job_put_back_keeps_the_queue_open() {
        let queue = Queue::default();
        queue.push(item(1), NOW);
        queue.close();
        let first = queue.take(|| NOW).await.unwrap();
        let (second, ()) = tokio::join!(queue.take(|| NOW), async { queue.put_back(first, NOW) });
        assert_eq!(second.unwrap().tries, 1);
        queue.done(JobId(1));
        assert_eq!(queue.take(|| NOW).await, None);
    }

    #[tokio::test]
    async fn a_queue_that_is_short_is_not_over_until_it_is_filled() {
        let queue = Queue::default();
        queue.fall_short();
        queue.close();
        let fill = async {
            assert!(queue.needs_filling().await);
            queue.fill(vec![item(3)], false, NOW);
        };
        let (taken, ()) = tokio::join!(queue.take(|| NOW), fill);
        assert_eq!(taken.unwrap().job, JobId(3));
        queue.done(JobId(3));
        assert!(!queue.needs_filling().await);
    }

    #[tokio::test]
    async fn what_was_done_while_the_catalogue_was_read_is_not_filled_in() {
        let queue = Queue::default();
        queue.push(item(1), NOW);
        queue.push(item(2), NOW);
        let (two, _one) = (queue.take(|| NOW).await.unwrap(), queue.take(|| NOW).await.unwrap());
        queue.fall_short();
        assert!(queue.needs_filling().await);
        queue.done(two.job);
        queue.fill(vec![item(1), item(2), item(3)], false, NOW);
        assert_eq!(queue.take(|| NOW).await.unwrap().job, JobId(3));
        assert_eq!(queue.len(), 0);
    }
}
