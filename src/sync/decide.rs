//! What a listing means for a job, given what is known of it: what is written, and whether its trace is fetched. Pure.

use jiff::{SignedDuration, Timestamp};

use super::queue::{Held, Item};
use crate::model::{Job, PipelineId, ProjectId, Status, TraceState};
use crate::store::{JobRow, NewState, TraceId};

/// How soon a job that waits for a person or a time is looked at again, at the earliest.
const BLOCKED_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// And at the latest after this part of its age: one that waited for a year will not go off this minute.
const BLOCKED_AGE_PART: i32 = 20;
/// How soon a job that runs, or is about to, is looked at again where its pipeline tells of no change: a pipeline that
/// stays running does not tell which of its jobs ended.
const ACTIVE_EVERY: SignedDuration = SignedDuration::from_mins(2);

/// What a listing means for a job.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// What it becomes, where that is another than before.
    pub(super) state: Option<NewState>,
    /// It stays what it is, and is looked at again then.
    pub(super) postponed: Option<Timestamp>,
    /// Its trace is to be fetched.
    pub(super) fetch: bool,
}

impl Decision {
    fn become_(state: NewState) -> Self {
        Self { state: Some(state), ..Self::default() }
    }

    fn fetch(fetch: bool) -> Self {
        Self { fetch, ..Self::default() }
    }
}

/// Returns when a job that has not ended is looked at again.
fn look_again(job: &Job, status: &Status, now: Timestamp) -> Timestamp {
    let blocked = matches!(status, Status::Created | Status::Manual | Status::Scheduled);
    let age = job.created_at.map_or(SignedDuration::ZERO, |at| now.duration_since(at));
    now + if blocked { BLOCKED_EVERY.max(age / BLOCKED_AGE_PART) } else { ACTIVE_EVERY }
}

/// Decides what a listing of `job` means, given what is known of it.
pub(super) fn decide(job: &Job, row: Option<&JobRow>, now: Timestamp) -> Decision {
    let status = job.status.clone().unwrap_or(Status::Other(String::new()));
    if status == Status::Skipped && row.is_none_or(|r| r.trace.is_none()) {
        let settled = row.is_some_and(|r| r.next_at.is_none());
        let skipped = || state(TraceState::NoLog, "skipped: it never ran", None, 0);
        return if settled { Decision::default() } else { Decision::become_(skipped()) };
    }
    if !job.is_finished() {
        let (next_at, reason) = (look_again(job, &status, now), format!("not finished: {status}"));
        let known = row.is_some_and(|r| r.next_at.is_some() && r.reason == reason);
        return match known {
            true => Decision { postponed: Some(next_at), ..Decision::default() },
            false => Decision::become_(state(TraceState::Pending, reason, Some(next_at), 0)),
        };
    }
    // A catalogue made anew may know of no note that says what became of a job.
    let says_nothing = |row: &JobRow| {
        (row.trace, row.next_at, row.state) == (None, None, TraceState::Pending) && !row.bridge
    };
    let Some(row) = row.filter(|row| !says_nothing(row)) else {
        let waiting = state(TraceState::Pending, "finished, not fetched yet", Some(now), 0);
        return Decision { fetch: true, ..Decision::become_(waiting) };
    };
    let exact = row.raw_bytes.is_some() && row.raw_bytes == job.trace_size();
    match (row.trace, row.next_at) {
        // A second look that needs no request: the announced length is the one we hold.
        (Some(_), Some(_)) if exact => {
            let kept =
                if row.state == TraceState::Truncated { row.state } else { TraceState::Archived };
            Decision::become_(state(kept, row.reason.clone(), None, 0))
        }
        (Some(_), None) if job.erased_at.is_some() && row.erased_at.is_none() => {
            let mut erased = state(row.state, "erased upstream", None, 0);
            erased.erased = true;
            Decision::become_(erased)
        }
        (Some(_), None) => Decision::default(),
        (Some(_), Some(at)) => Decision::fetch(at <= now || job.trace_size().is_some()),
        (None, None) => {
            Decision::fetch(job.trace_size().is_some() && row.state == TraceState::NoLog)
        }
        // It ended since, and what it waited for is over; or it waits to be fetched already, and comes into the queue
        // from the catalogue.
        (None, Some(_)) if row.state == TraceState::Pending => {
            Decision::fetch(!Status::from(row.status.as_str()).is_finished())
        }
        (None, Some(at)) => Decision::fetch(at <= now || job.trace_size().is_some()),
    }
}

