//! The logs worth reading, in the order of reading: what the index names, and what it does not know yet.
//!
//! They come in parts, the newest first, where the index lists them so. Does not read any of them.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use jobvault_index::{Candidate, Candidates, Query};

use super::ask::Answer;
use super::filter::{self, Allowed, first_term_free};
use super::{Options, Summary};
use crate::model::JobId;
use crate::store::catalogue::Condition;
use crate::store::{CatalogueError, Store, TraceId};

/// Traces that the index does not know yet, read from the catalogue at once.
const UNINDEXED_AT_ONCE: u32 = 500;

/// What is worth reading.
#[derive(Debug, Default)]
pub(super) struct Logs {
    /// In the order of reading.
    pub(super) logs: Vec<Log>,
    /// Of all logs, those of one log side by side: a list for each takes longer to make than all else.
    pub(super) documents: Vec<Candidate>,
}

/// The documents of one trace that are worth reading.
#[derive(Debug, Clone)]
pub(super) struct Log {
    pub(super) job: u64,
    pub(super) trace: u64,
    /// Where they stand among all, by frame.
    pub(super) documents: Range<usize>,
}

impl Logs {
    /// Takes over candidates, those of one log side by side.
    fn of(documents: Vec<Candidate>) -> Self {
        let mut logs: Vec<Log> = Vec::new();
        for documents in documents.chunk_by(|left, right| left.trace == right.trace) {
            let Candidate { job, trace, .. } = documents[0];
            let start = logs.last().map_or(0, |log| log.documents.end);
            logs.push(Log { job, trace, documents: start..start + documents.len() });
        }
        Self { logs, documents }
    }

    /// Adds the documents of one log.
    fn push(&mut self, job: u64, trace: u64, documents: impl Iterator<Item = Candidate>) {
        let start = self.documents.len();
        self.documents.extend(documents);
        self.logs.push(Log { job, trace, documents: start..self.documents.len() });
    }

    /// Moves the logs of a job and of newer ones to others.
    fn move_to(&mut self, to: &mut Logs, oldest: u64) {
        let Logs { logs, documents } = self;
        for log in logs.extract_if(.., |log| log.job >= oldest) {
            to.push(log.job, log.trace, documents[log.documents].iter().copied());
        }
    }

    fn sort(&mut self, oldest: bool) {
        self.logs.sort_by_key(|log| std::cmp::Reverse((log.job, log.trace)));
        if oldest {
            self.logs.reverse();
        }
    }
}

/// The logs worth reading, part by part.
pub(super) struct Parts<'a> {
    store: &'a Store,
    query: &'a Query,
    allowed: Arc<Allowed>,
    options: &'a Options,
    /// The highest trace that the index covers.
    through: u64,
    candidates: Candidates,
    /// What was stored after that, as far as no part holds it.
    unindexed: Logs,
    begun: bool,
}

impl<'a> Parts<'a> {
    /// Begins with what the index answered.
    pub(super) async fn begin(
        store: &'a Store,
        query: &'a Query,
        allowed: Arc<Allowed>,
        options: &'a Options,
        answer: Answer,
        summary: &mut Summary,
    ) -> anyhow::Result<Self> {
        let Answer { through, candidates } = answer;
        let unindexed = Logs::default();
        let begun = false;
        let mut parts =
            Self { store, query, allowed, options, through, candidates, unindexed, begun };
        if !query.terms.is_empty() {
            summary.explain.documents = parts.candidates.documents;
            summary.explain.segments = parts.candidates.segments;
            summary.explain.terms = parts.candidates.terms.clone();
            parts.add_unindexed(summary).await?;
        }
        Ok(parts)
    }

