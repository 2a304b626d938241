//! Traces: what is believed to be one, and that it is streamed.

use std::io;

use jobvault::gitlab::{Client, Error, TraceSink};
use jobvault::model::JobId;

use super::{PROJECT, data, options, start};
use crate::util::gitlab::{FakeGitLab, Fault};

/// Fetches the trace of job 1 after two answers spoilt so.
async fn survives(fault: Fault) {
    let (fake, client) = start(1);
    fake.on("trace", 2, fault);
    let mut log = Vec::new();
    let head = client.trace(PROJECT, JobId(1), &mut log).await.unwrap();
    assert_eq!(log, b"log of 1\n");
    assert_eq!((head.bytes, head.hash), (9, blake3::hash(b"log of 1\n")));
    assert_eq!(fake.count("trace"), 3);
}

#[tokio::test]
async fn a_trace_takes_one_request_that_asks_for_no_coding() {
    let (fake, client) = start(1);
    let mut log = Vec::new();
    client.trace(PROJECT, JobId(1), &mut log).await.unwrap();
    let seen = fake.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].request.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn what_is_no_trace_passes() {
    survives(Fault::Html).await;
    survives(Fault::Header("Content-Type", "application/json".into())).await;
    survives(Fault::Header("Content-Disposition", "infile; filename=\"2.log\"".into())).await;
    survives(Fault::edit(|answer| answer.status = 206)).await;
}

#[tokio::test]
async fn cut_traces_pass() {
    survives(Fault::Cut(0.5)).await;
    survives(Fault::CutChunked(0.5)).await;
    survives(Fault::BadGzip).await;
    survives(Fault::Gone).await;
    survives(Fault::json(500, r#"{"message":"500 Internal Server Error"}"#)).await;
}

#[tokio::test]
async fn a_coded_trace_is_decoded() {
    let (fake, client) = start(1);
    fake.on("trace", 1, Fault::Gzip);
    let mut log = Vec::new();
    let head = client.trace(PROJECT, JobId(1), &mut log).await.unwrap();
    assert_eq!((log.as_slice(), head.bytes), (&b"log of 1\n"[..], 9));
}

#[tokio::test]
async fn a_trace_that_names_no_job_is_fetched_twice() {
    let unnamed = [
        Fault::NoHeader("Content-Disposition"),
        Fault::Header("Content-Disposition", "inline; filename=job.log".into()),
        Fault::NoHeader("Content-Type"),
        Fault::Unframed,
    ];
    for fault in unnamed {
        let (fake, client) = start(1);
        fake.on("trace", 99, fault);
        let mut log = Vec::new();
        client.trace(PROJECT, JobId(1), &mut log).await.unwrap();
        assert_eq!(log, b"log of 1\n", "nothing of the first look is left");
        assert_eq!(fake.count("trace"), 2);
        assert_eq!(client.stats().retries, 0);
    }
}

#[tokio::test]
async fn a_trace_that_names_no_job_and_changes_is_refused_until_it_settles() {
    let (fake, client) = start(1);
    for body in ["a", "b", "c", "c"] {
        let edit = Fault::edit(move |answer| {
            answer.drop("Content-Disposition");
            answer.body = body.into();
        });
        fake.on("trace", 1, edit);
    }
    let mut log = Vec::new();
    client.trace(PROJECT, JobId(1), &mut log).await.unwrap();
    assert_eq!(log, b"c");
    assert_eq!(fake.count("trace"), 4);
}

#[tokio::test]
async fn a_job_without_log_has_an_empty_trace() {
    let (fake, client) = start(1);
    fake.data(|data| data.erase(1, 1));
    let mut log = b"left over".to_vec();
    let head = client.trace(PROJECT, JobId(1), &mut log).await.unwrap();
    assert_eq!((head.bytes, log.len()), (0, 0));
}

#[tokio::test]
async fn missing_and_forbidden_traces_are_told_apart() {
    let (fake, client) = start(1);
    let mut log = Vec::new();
    let error = client.trace(PROJECT, JobId(9), &mut log).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    fake.on("trace", 1, Fault::json(403, r#"{"message":"403 Forbidden"}"#));
    let error = client.trace(PROJECT, JobId(1), &mut log).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");
    assert_eq!(fake.count("trace"), 2);
}

/// Counts, and fails where it is told to.
#[derive(Default)]
struct Counting {
    bytes: usize,
    largest: usize,
    starts: usize,
    full_at: Option<usize>,
}

impl TraceSink for Counting {
    fn start(&mut self) -> io::Result<()> {
        self.bytes = 0;
        self.starts += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len();
        self.largest = self.largest.max(bytes.len());
        match self.full_at {
            Some(limit) if self.bytes > limit => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

const LARGE: usize = 24 << 20;

fn large() -> FakeGitLab {
    let mut data = data(1);
    data.job_mut(1, 1).trace = vec![b'x'; LARGE];
    FakeGitLab::start(data)
}

#[tokio::test]
async fn a_large_trace_is_streamed_in_small_pieces() {
    let fake = large();
    let client = Client::new(options(fake.url())).unwrap();
    fake.on("trace", 1, Fault::Cut(0.9));
    let mut sink = Counting::default();
    let head = client.trace(PROJECT, JobId(1), &mut sink).await.unwrap();
    assert_eq!((sink.bytes, sink.starts, head.bytes), (LARGE, 2, LARGE as u64));
    assert!(sink.largest < LARGE / 8, "{} bytes at once", sink.largest);
}

#[tokio::test]
async fn a_sink_that_fails_ends_the_download_at_once() {
    let fake = large();
    let client = Client::new(options(fake.url())).unwrap();
    let mut sink = Counting { full_at: Some(1 << 20), ..Counting::default() };
    let error = client.trace(PROJECT, JobId(1), &mut sink).await.unwrap_err();
    let Error::Io(source) = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!((fake.count("trace"), error.is_transient()), (1, false));
}

#[tokio::test]
async fn a_trace_beyond_the_limit_is_refused_rather_than_cut() {
    let fake = large();
    let mut options = options(fake.url());
    options.max_trace_bytes = LARGE as u64 - 1;
    let client = Client::new(options).unwrap();
    let error = client.trace(PROJECT, JobId(1), &mut Counting::default()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
}
