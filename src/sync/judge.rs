//! What an answer to a trace request means: is it complete, does it replace what is held, is the job settled. Pure.
//!
//! Source of the rules: GitLab serves 200 and nothing for a job without a log and for an erased one; the exact size
//! appears among a job's artifacts when the server has archived the log, about two minutes after its end
//! (<https://docs.gitlab.com/administration/cicd/job_logs/>).

use jiff::{SignedDuration, Timestamp};

use super::queue::{Held, Item};
use crate::model::TraceState;
use crate::store::NewState;

/// The server has archived a log by then, or will not.
const ARCHIVED_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// How long after a job's end its log is looked at again.
const SECOND_LOOK: SignedDuration = SignedDuration::from_mins(3);
/// Looks at a log whose length is not the announced one, before that is believed.
const MAX_LOOKS: u32 = 5;

/// What is to be done with a trace that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It is stored and stands for the job from now on.
    pub(crate) store: bool,
    /// What became of the job.
    pub(crate) state: TraceState,
    /// Why, in words.
    pub(crate) reason: String,
    /// When to look again; `None` settles the job.
    pub(crate) next_at: Option<Timestamp>,
}

impl Verdict {
    fn settled(store: bool, state: TraceState, reason: impl Into<String>) -> Self {
        Self { store, state, reason: reason.into(), next_at: None }
    }

    /// Returns it as the store takes it.
    pub(crate) fn into_state(self, item: &Item) -> NewState {
        let attempts = if self.next_at.is_some() { item.attempts + 1 } else { 0 };
        NewState {
            state: self.state,
            reason: self.reason,
            next_at: self.next_at,
            attempts,
            gone: false,
            erased: item.erased,
        }
    }
}

/// Tells whether a trace of `bytes` bytes is not of the announced length, so that it is worth another look at once.
pub(crate) fn is_doubtful(item: &Item, bytes: u64) -> bool {
    let exact = |length: u64| Some(length) == item.announced;
    item.announced.is_some() && !exact(bytes) && !item.held.is_some_and(|held| exact(held.bytes))
}

/// Judges a trace of `bytes` bytes fetched for a finished job. `now` is the server's time.
pub(crate) fn judge(
    item: &Item,
    bytes: u64,
    hash: [u8; 32],
    truncated: bool,
    now: Timestamp,
) -> Verdict {
    if bytes == 0 {
        return judge_empty(item, now);
    }
    let held_is_exact = item.held.is_some_and(|h| Some(h.bytes) == item.announced);
    let is_exact = Some(bytes) == item.announced;
    let store = match item.held {
        None => true,
        Some(held) if held.hash == hash => false,
        // Longer wins, and the announced length wins over every other.
        Some(held) => !held_is_exact && (bytes > held.bytes || is_exact),
    };
    let state = if truncated { TraceState::Truncated } else { TraceState::Archived };
    let reason = if truncated { "cut by the runner at its output limit" } else { "" };
    let kept = if store { bytes } else { item.held.map_or(bytes, |h| h.bytes) };
    match item.announced {
        Some(announced) if announced == kept => Verdict::settled(store, state, reason),
        Some(announced) if item.attempts + 1 >= MAX_LOOKS => {
            let reason = format!("the server announces {announced} bytes and serves {bytes}");
            Verdict::settled(store, state, reason)
        }
        Some(announced) => Verdict {
            store,
            state: TraceState::Pending,
            reason: format!("{kept} of {announced} bytes"),
            next_at: Some(now),
        },
        None => match second_look(item, now) {
            None => Verdict::settled(store, state, reason),
            next_at => Verdict { store, state, reason: reason.to_owned(), next_at },
        },
    }
}

fn judge_empty(item: &Item, now: Timestamp) -> Verdict {
    if let Some(Held { .. }) = item.held {
        let reason = if item.erased { "erased upstream" } else { "no longer served upstream" };
        return Verdict::settled(false, TraceState::Archived, reason);
    }
    if item.erased {
        return Verdict::settled(false, TraceState::Erased, "erased before it was captured");
    }
    match item.announced {
        // The server archived a log of no bytes: that is a log.
        Some(0) => Verdict::settled(true, TraceState::Archived, "the log is empty"),
        Some(announced) => {
            let reason = format!("the server announces {announced} bytes and serves none");
            let last = item.attempts + 1 >= MAX_LOOKS;
            let next_at = if last { None } else { Some(now) };
            let state = if last { TraceState::Vanished } else { TraceState::Pending };
            Verdict { store: false, state, reason, next_at }
        }
        None => Verdict {
            store: false,
            state: TraceState::NoLog,
            reason: "the server has no log of it".to_owned(),
            next_at: second_look(item, now),
        },
    }
}

