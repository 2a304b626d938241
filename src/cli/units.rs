//! Numbers as people read them: ages, durations, sizes, counts. Pure.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const MONTH: i64 = 30 * DAY;
const YEAR: i64 = 365 * DAY;

/// Tells how long ago something was: `3 days ago`, `in 2 hours`, `just now`.
pub fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    let span = seconds.abs();
    let (count, unit) = match span {
        ..MINUTE => return "just now".to_owned(),
        MINUTE..HOUR => (span / MINUTE, "minute"),
        HOUR..DAY => (span / HOUR, "hour"),
        DAY..MONTH => (span / DAY, "day"),
        MONTH..YEAR => (span / MONTH, "month"),
        YEAR.. => (span / YEAR, "year"),
    };
    let s = if count == 1 { "" } else { "s" };
    match seconds > 0 {
        true => format!("{count} {unit}{s} ago"),
        false => format!("in {count} {unit}{s}"),
    }
}

/// Reads how many of something there may be at most; 0 would ask for nothing.
pub fn at_least_one(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "it must be a number from 1 on".to_owned())
}

/// Writes seconds as `45s`, `2m 10s` or `1h 05m`.
pub fn duration(seconds: f64) -> String {
    // The cast of a float saturates; a negative or odd duration shows as 0s.
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        _ => format!("{}h {:02}m", whole / 3600, whole % 3600 / 60),
    }
}

/// Writes a size in binary units: `512 B`, `1.5 KiB`, `20 MiB`.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        // A value that would round to 1024 is one of the next unit.
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ if value < 9.95 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// Writes a count with its noun: `1 job`, `2 jobs`.
pub fn count(n: u64, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        _ => format!("{n} {noun}s"),
    }
}

/// Writes a time to the second, in UTC.
pub fn time(at: Timestamp) -> String {
    format!("{at:.0}").replace('T', " ").replace('Z', " UTC")
}

/// Returns the first eight characters of a commit's id.
pub fn short_sha(sha: &str) -> String {
    sha.chars().take(8).collect()
}

/// Reads a size: `500M`, `10G`, `1.5GiB`, `4096`; the letters stand for binary units.
pub fn parse_size(text: &str) -> Result<u64, &'static str> {
    let wrong = "it is not a size such as 500M or 10G";
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit);
    let power = match unit {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(wrong),
    };
    let number: f64 = digits.trim().parse().map_err(|_| wrong)?;
    let bytes = number * 1024f64.powi(power);
    // Below one byte nothing could be done; the cast of a larger float saturates.
    if bytes.is_finite() && bytes >= 1.0 { Ok(bytes as u64) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use super::*;

    #[test]
    fn ages_use_the_largest_unit_that_fits() {
        let now: Timestamp = "2024-06-15T12:00:00Z".parse().unwrap();
        let ago =
            |seconds: i64| age(Timestamp::from_second(now.as_second() - seconds).unwrap(), now);
        assert_eq!(ago(0), "just now");
        assert_eq!(ago(59), "just now");
        assert_eq!(ago(60), "1 minute ago");
        assert_eq!(ago(3 * DAY + 5), "3 days ago");
        assert_eq!(ago(-2 * HOUR), "in 2 hours");
        assert_eq!(ago(2 * YEAR), "2 years ago");
    }

    #[test]
    fn sizes_round_to_the_unit_people_would_use() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(size(20 << 20), "20 MiB");
        assert_eq!(size(u64::MAX), "16384 PiB");
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("1.5k"), Ok(1536));
        assert_eq!(parse_size("10G"), Ok(10 << 30));
        assert_eq!(parse_size("2 MiB"), Ok(2 << 20));
        for wrong in ["", "0", "-1", "1X", "G", "nan", "1e999"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_keep_two_units() {
        assert_eq!(duration(44.6), "45s");
        assert_eq!(duration(130.0), "2m 10s");
        assert_eq!(duration(3900.0), "1h 05m");
        assert_eq!(duration(f64::NAN), "0s");
        assert_eq!(duration(-3.0), "0s");
    }
}
