//! Search: a query, to candidates of the index, to lines that were read and matched, joined with the catalogue.
//!
//! Exact whatever the index says: a line is reported only after its frame was read, verified and matched, and what
//! the index does not know yet is read without it. Does not know how hits are shown.

mod ask;
mod changes;
mod document;
mod filter;
mod history;
mod image;
mod order;
mod pool;
mod saved;
mod scope;
mod tally;
mod timeline;
mod triage;
mod verify;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use jobvault_index::{Candidate, Index, Query, Reading, TermStats};

use crate::model::JobId;
use crate::store::catalogue::{Condition, Order};
use crate::store::{CatalogueError, JobRow, Store, TraceId};
use ask::Answer;
pub use ask::Asked;
pub use changes::{Changes, Commit};
pub use filter::condition;
use filter::{Allowed, first_term_free};
pub use history::{End, History, Occurrence, Since, history};
pub use saved::{CaseRule, Saved, SavedError, SavedFile};
pub use scope::{Scope, near, scope};
pub use tally::{Breakdown, By, Group, Standing, breakdown};
pub use timeline::{Bucket, Timeline, Unit, timeline};
pub use triage::{Diagnosis, triage};
use verify::Verifier;

/// Traces that the index does not know yet, read from the catalogue at once.
const UNINDEXED_AT_ONCE: u32 = 500;

/// A limit up to this is reached in the newest logs, if at all soon.
const FEW: u64 = 1000;

/// How to search.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Hits at most; for a query without text, jobs at most. `None` for all.
    pub limit: Option<u64>,
    /// Lines of one job at most, where more say nothing new; `None` for all.
    pub each: Option<u64>,
    /// The oldest job first.
    pub oldest: bool,
    /// The whole expression must hold of one line.
    pub same_line: bool,
    /// Lines of context before and after a hit.
    pub context: (u64, u64),
    /// Only these jobs; empty for all.
    pub jobs: Vec<JobId>,
    /// What a hit must tell.
    pub detail: Detail,
}

impl Options {
    /// Returns how many candidates of a query will be read. Of those of some jobs nobody knows before the catalogue is
    /// asked whether they are among the newest; where a term is denied, each log that may hold it is read.
    fn reading(&self, query: &Query) -> Reading {
        let is_few = self.limit.is_some_and(|limit| limit <= FEW);
        let is_of_all = query.filters().is_empty() && self.jobs.is_empty();
        match is_few && is_of_all && query.positive_terms() != 0 && !self.oldest {
            true => Reading::Newest,
            false => Reading::All,
        }
    }
}

/// How much is found out about each hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Detail {
    /// Only how many there are.
    Count,
    /// Line number and text.
    Lines,
    /// The range in the raw trace, section and time as well.
    #[default]
    All,
}

/// A line in which a term of the query occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The plain line's number, from 1.
    pub line: u64,
    /// The plain line.
    pub text: Vec<u8>,
    /// Where the terms occur in it, in bytes, ascending and apart. The first of them alone where a long line would
    /// have to be read again and again for the others; see [`jobvault_index::Matcher::ranges`].
    pub ranges: Vec<Range<usize>>,
    /// The line's bytes in the raw trace.
    pub raw: Range<u64>,
    /// The innermost section that the line is in.
    pub section: Option<String>,
    /// When the line was written, where the runner stamped it.
    pub time: Option<Timestamp>,
}

/// Something found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Hits in one log, in order; further hits of the same job may follow at once.
    Hits {
        /// The job.
        job: Arc<JobRow>,
        /// Its hits.
        hits: Vec<Hit>,
        /// The lines around them, by number.
        context: BTreeMap<u64, Vec<u8>>,
    },
    /// Hits in one log, counted only.
    Count {
        /// The job.
        job: Arc<JobRow>,
        /// How many lines.
        lines: u64,
    },
    /// A job that meets a query without text.
    Job(Arc<JobRow>),
}

