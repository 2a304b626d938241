//! The client of GitLab's REST API: projects, pipelines, jobs, traces and the four job actions.
//!
//! Owns everything between an intention ("the jobs of this project") and bytes on the wire:
//! authentication, redirects, pacing, retries, limits, paging, and the judging of answers. Knows
//! nothing of the archive, reads no environment and no clock but the one it is given. Fails with
//! [`Error`], whose kind says what a caller may do; whatever may pass by itself was tried several
//! times before.
//!
//! A read may be repeated at any time. The job actions are not repeated once a server may have
//! seen them.

mod artifacts;
mod body;
mod call;
mod clock;
mod counts;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod headers;
mod http;
mod jobs;
mod options;
mod pace;
mod pages;
mod projects;
mod redirect;
mod retry;
mod trace;
mod wire;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

pub use artifacts::{ArchiveSink, Left, Piece, RemoteArchive};
pub use counts::Stats;
pub use error::Error;
pub use jobs::{JobVariable, Played, Scope};
pub use options::{Auth, ClientOptions, Retries, VERSION_USER_AGENT};
pub use pages::{Cursor, InvalidCursor};
pub use projects::{GroupRef, PipelineFilter, PipelineOrder, ProjectFilter, ProjectRef};
pub use trace::{TraceHead, TraceSink};
pub use wire::{BadItem, Page, Received};

/// Reads a job's document as an archive keeps it; `None` where it is none.
#[must_use]
pub fn read_job(document: &[u8]) -> Option<crate::model::Job> {
    let text = std::str::from_utf8(document).ok()?;
    Some(wire::object(text).ok()?.value)
}

/// Reads a bridge's document as an archive keeps it; `None` where it is none.
#[must_use]
pub fn read_bridge(document: &[u8]) -> Option<crate::model::Bridge> {
    let text = std::str::from_utf8(document).ok()?;
    Some(wire::object(text).ok()?.value)
}

/// A client of one GitLab instance. Clones share connections, pace and counts.
#[derive(Clone)]
pub struct Client {
    http: Arc<http::Http>,
}

impl Client {
    /// Makes a client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for an unusable address, token, rate or certificate file.
    pub fn new(options: ClientOptions) -> Result<Self, Error> {
        Ok(Self { http: Arc::new(http::Http::new(options)?) })
    }

    /// Returns what was sent and received so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.http.counts.stats()
    }

    /// Waits until a request would start at once, by the rate asked for and the server's limits, so that what is asked for
    /// can be chosen then.
    pub async fn until_free(&self) {
        self.http.free().await;
    }

    /// Returns the server's time by its latest answer, or `None` before the first.
    #[must_use]
    pub fn server_time(&self) -> Option<Timestamp> {
        self.http.server_clock.now(tokio::time::Instant::now())
    }

    /// Returns the address of the API, `https://host/api/v4`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.http.base
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("api", &self.http.base).finish_non_exhaustive()
    }
}
