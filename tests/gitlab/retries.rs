//! What is tried again, and what is not.

use std::io::Write;
use std::time::Duration;

use jobvault::gitlab::{Client, Cursor, Error};
use jobvault::model::JobId;

use super::{PROJECT, options, start};
use crate::util::gitlab::Fault;

/// Spoils two answers and expects the third to be believed.
async fn survives(fault: Fault) {
    let (fake, client) = start(3);
    let what = format!("{fault:?}");
    fake.on("jobs", 2, fault);
    let page = client.jobs_page(PROJECT, &[], &Cursor::default()).await.expect(&what);
    assert_eq!(page.items.len(), 3);
    assert_eq!(fake.count("jobs"), 3);
    assert_eq!((client.stats().requests, client.stats().retries), (3, 2));
}

#[tokio::test]
async fn server_errors_pass() {
    for status in [408, 425, 500, 502, 503, 504] {
        survives(Fault::json(status, r#"{"message":"500 Internal Server Error"}"#)).await;
    }
}

#[tokio::test]
async fn pages_of_a_proxy_pass() {
    survives(Fault::Html).await;
    let html = vec![("Content-Type", "text/html".to_owned())];
    survives(Fault::Status(404, "<html><title>Not here</title>".into(), html)).await;
}

#[tokio::test]
async fn broken_connections_pass() {
    survives(Fault::Gone).await;
    survives(Fault::Cut(0.0)).await;
    survives(Fault::Cut(0.5)).await;
    survives(Fault::CutChunked(0.5)).await;
}

#[tokio::test]
async fn broken_bodies_pass() {
    survives(Fault::EmptyBody).await;
    survives(Fault::TruncatedJson).await;
    survives(Fault::BadGzip).await;
    survives(Fault::Brotli).await;
    survives(Fault::edit(|answer| answer.body.extend(b"\n<!-- served by cache -->\n"))).await;
    survives(Fault::edit(|answer| answer.body = b"{\"id\":1}".to_vec())).await;
    survives(Fault::edit(|answer| answer.body = b"OK".to_vec())).await;
}

#[tokio::test]
async fn codings_not_asked_for_are_decoded() {
    for fault in [Fault::Gzip, Fault::Deflate { raw: false }, Fault::Deflate { raw: true }] {
        let (fake, client) = start(3);
        fake.on("jobs", 1, fault);
        let page = client.jobs_page(PROJECT, &[], &Cursor::default()).await.unwrap();
        assert_eq!((page.items.len(), fake.count("jobs")), (3, 1));
    }
}

#[tokio::test]
async fn a_body_whose_end_is_the_connections_end_is_read() {
    let (fake, client) = start(3);
    fake.on("jobs", 1, Fault::Unframed);
    assert_eq!(client.jobs_page(PROJECT, &[], &Cursor::default()).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn json_under_a_wrong_name_is_still_json() {
    let (fake, client) = start(3);
    fake.on("jobs", 1, Fault::Header("Content-Type", "text/html".into()));
    assert_eq!(client.jobs_page(PROJECT, &[], &Cursor::default()).await.unwrap().items.len(), 3);
    assert_eq!(fake.count("jobs"), 1);
}

#[tokio::test]
async fn silence_ends_in_a_timeout_which_passes() {
    let (fake, _) = start(3);
    let mut options = options(fake.url());
    options.read_timeout = Duration::from_millis(200);
    let client = Client::new(options).unwrap();
    fake.on("job", 1, Fault::Hang);
    client.job(PROJECT, JobId(3)).await.unwrap();
    fake.on("job", 99, Fault::Hang);
    let error = client.job(PROJECT, JobId(3)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }) && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn patience_ends_and_the_last_error_says_why() {
    let (fake, client) = start(1);
    fake.on("job", 99, Fault::Html);
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    let Error::NotJson { html: true, title, .. } = &error else { panic!("{error:?}") };
    assert_eq!(title.as_deref(), Some("502 Bad Gateway"));
    assert_eq!(fake.count("job"), 6);
}

#[tokio::test]
async fn refusals_are_believed_at_once() {
    let refusals = [
        (400, r#"{"error":"scope does not have a valid value"}"#),
        (403, r#"{"message":"403 Forbidden"}"#),
        (404, r#"{"message":"404 Not found"}"#),
        (409, r#"{"message":"409 Conflict: Resource lock"}"#),
    ];
    for (status, body) in refusals {
        let (fake, client) = start(1);
        fake.on("job", 99, Fault::json(status, body));
        let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
        assert_eq!((error.status(), error.is_transient()), (Some(status), false));
        assert_eq!(fake.count("job"), 1);
    }
}

#[tokio::test]
async fn messages_of_all_shapes_become_one_short_line() {
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(5000));
    let cases = [
        (r#"{"message":"403 Forbidden"}"#, "403 Forbidden"),
        (r#"{"message":{"error":"too\nmany \u001b[31mrequests"}}"#, "too many [31mrequests"),
        (r#"{"message":{"name":["is bad","is long"]}}"#, "name: is bad: is long"),
        (r#"{"error":"insufficient_scope","error_description":"no"}"#, "insufficient_scope: no"),
        ("no json", "Forbidden"),
        ("", "Forbidden"),
    ];
    for (body, expected) in cases {
        assert_eq!(forbidden(body).await, expected);
    }
    assert_eq!(forbidden(&long).await.chars().count(), 201);
}

async fn forbidden(body: &str) -> String {
    let (fake, client) = start(1);
    fake.on("job", 1, Fault::json(403, body));
    match client.job(PROJECT, JobId(1)).await.unwrap_err() {
        Error::Forbidden { message, .. } => message,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn text_that_stays_invalid_is_the_servers_own() {
    let (fake, client) = start(1);
    let spoil = Fault::edit(|answer| {
        let at = answer.body.windows(5).position(|bytes| bytes == b"rspec").unwrap();
        answer.body[at] = 0xff;
    });
    fake.on("job", 99, spoil);
    let job = client.job(PROJECT, JobId(1)).await.unwrap().value;
    assert_eq!(job.name.as_deref(), Some("\u{fffd}spec"));
    assert_eq!(fake.count("job"), 3);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused_and_a_bomb_too() {
    let (fake, _) = start(3);
    let mut options = options(fake.url());
    options.max_json_bytes = 1000;
    let client = Client::new(options).unwrap();
    let error = client.jobs_page(PROJECT, &[], &Cursor::default()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 1000, .. }), "{error:?}");
    fake.on("job", 1, Fault::edit(|answer| answer.body.extend(vec![b' '; 1 << 20])));
    fake.on("job", 1, Fault::Gzip);
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_answered_is_given_up_soon() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::new(options(&format!("http://127.0.0.1:{port}"))).unwrap();
    let error = client.whoami().await.unwrap_err();
    assert!(matches!(error, Error::Connect { dns: false, .. }), "{error:?}");
    assert_eq!(client.stats().requests, 2);
}

#[tokio::test]
async fn a_plain_server_behind_https_is_a_matter_of_tls() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Waits for the client to hang up, lest a reset comes before the answer is read.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let client = Client::new(options(&url)).unwrap();
    let error = client.whoami().await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert_eq!(client.stats().requests, 1, "a certificate does not mend by itself");
    server.join().unwrap();
}
