//! From an error to what its reader can do: the words of the chain, a hint by type, the exit code.
//!
//! Decides by type alone, never by text.

use std::error::Error as StdError;
use std::io;

use serde::Serialize;

use super::output::{OutputError, json_text};
use super::{Exit, Problem};
use crate::config::ConfigError;
use crate::gitlab;
use crate::search::{SavedError, SectionAlone};
use crate::store::{CatalogueError, PackError, StoreError};
use crate::sync::OtherHost;
use crate::sync::act::ActError;

/// The result code of SQLite for a full disk. Source: <https://www.sqlite.org/rescode.html#full>.
const SQLITE_FULL: &str = "13";

/// An error as its reader gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The chain on one line.
    pub error: String,
    /// Lines that show where.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// How the program ends.
    pub exit: Exit,
}

#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    error: &'a str,
    hint: Option<&'a str>,
}

impl Report {
    /// Looks an error over; `None` where the reader of the output is gone, which is no error.
    pub fn of(error: &anyhow::Error) -> Option<Self> {
        let closed = |e: &(dyn StdError + 'static)| {
            matches!(e.downcast_ref::<OutputError>(), Some(OutputError::Closed))
        };
        if error.chain().any(closed) {
            return None;
        }
        let problem = problem(error);
        Some(Self {
            error: words(error),
            detail: problem.and_then(|p| p.detail.clone()),
            hint: hint(error),
            exit: problem.map_or(Exit::Failed, |p| p.exit),
        })
    }

    /// Returns the object of JSON that stands for it.
    pub fn json(&self) -> String {
        let json = Json { v: 1, error: &self.error, hint: self.hint.as_deref() };
        json_text(&json)
    }
}

/// Returns the problem in a chain; as the outermost context it is found by the error alone.
fn problem(error: &anyhow::Error) -> Option<&Problem> {
    let inside = || error.chain().find_map(|cause| cause.downcast_ref());
    error.downcast_ref().or_else(inside)
}

/// Words of the HTTP client that say no more than the error above them.
const NOISE: [&str; 3] = ["error sending request", "client error (Connect)", "tcp connect error"];

/// Joins the chain with colons; a cause whose words stand there already is left out.
fn words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain() {
        let text = crate::export::sanitise(cause.to_string().replace('\n', "; "));
        if words.is_empty() {
            words = text;
        } else if !words.contains(&text) && !NOISE.contains(&text.as_str()) {
            words = format!("{words}: {text}");
        }
    }
    words
}

/// Returns what to do about an error: the first thing in its chain that has a hint says it.
fn hint(error: &anyhow::Error) -> Option<String> {
    if error.chain().any(is_full) {
        let text = "free some space and run it again: what was archived is safe";
        return Some(text.to_owned());
    }
    if let Some(problem) = problem(error) {
        return problem.hint.clone();
    }
    error.chain().find_map(|cause| {
        let text = of_config(cause)
            .or_else(|| of_act(cause))
            .or_else(|| of_gitlab(cause))
            .or_else(|| of_store(cause))
            .or_else(|| of_index(cause))
            .or_else(|| of_saved(cause))
            .or_else(|| of_search(cause));
        text.map(str::to_owned)
    })
}