fn state(
    state: TraceState,
    reason: impl Into<String>,
    next_at: Option<Timestamp>,
    attempts: u32,
) -> NewState {
    NewState { state, reason: reason.into(), next_at, attempts, gone: false, erased: false }
}

/// Returns when a trace is expected to be lost: its artifacts expire, or the server deletes its pipeline.
///
/// An expiry that has passed threatens nothing more: the clean-up either spared the log or took it.
fn deadline(
    expiry: Option<Timestamp>,
    created_at: Option<Timestamp>,
    delete_after: Option<u64>,
    now: Timestamp,
) -> Option<Timestamp> {
    let age = delete_after.and_then(|secs| i64::try_from(secs).ok());
    let deletion = created_at
        .zip(age)
        .and_then(|(created, secs)| created.checked_add(SignedDuration::from_secs(secs)).ok());
    expiry.filter(|at| *at > now).into_iter().chain(deletion).min()
}

/// Makes a listed job an item of the queue. The server deletes pipelines of the age `delete_after`, in seconds.
pub(super) fn item(
    job: &Job,
    project: ProjectId,
    row: Option<&JobRow>,
    delete_after: Option<u64>,
    now: Timestamp,
) -> Item {
    Item {
        job: job.id,
        project,
        deadline: deadline(job.artifacts_expire_at, job.created_at, delete_after, now),
        finished_at: job.finished_at,
        erased: job.erased_at.is_some(),
        announced: job.trace_size(),
        held: row.and_then(held),
        attempts: row.map_or(0, |r| r.attempts),
        tries: 0,
    }
}

/// Makes a job of the catalogue an item of the queue.
pub(super) fn held_item(row: &JobRow, delete_after: Option<u64>, now: Timestamp) -> Item {
    Item {
        job: row.id,
        project: row.project,
        deadline: deadline(row.artifacts_expire_at, row.created_at, delete_after, now),
        finished_at: row.finished_at,
        erased: row.erased_at.is_some(),
        announced: row.trace_size,
        held: held(row),
        attempts: row.attempts,
        tries: 0,
    }
}

fn held(row: &JobRow) -> Option<Held> {
    let (trace, bytes, hash): (TraceId, u64, [u8; 32]) = (row.trace?, row.raw_bytes?, row.hash?);
    Some(Held { trace, bytes, hash })
}

/// Condenses what a job's document says for good, so that a later one is kept only if it says something new.
///
/// Left out is what changes by itself: the age of a running job, whether its runner is online now.
pub(super) fn digest(job: &Job) -> i64 {
    let running = !job.is_finished();
    let said = format!(
        "{:?}",
        (
            (
                job.id,
                job.project,
                job.pipeline,
                &job.name,
                &job.stage,
                &job.status,
                &job.git_ref,
                job.tag
            ),
            (&job.sha, job.created_at, job.started_at, job.finished_at, job.erased_at),
            (
                job.duration.filter(|_| !running),
                &job.failure_reason,
                job.allow_failure,
                &job.web_url
            ),
            (&job.user, job.runner.as_ref().map(|r| r.id), &job.artifacts, job.artifacts_expire_at),
            (&job.tag_list, job.archived, job.coverage),
        )
    );
    let hash = blake3::hash(said.as_bytes());
    i64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}

/// The same of a bridge, which also says what it started.
pub(super) fn bridge_digest(job: &Job, downstream: Option<PipelineId>) -> i64 {
    digest(job) ^ downstream.map_or(0, |id| id.0 as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobId;

    #[test]
    fn an_ended_job_of_which_nothing_else_is_known_is_fetched() {
        let now = Timestamp::UNIX_EPOCH;
        let job = Job { status: Some(Status::Success), ..Job::default() };
        let decision = decide(&job, Some(&row(None)), now);
        assert!(decision.fetch);
        assert_eq!(decision.state.map(|state| (state.state, state.next_at)), {
            Some((TraceState::Pending, Some(now)))
        });
        // It waits already, and is taken out of the catalogue.
        assert!(!decide(&job, Some(&row(Some(now))), now).fetch);
    }

    fn row(next_at: Option<Timestamp>) -> JobRow {
        JobRow { status: "success".to_owned(), next_at, ..JobRow::bare(JobId(1)) }
    }
}
