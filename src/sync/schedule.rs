//! What is fetched next. Pure: it is told the time.
//!
//! Soonest expected loss first; what nothing threatens shares the rest, fresh jobs and backfill by turns, newest
//! first. Knows neither GitLab nor the archive: an item is a job's number, its deadline and what a fetcher needs.
//! Holds a bounded number of items: the least urgent fall out, and whoever fills it is told so.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::model::{JobId, ProjectId};
use crate::store::TraceId;

/// Items held; what falls out is read from the catalogue again. About 5 MB.
pub(super) const MAX_ITEMS: usize = 20_000;
/// A job that ended this long ago is fresh: its log may still be in the server's memory alone.
const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// While threatened jobs are in danger, what nothing threatens gets one turn of so many: enough not to starve, and
/// less than the 2 % by which what is saved may miss the best possible.
const TURNS_IN_DANGER: u64 = 64;
/// And what is asked for aside, bridges and sweeps, one of so many: both together stay below those 2 %.
const ASIDE_IN_DANGER: u64 = 256;
/// While every threatened job is sure to be saved, what nothing threatens gets one turn of so many.
const TURNS_AT_EASE: u64 = 2;
/// How often it is looked anew whether the threatened ones are in danger: after so many turns, or so long.
const LOOK_TURNS: u64 = 256;
const LOOK_TIME: SignedDuration = SignedDuration::from_mins(1);
/// At ease means: at this share of the present rate, and with this much time to spare, all are saved.
const EASY_SHARE: f64 = 0.25;
const EASY_MARGIN: SignedDuration = SignedDuration::from_mins(30);

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

type ByJob = BTreeMap<Reverse<JobId>, Item>;

/// The order of what waits.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// By the time of their loss, which lies ahead.
    threatened: BTreeMap<(Timestamp, Reverse<JobId>), Item>,
    fresh: ByJob,
    backfill: ByJob,
    /// What went wrong in this run comes last.
    again: BTreeMap<(u32, Reverse<JobId>), Item>,
    waiting: HashSet<JobId>,
    turns: u64,
    sides: u64,
    /// At which turn something was last asked for aside.
    aside: u64,
    at_ease: bool,
    /// When it was last looked whether all is at ease, and at which turn.
    looked: Option<(Timestamp, u64)>,
}

impl Schedule {
    /// Adds a job that does not wait already. Returns whether one fell out for it.
    pub(crate) fn push(&mut self, item: Item, now: Timestamp) -> bool {
        if !self.waiting.insert(item.job) {
            return false;
        }
        let key = Reverse(item.job);
        match item.deadline {
            _ if item.tries > 0 => drop(self.again.insert((item.tries, key), item)),
            Some(at) if at > now => {
                // Until it is looked again, it may be the one too many.
                self.at_ease = false;
                self.threatened.insert((at, key), item);
            }
            _ if is_fresh(&item, now) => drop(self.fresh.insert(key, item)),
            _ => drop(self.backfill.insert(key, item)),
        }
        self.waiting.len() > MAX_ITEMS && self.drop_last()
    }

    /// Takes the job to fetch now.
    pub(crate) fn take(&mut self, now: Timestamp) -> Option<Item> {
        self.expire(now);
        self.look(now);
        let item = self.next();
        if let Some(item) = &item {
            self.turns += 1;
            self.waiting.remove(&item.job);
        }
        item
    }

    /// Returns whether something else may be asked for than jobs' traces, which need the requests more.
    pub(crate) fn may_turn_aside(&mut self) -> bool {
        let may = self.at_ease
            || self.threatened.is_empty()
            || self.turns >= self.aside + ASIDE_IN_DANGER;
        if may {
            self.aside = self.turns;
        }
        may
    }

    fn next(&mut self) -> Option<Item> {
        let share = if self.at_ease { TURNS_AT_EASE } else { TURNS_IN_DANGER };
        let side_turn = self.turns % share == share - 1;
        let first = |lane: &mut ByJob| lane.pop_first().map(|(_, item)| item);
        if (side_turn || self.threatened.is_empty())
            && !(self.fresh.is_empty() && self.backfill.is_empty())
        {
            self.sides += 1;
            let item = match self.sides % 2 {
                1 => first(&mut self.fresh).or_else(|| first(&mut self.backfill)),
                _ => first(&mut self.backfill).or_else(|| first(&mut self.fresh)),
            };
            return item;
        }
        let threatened = self.threatened.pop_first().map(|(_, item)| item);
        threatened.or_else(|| self.again.pop_first().map(|(_, item)| item))
    }

    /// Moves what is past its time behind what can be saved: the server may be late with its cleaning.
    fn expire(&mut self, now: Timestamp) {
        while let Some(first) = self.threatened.first_entry()
            && first.key().0 <= now
        {
            let item = first.remove();
            self.backfill.insert(Reverse(item.job), item);
        }
    }

    /// Looks now and then whether all that is threatened will be saved.
    fn look(&mut self, now: Timestamp) {
        let (then, turn) = *self.looked.get_or_insert((now, self.turns));
        let (took, turns) = (now.duration_since(then), self.turns - turn);
        if turns == 0 || (turns < LOOK_TURNS && took < LOOK_TIME) {
            return;
        }
        self.looked = Some((now, self.turns));
        let rate = turns as f64 / seconds(took).max(1e-3);
        let deadlines = self.threatened.keys().map(|(at, _)| *at);
        self.at_ease = forecast(deadlines, rate * EASY_SHARE, now + EASY_MARGIN).lost == 0;
    }

    fn drop_last(&mut self) -> bool {
        let item = (self.backfill.pop_last().map(|(_, item)| item))
            .or_else(|| self.threatened.pop_last().map(|(_, item)| item))
            .or_else(|| self.fresh.pop_last().map(|(_, item)| item))
            .or_else(|| self.again.pop_last().map(|(_, item)| item));
        item.is_some_and(|item| self.waiting.remove(&item.job))
    }

    /// Returns how many jobs wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    #[cfg(test)]
    pub(crate) fn holds(&self, job: JobId) -> bool {
        self.waiting.contains(&job)
    }
}

fn is_fresh(item: &Item, now: Timestamp) -> bool {
    item.finished_at.is_some_and(|at| now.duration_since(at) < FRESH)
}

fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64()
}

/// What becomes of jobs that wait, at a steady rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Forecast {
    /// Jobs that are lost before their turn.
    pub(crate) lost: u64,
    /// Jobs that have their turn in time.
    pub(crate) saved: u64,
}

/// Foretells how many of the jobs with these `deadlines`, soonest first, are saved at `rate` jobs a second from `now`.
///
/// A job past its time takes no turn, so this is the most that any order saves.
pub(crate) fn forecast(
    deadlines: impl Iterator<Item = Timestamp>,
    rate: f64,
    now: Timestamp,
) -> Forecast {
    let mut forecast = Forecast { lost: 0, saved: 0 };
    for deadline in deadlines {
        let turn = (forecast.saved + 1) as f64 / rate;
        match seconds(deadline.duration_since(now)) >= turn {
            true => forecast.saved += 1,
            false => forecast.lost += 1,
        }
    }
    forecast
}
