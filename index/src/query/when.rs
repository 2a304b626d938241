//! Times, durations and ranges as written in filters.
//!
//! Pure: the present comes in as `now`. Whatever cannot be read is a text that says what could.

use std::ops::Bound;
use std::time::Duration;

use jiff::{Timestamp, civil, tz};

/// A point in time as written: so long ago, a day, or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long before now.
    Ago(Duration),
    /// A day in UTC.
    Day(civil::Date),
    /// An instant.
    At(Timestamp),
}

impl When {
    /// Reads `30d`, `2026-01-31`, or an RFC 3339 time (UTC if it has no zone).
    pub fn parse(text: &str) -> Result<When, String> {
        if let Ok(ago) = parse_duration(text) {
            return Ok(When::Ago(ago));
        }
        let date = text.len() == 10 && text.as_bytes().get(4) == Some(&b'-');
        if let (true, Ok(day)) = (date, text.parse::<civil::Date>()) {
            return Ok(When::Day(day));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(When::At(at));
        }
        let utc = text
            .parse::<civil::DateTime>()
            .ok()
            .filter(|_| text.contains(['T', 't', ' ']))
            .and_then(|at| tz::Offset::UTC.to_timestamp(at).ok());
        utc.map(When::At).ok_or_else(|| {
            format!("`{text}` is no time such as 30d, 12h, 2026-01-31 or 2026-01-31T12:00:00Z")
        })
    }

    /// Returns the instant; of a day its beginning. What is out of range becomes the earliest time.
    pub fn resolve(&self, now: Timestamp) -> Timestamp {
        match self {
            When::Ago(ago) => now.checked_sub(*ago).unwrap_or(Timestamp::MIN),
            When::Day(day) => {
                tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(Timestamp::MIN)
            }
            When::At(at) => *at,
        }
    }

    /// Returns the instant up to which `until:` reaches: of a day the beginning of the next one.
    pub fn resolve_end(&self, now: Timestamp) -> Timestamp {
        match self {
            When::Day(_) => {
                self.resolve(now).checked_add(Duration::from_secs(86_400)).unwrap_or(Timestamp::MAX)
            }
            _ => self.resolve(now),
        }
    }
}

/// A range of numbers or durations, each end open, included or excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds<T> {
    /// The lower end.
    pub from: Bound<T>,
    /// The upper end.
    pub to: Bound<T>,
}

impl<T: PartialOrd> Bounds<T> {
    /// Tells whether the value lies in the range.
    pub fn contains(&self, value: &T) -> bool {
        let above = match &self.from {
            Bound::Unbounded => true,
            Bound::Included(from) => value >= from,
            Bound::Excluded(from) => value > from,
        };
        above
            && match &self.to {
                Bound::Unbounded => true,
                Bound::Included(to) => value <= to,
                Bound::Excluded(to) => value < to,
            }
    }
}

/// Reads `>X`, `>=X`, `<X`, `<=X`, `X..Y` (both included), `X..`, `..Y`; a bare `X` through `bare`.
pub(super) fn parse_bounds<T: PartialOrd>(
    text: &str,
    value: impl Fn(&str) -> Result<T, String>,
    bare: impl Fn(T) -> Bounds<T>,
) -> Result<Bounds<T>, String> {
    let from = |from| Bounds { from, to: Bound::Unbounded };
    let to = |to| Bounds { from: Bound::Unbounded, to };
    if let Some(rest) = text.strip_prefix(">=") {
        return Ok(from(Bound::Included(value(rest)?)));
    }
    if let Some(rest) = text.strip_prefix('>') {
        return Ok(from(Bound::Excluded(value(rest)?)));
    }
    if let Some(rest) = text.strip_prefix("<=") {
        return Ok(to(Bound::Included(value(rest)?)));
    }
    if let Some(rest) = text.strip_prefix('<') {
        return Ok(to(Bound::Excluded(value(rest)?)));
    }
    match text.split_once("..") {
        None => Ok(bare(value(text)?)),
        Some(("", "")) => Err("a range needs at least one end".to_owned()),
        Some((low, "")) => Ok(from(Bound::Included(value(low)?))),
        Some(("", high)) => Ok(to(Bound::Included(value(high)?))),
        Some((low, high)) => {
            let (low, high) = (value(low)?, value(high)?);
            if low > high {
                return Err(format!("the range `{text}` is empty"));
            }
            Ok(Bounds { from: Bound::Included(low), to: Bound::Included(high) })
        }
    }
}

/// Reads a duration such as `90s`, `10m`, `1h30m`, `2d` or `2w`.
///
/// The error is a text that says what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration such as 90s, 10m, 1h30m, 2d or 2w");
    let mut seconds: u64 = 0;
    let mut number: Option<u64> = None;
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            let grown = number.unwrap_or(0).checked_mul(10);
            let grown = grown.and_then(|grown| grown.checked_add(u64::from(byte - b'0')));
            number = Some(grown.ok_or_else(wrong)?);
            continue;
        }
        let unit = match byte {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return Err(wrong()),
        };
        let part = number.take().and_then(|number| number.checked_mul(unit));
        let sum = part.and_then(|part| seconds.checked_add(part));
        seconds = sum.ok_or_else(wrong)?;
    }
    if text.is_empty() || number.is_some() {
        return Err(wrong());
    }
    Ok(Duration::from_secs(seconds))
}
