//! From the documents found to candidates in order: the columns tell whose they are.
//!
//! Whoever reads the newest first mostly has enough after some hundreds of documents, and to list
//! those of a common word in a large archive takes longer than reading them. So the newest ones can
//! be listed alone, and the older ones when they are asked for. Does not know what was looked for.

use std::cmp::Reverse;
use std::path::PathBuf;

use ::tantivy::columnar::Column;
use ::tantivy::{Searcher, SegmentReader};

use super::candidates::Candidate;
use super::error::{Error, guard};
use crate::bits::Bits;

/// Documents listed first for each line that is wanted, where more than twice as many were found: to
/// list one takes far less than to read it, and most of those read may be read in vain.
const DOCUMENTS_OF_LINE: u64 = 40;
/// At least so many are listed.
const FEW: u64 = 64;
/// Documents whose numbers are read at once.
const AT_ONCE: usize = 512;

/// The documents of a segment that were found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Those which may hold some term.
    pub(super) any: Bits,
    /// Those which may hold each.
    pub(super) by_term: Vec<Bits>,
}

/// Documents that were found and are not listed yet.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    dir: PathBuf,
    searcher: Searcher,
    /// By segment.
    found: Vec<Found>,
    /// Those of this job and newer ones are listed.
    listed: Option<u64>,
}

impl Listing {
    pub(super) fn of(dir: PathBuf, searcher: Searcher, found: Vec<Found>) -> Listing {
        Listing { dir, searcher, found, listed: None }
    }

    /// Lists the newest documents, of whole jobs, of which probably enough hold the lines wanted. Returns
    /// the oldest job of them, if there are more.
    pub(super) fn newest(
        &mut self,
        wanted: u64,
    ) -> ::tantivy::Result<(Vec<Candidate>, Option<u64>)> {
        let first = wanted.saturating_mul(DOCUMENTS_OF_LINE).max(FEW);
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let count = self.found.iter().map(|found| found.any.count() as usize).sum::<usize>();
        if count / 2 > first {
            let mut jobs = Vec::with_capacity(count);
            for (segment, found) in self.segments() {
                let column = segment.fast_fields().u64("job")?;
                each(&column, found.any.iter(), |_, job| jobs.push(job));
            }
            let (_, oldest, _) = jobs.select_nth_unstable_by_key(first, |job| Reverse(*job));
            self.listed = Some(*oldest);
        }
        Ok((self.list(|job| Some(job) >= self.listed)?, self.listed))
    }

    /// Lists all documents.
    pub(super) fn all(&self) -> ::tantivy::Result<Vec<Candidate>> {
        self.list(|_| true)
    }

    /// Returns how many of the documents are not among the `listed` ones.
    pub(super) fn count_without(&self, listed: usize) -> u64 {
        let count = self.found.iter().map(|found| u64::from(found.any.count())).sum::<u64>();
        count.saturating_sub(listed as u64)
    }

    /// Lists the documents that are not yet.
    pub(super) fn older(self) -> Result<Vec<Candidate>, Error> {
        guard(&self.dir, || self.list(|job| Some(job) < self.listed))
    }

    fn segments(&self) -> impl Iterator<Item = (&SegmentReader, &Found)> {
        self.searcher.segment_readers().iter().zip(&self.found)
    }

    /// Lists the documents of some jobs in order, each once: one may be there twice if its first
    /// commit was not known to have happened.
    fn list(&self, wanted: impl Fn(u64) -> bool) -> ::tantivy::Result<Vec<Candidate>> {
        let mut list = Vec::new();
        for (segment, found) in self.segments() {
            let columns = segment.fast_fields();
            let (jobs, traces) = (columns.u64("job")?, columns.u64("trace")?);
            let frames = columns.u64("frame")?;
            let (begin, mut documents) = (list.len(), Vec::new());
            each(&jobs, found.any.iter(), |document, job| {
                if wanted(job) {
                    documents.push(document);
                    list.push(Candidate { job, trace: 0, frame: 0, terms: found.terms(document) });
                }
            });
            let mut at = begin;
            each(&traces, documents.iter().copied(), |_, trace| {
                list[at].trace = trace;
                at += 1;
            });
            at = begin;
            each(&frames, documents.iter().copied(), |_, frame| {
                list[at].frame = u32::try_from(frame).unwrap_or(u32::MAX);
                at += 1;
            });
        }
        list.sort_unstable_by_key(|candidate| {
            (Reverse((candidate.job, candidate.trace)), candidate.frame)
        });
        list.dedup_by(|next, kept| {
            let same = (next.job, next.trace, next.frame) == (kept.job, kept.trace, kept.frame);
            kept.terms |= if same { next.terms } else { 0 };
            same
        });
        Ok(list)
    }
}

impl Found {
    fn terms(&self, document: u32) -> u64 {
        self.by_term.iter().enumerate().fold(0, |terms, (index, documents)| {
            terms | u64::from(documents.contains(document)) << index
        })
    }
}

/// Calls `f` with each document and what a column says of it, 0 where that is nothing.
pub(super) fn each(
    column: &Column<u64>,
    documents: impl Iterator<Item = u32>,
    mut f: impl FnMut(u32, u64),
) {
    let mut documents = documents.peekable();
    let (mut some, mut numbers) = (Vec::with_capacity(AT_ONCE), [None; AT_ONCE]);
    while documents.peek().is_some() {
        some.clear();
        some.extend(documents.by_ref().take(AT_ONCE));
        let numbers = &mut numbers[..some.len()];
        numbers.fill(None);
        column.first_vals(&some, numbers);
        for (document, number) in some.iter().zip(numbers) {
            f(*document, number.unwrap_or_default());
        }
    }
}
