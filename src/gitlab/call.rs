//! What is asked: method, address, parameters.
//!
//! Owns the making of requests. Does not send them. Fails only when no address can be made.

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::Error;
use super::error::place;
use super::http::Http;
use super::options::unusable;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<String>,
    /// Whether JSON is expected, and not a trace.
    pub(crate) json: bool,
    /// Further headers, sent wherever redirects lead: no secrets.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    whoami: bool,
}

impl Call {
    /// Asks for JSON under a path of the API, which begins with a slash and is encoded.
    pub(crate) fn get(http: &Http, path: &str) -> Result<Self, Error> {
        let url = Url::parse(&format!("{}{path}", http.base))
            .map_err(|_| unusable("the host and the path make no address"))?;
        Ok(Self {
            method: Method::GET,
            url,
            body: None,
            json: true,
            headers: Vec::new(),
            whoami: false,
        })
    }

    /// Asks who the token belongs to.
    pub(crate) fn whoami(http: &Http) -> Result<Self, Error> {
        Ok(Self { whoami: true, ..Self::get(http, "/user")? })
    }

    /// Changes something, with a JSON object of parameters.
    pub(crate) fn post(http: &Http, path: &str, body: Option<String>) -> Result<Self, Error> {
        Ok(Self { method: Method::POST, body, ..Self::get(http, path)? })
    }

    /// Asks for bytes as they are.
    pub(crate) fn plain(self) -> Self {
        Self { json: false, ..self }
    }

    /// Asks with one more header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Asks the same at another address.
    pub(crate) fn at(&self, url: Url) -> Self {
        Self { url, ..self.clone() }
    }

    /// Adds parameters.
    pub(crate) fn query<K: AsRef<str>, V: AsRef<str>>(
        mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut pairs = pairs.into_iter().peekable();
        if pairs.peek().is_some() {
            self.url.query_pairs_mut().extend_pairs(pairs);
        }
        self
    }

    pub(crate) fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    pub(crate) fn is_whoami(&self) -> bool {
        self.whoami
    }

    /// Names the address for people.
    pub(crate) fn place(&self) -> String {
        place(&self.url)
    }
}
