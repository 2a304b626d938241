//! The artifacts archive of a job: parts of it by Range, and all of it, resumed where a connection breaks or an earlier
//! download ended.
//!
//! Owns the requests and the judging of their answers. Knows nothing of what an archive holds. GitLab sends the file
//! itself or redirects to a signed address of an object storage, which gets no token and is asked again directly while
//! it is good. Fails with the error of the last try.
//!
//! Sources: <https://docs.gitlab.com/api/job_artifacts/#download-job-artifacts-by-job-id>, RFC 9110 section 14.

use std::io;
use std::ops::Range;

use reqwest::Response;
use reqwest::header::{HeaderName, HeaderValue, IF_RANGE, RANGE};
use url::Url;

use super::call::Call;
use super::error::place;
use super::http::Http;
use super::options::unusable;
use super::redirect::host;
use super::retry::Tries;
use super::trace::{TraceHead, TraceSink};
use super::{Client, Error, ProjectRef, headers, wire};
use crate::model::JobId;

/// A server that sends no parts may send a whole of this length where a part was asked for; more is not taken.
const MAX_WHOLE_BYTES: u64 = 1 << 20;
/// A part asked for is at most this long.
const MAX_PIECE_BYTES: u64 = 64 << 20;
/// How often a download goes on where it was cut; each time it must have come further.
const MAX_RESUMES: u32 = 1000;
/// How often a length that is not the one announced is looked at again at once: a proxy may have made it up.
const MAX_DOUBTS: u32 = 2;

/// A part of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins in the archive.
    pub at: u64,
    /// Bytes of the archive.
    pub total: u64,
    /// The bytes, which may be more than were asked for.
    pub bytes: Vec<u8>,
}

/// What an earlier download left of an archive.
#[derive(Debug)]
pub struct Left {
    /// How many bytes of it, from the first.
    pub bytes: u64,
    /// What hashed these.
    pub hasher: blake3::Hasher,
    /// What told the archive from another one, as [`ArchiveSink::is_of`] was told.
    pub validator: String,
}

/// Takes in an archive, and may have the first part of it.
pub trait ArchiveSink: TraceSink {
    /// Returns what an earlier download left, if anything; what is written next goes behind it.
    fn left(&mut self) -> Option<Left> {
        None
    }

    /// Learns what tells the archive from another one, before bytes of it come; `None` where the server does not say.
    ///
    /// # Errors
    ///
    /// Ends the download.
    fn is_of(&mut self, _validator: Option<&str>) -> io::Result<()> {
        Ok(())
    }
}

/// The artifacts archive of a job on its server.
pub struct RemoteArchive {
    client: Client,
    call: Call,
    announced: Option<u64>,
    /// Where the server redirected to, as long as that is good.
    signed: Option<Url>,
}

impl Client {
    /// Names the artifacts archive of a job, of `announced` bytes by the job's document. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if no address can be made.
    pub fn archive(
        &self,
        project: impl Into<ProjectRef>,
        job: JobId,
        announced: Option<u64>,
    ) -> Result<RemoteArchive, Error> {
        let path = format!("/projects/{}/jobs/{job}/artifacts", project.into());
        let call = Call::get(&self.http, &path)?.plain();
        Ok(RemoteArchive { client: self.clone(), call, announced, signed: None })
    }
}

/// How far a download is.
struct Got {
    bytes: u64,
    hasher: blake3::Hasher,
    /// What tells whether the file is still the same, if the server gave it.
    validator: Option<HeaderValue>,
}

impl Got {
    fn nothing() -> Self {
        Self { bytes: 0, hasher: blake3::Hasher::new(), validator: None }
    }

    /// Returns how far an earlier download came. Nothing where that is all of it, for then the server would not say
    /// whether it is still the same.
    fn of(left: Left, announced: Option<u64>) -> Option<Self> {
        let validator = HeaderValue::from_str(&left.validator).ok()?;
        let is_part = left.bytes > 0 && announced.is_none_or(|all| left.bytes < all);
        is_part.then_some(Self {
            bytes: left.bytes,
            hasher: left.hasher,
            validator: Some(validator),
        })
    }
}

impl RemoteArchive {
    /// Reads the last `len` bytes, or all where there are fewer.
    ///
    /// # Errors
    ///
    /// [`Error::NoRange`] where the server sends no parts and the whole is large, [`Error::NotFound`] where there is
    /// no archive, [`Error::Forbidden`], [`Error::WrongLength`], and whatever else ends patience.
    pub async fn tail(&mut self, len: u64) -> Result<Piece, Error> {
        let range = match self.announced {
            // Rarely wrong, and some proxies know no ranges that count from the end.
            Some(total) if total > 0 => {
                format!("bytes={}-{}", total.saturating_sub(len), total - 1)
            }
            _ => format!("bytes=-{len}"),
        };
        self.part(range, None).await
    }

