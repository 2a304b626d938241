//! Which lines of a log are meant: by number, by time, by section.

use std::str::FromStr;

use jiff::civil::Time;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use jobvault_index::query::Glob;

use crate::store::{Store, StoreError, TraceRow};
use crate::trace;

/// Lines shown before a time, and from it on.
const AROUND: u64 = 10;
/// One day.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What to show of a log.
pub(super) struct Selection {
    /// From and to, both included; `None` for all.
    pub(super) lines: Option<(u64, u64)>,
    /// A section that must be open.
    pub(super) section: Option<Glob>,
}

impl Selection {
    /// Tells whether nothing is left out.
    pub(super) fn is_all(&self) -> bool {
        self.lines.is_none() && self.section.is_none()
    }

    /// Tells whether some of these lines may be shown.
    pub(super) fn touches(&self, first: u64, count: u64) -> bool {
        self.lines.is_none_or(|(from, to)| first <= to && first + count > from)
    }

    /// Tells whether a line is among those asked for.
    pub(super) fn holds(&self, line: u64) -> bool {
        self.lines.is_none_or(|(from, to)| (from..=to).contains(&line))
    }
}

/// Lines by number; negative numbers count from the end, -1 is the last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRange {
    from: Option<i64>,
    to: Option<i64>,
}

/// A text is no range of lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// It is no range of lines.
    #[error("it is no range of lines such as 5:9, 100:, :20, -30: or 7; lines count from 1")]
    Lines,
    /// It is no time.
    #[error("it is no time such as 14:05, 14:05:30 or 2026-01-31T14:05:30Z")]
    Time,
}

impl FromStr for LineRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let number = |text: &str| match text {
            "" => Ok(None),
            text => match text.parse::<i64>() {
                Ok(n) if n != 0 => Ok(Some(n)),
                _ => Err(InvalidRange::Lines),
            },
        };
        let range = match text.split_once(':') {
            Some((from, to)) => Self { from: number(from)?, to: number(to)? },
            None => Self { from: number(text)?, to: number(text)? },
        };
        match range {
            Self { from: None, to: None } => Err(InvalidRange::Lines),
            range => Ok(range),
        }
    }
}

impl LineRange {
    /// Returns the first and the last line of a log with that many; past its end there is none.
    pub(super) fn resolve(&self, lines: u64) -> (u64, u64) {
        let place = |n: i64| match u64::try_from(n) {
            Ok(n) => n,
            Err(_) => (lines + 1).saturating_sub(n.unsigned_abs()),
        };
        (self.from.map_or(1, place), self.to.map_or(lines, place))
    }
}

/// A moment, or a time of the day on which the job ran, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockTime {
    /// A moment.
    At(Timestamp),
    /// A time of the day.
    Clock(Time),
}

impl FromStr for ClockTime {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let digits = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(':');
        let clock = text.parse().ok().filter(|_| digits && text.len() <= 8);
        clock.map(Self::Clock).ok_or(InvalidRange::Time)
    }
}

impl ClockTime {
    /// Returns the moment: of a time of the day the first after the job `began`, give or take a minute.
    pub(super) fn resolve(&self, began: Option<Timestamp>) -> Option<Timestamp> {
        let clock = match self {
            Self::At(at) => return Some(*at),
            Self::Clock(clock) => *clock,
        };
        let began = began?.checked_sub(SignedDuration::from_mins(1)).ok()?;
        let day = Offset::UTC.to_datetime(began).date();
        let at = Offset::UTC.to_timestamp(day.to_datetime(clock)).ok()?;
        if at < began { at.checked_add(DAY).ok() } else { Some(at) }
    }
}

/// Lines around a moment, from and to, and how surely that was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    /// Around the first line written then or later, or around the last one.
    Line((u64, u64)),
    /// Around the beginning of the section that was open then: only sections have times in this log.
    Section((u64, u64)),
}

/// Finds the lines around a moment, `None` in a log without any time.
pub(super) fn around(
    store: &Store,
    trace: &TraceRow,
    at: Timestamp,
) -> Result<Option<Around>, StoreError> {
    let (mut last, mut section) = (None, None);
    'documents: for document in trace.documents() {
        let first = trace.frames[document.start].first_line;
        let raw = read(store, trace, document)?;
        for (index, line) in trace::lines(&raw).iter().enumerate() {
            let number = first + index as u64 + 1;
            let Some(time) = line.time() else {
                if last.is_none() && begins_section(&line, at, section.is_some()) {
                    section = Some(number);
                }
                continue;
            };
            last = Some(number);
            if time >= at {
                break 'documents;
            }
        }
    }
    let lines = |line: u64| (line.saturating_sub(AROUND).max(1), line + AROUND - 1);
    let line = last.map(|line| Around::Line(lines(line)));
    Ok(line.or_else(|| section.map(|line| Around::Section(lines(line)))))
}

/// Tells whether a section begins at a line that was open at `at`, or the first one of all.
fn begins_section(line: &trace::Line<'_>, at: Timestamp, any: bool) -> bool {
    let markers = line.markers();
    let begun = |marker: &trace::Marker| {
        let secs = i64::try_from(marker.time_secs).unwrap_or(i64::MAX);
        marker.start && (secs <= at.as_second() || !any)
    };
    markers.all().iter().any(begun)
}

/// Reads the frames of one document.
pub(super) fn read(
    store: &Store,
    trace: &TraceRow,
    document: std::ops::Range<usize>,
) -> Result<Vec<u8>, StoreError> {
    let mut raw = Vec::new();
    for frame in document {
        match raw.is_empty() {
            true => raw = store.read_piece(trace, frame)?,
            false => raw.extend(store.read_piece(trace, frame)?),
        }
    }
    Ok(raw)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use super::*;

    #[test]
    fn ranges_count_from_both_ends() {
        let of_100 = |text: &str| text.parse::<LineRange>().map(|range| range.resolve(100));
        assert_eq!(of_100("5:9"), Ok((5, 9)));
        assert_eq!(of_100("90:"), Ok((90, 100)));
        assert_eq!(of_100(":3"), Ok((1, 3)));
        assert_eq!(of_100("7"), Ok((7, 7)));
        assert_eq!(of_100("-30:"), Ok((71, 100)));
        assert_eq!(of_100(":-2"), Ok((1, 99)));
        assert_eq!(of_100("-1"), Ok((100, 100)));
        assert_eq!(of_100("-200:"), Ok((0, 100)));
        for wrong in ["", ":", "0", "0:5", "a:b", "1:2:3", "1.5"] {
            assert_eq!(of_100(wrong), Err(InvalidRange::Lines), "{wrong}");
        }
    }

    #[test]
    fn a_time_of_the_day_is_the_first_after_the_job_began() {
        let began: Timestamp = "2024-03-01T23:50:00Z".parse().unwrap();
        let at = |text: &str| {
            text.parse::<ClockTime>().unwrap().resolve(Some(began)).unwrap().to_string()
        };
        assert_eq!(at("23:55"), "2024-03-01T23:55:00Z");
        assert_eq!(at("00:10:30"), "2024-03-02T00:10:30Z");
        assert_eq!(at("23:50"), "2024-03-01T23:50:00Z");
        assert_eq!(at("2024-01-01T00:00:00Z"), "2024-01-01T00:00:00Z");
        for wrong in ["", "25:00", "noon", "14", "14:5x"] {
            assert_eq!(wrong.parse::<ClockTime>(), Err(InvalidRange::Time), "{wrong}");
        }
    }
}