    /// Returns the next part; `None` where there is none.
    pub(super) async fn next(
        &mut self,
        now: Timestamp,
        summary: &mut Summary,
    ) -> anyhow::Result<Option<Logs>> {
        if std::mem::replace(&mut self.begun, true) {
            if self.left() == 0 {
                return Ok(None);
            }
            self.list_older().await?;
        }
        self.candidates.keep(self.query, &|job| self.allowed.job(self.query, job));
        let mut documents = std::mem::take(&mut self.candidates.list);
        // Beyond the number the catalogue is asked: the index may hold some of these, or parts.
        documents.retain(|candidate| candidate.trace <= self.through);
        summary.explain.candidates += documents.len() as u64;
        let mut logs = Logs::of(documents);
        self.unindexed.move_to(&mut logs, self.candidates.oldest());
        if self.query.positive_terms() == 0 {
            self.add_without_candidates(now, &mut logs).await?;
        }
        logs.sort(self.options.oldest);
        Ok(Some(logs))
    }

    /// Returns how many documents may be worth reading that no part held.
    pub(super) fn left(&self) -> u64 {
        self.candidates.more()
    }

    async fn list_older(&mut self) -> anyhow::Result<()> {
        let mut candidates = std::mem::take(&mut self.candidates);
        let listing = tokio::task::spawn_blocking(move || candidates.older().map(|_| candidates));
        let listed = listing.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        self.candidates = listed.context("ask the full-text index")?;
        Ok(())
    }

    /// Notes what was stored after the index was last committed: every document of it may hold every term.
    async fn add_unindexed(&mut self, summary: &mut Summary) -> anyhow::Result<()> {
        let all = self.query.terms.len();
        let mask = if all >= 64 { u64::MAX } else { (1 << all) - 1 };
        let mut after = TraceId(self.through);
        loop {
            let rows = self.store.catalogue().traces_after(after, UNINDEXED_AT_ONCE).await?;
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
                if !self.allowed.job(self.query, row.job.0) {
                    continue;
                }
                let (job, trace) = (row.job.0, row.id.0);
                let documents = row.documents();
                summary.explain.unindexed += documents.len() as u64;
                let whole =
                    |d: &Range<usize>| Candidate { job, trace, frame: d.start as u32, terms: mask };
                self.unindexed.push(job, trace, documents.iter().map(whole));
            }
        }
    }

    /// A query without text is met by jobs that no document speaks for: those without the terms it denies.
    async fn add_without_candidates(&self, now: Timestamp, logs: &mut Logs) -> anyhow::Result<()> {
        let known: std::collections::HashSet<u64> = logs.logs.iter().map(|l| l.job).collect();
        let all = match first_term_free(self.query) {
            Some(filters) => filter::all_of(&filters, now),
            None => Condition::All(Vec::new()),
        };
        for job in self.store.catalogue().job_ids(&all).await? {
            if self.allowed.job(self.query, job) && !known.contains(&job) {
                logs.push(job, 0, std::iter::empty());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_index_does_not_know_goes_to_the_part_of_its_job() {
        let document = |job, frame| Candidate { job, trace: job * 10, frame, terms: 1 };
        let told = |logs: &Logs| -> Vec<(u64, Vec<u32>)> {
            let frames = |log: &Log| logs.documents[log.documents.clone()].iter().map(|d| d.frame);
            logs.logs.iter().map(|log| (log.job, frames(log).collect())).collect()
        };
        let mut unindexed = Logs::default();
        for job in [5, 2, 8] {
            unindexed.push(job, job * 10, (0..2).map(|frame| document(job, frame)));
        }
        let mut newest = Logs::of(vec![document(9, 0), document(6, 3), document(6, 4)]);
        unindexed.move_to(&mut newest, 5);
        newest.sort(false);
        let expected = [(9, vec![0]), (8, vec![0, 1]), (6, vec![3, 4]), (5, vec![0, 1])];
        assert_eq!(told(&newest), expected);
        let mut older = Logs::of(vec![document(3, 7)]);
        unindexed.move_to(&mut older, 0);
        older.sort(true);
        assert_eq!(told(&older), [(2, vec![0, 1]), (3, vec![7])]);
    }
}
