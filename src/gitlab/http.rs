//! One request and its answer.
//!
//! Owns sending: who gets the token, the pace, the judging of statuses, the reading of bodies.
//! Does not know what is asked for. Every status but success becomes an [`Error`]; what may pass
//! by itself is tried again as [`retry`](super::retry) decides.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use reqwest::{Response, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::body::{Body, Coding, Fault, Take, Whole};
use super::call::Call;
use super::clock::ServerClock;
use super::counts::Counts;
use super::error::place;
use super::options::{ClientOptions, Retries, unusable};
use super::pace::{Pacer, TooLong};
use super::redirect::{Trail, host, is_redirect};
use super::retry::Tries;
use super::{Error, headers, wire};

/// Bytes of an error's body that are looked at; the message is near the beginning.
const MAX_ERROR_BYTES: u64 = 64 << 10;
/// Failures after which invalid UTF-8 in JSON is taken for the server's and not the network's.
const FAILURES_TO_FORGIVE_UTF8: u32 = 2;

/// An answer in JSON, as text.
pub(crate) struct Reply {
    pub(crate) text: String,
    pub(crate) headers: HeaderMap,
}

/// What all clones of a client share.
pub(crate) struct Http {
    client: reqwest::Client,
    /// The API's address without a slash at its end.
    pub(crate) base: String,
    origin: Url,
    token: Option<(HeaderName, HeaderValue)>,
    /// The token again, to keep it out of texts.
    auth: super::Auth,
    pacer: Pacer,
    pub(crate) retries: Retries,
    max_requests: Option<u64>,
    pub(crate) max_json_bytes: u64,
    pub(crate) max_trace_bytes: u64,
    clock: fn() -> Timestamp,
    pub(crate) counts: Counts,
    pub(crate) server_clock: ServerClock,
}

impl Http {
    pub(crate) fn new(options: ClientOptions) -> Result<Self, Error> {
        let retries = options.retries.clone();
        let base = options.base()?;
        Ok(Self {
            client: options.client()?,
            origin: Url::parse(&base).map_err(|_| unusable("the host is no address"))?,
            base,
            token: options.auth.header()?,
            pacer: Pacer::new(options.interval()?, retries.rate_limit_delay, retries.max_wait),
            auth: options.auth,
            retries,
            max_requests: options.max_requests,
            max_json_bytes: options.max_json_bytes,
            max_trace_bytes: options.max_trace_bytes,
            clock: options.clock,
            counts: Counts::default(),
            server_clock: ServerClock::default(),
        })
    }

    /// Returns whether the server has ever answered.
    pub(crate) fn has_answered(&self) -> bool {
        self.server_clock.has_started()
    }

    /// Asks for JSON until an answer makes sense or patience ends.
    pub(crate) async fn json<T>(
        &self,
        call: &Call,
        judge: impl Fn(&Reply) -> Result<T, String>,
    ) -> Result<T, Error> {
        let mut tries = Tries::new();
        loop {
            let forgiving = tries.failed() >= FAILURES_TO_FORGIVE_UTF8;
            let outcome = self.reply(call, forgiving).await.and_then(|reply| {
                judge(&reply).map_err(|reason| Error::malformed(&call.place(), reason))
            });
            match outcome {
                Ok(value) => return Ok(value),
                Err(error) => tries.again(self, call, error).await?,
            }
        }
    }

