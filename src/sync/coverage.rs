//! The ledger: what became of every listed job, what could still be got, what is lost, and when the rest is done.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::run::RATE_KEY;
use super::schedule::forecast;
use crate::model::{ProjectId, TraceState};
use crate::store::Store;
pub use crate::store::catalogue::Counted;
use crate::store::catalogue::{CatalogueError, CoverageRow};

/// What a job's state means for the completeness of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its trace is in the archive.
    Held,
    /// It has none.
    Nothing,
    /// It has not ended.
    Waiting,
    /// Its trace is missing, and could still be got: by the next sync, or with another token.
    Obtainable,
    /// Its trace is missing for good.
    Lost,
}

impl Standing {
    fn of(row: &CoverageRow) -> Self {
        match row.state {
            TraceState::Archived | TraceState::Truncated => Self::Held,
            TraceState::NoLog => Self::Nothing,
            TraceState::Pending if !row.finished => Self::Waiting,
            TraceState::Pending | TraceState::Forbidden => Self::Obtainable,
            TraceState::Erased | TraceState::Vanished => Self::Lost,
        }
    }
}

/// Jobs of a project that are in a state for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The project.
    pub project_id: ProjectId,
    /// Its path when it was last seen.
    pub project: String,
    /// The state's name.
    pub state: &'static str,
    /// Why, in words; a number in it that differs from job to job is `#`.
    pub reason: String,
    /// What that means.
    pub standing: Standing,
    /// How many jobs.
    pub jobs: u64,
}

/// When what waits is done, at the rate of late.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Jobs that ended and wait to be fetched.
    pub waiting: u64,
    /// Traces a second that were fetched of late; `None` where too few were to tell.
    pub rate: Option<f64>,
    /// When all that waits is fetched.
    pub done_at: Option<Timestamp>,
    /// The soonest expected loss.
    pub next_loss: Option<Timestamp>,
    /// Jobs expected to be lost before they are fetched; `None` without a rate.
    pub lost_before: Option<u64>,
}

/// The ledger.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Coverage {
    /// Its lines, by project.
    pub lines: Vec<Line>,
    /// When the rest is done.
    pub estimate: Estimate,
}

impl Coverage {
    /// Counts the jobs of a standing.
    #[must_use]
    pub fn jobs(&self, standing: Standing) -> u64 {
        self.lines.iter().filter(|line| line.standing == standing).map(|line| line.jobs).sum()
    }

    /// Counts the jobs that were listed.
    #[must_use]
    pub fn listed(&self) -> u64 {
        self.lines.iter().map(|line| line.jobs).sum()
    }
}

/// Reads the ledger of the jobs that are `counted`. `now` is the server's time as far as that is known.
///
/// # Errors
///
/// As every reading of the catalogue.
pub async fn coverage(
    store: &Store,
    counted: &Counted,
    now: Timestamp,
) -> Result<Coverage, CatalogueError> {
    let rows = store.catalogue().coverage(counted).await?;
    Ok(Coverage { lines: lines(rows), estimate: estimate(store, counted, now).await? })
}

/// Foretells when what waits is done.
///
/// # Errors
///
/// As every reading of the catalogue.
pub async fn estimate(
    store: &Store,
    counted: &Counted,
    now: Timestamp,
) -> Result<Estimate, CatalogueError> {
    let catalogue = store.catalogue();
    let waiting = catalogue.waiting(counted).await?;
    if waiting == 0 {
        return Ok(Estimate { lost_before: Some(0), ..Estimate::default() });
    }
    let deadlines = catalogue.deadlines(counted, now).await?;
    let recorded = catalogue.meta(RATE_KEY).await?.and_then(|text| text.parse().ok());
    let rate = match recorded.filter(|rate: &f64| rate.is_finite() && *rate > 0.0) {
        Some(rate) => Some(rate),
        // A first sync that has not come to write one down.
        None => catalogue.fetch_rate().await?,
    };
    Ok(foretell(waiting, deadlines, rate, now))
}

/// Foretells what becomes of `waiting` jobs, of which some have `deadlines`, soonest first, at `rate` jobs a second.
fn foretell(
    waiting: u64,
    deadlines: Vec<Timestamp>,
    rate: Option<f64>,
    now: Timestamp,
) -> Estimate {
    let took = rate.and_then(|rate| SignedDuration::try_from_secs_f64(waiting as f64 / rate).ok());
    Estimate {
        waiting,
        rate,
        done_at: took.and_then(|took| now.checked_add(took).ok()),
        next_loss: deadlines.first().copied(),
        lost_before: rate.map(|rate| forecast(deadlines.into_iter(), rate, now).lost),
    }
}

