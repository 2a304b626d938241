//! What the headers of an answer say: waiting, paging, and whose log it is.
//!
//! Owns the reading of header values. Knows nothing of requests, and takes the time as an
//! argument. Whatever cannot be read counts as absent.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::HeaderMap;
use url::Url;

use crate::model::JobId;

/// The longest wait that is taken at its word; beyond it the clocks disagree.
const MAX_PLAUSIBLE_WAIT_SECS: u64 = 24 * 60 * 60;
/// The longest rate limit window by a time of day; GitLab's longest is an hour.
const MAX_WINDOW_SECS: i64 = 60 * 60;
/// The query parameters which name a place in a list; all others are the asker's own.
const CURSOR_KEYS: [&str; 3] = ["cursor", "id_after", "id_before"];

/// Returns the text of a header, or `None` if it is absent or not text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

/// Returns the server's time by its `Date`.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    text(headers, "date").and_then(http_date)
}

fn http_date(value: &str) -> Option<Timestamp> {
    // RFC 9110 wants readers to forgive a wrong weekday no more than any other digit; being
    // lenient costs nothing here.
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(value).ok()
}

/// Returns how long the server asks to wait: `Retry-After`, else the end of the window.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    asked_wait(headers, now).or_else(|| window_left(headers, now))
}

/// Returns `Retry-After` as a duration.
pub(crate) fn asked_wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = text(headers, "retry-after")?;
    let secs = match value.parse::<u64>() {
        Ok(secs) => secs,
        Err(_) => {
            let until = http_date(value)?.as_second();
            let waits = waits_until(until, headers, now);
            let plausible = waits.into_iter().flatten().find(|wait| is_window(*wait));
            let wait = plausible.or_else(|| waits.into_iter().flatten().min())?;
            u64::try_from(wait).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(secs.min(MAX_PLAUSIBLE_WAIT_SECS)))
}

/// Returns the seconds to a time of day by the server's own clock, if it sends it, and by ours.
///
/// A wrong clock on either side shall do no harm, and what stands between may have set `Date`.
/// Our own clock gets a second more, since the server's time may have been cut to a second.
fn waits_until(until: i64, headers: &HeaderMap, now: Timestamp) -> [Option<i64>; 2] {
    let server = date(headers);
    let since = |from: Timestamp| until.saturating_sub(from.as_second());
    [server.map(since), Some(since(now).saturating_add(1))]
}

fn is_window(secs: i64) -> bool {
    (0..=MAX_WINDOW_SECS).contains(&secs)
}

/// Returns the time until the rate limit's window ends.
fn window_left(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let reset = i64::try_from(number(headers, "ratelimit-reset")?).ok()?;
    let left = waits_until(reset, headers, now).into_iter().flatten().find(|left| is_window(*left));
    left.and_then(|left| u64::try_from(left).ok()).map(Duration::from_secs)
}

/// What is left of the server's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Requests allowed in a window, if told.
    pub(crate) limit: Option<u64>,
    /// Requests left in this window.
    pub(crate) remaining: u64,
    /// Time left in this window.
    pub(crate) window: Duration,
}

/// Returns what is left of the server's budget, or `None` if it does not say.
pub(crate) fn budget(headers: &HeaderMap, now: Timestamp) -> Option<Budget> {
    Some(Budget {
        limit: number(headers, "ratelimit-limit"),
        remaining: number(headers, "ratelimit-remaining")?,
        window: window_left(headers, now)?,
    })
}

/// What an answer says about the page after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// The query parameters that lead to it.
    Keys(Vec<(String, String)>),
    /// Its number.
    Page(u64),
    /// There is none.
    End,
    /// Nothing at all is said about pages.
    Silent,
    /// There is one, but not where.
    Unreadable,
}

/// Returns what the headers say about the next page.
///
/// Only the query of a link counts: behind a proxy its host may be one that cannot be reached.
pub(crate) fn next(headers: &HeaderMap) -> Next {
    if let Some(link) = next_link(headers) {
        return place_in(&link);
    }
    match text(headers, "x-next-page") {
        Some("") => Next::End,
        Some(page) => page.parse().map_or(Next::Unreadable, Next::Page),
        None if headers.contains_key("link") || headers.contains_key("x-page") => Next::End,
        None => Next::Silent,
    }
}

fn place_in(link: &str) -> Next {
    // A link may be relative; the base only makes it readable.
    let Ok(url) = Url::parse("http://link.invalid/").and_then(|base| base.join(link)) else {
        return Next::Unreadable;
    };
    let keys: Vec<_> = url
        .query_pairs()
        .filter(|(key, value)| CURSOR_KEYS.contains(&key.as_ref()) && !value.is_empty())
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    if !keys.is_empty() {
        return Next::Keys(keys);
    }
    url.query_pairs()
        .find(|(key, _)| key == "page")
        .and_then(|(_, value)| value.parse().ok())
        .map_or(Next::Unreadable, Next::Page)
}

/// Finds the target of `rel="next"` among the links (RFC 8288).
fn next_link(headers: &HeaderMap) -> Option<String> {
    headers.get_all("link").iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        let mut rest = value;
        while let Some((_, after)) = rest.split_once('<') {
            let (target, tail) = after.split_once('>')?;
            let params = tail.split('<').next().unwrap_or_default();
            if params.split([';', ',']).any(is_next) {
                return Some(target.to_owned());
            }
            rest = tail;
        }
        None
    })
}

fn is_next(param: &str) -> bool {
    param.trim().split_once('=').is_some_and(|(key, value)| {
        key.trim().eq_ignore_ascii_case("rel")
            && value.trim().trim_matches('"').split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

/// Whose log an answer says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// This job's.
    Job(JobId),
    /// It bears a name, but not that of a job's log.
    Other,
    /// It does not say.
    Nothing,
}

/// Reads the job from `Content-Disposition: infile; filename="ID.log"`.
pub(crate) fn named(headers: &HeaderMap) -> Named {
    let Some(value) = text(headers, "content-disposition") else {
        return Named::Nothing;
    };
    let name = value.split(';').find_map(|part| {
        let (key, name) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("filename").then(|| name.trim().trim_matches('"'))
    });
    match name {
        None => Named::Nothing,
        Some(name) => name
            .strip_suffix(".log")
            .and_then(|id| id.parse().ok())
            .map_or(Named::Other, Named::Job),
    }
}
