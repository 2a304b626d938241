//! What an answer means for a job's artifacts: are they settled, or tried again. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::artifact::ZipError;
use crate::gitlab;
use crate::model::{ArtifactMode, ArtifactState};
use crate::store::catalogue::ArtifactToFetch;
use crate::sync::run::reason;

/// How long artifacts rest that failed; it doubles with each failure.
const REST: SignedDuration = SignedDuration::from_mins(1);
/// Doublings at most: a day, about.
const MAX_DOUBLINGS: u32 = 10;
/// Tries of what contradicts itself before that is believed.
const MAX_LOOKS: u32 = 3;

/// What became of a job's artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sync) struct Outcome {
    pub(in crate::sync) state: ArtifactState,
    pub(in crate::sync) reason: String,
    /// For what it is settled.
    pub(in crate::sync) settled: ArtifactMode,
    /// When to try again.
    pub(in crate::sync) next_at: Option<Timestamp>,
    pub(in crate::sync) attempts: u32,
}

impl Outcome {
    /// Settles it, for what was wanted.
    pub(super) fn settled(
        state: ArtifactState,
        reason: impl Into<String>,
        mode: ArtifactMode,
    ) -> Self {
        Self { state, reason: reason.into(), settled: mode, next_at: None, attempts: 0 }
    }

    /// Leaves it to be tried again.
    fn again(job: &ArtifactToFetch, reason: String, now: Timestamp) -> Self {
        let attempts = job.row.attempts;
        Self {
            state: match job.row.state {
                // What an earlier run got stays what it is.
                ArtifactState::Listed | ArtifactState::Reports => job.row.state,
                _ => ArtifactState::Pending,
            },
            reason,
            settled: ArtifactMode::None,
            next_at: Some(now + REST * (1 << attempts.min(MAX_DOUBLINGS))),
            attempts: attempts + 1,
        }
    }

    /// Judges a failure of the server.
    pub(super) fn of_error(
        job: &ArtifactToFetch,
        error: &gitlab::Error,
        mode: ArtifactMode,
        now: Timestamp,
    ) -> Self {
        use gitlab::Error::{
            Elsewhere, Forbidden, Malformed, NoRange, NotFound, TooLarge, WrongLength,
        };
        let settled = |state, reason: String| Self::settled(state, reason, mode);
        match error {
            NotFound { .. } => missing(job, mode, now),
            Forbidden { message, .. } => {
                settled(ArtifactState::Forbidden, format!("the server refuses them: {message}"))
            }
            TooLarge { limit, .. } => {
                settled(ArtifactState::TooLarge, format!("larger than the limit of {limit} bytes"))
            }
            NoRange { .. } => {
                let reason = "the server sends no parts of files, and the archive is large";
                settled(ArtifactState::NoRange, reason.to_owned())
            }
            WrongLength { announced, served, .. } if job.row.attempts + 1 >= MAX_LOOKS => {
                let reason = format!("the server announces {announced} bytes and serves {served}");
                settled(ArtifactState::Damaged, reason)
            }
            Elsewhere { status: 404, .. } if job.row.attempts + 1 >= MAX_LOOKS => {
                let reason = "the storage that the server redirects to does not have them";
                settled(ArtifactState::Gone, reason.to_owned())
            }
            Malformed { .. } if job.row.attempts + 1 >= MAX_LOOKS => {
                settled(ArtifactState::Damaged, reason(error))
            }
            error => Self::again(job, reason(error), now),
        }
    }

    /// Judges an archive that cannot be read.
    pub(super) fn of_zip(error: &ZipError, mode: ArtifactMode) -> Self {
        let state = match error {
            ZipError::TooLarge(_) => ArtifactState::TooLarge,
            _ => ArtifactState::Damaged,
        };
        Self::settled(state, format!("the archive cannot be listed: {error}"), mode)
    }
}

/// Tells why an archive is not there that was listed.
pub(super) fn missing(job: &ArtifactToFetch, mode: ArtifactMode, now: Timestamp) -> Outcome {
    let (state, reason) = match job.expire_at {
        _ if job.is_gone => (ArtifactState::Gone, "erased or deleted upstream"),
        Some(at) if at <= now => (ArtifactState::Expired, "expired"),
        _ => (ArtifactState::Gone, "the server no longer has them"),
    };
    let held = job.row.listing.is_some();
    let reason =
        if held { format!("{reason} after their list was kept") } else { reason.to_owned() };
    Outcome::settled(state, reason, mode)
}