    /// Reads a part.
    ///
    /// # Errors
    ///
    /// As [`RemoteArchive::tail`], and [`Error::TooLarge`] for more than is read at once.
    pub async fn piece(&mut self, range: Range<u64>) -> Result<Piece, Error> {
        let len = range.end.saturating_sub(range.start);
        if len == 0 || len > MAX_PIECE_BYTES {
            return Err(Error::TooLarge { url: self.call.place(), limit: MAX_PIECE_BYTES });
        }
        let text = format!("bytes={}-{}", range.start, range.end - 1);
        self.part(text, Some(range)).await
    }

    async fn part(&mut self, range: String, wanted: Option<Range<u64>>) -> Result<Piece, Error> {
        let http = self.client.http.clone();
        let call = self.call.clone().header(RANGE, value(&range)?);
        let (mut tries, mut doubts) = (Tries::new(), 0);
        loop {
            let error = match self.part_once(&http, &call, wanted.as_ref()).await {
                Ok(piece) => return Ok(piece),
                Err(error) => error,
            };
            self.signed = None;
            if is_doubted(&http, &error, &mut doubts) {
                continue;
            }
            tries.again(&http, &call, error).await?;
        }
    }

    async fn part_once(
        &mut self,
        http: &Http,
        call: &Call,
        wanted: Option<&Range<u64>>,
    ) -> Result<Piece, Error> {
        let response = self.send(http, call).await?;
        let url = place(response.url());
        if response.status().as_u16() != 206 {
            let Some(total) = response.content_length().filter(|len| *len <= MAX_WHOLE_BYTES)
            else {
                return Err(Error::NoRange { url });
            };
            self.check_length(&url, total)?;
            let bytes = http.read(response, Vec::new(), MAX_WHOLE_BYTES).await?.taker;
            return Ok(Piece { at: 0, total, bytes });
        }
        let Some((range, total)) = content_range(&response) else {
            return Err(Error::malformed(&url, "it does not say which part it sends"));
        };
        self.check_length(&url, total)?;
        if wanted.is_some_and(|wanted| range.start != wanted.start || range.end > wanted.end) {
            return Err(Error::malformed(&url, "it sends another part than was asked for"));
        }
        let len = range.end - range.start;
        if len > MAX_PIECE_BYTES {
            return Err(Error::TooLarge { url, limit: MAX_PIECE_BYTES });
        }
        let bytes = http.read(response, Vec::new(), len).await?.taker;
        if bytes.len() as u64 != len {
            return Err(Error::malformed(&url, "the part is not of the length it claims"));
        }
        Ok(Piece { at: range.start, total, bytes })
    }

    /// Fetches all of it into `sink`, at most `limit` bytes. A broken connection is taken up where it broke, an earlier
    /// download where it ended.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`], before anything is fetched where the length is known; else as [`RemoteArchive::tail`].
    pub async fn download(
        &mut self,
        sink: &mut dyn ArchiveSink,
        limit: u64,
    ) -> Result<TraceHead, Error> {
        let http = self.client.http.clone();
        let mut tries = Tries::new();
        let (mut resumes, mut doubts) = (0, 0);
        let left = sink.left().and_then(|left| Got::of(left, self.announced));
        let mut got = match left {
            Some(got) => got,
            None => {
                sink.start().map_err(Error::Io)?;
                Got::nothing()
            }
        };
        loop {
            let before = got.bytes;
            let error = match self.go_on(&http, sink, &mut got, limit).await {
                Ok(()) => return Ok(TraceHead { bytes: got.bytes, hash: got.hasher.finalize() }),
                Err(error) => error,
            };
            self.signed = None;
            if got.bytes > before && resumes < MAX_RESUMES {
                resumes += 1;
                tries = Tries::new();
            }
            if is_doubted(&http, &error, &mut doubts) {
                continue;
            }
            tries.again(&http, &self.call, error).await?;
        }
    }

