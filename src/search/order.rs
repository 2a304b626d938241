//! From candidates to what is found, in order: logs are joined with their rows shortly before they are verified, and
//! handed over when all before them are.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use jobvault_index::Candidate;

use super::logs::{Log, Logs};
use super::pool::Pool;
use super::verify::{Job, Outcome, Verifier};
use super::{Detail, Found, Options, Summary};
use crate::model::JobId;
use crate::store::{CatalogueError, Store};

/// Logs joined with their rows first, so that the threads begin soon; later chunks double it.
const FIRST_CHUNK: usize = 4;
/// Logs joined with their rows at once though fewer are enough if each holds what was looked for: not each does.
const ENOUGH: usize = 16;
/// Logs joined with their rows at once at most.
const MAX_CHUNK: usize = 512;
/// The next chunk is read when this many logs wait for a thread: about what is verified while it is read.
const LOW: usize = 4;
/// The same where every log is verified, and results come in batches.
const LOW_UNLIMITED: usize = 64;
/// Logs that may wait, or be done before one ahead of them is, where their lines are kept.
const MAX_AHEAD: usize = 128;
/// The same where lines are only counted.
const MAX_COUNTED_AHEAD: usize = 4096;

/// Logs on their way from candidates to results.
pub(super) struct Queue<'a> {
    store: &'a Store,
    logs: &'a Logs,
    rest: &'a [Log],
    chunk: usize,
    max_ahead: usize,
    pool: Pool,
    /// Results that wait for one before them.
    early: BTreeMap<usize, Outcome>,
    handed_over: usize,
}

impl<'a> Queue<'a> {
    /// Starts to verify logs, after others that held `units` of what the limit counts.
    pub(super) fn start(
        store: &'a Store,
        logs: &'a Logs,
        verifier: &Verifier,
        options: &Options,
        units: u64,
    ) -> Self {
        let limit = options.limit.map(|limit| limit.saturating_sub(units));
        let low = if options.limit.is_some() { LOW } else { LOW_UNLIMITED };
        let counted = options.detail == Detail::Count;
        Self {
            store,
            logs,
            rest: &logs.logs,
            chunk: FIRST_CHUNK,
            max_ahead: if counted { MAX_COUNTED_AHEAD } else { MAX_AHEAD },
            pool: Pool::start(verifier, logs.logs.len(), limit, low),
            early: BTreeMap::new(),
            handed_over: 0,
        }
    }

    /// Hands over what is found; breaks where that is enough, or `found` says stop. Counts up `units`.
    pub(super) async fn run(
        mut self,
        limit: Option<u64>,
        units: &mut u64,
        summary: &mut Summary,
        found: &mut impl FnMut(Found) -> ControlFlow<()>,
    ) -> anyhow::Result<ControlFlow<()>> {
        loop {
            self.fill(summary).await?;
            let Some(results) = self.pool.next().await else {
                return Ok(ControlFlow::Continue(()));
            };
            self.early.extend(results);
            while let Some(outcome) = self.early.remove(&self.handed_over) {
                self.handed_over += 1;
                *units += outcome.units();
                summary.limited = limit.is_some_and(|limit| *units >= limit);
                if outcome.hand_over(summary, limit, found).is_break() || summary.limited {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }

    /// Keeps the threads in work.
    async fn fill(&mut self, summary: &mut Summary) -> anyhow::Result<()> {
        while !self.rest.is_empty() {
            let ahead = self.pool.count() - self.handed_over;
            let room = self.max_ahead.saturating_sub(ahead).min(self.chunk);
            // Where each of the next logs may be one that was looked for, no more of them are.
            let room = room.min(self.pool.left().max(ENOUGH));
            if room == 0 || !self.pool.is_low() {
                return Ok(());
            }
            let (now, later) = self.rest.split_at(room.min(self.rest.len()));
            self.rest = later;
            self.chunk = (self.chunk * 2).min(MAX_CHUNK);
            let jobs = join_rows(self.store, now, &self.logs.documents, summary).await?;
            self.pool.put(jobs);
        }
        self.pool.close();
        Ok(())
    }
}

/// Joins logs with their rows; a log that stands for its job no longer is dropped.
async fn join_rows(
    store: &Store,
    logs: &[Log],
    documents: &[Candidate],
    summary: &mut Summary,
) -> anyhow::Result<Vec<Job>> {
    let ids: Vec<JobId> = logs.iter().map(|l| JobId(l.job)).collect();
    let mut rows = HashMap::new();
    for (row, trace) in store.catalogue().found_jobs(&ids).await? {
        rows.insert(row.id.0, (Arc::new(row), trace));
    }
    let mut jobs = Vec::with_capacity(logs.len());
    for log in logs {
        let Some((row, trace)) = rows.get_mut(&log.job) else { continue };
        let current = row.trace.map_or(0, |t| t.0);
        // A damaged row may name any trace, and is told of whichever it names.
        let wanted = log.trace != 0 && (current == log.trace || matches!(trace, Some(Err(_))));
        let trace = match trace.take_if(|_| wanted) {
            Some(Ok(trace)) => Some(trace),
            Some(Err(CatalogueError::Row { job, what })) => {
                summary.unreadable.push((JobId(job), what.to_owned()));
                None
            }
            Some(Err(e)) => return Err(e.into()),
            None if log.trace != 0 => continue,
            None => None,
        };
        let documents = documents[log.documents.clone()].iter().map(|d| (d.frame, d.terms));
        jobs.push(Job { row: row.clone(), trace, documents: documents.collect() });
    }
    // A writer beside us may have stored some of them after the archive was opened.
    store.learn_places(jobs.iter().filter_map(|job| job.trace.as_ref())).await?;
    Ok(jobs)
}