/// Puts together what differs only by numbers in its reason.
fn lines(rows: Vec<CoverageRow>) -> Vec<Line> {
    let mut lines: BTreeMap<(String, ProjectId, Standing, TraceState, String), u64> =
        BTreeMap::new();
    for row in rows {
        let standing = Standing::of(&row);
        let key = (row.path, row.project, standing, row.state, without_numbers(&row.reason));
        *lines.entry(key).or_default() += row.jobs;
    }
    let line = |((project, project_id, standing, state, reason), jobs)| Line {
        project_id,
        project,
        state: TraceState::as_str(state),
        reason,
        standing,
        jobs,
    };
    lines.into_iter().map(line).collect()
}

/// Puts `#` in the place of numbers of more than three digits, and of all where sizes are compared; a status stays.
pub(super) fn without_numbers(reason: &str) -> String {
    let sizes = reason.contains(" bytes");
    let mut out = String::with_capacity(reason.len());
    let mut digits = String::new();
    for c in reason.chars().chain([' ']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        match digits.len() {
            0 => {}
            n if n > 3 || sizes => out.push('#'),
            _ => out.push_str(&digits),
        }
        digits.clear();
        out.push(c);
    }
    out.pop();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: TraceState, reason: &str, finished: bool, jobs: u64) -> CoverageRow {
        let (project, path, reason) = (ProjectId(1), "group/project".into(), reason.into());
        CoverageRow { project, path, state, reason, finished, jobs }
    }

    #[test]
    fn each_state_has_its_standing() {
        use Standing::{Held, Lost, Nothing, Obtainable, Waiting};
        for (state, finished, standing) in [
            (TraceState::Archived, true, Held),
            (TraceState::Truncated, true, Held),
            (TraceState::NoLog, true, Nothing),
            (TraceState::Erased, true, Lost),
            (TraceState::Vanished, true, Lost),
            (TraceState::Forbidden, true, Obtainable),
            (TraceState::Pending, true, Obtainable),
            (TraceState::Pending, false, Waiting),
        ] {
            assert_eq!(Standing::of(&row(state, "", finished, 1)), standing, "{state}");
        }
    }

    #[test]
    fn a_forecast_counts_what_is_lost_before_its_turn() {
        let now = Timestamp::UNIX_EPOCH;
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        // One a second: the turns are after 1, 2, 3 seconds. One of the two due at 1 is lost.
        let estimate = foretell(10, vec![at(1), at(1), at(2), at(60)], Some(1.0), now);
        assert_eq!((estimate.lost_before, estimate.done_at), (Some(1), Some(at(10))));
        assert_eq!(estimate.next_loss, Some(at(1)));
        let slow = foretell(10, vec![at(1), at(1), at(2), at(60)], Some(0.05), now);
        assert_eq!((slow.lost_before, slow.done_at), (Some(3), Some(at(200))));
        let unknown = foretell(10, vec![at(5)], None, now);
        assert_eq!(
            (unknown.lost_before, unknown.done_at, unknown.next_loss),
            (None, None, Some(at(5)))
        );
        let never = foretell(u64::MAX, Vec::new(), Some(1e-300), now);
        assert_eq!(never.done_at, None);
    }

    #[test]
    fn reasons_that_differ_by_numbers_are_one_line() {
        let lines = lines(vec![
            row(TraceState::Pending, "7 of 900 bytes", true, 1),
            row(TraceState::Pending, "12345 of 99999 bytes", true, 2),
            row(
                TraceState::Pending,
                "https://h/projects/1/jobs/12345/trace answered 502: no",
                true,
                1,
            ),
            row(
                TraceState::Pending,
                "https://h/projects/1/jobs/99999/trace answered 502: no",
                true,
                1,
            ),
        ]);
        let said: Vec<_> = lines.iter().map(|l| (l.reason.as_str(), l.jobs)).collect();
        assert_eq!(
            said,
            [("# of # bytes", 3), ("https://h/projects/1/jobs/#/trace answered 502: no", 2)]
        );
    }
}
