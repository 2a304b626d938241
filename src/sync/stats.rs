//! What a sync did and how far it is, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::artifacts::ArtifactSum;
use crate::model::{JobId, TraceState};

/// Failures named one by one; more are counted alone, so that a run of months keeps its size.
const MAX_FAILURES: usize = 10_000;

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
    /// Jobs that have no log, bridges among them.
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
    /// Failures beyond those that are named.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed_unnamed: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Bytes of traces archived.
    pub raw_bytes: u64,
    /// Bytes of packs written.
    pub stored_bytes: u64,
    /// Jobs whose artifacts were dealt with, by what became of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<&'static str, u64>,
    /// Archives of artifacts of finished jobs that were listed for the first time.
    #[serde(skip)]
    pub new_artifacts: ArtifactSum,
    /// Seconds it took.
    pub seconds: f64,
    /// Projects that were looked at to their end.
    #[serde(skip)]
    pub reached: u64,
    /// It was told to stop before its end.
    #[serde(skip)]
    pub interrupted: bool,
    /// It ended because its budget of requests was spent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spent: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl SyncStats {
    pub(super) fn count(&mut self, state: TraceState) {
        *match state {
            TraceState::Archived => &mut self.archived,
            TraceState::NoLog => &mut self.no_log,
            TraceState::Erased => &mut self.erased,
            TraceState::Forbidden => &mut self.forbidden,
            TraceState::Truncated => &mut self.truncated,
            TraceState::Vanished => &mut self.vanished,
            TraceState::Pending => &mut self.pending,
        } += 1;
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        match self.failed.len() < MAX_FAILURES {
            true => self.failed.push(failure),
            false => self.failed_unnamed += 1,
        }
    }

    /// Returns how many jobs were dealt with.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.archived + self.truncated + self.no_log + self.erased + self.forbidden + self.vanished
    }
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
