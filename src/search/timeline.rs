//! When something occurs: hits, jobs and runs by day, week or month, in UTC.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz};
use jobvault_index::{Index, Query};

use super::tally::{compared_with, matches};
use super::{Options, Summary, scope};
use crate::store::Store;
use crate::store::catalogue::Column;

/// A period up to this long is shown by day unless asked otherwise, one up to [`WEEKS_UP_TO_DAYS`] by week.
const DAYS_UP_TO_DAYS: i64 = 45;
/// The longest period that is shown by week unless asked otherwise.
const WEEKS_UP_TO_DAYS: i64 = 370;
/// The most buckets; a broken clock of a runner must not ask for a million. The oldest are left out.
const MAX_BUCKETS: usize = 4000;

/// How long a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// From midnight to midnight.
    Day,
    /// From Monday on.
    Week,
    /// A month of the calendar.
    Month,
}

impl Unit {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Returns the unit that suits a period.
    fn of(period: Option<(Date, Date)>) -> Self {
        let days = period.map_or(0, |(from, to)| (to - from).get_days());
        match i64::from(days) {
            days if days <= DAYS_UP_TO_DAYS => Self::Day,
            days if days <= WEEKS_UP_TO_DAYS => Self::Week,
            _ => Self::Month,
        }
    }

    /// Returns the first day of the bucket that a day is in.
    fn begin(self, day: Date) -> Date {
        let back = match self {
            Self::Day => 0,
            Self::Week => i64::from(day.weekday().to_monday_zero_offset()),
            Self::Month => i64::from(day.day()) - 1,
        };
        day.checked_sub(back.days()).unwrap_or(day)
    }

    /// Returns the first day of the next bucket, or `None` at the end of time.
    fn next(self, begin: Date) -> Option<Date> {
        let span = match self {
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
        };
        begin.checked_add(span).ok()
    }
}

/// What happened in one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Its first day.
    pub from: Date,
    /// The first day after it.
    pub to: Date,
    /// Lines that are hits.
    pub lines: u64,
    /// Jobs with a hit.
    pub jobs: u64,
    /// All archived jobs with a log under the same filters.
    pub runs: u64,
}

impl Bucket {
    /// Returns the share of the runs that have a hit, or `None` without runs.
    pub fn share(&self) -> Option<f64> {
        (self.runs > 0).then(|| self.jobs as f64 / self.runs as f64)
    }
}

/// When something occurs.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// How long each bucket is.
    pub unit: Unit,
    /// The buckets from the first run to the last one, the oldest first and none left out.
    pub buckets: Vec<Bucket>,
    /// Jobs with a hit of which nobody knows when they ran; they are in no bucket.
    pub undated: u64,
    /// What the search did.
    pub summary: Summary,
}

/// Counts when something occurs. Of `options` the jobs and the same line count.
pub async fn timeline(
    store: &Store,
    index: &Index,
    query: &Query,
    options: &Options,
    unit: Option<Unit>,
    now: Timestamp,
) -> anyhow::Result<Timeline> {
    let (found, summary) = matches(store, index, query, options, None, now).await?;
    // Listed after the search, so that every job found is among them while a sync goes on.
    let base = compared_with(query);
    let runs = scope::runs(store, &base, &options.jobs, Column::Name, now).await?.list;
    let days: Vec<(Option<Date>, u64)> =
        runs.iter().map(|run| (run.time.map(day), run.id)).collect();
    let dates = || days.iter().filter_map(|(day, _)| *day);
    let unit = unit.unwrap_or_else(|| Unit::of(dates().min().zip(dates().max())));
    let mut by_begin: BTreeMap<Date, Bucket> = BTreeMap::new();
    let mut undated = 0;
    for (day, id) in days {
        let lines = found.get(&id).copied();
        let Some(day) = day else {
            undated += u64::from(lines.is_some());
            continue;
        };
        let begin = unit.begin(day);
        let bucket = by_begin.entry(begin).or_insert_with(|| empty(unit, begin));
        bucket.runs += 1;
        bucket.jobs += u64::from(lines.is_some());
        bucket.lines += lines.unwrap_or(0);
    }
    Ok(Timeline { unit, buckets: without_gaps(unit, &by_begin), undated, summary })
}

fn day(time: Timestamp) -> Date {
    tz::Offset::UTC.to_datetime(time).date()
}

fn empty(unit: Unit, begin: Date) -> Bucket {
    let to = unit.next(begin).unwrap_or(Date::MAX);
    Bucket { from: begin, to, lines: 0, jobs: 0, runs: 0 }
}

/// Puts an empty bucket where there is none, so that time goes on evenly.
fn without_gaps(unit: Unit, by_begin: &BTreeMap<Date, Bucket>) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for bucket in by_begin.values().rev() {
        while let Some(later) = buckets.last()
            && bucket.to < later.from
            && buckets.len() < MAX_BUCKETS
        {
            let begin = unit.begin(later.from.yesterday().unwrap_or(Date::MIN));
            buckets.push(empty(unit, begin));
        }
        if buckets.len() == MAX_BUCKETS {
            break;
        }
        buckets.push(*bucket);
    }
    buckets.reverse();
    buckets
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn buckets_begin_on_mondays_and_firsts_and_leave_no_gap() {
        assert_eq!(Unit::Week.begin(date("2026-01-01")), date("2025-12-29"));
        assert_eq!(Unit::Month.begin(date("2026-02-28")), date("2026-02-01"));
        for (unit, count) in [(Unit::Day, 60), (Unit::Week, 9), (Unit::Month, 3)] {
            let begins = ["2026-01-01", "2026-03-01"].map(|day| unit.begin(date(day)));
            let some = begins.map(|begin| (begin, empty(unit, begin)));
            let buckets = without_gaps(unit, &BTreeMap::from(some));
            assert_eq!(buckets.len(), count, "{unit:?}");
            assert!(buckets.windows(2).all(|two| two[0].to == two[1].from), "{buckets:?}");
        }
        let ages = [date("0001-01-01"), date("2026-01-01")];
        let wide = BTreeMap::from(ages.map(|begin| (begin, empty(Unit::Day, begin))));
        assert_eq!(without_gaps(Unit::Day, &wide).len(), MAX_BUCKETS);
    }

    #[test]
    fn a_unit_suits_its_period() {
        let of = |to: &str| Unit::of(Some((date("2026-01-01"), date(to))));
        assert_eq!((of("2026-01-01"), of("2026-02-10")), (Unit::Day, Unit::Day));
        assert_eq!((of("2026-04-01"), of("2028-01-01")), (Unit::Week, Unit::Month));
        assert_eq!(Unit::of(None), Unit::Day);
    }
}
