//! What a client is told: where, who, how fast, how patient.
//!
//! Owns the values, their defaults and their checking. Reads no environment and no file but the
//! certificate bundle it is handed as bytes.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Error;

/// The user agent sent unless another is set.
pub const VERSION_USER_AGENT: &str = concat!("jobvault/", env!("CARGO_PKG_VERSION"));

/// Largest JSON answer: a page of 100 jobs is about 250 KB, one odd field may be many MB.
const MAX_JSON_BYTES: u64 = 64 << 20;
/// Largest trace unless the options say otherwise; GitLab's own limit is 100 MB by default.
const MAX_TRACE_BYTES: u64 = 4 << 30;
/// The path of the API under a GitLab's root.
const API_PATH: &str = "/api/v4";

/// How the client shows who it is. The secrets are never printed.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    Anonymous,
    /// A personal, group or project access token, sent as `PRIVATE-TOKEN`.
    PrivateToken(SecretString),
    /// An OAuth token, sent as `Authorization: Bearer`.
    Bearer(SecretString),
    /// The token of a running job, sent as `JOB-TOKEN`.
    JobToken(SecretString),
}

impl Auth {
    pub(crate) fn secret(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::PrivateToken(token) | Self::Bearer(token) | Self::JobToken(token) => {
                Some(token.expose_secret())
            }
        }
    }

    /// Returns the header to send.
    pub(crate) fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
        let Some(secret) = self.secret() else {
            return Ok(None);
        };
        let (name, value) = match self {
            Self::Bearer(_) => (AUTHORIZATION, format!("Bearer {secret}")),
            Self::JobToken(_) => (HeaderName::from_static("job-token"), secret.to_owned()),
            _ => (HeaderName::from_static("private-token"), secret.to_owned()),
        };
        if secret.is_empty() {
            return Err(unusable("the token is empty"));
        }
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| unusable("the token holds characters no header may hold"))?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }
}

/// How patient the client is.
#[derive(Debug, Clone)]
pub struct Retries {
    /// How often a request is tried in all; refusals by 429 do not count.
    pub max_attempts: u32,
    /// The wait before the second try; it doubles with each further one.
    pub base_delay: Duration,
    /// The longest wait between two tries.
    pub max_delay: Duration,
    /// The first wait after a 429 which names no time; it doubles up to a minute.
    pub rate_limit_delay: Duration,
    /// How often a request may be refused by 429.
    pub max_rate_limited: u32,
    /// The longest time a server may ask to be left alone; beyond it requests fail at once with
    /// [`Error::RateLimited`].
    pub max_wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            rate_limit_delay: Duration::from_secs(1),
            max_rate_limited: 100,
            max_wait: Duration::from_secs(3600),
        }
    }
}

/// Everything a [`Client`](super::Client) is told.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The instance: `https://gitlab.example.com`, with a relative root if there is one. The
    /// API's path is added unless it is there.
    pub host: Url,
    /// Who asks.
    pub auth: Auth,
    /// Requests a second at most, fractions included; `None` for no limit of our own.
    pub rate: Option<f64>,
    /// Requests in all, redirects and repetitions included; `None` for no limit. The first one beyond fails with
    /// [`Error::Spent`].
    pub max_requests: Option<u64>,
    /// Patience.
    pub retries: Retries,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The longest time to connect.
    pub connect_timeout: Duration,
    /// The longest silence of a server; a slow answer may take any time.
    pub read_timeout: Duration,
    /// The largest JSON answer in bytes.
    pub max_json_bytes: u64,
    /// The largest trace in bytes.
    pub max_trace_bytes: u64,
    /// What the client calls itself.
    pub user_agent: String,
    /// The wall clock, needed only where a server names a time of day but not its own.
    pub clock: fn() -> Timestamp,
}

impl ClientOptions {
    /// Returns the default options for an instance.
    #[must_use]
    pub fn new(host: Url, auth: Auth) -> Self {
        Self {
            host,
            auth,
            rate: None,
            max_requests: None,
            retries: Retries::default(),
            ca_pem: None,
            connect_timeout: Duration::from_secs(10),
            // GitLab's own workers are stopped after 60 s, so that hardly anything comes after this.
            read_timeout: Duration::from_secs(55),
            max_json_bytes: MAX_JSON_BYTES,
            max_trace_bytes: MAX_TRACE_BYTES,
            user_agent: VERSION_USER_AGENT.to_owned(),
            clock: Timestamp::now,
        }
    }

    /// Returns the address of the API without a slash at its end.
    pub(crate) fn base(&self) -> Result<String, Error> {
        if !matches!(self.host.scheme(), "http" | "https") || self.host.host_str().is_none() {
            return Err(unusable("the host is no http or https address"));
        }
        let mut base = super::error::place(&self.host);
        base.truncate(base.trim_end_matches('/').len());
        if !base.ends_with(API_PATH) {
            base.push_str(API_PATH);
        }
        Ok(base)
    }

    /// Returns the time between two requests.
    pub(crate) fn interval(&self) -> Result<Duration, Error> {
        match self.rate {
            None => Ok(Duration::ZERO),
            Some(rate) if rate > 0.0 => Duration::try_from_secs_f64(rate.recip())
                .map_err(|_| unusable("the rate is too small")),
            Some(_) => Err(unusable("the rate is not a positive number")),
        }
    }

    /// Makes the HTTP client, which by itself follows, retries, decodes and keeps nothing.
    pub(crate) fn client(&self) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout);
        if let Some(pem) = &self.ca_pem {
            let bundle = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|_| unusable("the certificate file is no PEM"))?;
            if bundle.is_empty() {
                return Err(unusable("the certificate file holds no certificate"));
            }
            builder = builder.tls_certs_merge(bundle);
        }
        builder.build().map_err(|error| unusable(&error.without_url().to_string()))
    }
}

pub(crate) fn unusable(reason: &str) -> Error {
    Error::Options { reason: reason.to_owned() }
}
