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
mod logs;
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
use jobvault_index::{Index, Query, Reading, TermStats};

use crate::model::JobId;
use crate::store::catalogue::Order;
use crate::store::{CatalogueError, JobRow, Store, TraceId};
use ask::Answer;
pub use ask::Asked;
pub use changes::{Changes, Commit};
use filter::Allowed;
pub use filter::condition;
pub use history::{End, History, Occurrence, Since, history};
use logs::Parts;
pub use saved::{CaseRule, Saved, SavedError, SavedFile};
pub use scope::{Scope, near, scope};
pub use tally::{Breakdown, By, Group, Standing, breakdown};
pub use timeline::{Bucket, Timeline, Unit, timeline};
pub use triage::{Diagnosis, triage};
use verify::Verifier;

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
        let is_of_all = query.filters().is_empty() && self.jobs.is_empty();
        match self.limit {
            Some(limit) if is_of_all && query.positive_terms() != 0 && !self.oldest => {
                Reading::Newest(limit)
            }
            _ => Reading::All,
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
    let allowed = Arc::new(allowed);
    let mut parts =
        Parts::begin(store, query, allowed.clone(), options, answer, &mut summary).await?;
    let verifier = Verifier::new(store.clone(), matcher, query.clone(), options.clone(), allowed);
    let mut units = 0;
    while let Some(logs) = parts.next(now, &mut summary).await? {
        if summary.explain.planned.is_zero() {
            summary.explain.planned = began.elapsed();
        }
        let queue = order::Queue::start(store, &logs, &verifier, options, units);
        if queue.run(options.limit, &mut units, &mut summary, &mut found).await?.is_break() {
            summary.explain.candidates += parts.left();
            break;
        }
    }
    summary.explain.took = began.elapsed();
    Ok(summary)
}

/// Tells whether an archive holds no log yet.
pub async fn is_empty(store: &Store) -> Result<bool, CatalogueError> {
    Ok(store.catalogue().traces_after(TraceId(0), 1).await?.is_empty())
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
