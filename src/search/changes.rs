//! What was committed between two runs, as far as archived jobs tell.
//!
//! GitLab sends with each job the commit it ran for, with author and title; the archive keeps that. So commits are
//! known that some archived job of the same project and ref ran for, and others are not: the page that compares both
//! ends on the server tells those. A document that cannot be read only leaves an author out.

use std::collections::HashSet;

use serde::Deserialize;

use crate::store::catalogue::{Column, Condition, Order};
use crate::store::{JobRow, Store};

/// Jobs looked at; between two runs that far apart single commits say little.
const MAX_JOBS: u64 = 2000;
/// Commits whose documents are read.
const MAX_COMMITS: usize = 50;

/// A commit that an archived job ran for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub sha: String,
    /// Who wrote it, where the job's document says so.
    pub author: Option<String>,
    /// The first line of its message.
    pub title: Option<String>,
}

/// The commits after one run up to another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The commits, the newest first.
    pub commits: Vec<Commit>,
    /// Archived jobs of the same project and ref that they are known from.
    pub jobs: u64,
    /// There are more than were looked at.
    pub more: bool,
}

impl Changes {
    /// Returns the authors, who has the most commits first, each with their number.
    pub fn authors(&self) -> Vec<(&str, usize)> {
        let mut authors: Vec<(&str, usize)> = Vec::new();
        for author in self.commits.iter().filter_map(|commit| commit.author.as_deref()) {
            match authors.iter_mut().find(|(known, _)| *known == author) {
                Some((_, commits)) => *commits += 1,
                None => authors.push((author, 1)),
            }
        }
        authors.sort_by_key(|(_, commits)| std::cmp::Reverse(*commits));
        authors
    }
}

/// What is read of a job's document.
#[derive(Deserialize)]
struct Document {
    commit: Option<Described>,
}

#[derive(Deserialize)]
struct Described {
    title: Option<String>,
    author_name: Option<String>,
}

/// Returns what was committed after one run up to another one of the same project and ref.
pub(super) async fn changes(store: &Store, old: &JobRow, new: &JobRow) -> anyhow::Result<Changes> {
    let signed = |id: u64| i64::try_from(id).unwrap_or(i64::MAX);
    let between = Condition::All(vec![
        Condition::Is(Column::Project, new.project_path.clone()),
        Condition::Is(Column::Ref, new.git_ref.clone()),
        Condition::Between(Column::Id, signed(old.id.0.saturating_add(1)), signed(new.id.0)),
    ]);
    let jobs = store.catalogue().jobs(&between, Order::Newest, MAX_JOBS).await?;
    let mut changes = Changes { more: jobs.len() as u64 == MAX_JOBS, ..Changes::default() };
    let mut seen: HashSet<&str> = HashSet::from([old.sha.as_str(), ""]);
    for job in &jobs {
        // A later job of the old commit, a retry for instance, tells of no change.
        changes.jobs += u64::from(job.sha != old.sha);
        if !seen.insert(&job.sha) {
            continue;
        }
        if changes.commits.len() == MAX_COMMITS {
            changes.more = true;
            break;
        }
        let document = store.document(job.id).await.ok().flatten();
        let read = document.and_then(|bytes| serde_json::from_slice::<Document>(&bytes).ok());
        let (author, title) =
            read.and_then(|d| d.commit).map_or((None, None), |c| (c.author_name, c.title));
        changes.commits.push(Commit { sha: job.sha.clone(), author, title });
    }
    Ok(changes)
}
