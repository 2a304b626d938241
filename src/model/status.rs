//! How far a job or pipeline is, and what became of a job's trace.
//!
//! Owns the names of both. A status is the server's word, so the set is open; a trace state is
//! ours, so the set is closed and an unknown name is an error.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// The status of a job, bridge or pipeline.
///
/// Source: <https://docs.gitlab.com/api/jobs/>; versions add to the set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waits for earlier stages.
    Created,
    /// Waits for a resource group.
    WaitingForResource,
    /// Its environment is being made.
    Preparing,
    /// Waits for an external answer.
    WaitingForCallback,
    /// Waits for a runner.
    Pending,
    /// Runs.
    Running,
    /// Ended well.
    Success,
    /// Ended badly.
    Failed,
    /// Is being stopped and may still write its log.
    Canceling,
    /// Was stopped.
    Canceled,
    /// Was left out.
    Skipped,
    /// Waits for a person, perhaps for ever.
    Manual,
    /// Waits for its time.
    Scheduled,
    /// A word this version does not know.
    Other(String),
}

impl Status {
    /// Returns the server's word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Created => "created",
            Self::WaitingForResource => "waiting_for_resource",
            Self::Preparing => "preparing",
            Self::WaitingForCallback => "waiting_for_callback",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceling => "canceling",
            Self::Canceled => "canceled",
            Self::Skipped => "skipped",
            Self::Manual => "manual",
            Self::Scheduled => "scheduled",
            Self::Other(word) => word,
        }
    }

    /// Returns whether the job has ended. An unknown word counts as not ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Canceled | Self::Skipped)
    }
}

impl From<&str> for Status {
    fn from(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            "waiting_for_resource" => Self::WaitingForResource,
            "preparing" => Self::Preparing,
            "waiting_for_callback" => Self::WaitingForCallback,
            "pending" => Self::Pending,
            "running" => Self::Running,
            "success" => Self::Success,
            "failed" => Self::Failed,
            "canceling" => Self::Canceling,
            "canceled" => Self::Canceled,
            "skipped" => Self::Skipped,
            "manual" => Self::Manual,
            "scheduled" => Self::Scheduled,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl FromStr for Status {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(Self::from(word))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of a job's trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TraceState {
    /// It is in the archive.
    Archived,
    /// The job has none.
    NoLog,
    /// It was erased before it was captured.
    Erased,
    /// The token may not read it.
    Forbidden,
    /// It is in the archive, cut at the runner's limit.
    Truncated,
    /// The job was gone before its trace was captured.
    Vanished,
    /// It has yet to be fetched.
    Pending,
}

/// A word names no trace state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown trace state {0:?}")]
pub struct UnknownTraceState(pub String);

impl TraceState {
    /// Every state, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Archived,
        Self::NoLog,
        Self::Erased,
        Self::Forbidden,
        Self::Truncated,
        Self::Vanished,
        Self::Pending,
    ];

    /// Returns the name used in JSON and in the catalogue.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::NoLog => "no_log",
            Self::Erased => "erased",
            Self::Forbidden => "forbidden",
            Self::Truncated => "truncated",
            Self::Vanished => "vanished",
            Self::Pending => "pending",
        }
    }
}

impl FromStr for TraceState {
    type Err = UnknownTraceState;

    fn from_str(word: &str) -> Result<Self, UnknownTraceState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| UnknownTraceState(word.to_owned()))
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