fn is_full(cause: &(dyn StdError + 'static)) -> bool {
    let io = |e: &io::Error| {
        matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    };
    let sqlite = |e: &sqlx::Error| matches!(e, sqlx::Error::Database(d) if d.code().as_deref() == Some(SQLITE_FULL));
    cause.downcast_ref::<io::Error>().is_some_and(io)
        || cause.downcast_ref::<sqlx::Error>().is_some_and(sqlite)
}

fn of_config(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    cause.downcast_ref::<ConfigError>()?.hint()
}

fn of_act(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    Some(match cause.downcast_ref::<ActError>()? {
        ActError::NotAllowed { refusal, .. } => return refusal.hint(),
        ActError::NotHeld { artifacts: true, .. } => {
            "--artifacts all archives them first where they can be had, --lose-artifacts erases them all the same"
        }
        ActError::NotHeld { .. } => {
            "nothing was erased; run it again when the archive can hold the whole log"
        }
        ActError::Failed { .. } => "look at the job before you try again: it is never sent twice",
        _ => return None,
    })
}

fn of_gitlab(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    use gitlab::Error;
    Some(match cause.downcast_ref::<gitlab::Error>()? {
        Error::Unauthorized { token_accepted: true, .. } => {
            "the token is good, but not for this: it needs the scope read_api"
        }
        Error::Unauthorized { .. } => {
            "the token is wrong, revoked or expired: set GITLAB_TOKEN to one with the scope read_api"
        }
        Error::Forbidden { .. } => {
            "the token's user may not see this: it needs the scope read_api and the role Reporter or higher"
        }
        Error::NotFound { .. } => {
            "GitLab says so too of what the token may not see: check the path and the token's access"
        }
        Error::Tls { .. } => {
            "if the server has a certificate of your own authority, name that with --ca-file or ca_file"
        }
        Error::Connect { dns: true, .. } => "no such host is known: check --host or GITLAB_HOST",
        Error::Connect { .. } => {
            "nothing answers there: check --host or GITLAB_HOST, port and proxy"
        }
        Error::NotJson { .. } => {
            "is the host a GitLab? A proxy or sign-in page in between answers like this, too"
        }
        Error::RateLimited { .. } => "ask for less at a time with --rate, for example --rate 2",
        Error::Timeout { .. } | Error::Server { .. } | Error::Interrupted { .. } => {
            "run it again later: what was archived is safe, and it goes on from there"
        }
        Error::Redirect { .. } => "name the address it redirects to with --host",
        _ => return None,
    })
}

fn of_store(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    let catalogue = |e: &CatalogueError| match e {
        CatalogueError::Newer { .. } => Some("use the newer jobvault that wrote it"),
        CatalogueError::Row { .. }
        | CatalogueError::Disorder { .. }
        | CatalogueError::Migrate { .. } => {
            Some("jobvault rebuild makes the catalogue anew from the packs")
        }
        CatalogueError::Sqlite { action: "opened" | "read", .. } => {
            Some("if it is lost or damaged, jobvault rebuild makes it anew from the packs")
        }
        _ => None,
    };
    let pack = |e: &PackError| match e {
        PackError::Newer { .. } => Some("use the newer jobvault that wrote it"),
        e if e.is_damage() => Some("jobvault verify names every job that is damaged"),
        _ => None,
    };
    if let Some(other) = cause.downcast_ref::<OtherHost>() {
        return Some(match other.asked.is_empty() {
            true => "use another --archive",
            false => {
                "use another --archive, or --host-moved if it is the same server at a new address"
            }
        });
    }
    match cause.downcast_ref::<StoreError>() {
        Some(StoreError::Missing { .. }) => {
            Some("run jobvault sync first, or name the archive with --archive")
        }
        Some(StoreError::NotAnArchive { .. }) => {
            Some("name an empty directory or an archive with --archive")
        }
        Some(StoreError::Unmarked { .. }) => {
            Some("jobvault rebuild makes it, the catalogue and the index anew from the packs")
        }
        Some(StoreError::Newer { .. }) => Some("use the newer jobvault that wrote it"),
        Some(StoreError::Locked { .. }) => {
            Some("wait until it is done; search, show and the others that only read work meanwhile")
        }
        Some(StoreError::Catalogue(e)) => catalogue(e),
        Some(StoreError::Pack(e)) => pack(e),
        Some(_) => None,
        None => {
            cause.downcast_ref().and_then(catalogue).or_else(|| cause.downcast_ref().and_then(pack))
        }
    }
}

fn of_index(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    use jobvault_index::Error;
    match cause.downcast_ref::<Error>()? {
        Error::Missing { .. } | Error::Damaged { .. } | Error::Version { .. } => {
            Some("jobvault reindex builds the index anew from the archive")
        }
        Error::Locked { .. } => Some("wait until the other jobvault is done"),
        _ => None,
    }
}

fn of_search(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    cause.downcast_ref::<SectionAlone>()?;
    Some("add a text, such as /./ for any line; jobvault show JOB --section NAME prints a section")
}

fn of_saved(cause: &(dyn StdError + 'static)) -> Option<&'static str> {
    match cause.downcast_ref::<SavedError>()? {
        SavedError::Unknown { .. } => Some("jobvault saved lists them; --save NAME saves one"),
        SavedError::Exists { .. } => {
            Some("take another name, or remove it with jobvault saved --remove NAME")
        }
        SavedError::Edit { .. } => Some("edit the file by hand"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_cause_that_repeats_the_words_before_it_is_left_out() {
        let inner = anyhow::anyhow!("disk on fire");
        let error = inner.context("cannot write: disk on fire").context("sync");
        assert_eq!(words(&error), "sync: cannot write: disk on fire");
    }

    #[test]
    fn a_full_disk_is_found_wherever_it_is() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = Err::<(), _>(full).context("write a pack").context("sync");
        let report = error.as_ref().err().and_then(Report::of);
        assert!(report.and_then(|r| r.hint).is_some_and(|hint| hint.contains("space")));
    }

    #[test]
    fn a_closed_output_is_no_error() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        let error = anyhow::Error::from(OutputError::from(closed)).context("search");
        assert_eq!(Report::of(&error), None);
        let network = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(Report::of(&network).is_some());
    }

    #[test]
    fn control_bytes_of_a_server_do_not_reach_the_terminal() {
        let report = Report::of(&anyhow::anyhow!("\x1b]0;title\x07"));
        assert!(report.is_some_and(|r| !r.error.contains('\x1b')));
    }
}
