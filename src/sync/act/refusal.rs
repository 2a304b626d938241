//! Why GitLab refused an action, in plain words. Pure.
//!
//! Only GitLab's words tell one rule from another. Sources of the words: `lib/api/ci/jobs.rb`, `lib/api/helpers.rb` and
//! `lib/api/helpers/project_stats_refresh_conflicts_helpers.rb` of <https://gitlab.com/gitlab-org/gitlab>, as of 18.

use std::fmt;

use crate::gitlab;

/// Why GitLab refused an action.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The token may only read.
    Scope,
    /// The token is wrong, revoked or expired.
    Token,
    /// The user may not do this to this job.
    Role,
    /// There is no such job for this token.
    Gone,
    /// The job runs, is locked, or has nothing left to erase.
    NotErasable,
    /// The job has not ended, was retried before, or is locked.
    NotRetryable,
    /// The job is no manual one that waits.
    NotPlayable,
    /// The project is busy with itself for a moment.
    Busy,
    /// A job inside a project at its former address, where only reading is allowed.
    Moved,
    /// Something else, in GitLab's words.
    Other(String),
}

impl Refusal {
    /// Reads a refusal out of an error, `None` where the error is none.
    pub(super) fn of(error: &gitlab::Error) -> Option<Self> {
        use gitlab::Error;
        Some(match error {
            Error::Unauthorized { message, .. } | Error::Forbidden { message, .. } => {
                let named = Self::named(message);
                let otherwise = match error {
                    Error::Unauthorized { .. } => Self::Token,
                    _ => Self::Role,
                };
                named.unwrap_or(otherwise)
            }
            Error::NotFound { .. } => Self::Gone,
            Error::Refused { message, .. } => {
                Self::named(message).unwrap_or_else(|| Self::Other(message.clone()))
            }
            _ => return None,
        })
    }

    /// Finds the rule that GitLab's words name.
    fn named(message: &str) -> Option<Self> {
        let says = |words: &str| message.contains(words);
        Some(match () {
            () if says("insufficient_scope")
                || says("insufficient scope")
                || says("higher privileges") =>
            {
                Self::Scope
            }
            () if says("not erasable") => Self::NotErasable,
            () if says("not retryable") => Self::NotRetryable,
            () if says("Unplayable") => Self::NotPlayable,
            () if says("stats refresh") || says("Resource lock") => Self::Busy,
            () if says("moved projects") => Self::Moved,
            () => return None,
        })
    }

    /// Returns what to do about it, or `None` where its words say it all.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Scope => "job actions need a token with the scope api; read_api only reads",
            Self::Token => "set GITLAB_TOKEN to a token that is valid and has the scope api",
            Self::Role => {
                "to cancel, retry or play needs the role Developer or higher, and more on protected branches; to erase \
                 Maintainer, or one's own job"
            }
            Self::Gone => {
                "check the number; GitLab says so too of what the token may not see, and bridges cannot be acted upon"
            }
            Self::Busy => "try it again in a minute",
            Self::Moved => "name the project by its new path or by its id",
            Self::NotErasable | Self::NotRetryable | Self::NotPlayable | Self::Other(_) => {
                return None;
            }
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scope => "the token lacks the scope api",
            Self::Token => "the token is refused",
            Self::Role => "the token's user may not do this",
            Self::Gone => "there is no such job for this token",
            Self::NotErasable => {
                "it still runs, is locked as archived, or has neither log nor artifacts"
            }
            Self::NotRetryable => "only a job that has ended can be retried, and only once",
            Self::NotPlayable => "it is no manual or scheduled job that waits",
            Self::Busy => {
                "GitLab is counting the project's files anew and allows no change meanwhile"
            }
            Self::Moved => {
                "its project has moved, and GitLab takes changes at the new address alone"
            }
            Self::Other(words) => return write!(f, "GitLab says: {words}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, message: &str) -> Option<Refusal> {
        let (url, message) = ("https://h/x".to_owned(), message.to_owned());
        Refusal::of(&match status {
            401 => gitlab::Error::Unauthorized { url, message, token_accepted: false },
            403 => gitlab::Error::Forbidden { url, message },
            404 => gitlab::Error::NotFound { url, message },
            _ => gitlab::Error::Refused { url, status, message },
        })
    }

    #[test]
    fn gitlabs_words_name_the_rule() {
        for (status, words, refusal) in [
            (403, "insufficient_scope", Refusal::Scope),
            (
                403,
                "The request requires higher privileges than provided by the access token.",
                Refusal::Scope,
            ),
            (403, "403 Forbidden", Refusal::Role),
            (403, "403 Forbidden - Job is not erasable!", Refusal::NotErasable),
            (403, "403 Forbidden - Job is not retryable", Refusal::NotRetryable),
            (400, "400 Bad request - Unplayable Job", Refusal::NotPlayable),
            (
                409,
                "The project this pipeline belongs to is undergoing stats refresh.",
                Refusal::Busy,
            ),
            (405, "405 Non GET methods are not allowed for moved projects", Refusal::Moved),
            (401, "401 Unauthorized", Refusal::Token),
            (404, "404 Not found", Refusal::Gone),
            (422, "no", Refusal::Other("no".to_owned())),
        ] {
            assert_eq!(refused(status, words), Some(refusal), "{status} {words}");
        }
        let away = gitlab::Error::Timeout { url: String::new() };
        assert_eq!(Refusal::of(&away), None);
    }
}
