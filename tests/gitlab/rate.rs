//! Refusals by rate limits. The rules of the waiting itself are tested beside them.

use std::time::Duration;

use jobvault::gitlab::{Client, Error};
use jobvault::model::JobId;

use super::{PROJECT, options, start};
use crate::util::gitlab::Fault;

fn throttled(headers: &[(&'static str, &str)]) -> Fault {
    let mut all = vec![("Content-Type", "text/plain".to_owned())];
    all.extend(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
    Fault::Status(429, "Retry later\n".into(), all)
}

fn application() -> Fault {
    Fault::json(
        429,
        r#"{"message":{"error":"This endpoint has been requested too many times. Try again later."}}"#,
    )
}

#[tokio::test]
async fn refusals_do_not_use_up_patience() {
    let (fake, client) = start(1);
    fake.on("job", 20, throttled(&[("Retry-After", "0"), ("RateLimit-Remaining", "0")]));
    client.job(PROJECT, JobId(1)).await.unwrap();
    let stats = client.stats();
    assert_eq!((stats.requests, stats.retries, stats.rate_limited), (21, 0, 20));
}

#[tokio::test]
async fn refusals_without_a_time_wait_by_themselves() {
    let (fake, client) = start(1);
    fake.on("job", 3, application());
    client.job(PROJECT, JobId(1)).await.unwrap();
    assert_eq!(fake.count("job"), 4);
}

#[tokio::test]
async fn a_date_counts_by_the_servers_clock() {
    let (fake, client) = start(1);
    let date = "Mon, 15 Jun 2026 12:00:00 GMT";
    fake.on("job", 1, throttled(&[("Retry-After", date), ("Date", date)]));
    client.job(PROJECT, JobId(1)).await.unwrap();
    assert_eq!(fake.count("job"), 2);
}

/// Returns how long the client was told to wait, when that is more than it waits.
async fn told(headers: &[(&'static str, &str)]) -> Option<Duration> {
    let (fake, _) = start(1);
    let mut options = options(fake.url());
    options.retries.max_wait = Duration::from_millis(100);
    options.clock = || "2026-06-15T12:00:00Z".parse().unwrap();
    let client = Client::new(options).unwrap();
    fake.on("job", 99, throttled(headers));
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }), "{error:?}");
    // The gate stays closed for whoever asks next, without a word to the server.
    assert!(matches!(client.whoami().await, Err(Error::RateLimited { .. })));
    assert_eq!(fake.count("*"), 1);
    error.retry_after()
}

#[tokio::test]
async fn the_time_is_taken_from_whichever_header_has_it() {
    let at = Duration::from_secs;
    let noon = "Mon, 15 Jun 2026 12:00:00 GMT";
    let later = "Mon, 15 Jun 2026 12:00:30 GMT";
    assert_eq!(told(&[("Retry-After", "37")]).await, Some(at(37)));
    assert_eq!(told(&[("Retry-After", later)]).await, Some(at(31)));
    assert_eq!(told(&[("Retry-After", "37"), ("RateLimit-Reset", "9")]).await, Some(at(37)));
    let reset = "1781524820"; // Twenty seconds after noon.
    assert_eq!(told(&[("RateLimit-Reset", reset)]).await, Some(at(21)));
    assert_eq!(told(&[("RateLimit-Reset", reset), ("Date", later)]).await, Some(at(21)));
    assert_eq!(told(&[("RateLimit-Reset", reset), ("Date", noon)]).await, Some(at(20)));
}

#[tokio::test]
async fn endless_refusals_end() {
    let (fake, _) = start(1);
    let mut options = options(fake.url());
    options.retries.max_rate_limited = 5;
    let client = Client::new(options).unwrap();
    fake.on("job", 99, throttled(&[("Retry-After", "0")]));
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    assert!(error.is_transient() && error.status() == Some(429), "{error:?}");
    assert_eq!(fake.count("job"), 6);
}

#[test]
fn rates_that_are_none_are_refused() {
    for rate in [0.0, -1.0, f64::NAN, 1e-300] {
        let mut options = options("http://127.0.0.1:1");
        options.rate = Some(rate);
        assert!(matches!(Client::new(options), Err(Error::Options { .. })), "{rate}");
    }
}
