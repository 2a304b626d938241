//! Since when, and until when: the first and the last job in which something occurs, and the clean run next to it.
//!
//! Does not know how it is shown. Jobs are in the order of their ids, which is the order in which they came to be.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use jobvault_index::{Index, Query};

use super::changes::{Changes, changes};
use super::{Detail, Found, Hit, Options, search};
use crate::model::{JobId, ProjectId};
use crate::store::catalogue::{Column, Condition, Order};
use crate::store::{JobRow, Store};

/// Runs that are looked at for a clean one; canceled ones and ones without a log are passed over.
const MAX_RUNS: u64 = 100;

/// Which end of a history is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Where it began.
    First,
    /// Where it stopped.
    Last,
}

/// Where something occurs.
#[derive(Debug, Clone)]
pub struct Occurrence {
    /// The job.
    pub job: Arc<JobRow>,
    /// The first line of its log in which it occurs.
    pub hit: Option<Hit>,
}

/// What is known of one end of a history.
#[derive(Debug, Clone)]
pub struct History {
    /// The job at that end.
    pub at: Occurrence,
    /// The job at the other end.
    pub other: Occurrence,
    /// The nearest run beyond the end of the same job, project and ref, in which it does not occur.
    pub clean: Option<JobRow>,
    /// What came between the clean run and the end; `None` where there is no clean run.
    pub changes: Option<Changes>,
    /// The runs of the same job since.
    pub since: Since,
    /// Jobs in which it occurs.
    pub jobs: u64,
    /// Lines in which it occurs.
    pub lines: u64,
    /// Logs that could not be read, each with the reason.
    pub unreadable: Vec<(JobId, String)>,
}

/// The runs of one job, project and ref: for the first end from it on, for the last those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Runs whose log is archived.
    pub runs: u64,
    /// Those in which it occurs.
    pub hits: u64,
}

impl History {
    /// Returns the page that compares the commits of the clean run and of the end, the older one first; `None` where
    /// they are one commit or there is no clean run.
    pub fn compare_url(&self, end: End) -> Option<String> {
        let (job, clean) = (&self.at.job, self.clean.as_ref()?);
        let (project, _) = job.web_url.rsplit_once("/-/jobs/")?;
        let (old, new) = match end {
            End::First => (&clean.sha, &job.sha),
            End::Last => (&job.sha, &clean.sha),
        };
        (old != new).then(|| format!("{project}/-/compare/{old}...{new}"))
    }
}

/// Returns one end of the history of what a query finds, or the logs that could not be read where it finds nothing.
pub async fn history(
    store: &Store,
    index: &Index,
    query: &Query,
    jobs: Vec<JobId>,
    end: End,
    now: Timestamp,
) -> anyhow::Result<Result<History, Vec<(JobId, String)>>> {
    let mut ends: Option<(Arc<JobRow>, Arc<JobRow>)> = None;
    let mut hits: HashMap<(ProjectId, String, String), u64> = HashMap::new();
    let key = |job: &JobRow| (job.project, job.name.clone(), job.git_ref.clone());
    let options = Options { jobs, detail: Detail::Count, ..Options::default() };
    let summary = search(store, index, query, &options, now, |found| {
        let (Found::Count { job, .. } | Found::Hits { job, .. } | Found::Job(job)) = found;
        *hits.entry(key(&job)).or_default() += 1;
        // They come newest first.
        ends = Some(match ends.take() {
            None => (job.clone(), job),
            Some((_, newest)) => (job, newest),
        });
        ControlFlow::Continue(())
    })
    .await?;
    let Some((oldest, newest)) = ends else { return Ok(Err(summary.unreadable)) };
    let (at, other) = match end {
        End::First => (oldest, newest),
        End::Last => (newest, oldest),
    };
    let clean = clean_run(store, &at, end).await?;
    let changes = match (&clean, end) {
        (Some(clean), End::First) => Some(changes(store, clean, &at).await?),
        (Some(clean), End::Last) => Some(changes(store, &at, clean).await?),
        (None, _) => None,
    };
    let since = since(store, &at, end, hits.get(&key(&at)).copied().unwrap_or_default()).await?;
    let at = occurrence(store, index, query, at, now).await?;
    let other = occurrence(store, index, query, other, now).await?;
    let (jobs, lines) = (summary.jobs, summary.lines);
    let unreadable = summary.unreadable;
    Ok(Ok(History { at, other, clean, changes, since, jobs, lines, unreadable }))
}

async fn occurrence(
    store: &Store,
    index: &Index,
    query: &Query,
    job: Arc<JobRow>,
    now: Timestamp,
) -> anyhow::Result<Occurrence> {
    let mut hit = None;
    let options = Options { limit: Some(1), jobs: vec![job.id], ..Options::default() };
    search(store, index, query, &options, now, |found| {
        if let Found::Hits { hits, .. } = found {
            hit = hits.into_iter().next();
        }
        ControlFlow::Break(())
    })
    .await?;
    Ok(Occurrence { job, hit })
}

/// Returns the nearest run beyond an end. It occurs in no job beyond the end, so any run with a log will do.
async fn clean_run(store: &Store, job: &JobRow, end: End) -> anyhow::Result<Option<JobRow>> {
    let id = i64::try_from(job.id.0).unwrap_or(i64::MAX);
    let (ids, order) = match end {
        End::First => (Condition::Between(Column::Id, 0, id.saturating_sub(1)), Order::Newest),
        End::Last => {
            (Condition::Between(Column::Id, id.saturating_add(1), i64::MAX), Order::Oldest)
        }
    };
    let same = Condition::All(vec![same_job(job), ids]);
    let runs = store.catalogue().jobs(&same, order, MAX_RUNS).await?;
    let ended = |row: &JobRow| matches!(row.status.as_str(), "success" | "failed");
    Ok(runs.into_iter().find(|row| row.trace.is_some() && ended(row)))
}

/// Returns the condition for a run of the same job: of its name, project and ref.
fn same_job(job: &JobRow) -> Condition {
    let is = |column, text: &str| Condition::Is(column, text.to_owned());
    Condition::All(vec![
        is(Column::Project, &job.project_path),
        is(Column::Name, &job.name),
        is(Column::Ref, &job.git_ref),
    ])
}

/// Counts the runs of the same job from an end on; of those beyond the last it occurs in none.
async fn since(store: &Store, job: &JobRow, end: End, hits: u64) -> anyhow::Result<Since> {
    let id = i64::try_from(job.id.0).unwrap_or(i64::MAX);
    let (from, hits) = match end {
        End::First => (id, hits),
        End::Last => (id.saturating_add(1), 0),
    };
    let later = Condition::Between(Column::Id, from, i64::MAX);
    let same = Condition::All(vec![same_job(job), later]);
    let runs = store.catalogue().runs(&same, Column::Name).await?;
    Ok(Since { runs: runs.list.len() as u64, hits })
}
