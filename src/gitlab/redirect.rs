//! Redirects, followed by hand.
//!
//! Owns which redirects are followed and who gets the token: nobody but the origin it was given
//! for. Knows nothing of answers beyond their `Location`. Fails on loops, on too many hops, and
//! on any redirect of a request that changes something.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use url::Url;

use super::Error;
use super::error::place;
use super::headers;

/// Hops of one request; a moved project takes one, a signed download two.
const MAX_HOPS: usize = 5;
/// How often one address may be met: once more than a loop would need to be one, since some
/// proxies set a cookie and send the client back to where it was.
const MAX_VISITS: usize = 2;

/// The way of one request through redirects.
#[derive(Debug)]
pub(crate) struct Trail {
    visited: Vec<Url>,
}

impl Trail {
    /// Begins at the address asked for.
    pub(crate) fn new(start: &Url) -> Self {
        Self { visited: vec![start.clone()] }
    }

    /// Returns the address to ask now.
    pub(crate) fn here(&self) -> &Url {
        self.visited.last().expect("a trail begins with an address")
    }

    /// Returns whether the present address is not one of the API at `base`: of another origin, or outside its folder,
    /// as is a storage behind the same proxy, which takes a token for a second way of signing in and refuses both.
    pub(crate) fn is_elsewhere(&self, base: &Url) -> bool {
        self.here().origin() != base.origin() || !self.here().path().starts_with(base.path())
    }

    /// Goes where the answer points.
    pub(crate) fn follow(&mut self, method: &Method, headers: &HeaderMap) -> Result<(), Error> {
        let refused = |reason: &str| Error::Redirect {
            url: place(self.here()),
            reason: reason.to_owned(),
            circle: false,
        };
        if method != Method::GET {
            return Err(refused("only reads are redirected"));
        }
        let Some(location) = headers::text(headers, "location") else {
            return Err(Error::malformed(&place(self.here()), "it redirects to nowhere"));
        };
        let Ok(mut next) = self.here().join(location) else {
            return Err(refused("the address it names is none"));
        };
        next.set_fragment(None);
        if !matches!(next.scheme(), "http" | "https") {
            return Err(refused("the address it names is not of the web"));
        }
        if self.visited.len() > MAX_HOPS {
            return Err(refused("that too often in a row"));
        }
        if self.visited.iter().filter(|url| **url == next).count() >= MAX_VISITS {
            let (url, reason) = (place(self.here()), "that in a circle".to_owned());
            return Err(Error::Redirect { url, reason, circle: true });
        }
        self.visited.push(next);
        Ok(())
    }
}

/// Returns whether a status is a redirect to follow.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Names scheme, host and port of an address.
pub(crate) fn host(url: &Url) -> String {
    url.origin().ascii_serialization()
}
