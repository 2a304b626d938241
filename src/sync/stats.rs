//! What a sync is told and what it tells.

use jiff::Timestamp;
use serde::Serialize;

use crate::gitlab::ProjectRef;
use crate::model::JobId;

/// What to sync, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The projects.
    pub projects: Vec<ProjectRef>,
    /// Requests under way at once.
    pub concurrency: usize,
    /// The server's address as the archive records it.
    pub host: String,
    /// The server moved: its new address replaces the one recorded.
    pub host_moved: bool,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
}

/// Something that could not be archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The job; `None` where a project failed as a whole.
    pub job: Option<JobId>,
    /// The project's path.
    pub project: String,
    /// Why, in words.
    pub reason: String,
}

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SyncStats {
    /// Jobs that the server listed.
    pub listed: u64,
    /// Traces archived.
    pub archived: u64,
    /// Jobs that have no log.
    pub no_log: u64,
    /// Jobs erased before they were captured.
    pub erased: u64,
    /// Jobs whose trace the token may not read.
    pub forbidden: u64,
    /// Traces archived that the runner had cut.
    pub truncated: u64,
    /// Jobs deleted before they were captured.
    pub vanished: u64,
    /// Jobs that are not finished, or could not be fetched yet.
    pub pending: u64,
    /// What could not be archived, each with its reason.
    pub failed: Vec<Failure>,
    /// Requests sent.
    pub requests: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Bytes of traces archived.
    pub raw_bytes: u64,
    /// Bytes of packs written.
    pub stored_bytes: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// It was told to stop before its end.
    #[serde(skip)]
    pub interrupted: bool,
}

/// How far a sync is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Jobs that the server listed so far.
    pub listed: u64,
    /// Jobs dealt with so far.
    pub done: u64,
    /// Jobs that wait to be fetched.
    pub waiting: u64,
    /// Bytes of traces archived so far.
    pub raw_bytes: u64,
    /// Projects walked to their end.
    pub projects: u64,
}

/// The archive is of another server.
#[derive(Debug, thiserror::Error)]
#[error("the archive holds jobs of {archived}, not of {asked}")]
pub struct OtherHost {
    /// The server whose jobs the archive holds.
    pub archived: String,
    /// The server that was to be synced.
    pub asked: String,
}
