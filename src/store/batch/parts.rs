//! What is put into a batch, and what comes out of it.

use jiff::Timestamp;

use crate::model::{Job, JobId, ProjectId, TraceState};
use crate::store::TraceId;
use crate::store::catalogue::Frame;

/// A job document as received, for its row and its record.
#[derive(Debug)]
pub struct Received<'a> {
    /// The job, read from the document.
    pub job: &'a Job,
    /// The project whose list it stood in.
    pub project: ProjectId,
    /// The document's bytes.
    pub document: &'a [u8],
    /// The server's list of the job's files as JSON, `None` where empty.
    pub artifacts: Option<String>,
    /// See [`crate::store::JobRow::digest`].
    pub digest: i64,
}

/// What became of a job's trace.
#[derive(Debug, Clone)]
pub struct NewState {
    /// The state.
    pub state: TraceState,
    /// Why, in words.
    pub reason: String,
    /// When to look again; `None` settles the job.
    pub next_at: Option<Timestamp>,
    /// How often fetching it has gone wrong in a row.
    pub attempts: u32,
    /// The server turned out to have the job no longer.
    pub gone: bool,
    /// The server turned out to have erased the log.
    pub erased: bool,
}

impl NewState {
    /// Returns the note from which the row can be made again.
    pub(super) fn note(&self, event: &str, capture: Option<u64>) -> serde_json::Value {
        let mut note = serde_json::json!({"event": event, "state": self.state.as_str(),
            "reason": self.reason, "settled": self.next_at.is_none()});
        if let Some(at) = self.next_at {
            note["next_at"] = at.as_microsecond().into();
            note["attempts"] = self.attempts.into();
        }
        for (key, is_so) in [("gone", self.gone), ("erased", self.erased)] {
            if is_so {
                note[key] = true.into();
            }
        }
        if let Some(capture) = capture {
            note["capture"] = capture.into();
        }
        note
    }
}

/// One frame to store.
#[derive(Debug)]
pub struct NewFrame<'a> {
    /// Its piece of the raw trace.
    pub raw: &'a [u8],
    /// Plain lines that begin in it.
    pub lines: u64,
    /// It belongs to the same document as the frame before it.
    pub continues: bool,
    /// Names of the sections open at its start, outermost first.
    pub open: Vec<String>,
}

/// By whom jobs are captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The server's address.
    pub host: String,
    /// The server's version, empty where it does not tell.
    pub gitlab_version: String,
    /// The token's user, empty where the server does not tell.
    pub user: String,
}

/// What a commit made durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Bytes of the pack; 0 where none was needed.
    pub pack_bytes: u64,
    /// The highest trace number in use.
    pub through: TraceId,
}

/// A trace whose frames are being added.
pub(super) struct OpenTrace {
    pub(super) id: TraceId,
    pub(super) job: JobId,
    pub(super) project: ProjectId,
    pub(super) at: Timestamp,
    pub(super) hasher: blake3::Hasher,
    pub(super) frames: Vec<Frame>,
    pub(super) raw_bytes: u64,
    pub(super) lines: u64,
}