/// What a search did.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Lines reported.
    pub lines: u64,
    /// Jobs reported.
    pub jobs: u64,
    /// There may be more: the limit was reached.
    pub limited: bool,
    /// A line over 16 MiB was matched in overlapping windows.
    pub windowed: bool,
    /// Logs that could not be read, each with the reason.
    pub unreadable: Vec<(JobId, String)>,
    /// What it took.
    pub explain: Explain,
}

/// What a search took, for `--explain`.
#[derive(Debug, Clone, Default)]
pub struct Explain {
    /// Documents of the index.
    pub documents: u64,
    /// Segments of the index.
    pub segments: usize,
    /// By term, in the order of the query.
    pub terms: Vec<TermStats>,
    /// Documents that were worth reading.
    pub candidates: u64,
    /// Documents that the index did not know yet.
    pub unindexed: u64,
    /// Documents read.
    pub decoded: u64,
    /// Documents read in which no term occurs.
    pub false_candidates: u64,
    /// Bytes of raw trace read.
    pub decoded_bytes: u64,
    /// Time until the candidates were known.
    pub planned: std::time::Duration,
    /// Time in all.
    pub took: std::time::Duration,
}

/// A query has a section and no text, so that it says nothing of any log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("section: says where in a log a text is to stand, and the query has no text")]
pub struct SectionAlone;

/// Refuses a query that cannot be asked.
pub fn check(query: &Query) -> Result<(), SectionAlone> {
    match query.terms.is_empty() && !query.sections().is_empty() {
        true => Err(SectionAlone),
        false => Ok(()),
    }
}

/// Runs a query and hands over what it finds, in order, until `found` says stop.
pub async fn search(
    store: &Store,
    index: &Index,
    query: &Query,
    options: &Options,
    now: Timestamp,
    found: impl FnMut(Found) -> ControlFlow<()>,
) -> anyhow::Result<Summary> {
    let asked = Asked::of(index.clone(), query.clone(), options);
    search_asked(store, asked, query, options, now, found).await
}

/// As [`search`], of an index that was asked before.
pub async fn search_asked(
    store: &Store,
    asked: Asked,
    query: &Query,
    options: &Options,
    now: Timestamp,
    mut found: impl FnMut(Found) -> ControlFlow<()>,
) -> anyhow::Result<Summary> {
    check(query)?;
    let began = std::time::Instant::now();
    let mut summary = Summary::default();
    let (matcher, answer) = asked.parts();
    let matcher = matcher.context("compile the query")?;
    let allowed = Allowed::of(store, query, &options.jobs, now).await?;
    let mut answer = std::pin::pin!(answer);
    let answer = tokio::select! {
        biased;
        // What is not made ready by now is as soon made so when it is needed.
        answer = &mut answer => answer,
        ready = store.catalogue().prepare_search() => {
            ready?;
            answer.await
        }
    };
    let answer = match answer {
        // A first sync begins the archive, then the index, and then what they hold.
        Err(jobvault_index::Error::Missing { .. }) if is_empty(store).await? => Answer::default(),
        answer => answer.context("ask the full-text index")?,
    };
    let mut logs = candidates(store, answer, query, &allowed, options, &mut summary).await?;
    if query.positive_terms() == 0 {
        add_without_candidates(store, query, &allowed, options, now, &mut logs).await?;
    }
    summary.explain.planned = began.elapsed();
    let verifier = Verifier::new(store.clone(), matcher, query.clone(), options.clone(), allowed);
    let queue = order::Queue::start(store, &logs, &verifier, options);
    queue.run(options.limit, &mut summary, &mut found).await?;
    summary.explain.took = began.elapsed();
    Ok(summary)
}

/// Tells whether an archive holds no log yet.
pub async fn is_empty(store: &Store) -> Result<bool, CatalogueError> {
    Ok(store.catalogue().traces_after(TraceId(0), 1).await?.is_empty())
}

/// What is worth reading.
#[derive(Debug, Default)]
struct Logs {
    /// In the order of reading.
    logs: Vec<Log>,
    /// Of all logs, those of one log side by side: a list for each takes longer to make than all else.
    documents: Vec<Candidate>,
}