    /// Fetches what is missing.
    async fn go_on(
        &mut self,
        http: &Http,
        sink: &mut dyn ArchiveSink,
        got: &mut Got,
        limit: u64,
    ) -> Result<(), Error> {
        let mut call = self.call.clone();
        if got.bytes > 0 {
            call = call.header(RANGE, value(&format!("bytes={}-", got.bytes))?);
            if let Some(validator) = &got.validator {
                call = call.header(IF_RANGE, validator.clone());
            }
        }
        let mut response = self.send(http, &call).await?;
        let url = place(response.url());
        let total = match (response.status().as_u16(), content_range(&response)) {
            (206, Some((range, total))) if range.start == got.bytes => Some(total),
            (206, _) => {
                return Err(Error::malformed(&url, "it sends another part than was asked for"));
            }
            _ => {
                // It has no parts, or the file is another by now: from the beginning.
                sink.start().map_err(Error::Io)?;
                *got = Got::nothing();
                response.content_length()
            }
        };
        if let Some(total) = total {
            self.check_length(&url, total)?;
            if total > limit {
                return Err(Error::TooLarge { url, limit });
            }
        }
        got.validator = validator(&response);
        let told = got.validator.as_ref().and_then(|validator| validator.to_str().ok());
        sink.is_of(told).map_err(Error::Io)?;
        loop {
            let chunk = response.chunk().await;
            let Some(chunk) = chunk.map_err(|error| Error::network(url.clone(), error))? else {
                break;
            };
            http.counts.received(chunk.len());
            if got.bytes + chunk.len() as u64 > limit {
                return Err(Error::TooLarge { url, limit });
            }
            sink.write(&chunk).map_err(Error::Io)?;
            got.hasher.update(&chunk);
            got.bytes += chunk.len() as u64;
        }
        match total.or(self.announced) {
            Some(total) if got.bytes < total => {
                Err(Error::malformed(&url, "it ends before its end"))
            }
            Some(total) if got.bytes > total => {
                let served = got.bytes;
                Err(Error::WrongLength { url, announced: total, served })
            }
            _ => Ok(()),
        }
    }

    /// Asks the storage directly where its address is known, else the server.
    async fn send(&mut self, http: &Http, call: &Call) -> Result<Response, Error> {
        let place_of_call = call.place();
        let call = call.at(self.signed.as_ref().unwrap_or(&call.url).clone());
        let response = http.send(&call).await.map_err(|error| match error {
            // No byte of it is where the document's length puts it.
            Error::Refused { status: 416, url, .. } => {
                Error::WrongLength { url, announced: self.announced.unwrap_or_default(), served: 0 }
            }
            // The server redirects to what it believes is there: a storage may be away, or set up wrongly.
            Error::NotFound { url, .. } if !url.starts_with(&http.base) => {
                let host = Url::parse(&url).map_or(url, |url| host(&url));
                Error::Elsewhere { url: place_of_call, host, status: 404 }
            }
            other => other,
        })?;
        let url = place(response.url());
        let kind = headers::text(response.headers(), "content-type");
        if kind.is_some_and(wire::is_html_type) {
            return Err(Error::malformed(&url, "a page was sent in place of the archive"));
        }
        let coding = headers::text(response.headers(), "content-encoding").unwrap_or("identity");
        if !coding.eq_ignore_ascii_case("identity") {
            return Err(Error::malformed(&url, "it is coded though that was not asked for"));
        }
        if *response.url() != self.call.url {
            self.signed = Some(response.url().clone());
        }
        Ok(response)
    }

    fn check_length(&self, url: &str, served: u64) -> Result<(), Error> {
        match self.announced {
            Some(announced) if announced != served => {
                Err(Error::WrongLength { url: url.to_owned(), announced, served })
            }
            _ => Ok(()),
        }
    }
}

/// Tells whether an error is doubted and the same asked once more.
fn is_doubted(http: &Http, error: &Error, doubts: &mut u32) -> bool {
    let doubted = matches!(error, Error::WrongLength { .. }) && *doubts < MAX_DOUBTS;
    if doubted {
        *doubts += 1;
        http.counts.retried();
    }
    doubted
}

fn value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|_| unusable("a range makes no header"))
}

/// Reads `Content-Range: bytes A-B/TOTAL`.
fn content_range(response: &Response) -> Option<(Range<u64>, u64)> {
    let text = headers::text(response.headers(), "content-range")?;
    let (range, total) = text.strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let total: u64 = total.trim().parse().ok()?;
    (first <= last && last < total).then_some((first..last + 1, total))
}

/// Returns what `If-Range` may say: a strong tag, else the time of the last change.
fn validator(response: &Response) -> Option<HeaderValue> {
    let header = |name: HeaderName| response.headers().get(name).cloned();
    let tag = header(reqwest::header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    tag.or_else(|| header(reqwest::header::LAST_MODIFIED))
}