/// Returns when a log without an announced length is looked at again; `None` where the server had its time.
fn second_look(item: &Item, now: Timestamp) -> Option<Timestamp> {
    let finished = item.finished_at?;
    let age = now.duration_since(finished);
    let looks = [SECOND_LOOK, ARCHIVED_WITHIN].into_iter();
    looks.filter(|after| age < *after).map(|after| finished + after).next()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::model::{JobId, ProjectId};
    use crate::store::TraceId;

    const HASH: [u8; 32] = [1; 32];

    fn now() -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap()
    }

    fn item(announced: Option<u64>, held: Option<u64>, finished_secs_ago: i64) -> Item {
        Item {
            job: JobId(1),
            project: ProjectId(1),
            deadline: None,
            finished_at: Some(now() - SignedDuration::from_secs(finished_secs_ago)),
            erased: false,
            announced,
            held: held.map(|bytes| Held { trace: TraceId(1), bytes, hash: [bytes as u8; 32] }),
            attempts: 0,
            tries: 0,
        }
    }

    fn verdict(item: &Item, bytes: u64) -> (bool, TraceState, bool) {
        let v = judge(item, bytes, HASH, false, now());
        (v.store, v.state, v.next_at.is_none())
    }

    #[test]
    fn a_trace_of_the_announced_length_settles_its_job() {
        assert_eq!(verdict(&item(Some(9), None, 5), 9), (true, TraceState::Archived, true));
    }

    #[test]
    fn a_short_trace_is_kept_but_looked_at_again() {
        assert_eq!(verdict(&item(Some(9), None, 5), 8), (true, TraceState::Pending, false));
        let last = Item { attempts: MAX_LOOKS - 1, ..item(Some(9), None, 5) };
        assert_eq!(verdict(&last, 8), (true, TraceState::Archived, true));
    }

    #[test]
    fn without_an_announced_length_a_fresh_job_is_looked_at_again_and_an_old_one_believed() {
        assert_eq!(verdict(&item(None, None, 5), 8), (true, TraceState::Archived, false));
        assert_eq!(verdict(&item(None, None, 3600), 8), (true, TraceState::Archived, true));
        assert_eq!(verdict(&item(None, None, 5), 0), (false, TraceState::NoLog, false));
        assert_eq!(verdict(&item(None, None, 3600), 0), (false, TraceState::NoLog, true));
    }

    #[test]
    fn a_fresh_job_is_looked_at_twice_again_and_each_time_later() {
        let look = |secs_ago| {
            let next_at = judge(&item(None, None, secs_ago), 0, HASH, false, now()).next_at?;
            Some((next_at - now()).get_seconds() + secs_ago)
        };
        assert_eq!([5, 180, 600].map(look), [Some(180), Some(600), None]);
    }

    #[test]
    fn a_shorter_trace_never_replaces_a_longer_one_unless_it_alone_has_the_announced_length() {
        assert_eq!(verdict(&item(None, Some(9), 3600), 8), (false, TraceState::Archived, true));
        assert_eq!(verdict(&item(None, Some(9), 3600), 10), (true, TraceState::Archived, true));
        assert_eq!(verdict(&item(Some(8), Some(9), 5), 8), (true, TraceState::Archived, true));
        assert_eq!(verdict(&item(Some(9), Some(9), 5), 12), (false, TraceState::Archived, true));
        assert_eq!(verdict(&item(None, Some(9), 3600), 0), (false, TraceState::Archived, true));
    }

    #[test]
    fn a_log_of_no_bytes_that_the_server_archived_is_a_log() {
        assert_eq!(verdict(&item(Some(0), None, 5), 0), (true, TraceState::Archived, true));
    }

    #[test]
    fn an_erased_job_is_told_from_one_without_a_log() {
        let erased = Item { erased: true, ..item(None, None, 3600) };
        assert_eq!(verdict(&erased, 0), (false, TraceState::Erased, true));
        let held = Item { erased: true, ..item(None, Some(9), 3600) };
        assert_eq!(verdict(&held, 0), (false, TraceState::Archived, true));
    }

    #[test]
    fn a_log_cut_by_the_runner_says_so() {
        let v = judge(&item(Some(9), None, 5), 9, HASH, true, now());
        assert_eq!((v.state, v.next_at), (TraceState::Truncated, None));
    }
}
