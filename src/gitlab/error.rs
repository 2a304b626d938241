//! Why a request gave no answer, in kinds a caller can act on.
//!
//! Owns the error type and the naming of addresses in it. No text holds a query, a token, a
//! header or more of a body than [`wire::message`](super::wire) leaves.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use url::Url;

/// Why a request to GitLab gave no usable answer.
///
/// `url` is the address without query and user; the texts do not repeat their source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options make no client: a bad address, token or certificate.
    #[error("the options of the GitLab client are unusable: {reason}")]
    Options {
        /// What is wrong with them.
        reason: String,
    },
    /// No connection: refused, unreachable, or no such host.
    #[error("no connection to {url}")]
    Connect {
        /// The address asked for.
        url: String,
        /// Whether the host's name could not be resolved.
        dns: bool,
        /// What the network said.
        source: reqwest::Error,
    },
    /// The encrypted connection was not agreed on, most often because of the certificate.
    #[error("no trusted connection to {url}")]
    Tls {
        /// The address asked for.
        url: String,
        /// What TLS said.
        source: reqwest::Error,
    },
    /// The server was silent for too long.
    #[error("no answer in time from {url}")]
    Timeout {
        /// The address asked for.
        url: String,
    },
    /// The connection broke before the answer was whole.
    #[error("the answer of {url} was cut")]
    Interrupted {
        /// The address asked for.
        url: String,
        /// What the network said.
        source: reqwest::Error,
    },
    /// 401, believed.
    #[error("{url} refused the token: {message}")]
    Unauthorized {
        /// The address asked for.
        url: String,
        /// The server's words.
        message: String,
        /// Whether the server accepts the same token for `/user`, so that the token as such is
        /// good.
        token_accepted: bool,
    },
    /// 403.
    #[error("{url} is forbidden: {message}")]
    Forbidden {
        /// The address asked for.
        url: String,
        /// The server's words.
        message: String,
    },
    /// 404, also for what the token may not see.
    #[error("{url} was not found: {message}")]
    NotFound {
        /// The address asked for.
        url: String,
        /// The server's words.
        message: String,
    },
    /// Another refusal of the 4xx kind.
    #[error("{url} answered {status}: {message}")]
    Refused {
        /// The address asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// 429, for longer than the options allow to wait.
    #[error("{url} asks for fewer requests")]
    RateLimited {
        /// The address asked for.
        url: String,
        /// How long the server wants to be left alone, if it says so.
        retry_after: Option<Duration>,
    },
    /// 5xx or 408.
    #[error("{url} answered {status}: {message}")]
    Server {
        /// The address asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        message: String,
        /// How long to wait, if the server says so.
        retry_after: Option<Duration>,
    },
    /// Something else than the API answered, such as a proxy or a sign-in page.
    #[error("{url} did not answer with JSON")]
    NotJson {
        /// The address asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Whether it is a page.
        html: bool,
        /// The page's title.
        title: Option<String>,
    },
    /// What was sent for a trace is none.
    #[error("{url} did not answer with a log")]
    NotTrace {
        /// The address asked for.
        url: String,
        /// Whether it is a page.
        html: bool,
        /// The page's title.
        title: Option<String>,
    },
    /// The answer is damaged or contradicts itself.
    #[error("{url} answered nonsense: {reason}")]
    Malformed {
        /// The address asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The answer is larger than allowed.
    #[error("the answer of {url} exceeds {limit} bytes")]
    TooLarge {
        /// The address asked for.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A part of a file was asked for and all of it sent, which is more than is wanted.
    #[error("{url} sends no parts of files")]
    NoRange {
        /// The address asked for.
        url: String,
    },
    /// The file is not of the length that the job's document announces.
    #[error("{url} has {served} bytes, and {announced} are announced")]
    WrongLength {
        /// The address asked for.
        url: String,
        /// The length by the job's document.
        announced: u64,
        /// The length by the answer.
        served: u64,
    },
    /// A redirect that is not followed.
    #[error("{url} redirects, and {reason}")]
    Redirect {
        /// The address asked for.
        url: String,
        /// Why it is not followed.
        reason: String,
        /// Whether it leads back to where it came from, as that of a balancer in trouble does for a while.
        circle: bool,
    },
    /// Another host, to which the server redirected and which gets no token, refused.
    #[error("{url} redirects to {host}, which answered {status} (it gets no token)")]
    Elsewhere {
        /// The address asked for.
        url: String,
        /// Scheme, host and port of the other place.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The client may send no more requests.
    #[error("the budget of {limit} requests is spent")]
    Spent {
        /// The requests it was given.
        limit: u64,
    },
    /// What takes the trace failed.
    #[error("the trace could not be taken in")]
    Io(#[source] io::Error),
}

impl Error {
    /// Returns whether the same request may well succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Interrupted { .. }
            | Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::NotJson { .. }
            | Self::NotTrace { .. }
            | Self::Malformed { .. }
            | Self::Elsewhere { .. }
            | Self::Redirect { circle: true, .. } => true,
            Self::Options { .. }
            | Self::Tls { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::NoRange { .. }
            | Self::WrongLength { .. }
            | Self::Redirect { circle: false, .. }
            | Self::Spent { .. }
            | Self::Io(_) => false,
        }
    }

    /// Returns how long the server asks to wait, or `None` if it does not say.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Server { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }

    /// Returns the HTTP status, or `None` if the failure is not about one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unauthorized { .. } => Some(401),
            Self::Forbidden { .. } => Some(403),
            Self::NotFound { .. } => Some(404),
            Self::RateLimited { .. } => Some(429),
            Self::Refused { status, .. }
            | Self::Server { status, .. }
            | Self::NotJson { status, .. }
            | Self::Elsewhere { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Judges a failure of the network by its type.
    pub(crate) fn network(url: String, source: reqwest::Error) -> Self {
        // The address is named already, and that of a redirect may hold a signature.
        let source = source.without_url();
        if source.is_timeout() {
            Self::Timeout { url }
        } else if source.is_connect() && is_tls(&source) {
            Self::Tls { url, source }
        } else if source.is_connect() {
            Self::Connect { url, dns: source.is_dns(), source }
        } else {
            Self::Interrupted { url, source }
        }
    }

    /// An answer that is damaged.
    pub(crate) fn malformed(url: &str, reason: impl Into<String>) -> Self {
        Self::Malformed { url: url.to_owned(), reason: reason.into() }
    }
}

/// Names an address without its query, which may hold a signature, and without its user.
pub(crate) fn place(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    // These fail only for addresses which cannot have a user, so there is none to remove.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare.into()
}

/// Returns whether a failed connection failed in TLS.
///
/// The TLS library reports its own errors inside an I/O error of the kind "invalid data", which
/// a plain connection never gives; `io::Error::source` skips the error it wraps, hence `get_ref`.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = next {
        next = match current.downcast_ref::<io::Error>() {
            Some(io) if io.kind() == io::ErrorKind::InvalidData => return true,
            Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => current.source(),
        };
    }
    false
}