    async fn reply(&self, call: &Call, forgiving: bool) -> Result<Reply, Error> {
        let response = self.send(call).await?;
        let (url, status, headers) =
            (place(response.url()), response.status().as_u16(), response.headers().clone());
        let body = self.read(response, Vec::new(), self.max_json_bytes).await?.taker;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::malformed(&url, "the body is empty"));
        }
        if wire::is_html(headers::text(&headers, "content-type"), &body) {
            let title = wire::title(&body).map(|title| self.scrub(title));
            return Err(Error::NotJson { url, status, html: true, title });
        }
        let text = match String::from_utf8(body) {
            Ok(text) => text,
            Err(error) if forgiving => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            Err(_) => return Err(Error::malformed(&url, "the JSON is not UTF-8")),
        };
        if !text.trim_start().starts_with(['{', '[']) {
            return Err(Error::NotJson { url, status, html: false, title: None });
        }
        Ok(Reply { text, headers })
    }

    /// Sends once, following redirects, and returns an answer of success.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response, Error> {
        let mut trail = Trail::new(&call.url);
        loop {
            let response = self.hop(call, &trail).await?;
            if is_redirect(response.status()) {
                trail.follow(&call.method, response.headers())?;
            } else if response.status().is_success() {
                return Ok(response);
            } else {
                return Err(self.refusal(call, &trail, response).await);
            }
        }
    }

    /// See [`Pacer::free`].
    pub(crate) async fn free(&self) {
        self.pacer.free().await;
    }

    async fn hop(&self, call: &Call, trail: &Trail) -> Result<Response, Error> {
        let elsewhere = trail.is_elsewhere(&self.origin);
        let url = place(trail.here());
        let started = if elsewhere {
            Instant::now()
        } else {
            self.pacer.turn().await.map_err(|TooLong(wait)| Error::RateLimited {
                url: url.clone(),
                retry_after: Some(wait),
            })?
        };
        let coding = if call.json { "gzip" } else { "identity" };
        let mut request = self
            .client
            .request(call.method.clone(), trail.here().clone())
            .header(ACCEPT_ENCODING, coding);
        if call.json {
            request = request.header(ACCEPT, "application/json");
        }
        if let Some((name, value)) = self.token.as_ref().filter(|_| !elsewhere) {
            request = request.header(name, value);
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let sent = request_time(&self.counts, self.max_requests)?;
        let response = request.send().await;
        self.counts.answered(sent.elapsed());
        let response = response.map_err(|error| {
            self.counts.troubled();
            Error::network(url, error)
        })?;
        if response.status().is_server_error() {
            self.counts.troubled();
        }
        if !elsewhere {
            self.server_clock.note(response.headers(), Instant::now());
        }
        if !elsewhere && response.status() != StatusCode::TOO_MANY_REQUESTS {
            self.pacer.succeed(started, headers::budget(response.headers(), (self.clock)()));
        } else if !elsewhere {
            let asked = headers::retry_after(response.headers(), (self.clock)());
            self.counts.rate_limited();
            let wait = self.pacer.close(started, asked);
            return Err(Error::RateLimited { url: place(response.url()), retry_after: Some(wait) });
        }
        Ok(response)
    }

    /// Makes an error of an answer that is no success.
    async fn refusal(&self, call: &Call, trail: &Trail, response: Response) -> Error {
        let (url, status) = (place(trail.here()), response.status());
        let headers = response.headers().clone();
        let code = status.as_u16();
        // Without the token a private project is not there; a file missing from a storage is.
        let refused = matches!(code, 401 | 403) || (code == 404 && call.json);
        if trail.is_elsewhere(&self.origin) && refused {
            return Error::Elsewhere { url: call.place(), host: host(trail.here()), status: code };
        }
        // What can be read of the body only explains; the status decides.
        let body = self.beginning(response).await;
        let html = wire::is_html(headers::text(&headers, "content-type"), &body);
        let found = if html { wire::title(&body) } else { wire::message(&body) };
        // A storage answers as it likes; a page of the server's own address is not GitLab's.
        let own = !trail.is_elsewhere(&self.origin);
        if html && own && matches!(code, 403 | 404) {
            let title = found.map(|title| self.scrub(title));
            return Error::NotJson { url, status: code, html, title };
        }
        let reason = status.canonical_reason().unwrap_or("no reason given");
        let message = found.map_or_else(|| reason.to_owned(), |text| self.scrub(text));
        let retry_after = headers::asked_wait(&headers, (self.clock)());
        by_status(code, url, message, retry_after)
    }

    async fn beginning(&self, mut response: Response) -> Vec<u8> {
        let coding = coding(&response).unwrap_or(Coding::Identity);
        let mut body = Body::new(coding, Vec::new(), MAX_ERROR_BYTES);
        while body.wire_bytes < MAX_ERROR_BYTES
            && let Ok(Some(chunk)) = response.chunk().await
            && body.push(&chunk).is_ok()
        {}
        body.finish().map(|whole| whole.taker).unwrap_or_default()
    }

    /// Reads a body to its end, decoded.
    pub(crate) async fn read<T: Take>(
        &self,
        mut response: Response,
        taker: T,
        limit: u64,
    ) -> Result<Whole<T>, Error> {
        let url = place(response.url());
        let fault = |fault| match fault {
            Fault::Coding(reason) => Error::malformed(&url, reason),
            Fault::TooLarge(limit) => Error::TooLarge { url: url.clone(), limit },
            Fault::Taker(error) => Error::Io(error),
        };
        let announced = response.content_length();
        let mut body = Body::new(coding(&response).map_err(&fault)?, taker, limit);
        loop {
            let chunk = response.chunk().await;
            let Some(chunk) = chunk.map_err(|error| Error::network(url.clone(), error))? else {
                break;
            };
            self.counts.received(chunk.len());
            body.push(&chunk).map_err(&fault)?;
            // A coding can make much of little, but also nothing of anything.
            if body.wire_bytes > limit {
                return Err(fault(Fault::TooLarge(limit)));
            }
        }
        if announced.is_some_and(|announced| announced != body.wire_bytes) {
            return Err(Error::malformed(&url, "the length is not the one announced"));
        }
        body.finish().map_err(&fault)
    }

    /// Returns whether the client waits as long as a server asks.
    pub(crate) fn fits(&self, wait: Option<Duration>) -> bool {
        wait.is_none_or(|wait| wait <= self.retries.max_wait)
    }

    /// Removes the token from words a server sent.
    fn scrub(&self, text: String) -> String {
        match self.auth.secret() {
            Some(secret) => text.replace(secret, "[token]"),
            None => text,
        }
    }
}

/// Counts a request that is about to be sent, where one more is allowed, and returns when that was.
fn request_time(counts: &Counts, limit: Option<u64>) -> Result<Instant, Error> {
    match limit {
        Some(limit) if counts.requested() >= limit => {
            counts.unrequested();
            Err(Error::Spent { limit })
        }
        None => {
            counts.requested();
            Ok(Instant::now())
        }
        Some(_) => Ok(Instant::now()),
    }
}

fn coding(response: &Response) -> Result<Coding, Fault> {
    headers::text(response.headers(), CONTENT_ENCODING.as_str())
        .map_or(Ok(Coding::Identity), Coding::parse)
}

/// Makes an error of a status that is no success.
fn by_status(code: u16, url: String, message: String, retry_after: Option<Duration>) -> Error {
    match code {
        401 => Error::Unauthorized { url, message, token_accepted: false },
        403 => Error::Forbidden { url, message },
        404 => Error::NotFound { url, message },
        408 | 429 | 500..=599 => Error::Server { url, status: code, message, retry_after },
        400..=499 => Error::Refused { url, status: code, message },
        _ => Error::malformed(&url, format!("the status is {code}")),
    }
}
