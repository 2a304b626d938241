//! The trace of a job, judged before it is believed.
//!
//! Owns the streaming of a trace and the checks that it is this job's and whole. Does not know
//! where it goes or what it says. Fails with the error of the last try; what was taken in by
//! then is void.

use std::io;

use reqwest::{Response, Version};

use super::body::{Take, Whole};
use super::call::Call;
use super::error::place;
use super::headers::{self, Named};
use super::http::Http;
use super::retry::Tries;
use super::wire;
use super::{Client, Error, ProjectRef};
use crate::model::JobId;

/// Bytes of a page sent in place of a trace that are searched for its title.
const MAX_PAGE_BYTES: u64 = 64 << 10;

/// Takes in a trace.
pub trait TraceSink: Send {
    /// Begins anew: called before each try, and whatever was written before is void.
    ///
    /// # Errors
    ///
    /// Ends the download.
    fn start(&mut self) -> io::Result<()>;

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// Ends the download.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl TraceSink for Vec<u8> {
    fn start(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// What a trace was, once it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceHead {
    /// Bytes written to the sink. None for a job without log as well as for an erased one.
    pub bytes: u64,
    /// BLAKE3 of them.
    pub hash: blake3::Hash,
}

struct Sink<'a>(&'a mut dyn TraceSink);

impl Take for Sink<'_> {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write(bytes)
    }
}

impl Client {
    /// Fetches the trace of a job into `sink`, the bytes as the runner sent them.
    ///
    /// An answer that does not name the job, or does not say where it ends, is fetched twice
    /// and must be the same both times.
    /// Source: <https://docs.gitlab.com/api/jobs/#get-a-log-file>.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such job, [`Error::Forbidden`] if the token may not
    /// read it, [`Error::Io`] if the sink fails, and whatever else ends patience.
    pub async fn trace(
        &self,
        project: impl Into<ProjectRef>,
        job: JobId,
        sink: &mut dyn TraceSink,
    ) -> Result<TraceHead, Error> {
        let path = format!("/projects/{}/jobs/{job}/trace", project.into());
        let call = Call::get(&self.http, &path)?.plain();
        let mut tries = Tries::new();
        // The last trace that was whole but vouched for nothing.
        let mut unvouched = None;
        loop {
            let error = match once(&self.http, &call, job, sink).await {
                Ok((head, Vouched::Yes)) => return Ok(head),
                Ok((head, Vouched::No)) if unvouched == Some(head) => return Ok(head),
                Ok((head, Vouched::No)) => {
                    // The second look is the price of a first answer; only then is it doubtful.
                    if unvouched.replace(head).is_none() {
                        continue;
                    }
                    Error::malformed(&call.place(), "the log differs from one look to the next")
                }
                Err(error) => error,
            };
            tries.again(&self.http, &call, error).await?;
        }
    }
}

/// Whether an answer shows that it is whole and of the right job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vouched {
    Yes,
    No,
}

async fn once(
    http: &Http,
    call: &Call,
    job: JobId,
    sink: &mut dyn TraceSink,
) -> Result<(TraceHead, Vouched), Error> {
    sink.start().map_err(Error::Io)?;
    let response = http.send(call).await?;
    let url = place(response.url());
    let kind = headers::text(response.headers(), "content-type").map(str::to_owned);
    if kind.as_deref().is_some_and(|kind| !is_plain(kind)) {
        return Err(not_a_trace(http, url, kind.as_deref(), response).await);
    }
    if response.status().as_u16() != 200 {
        let status = response.status().as_u16();
        return Err(Error::malformed(&url, format!("the status of a log is not {status}")));
    }
    let vouched = match headers::named(response.headers()) {
        Named::Job(named) if named != job => {
            return Err(Error::malformed(&url, format!("it is the log of job {named}")));
        }
        Named::Job(_) if kind.is_some() && is_framed(&response) => Vouched::Yes,
        _ => Vouched::No,
    };
    let Whole { bytes, hash, .. } = http.read(response, Sink(sink), http.max_trace_bytes).await?;
    Ok((TraceHead { bytes, hash }, vouched))
}

/// Returns whether a content type may be that of a trace; storages send the second.
fn is_plain(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "text/plain" || kind == "application/octet-stream"
}

/// Returns whether the end of the body can be told from a broken connection.
fn is_framed(response: &Response) -> bool {
    response.version() >= Version::HTTP_2
        || response.content_length().is_some()
        || response.headers().contains_key("transfer-encoding")
}

async fn not_a_trace(http: &Http, url: String, kind: Option<&str>, response: Response) -> Error {
    let html = kind.is_some_and(wire::is_html_type);
    let page = http.read(response, Vec::new(), MAX_PAGE_BYTES).await;
    let title = page.ok().and_then(|page| wire::title(&page.taker));
    Error::NotTrace { url, html, title }
}
