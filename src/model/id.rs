//! Ids of the things a GitLab instance numbers.
//!
//! Owns one newtype for each kind of id, so that a job is never looked up by the id of a
//! pipeline. Knows nothing of where an id came from. Fails only when a text is not an id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The largest id accepted: what a 64-bit signed column of a database can hold.
pub const MAX_ID: u64 = i64::MAX as u64;

/// A text is no id: not decimal digits, or above [`MAX_ID`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a decimal number of at most 9223372036854775807")]
pub struct InvalidId;

/// Reads an id: ASCII digits only, so that `+7` and ` 7` are no ids.
fn parse(text: &str) -> Result<u64, InvalidId> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidId);
    }
    match text.parse::<u64>() {
        Ok(id) if id <= MAX_ID => Ok(id),
        _ => Err(InvalidId),
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl From<u64> for $name {
            fn from(id: u64) -> Self {
                Self(id)
            }
        }

        impl From<$name> for u64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )*};
}

ids! {
    /// The id of a project, unique over the instance.
    ProjectId
    /// The id of a pipeline, unique over the instance (not the `iid`, which counts per project).
    PipelineId
    /// The id of a job or bridge, unique over the instance.
    JobId
    /// The id of a runner.
    RunnerId
    /// The id of a user.
    UserId
}