/// The documents of one trace that are worth reading.
#[derive(Debug, Clone)]
struct Log {
    job: u64,
    trace: u64,
    /// Where they stand among all, by frame.
    documents: Range<usize>,
}

impl Logs {
    /// Adds the documents of one log.
    fn push(&mut self, job: u64, trace: u64, documents: impl Iterator<Item = Candidate>) {
        let start = self.documents.len();
        self.documents.extend(documents);
        self.logs.push(Log { job, trace, documents: start..self.documents.len() });
    }

    fn sort(&mut self, oldest: bool) {
        self.logs.sort_by_key(|log| std::cmp::Reverse((log.job, log.trace)));
        if oldest {
            self.logs.reverse();
        }
    }
}

async fn candidates(
    store: &Store,
    answer: Answer,
    query: &Query,
    allowed: &Allowed,
    options: &Options,
    summary: &mut Summary,
) -> anyhow::Result<Logs> {
    let mut logs = Logs::default();
    if !query.terms.is_empty() {
        let Answer { through, candidates: mut found } = answer;
        found.keep(query, &|job| allowed.job(query, job));
        // Beyond the number the catalogue is asked: the index may hold some of these, or parts.
        found.list.retain(|candidate| candidate.trace <= through);
        summary.explain.documents = found.documents;
        summary.explain.segments = found.segments;
        summary.explain.terms = found.terms;
        summary.explain.candidates = found.list.len() as u64;
        logs.documents = found.list;
        for documents in logs.documents.chunk_by(|left, right| left.trace == right.trace) {
            let Candidate { job, trace, .. } = documents[0];
            let start = logs.logs.last().map_or(0, |log| log.documents.end);
            logs.logs.push(Log { job, trace, documents: start..start + documents.len() });
        }
        add_unindexed(store, TraceId(through), query, allowed, &mut logs, summary).await?;
    }
    logs.sort(options.oldest);
    Ok(logs)
}

/// Adds what was stored after the index was last committed: every document of it may hold every term.
async fn add_unindexed(
    store: &Store,
    mut after: TraceId,
    query: &Query,
    allowed: &Allowed,
    logs: &mut Logs,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let all = query.terms.len();
    let mask = if all >= 64 { u64::MAX } else { (1 << all) - 1 };
    loop {
        let rows = store.catalogue().traces_after(after, UNINDEXED_AT_ONCE).await?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = *last;
        for (_, row) in rows {
            let row = match row {
                Ok(row) => row,
                Err(CatalogueError::Row { job, what }) => {
                    summary.unreadable.push((JobId(job), what.to_owned()));
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            if !allowed.job(query, row.job.0) {
                continue;
            }
            let (job, trace) = (row.job.0, row.id.0);
            let documents = row.documents();
            summary.explain.unindexed += documents.len() as u64;
            let whole =
                |d: &Range<usize>| Candidate { job, trace, frame: d.start as u32, terms: mask };
            logs.push(job, trace, documents.iter().map(whole));
        }
    }
}

/// A query without text is met by jobs that no document speaks for: those without the terms it denies.
async fn add_without_candidates(
    store: &Store,
    query: &Query,
    allowed: &Allowed,
    options: &Options,
    now: Timestamp,
    logs: &mut Logs,
) -> anyhow::Result<()> {
    let known: std::collections::HashSet<u64> = logs.logs.iter().map(|l| l.job).collect();
    let all = match first_term_free(query) {
        Some(filters) => filter::all_of(&filters, now),
        None => Condition::All(Vec::new()),
    };
    for job in store.catalogue().job_ids(&all).await? {
        if allowed.job(query, job) && !known.contains(&job) {
            logs.push(job, 0, std::iter::empty());
        }
    }
    logs.sort(options.oldest);
    Ok(())
}

/// Returns the newest jobs that meet filters alone, as `jobs` lists them.
pub async fn jobs(
    store: &Store,
    filters: &[&jobvault_index::Filter],
    order: Order,
    limit: u64,
    now: Timestamp,
) -> anyhow::Result<Vec<JobRow>> {
    let condition = filter::all_of(filters, now);
    Ok(store.catalogue().jobs(&condition, order, limit).await?)
}
