//! Since when, and until when: the first and the last job in which something occurs, and the clean run next to it.
//!
//! Does not know how it is shown. Jobs are in the order of their ids, which is the order in which they came to be.
//! The filters of the query say between which jobs the ends are looked for, no more: the run next to an end and the
//! runs since are runs of the same job whatever the filters say, each searched for the text.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use jobvault_index::{Index, Query};

use super::changes::{Changes, changes};
use super::{Detail, Found, Hit, Options, search};
use crate::model::JobId;
use crate::store::catalogue::{Column, Condition, Run};
use crate::store::{JobRow, Store};

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
    /// The nearest run beyond the end of the same job, project and ref that ended and in whose log it does not occur,
    /// whatever the filters say. A log that cannot be read is not clean.
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
    /// Runs whose log was searched, whatever the filters say of them.
    pub runs: u64,
    /// Those in which it occurs.
    pub hits: u64,
}

/// A run of the job at an end whose log was searched.
#[derive(Debug, Clone, Copy)]
struct Searched {
    id: u64,
    /// It was not canceled and does not go on.
    ended: bool,
    /// It holds the text.
    hit: bool,
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
    let options = Options { jobs, detail: Detail::Count, ..Options::default() };
    let summary = search(store, index, query, &options, now, |found| {
        let (Found::Count { job, .. } | Found::Hits { job, .. } | Found::Job(job)) = found;
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
    let mut unreadable = summary.unreadable;
    let runs = runs(store, index, query, &at, now, &mut unreadable).await?;
    let clean = match clean_run(&runs, at.id, end) {
        Some(run) => store.catalogue().job(JobId(run.id)).await?,
        None => None,
    };
    let changes = match (&clean, end) {
        (Some(clean), End::First) => Some(changes(store, clean, &at).await?),
        (Some(clean), End::Last) => Some(changes(store, &at, clean).await?),
        (None, _) => None,
    };
    let since = since(&runs, at.id, end);
    let at = occurrence(store, index, query, at, now).await?;
    let other = occurrence(store, index, query, other, now).await?;
    let (jobs, lines) = (summary.jobs, summary.lines);
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

/// Searches the logs of all runs of a job for the text, and returns them by id; logs that cannot be read are added to
/// `unreadable` and left out.
async fn runs(
    store: &Store,
    index: &Index,
    query: &Query,
    job: &JobRow,
    now: Timestamp,
    unreadable: &mut Vec<(JobId, String)>,
) -> anyhow::Result<Vec<Searched>> {
    // Listed before they are searched, so that none is taken for clean that was archived in between.
    let runs = store.catalogue().runs(&same_job(job), Column::Status).await?;
    let jobs = runs.list.iter().map(|run| JobId(run.id)).collect();
    let options = Options { jobs, detail: Detail::Count, each: Some(1), ..Options::default() };
    let mut hits: HashSet<u64> = HashSet::new();
    let summary = search(store, index, &query.of_any_job(), &options, now, |found| {
        let (Found::Count { job, .. } | Found::Hits { job, .. } | Found::Job(job)) = found;
        hits.insert(job.id.0);
        ControlFlow::Continue(())
    })
    .await?;
    for (job, reason) in summary.unreadable {
        if unreadable.iter().all(|(known, _)| *known != job) {
            unreadable.push((job, reason));
        }
    }
    let lost: HashSet<u64> = unreadable.iter().map(|(job, _)| job.0).collect();
    let ended = |value: Option<usize>| {
        let status = value.and_then(|value| runs.values.get(value));
        status.is_some_and(|status| matches!(status.as_str(), "success" | "failed"))
    };
    let run =
        |run: &Run| Searched { id: run.id, ended: ended(run.value), hit: hits.contains(&run.id) };
    Ok(runs.list.iter().filter(|run| !lost.contains(&run.id)).map(run).collect())
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

/// Returns the nearest run beyond an end that ended without the text.
fn clean_run(runs: &[Searched], at: JobId, end: End) -> Option<&Searched> {
    let clean = |run: &&Searched| run.ended && !run.hit;
    match end {
        End::First => runs.iter().rev().filter(|run| run.id < at.0).find(clean),
        End::Last => runs.iter().filter(|run| run.id > at.0).find(clean),
    }
}

/// Counts the runs from an end on.
fn since(runs: &[Searched], at: JobId, end: End) -> Since {
    let later = runs.iter().filter(|run| match end {
        End::First => run.id >= at.0,
        End::Last => run.id > at.0,
    });
    let (runs, hits) = later.fold((0, 0), |(n, hits), run| (n + 1, hits + u64::from(run.hit)));
    Since { runs, hits }
}
