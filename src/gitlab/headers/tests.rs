#![allow(clippy::unwrap_used, reason = "a test may panic")]

use reqwest::header::{HeaderName, HeaderValue};

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn link(value: &str) -> Next {
    next(&headers(&[("link", value)]))
}

fn keys(key: &str, value: &str) -> Next {
    Next::Keys(vec![(key.to_owned(), value.to_owned())])
}

#[test]
fn only_the_place_is_taken_from_a_link() {
    let url = "https://h/api/v4/projects/1/jobs";
    let cursor = format!("<{url}?cursor=eyJ9&id=1&pagination=keyset&per_page=2>; rel=\"next\"");
    assert_eq!(link(&cursor), keys("cursor", "eyJ9"));
    assert_eq!(link("<https://h/x?id_after=7&simple=true>; rel=next"), keys("id_after", "7"));
    let numbered = format!("<{url}?page=1>; rel=\"prev\", <{url}?id=1&page=3>; rel=\"next\"");
    assert_eq!(link(&numbered), Next::Page(3));
    assert_eq!(
        link("</x?page=2,3>; rel=\"last\", </x?page=4>;title=\"a\"; rel=\"next x\""),
        Next::Page(4)
    );
    assert_eq!(link(&format!("<{url}?page=1>; rel=\"first\"")), Next::End);
    assert_eq!(link("<https://h/x?foo=1>; rel=\"next\""), Next::Unreadable);
    assert_eq!(link("<https://h/x?page=no>; rel=\"next\""), Next::Unreadable);
    assert_eq!(link("<https://h"), Next::End);
}

#[test]
fn x_next_page_ends_a_list_when_empty() {
    assert_eq!(next(&headers(&[("x-next-page", "")])), Next::End);
    assert_eq!(next(&headers(&[("x-next-page", "2")])), Next::Page(2));
    assert_eq!(next(&headers(&[("x-next-page", "two")])), Next::Unreadable);
    assert_eq!(next(&headers(&[])), Next::Silent);
}

#[test]
fn waits_are_read_in_both_forms_and_nonsense_is_none() {
    let now: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
    let wait = |value: &str| asked_wait(&headers(&[("retry-after", value)]), now);
    assert_eq!(wait("37"), Some(Duration::from_secs(37)));
    assert_eq!(wait("Mon, 15 Jun 2026 12:00:10 GMT"), Some(Duration::from_secs(11)));
    assert_eq!(wait("Mon, 15 Jun 2026 11:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(wait("99999999999"), Some(Duration::from_secs(MAX_PLAUSIBLE_WAIT_SECS)));
    for bad in ["", "-1", "soon", "1.5", "99999999999999999999999"] {
        assert_eq!(wait(bad), None, "{bad:?}");
    }
}

#[test]
fn a_date_is_taken_by_the_clock_which_makes_sense_of_it() {
    let now: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
    let wait = |until: &str, date: &str| {
        let headers = headers(&[("retry-after", until), ("date", date)]);
        asked_wait(&headers, now).unwrap().as_secs()
    };
    let at_ten_past = "Mon, 15 Jun 2026 12:10:00 GMT";
    assert_eq!(wait(at_ten_past, "Mon, 15 Jun 2026 12:09:30 GMT"), 30);
    assert_eq!(wait(at_ten_past, "Tue, 01 Jan 2019 00:00:00 GMT"), 601);
    assert_eq!(wait(at_ten_past, "no date"), 601);
    assert_eq!(wait("Mon, 15 Jun 2026 15:00:00 GMT", "Mon, 15 Jun 2026 12:30:00 GMT"), 9000);
}

#[test]
fn a_log_is_named_by_its_disposition() {
    let named = |value: &str| super::named(&headers(&[("content-disposition", value)]));
    assert_eq!(named("infile; filename=\"8.log\""), Named::Job(JobId(8)));
    assert_eq!(named("attachment; Filename=8.log"), Named::Job(JobId(8)));
    assert_eq!(named("inline; filename=job.log"), Named::Other);
    assert_eq!(named("inline"), Named::Nothing);
    assert_eq!(super::named(&headers(&[])), Named::Nothing);
}
