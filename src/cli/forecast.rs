//! When a backlog is done and what is lost before that, in words. Pure.

use jiff::Timestamp;

use super::units;
use crate::sync::coverage::Estimate;

/// Puts a forecast into a line, `None` where nothing waits.
pub(super) fn words(estimate: &Estimate, now: Timestamp) -> Option<String> {
    if estimate.waiting == 0 {
        return None;
    }
    let waiting = units::count(estimate.waiting, "log");
    let waits = if estimate.waiting == 1 { "waits" } else { "wait" };
    let done = match (estimate.rate, estimate.done_at) {
        (Some(rate), Some(at)) => format!(
            "at {} they are done {}",
            speed(rate),
            if at <= now { "at once".to_owned() } else { soon(at, now) }
        ),
        (Some(rate), None) => format!("at {} they are never done", speed(rate)),
        (None, _) => "how long that takes is not known yet".to_owned(),
    };
    let lost = match (estimate.lost_before, estimate.next_loss) {
        (Some(0), _) => "; none is lost before".to_owned(),
        (Some(lost), Some(at)) => {
            format!("; {lost} of them will be lost before, the first {}", soon(at, now))
        }
        (None, Some(at)) => format!("; the next loss is {}", soon(at, now)),
        _ => String::new(),
    };
    Some(format!("{waiting} {waits} to be fetched; {done}{lost}"))
}

/// Writes logs a second, or a minute or an hour where that is the larger number.
fn speed(rate: f64) -> String {
    match rate {
        10.0.. => format!("{rate:.0} a second"),
        1.0.. => format!("{rate:.1} a second"),
        rate if rate * 60.0 >= 1.0 => format!("{:.1} a minute", rate * 60.0),
        rate => format!("{:.1} an hour", rate * 3600.0),
    }
}

/// Writes when something will be, seconds included: they matter here.
fn soon(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second() - now.as_second();
    match seconds {
        1..=59 => format!("in {}", units::count(seconds.unsigned_abs(), "second")),
        _ => units::age(at, now),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_forecast_says_when_all_is_done_and_what_is_lost() {
        let now = Timestamp::UNIX_EPOCH;
        let at = |seconds| Some(now + SignedDuration::from_secs(seconds));
        let mut estimate = Estimate {
            waiting: 1200,
            rate: Some(2.0),
            done_at: at(600),
            next_loss: at(40),
            lost_before: Some(3),
        };
        assert_eq!(
            words(&estimate, now).unwrap(),
            "1200 logs wait to be fetched; at 2.0 a second they are done in 10 minutes; \
             3 of them will be lost before, the first in 40 seconds"
        );
        estimate = Estimate { lost_before: Some(0), ..estimate };
        assert!(words(&estimate, now).unwrap().ends_with("; none is lost before"));
        estimate = Estimate { rate: None, done_at: None, lost_before: None, ..estimate };
        assert!(
            words(&estimate, now)
                .unwrap()
                .ends_with("not known yet; the next loss is in 40 seconds")
        );
        assert_eq!(words(&Estimate::default(), now), None);
    }

    #[test]
    fn slow_rates_are_a_minute_or_an_hour() {
        assert_eq!(
            [25.4, 1.25, 0.5, 0.01].map(speed),
            ["25 a second", "1.2 a second", "30.0 a minute", "36.0 an hour"]
        );
    }
}
