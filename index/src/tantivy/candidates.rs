//! From a query to the documents worth reading.
//!
//! It joins the documents of each term by trace and keeps the traces for which the expression may
//! hold. It does not know which filters hold: to it they all may.

use ::tantivy::columnar::Column;

use super::Index;
use super::error::{Error, guard};
use super::segment::Searched;
use crate::bits::Bits;
use crate::plan::Plan;
use crate::query::{Maybe, Pattern, Query, Term};
use crate::text::in_run;

/// How many of the candidates will be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// All of them.
    All,
    /// The newest first, until enough is found: more candidates may be given where that is sooner
    /// done.
    Newest,
}

/// A document that may hold terms of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The job.
    pub job: u64,
    /// The trace.
    pub trace: u64,
    /// The document's place within the trace.
    pub frame: u32,
    /// Bit i says that the document may hold term i; without it, it surely does not.
    pub terms: u64,
}

/// What was done for one term.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TermStats {
    /// Look-ups of its plan; 0 means that every document is a candidate.
    pub lookups: usize,
    /// Scans of dictionaries.
    pub scans: usize,
    /// Tokens whose documents were read.
    pub tokens: usize,
    /// Documents which may hold the term.
    pub documents: u64,
}

/// The documents to read for a query, and what finding them took.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// The documents, of the newest job first; within a job the newest trace, within a trace by
    /// frame. Each holds at least one term, perhaps.
    pub list: Vec<Candidate>,
    /// Documents of the whole index.
    pub documents: u64,
    /// Segments of the whole index.
    pub segments: usize,
    /// What was done, by term.
    pub terms: Vec<TermStats>,
}

impl Index {
    /// Returns the documents to read for a query, of the jobs that `allow` lets pass.
    ///
    /// None is missing: a document which is not returned holds no term of the query, or belongs
    /// to a trace for which the expression is surely false, or (if the query has positive terms)
    /// that surely has no hit. For a query without positive terms the traces which hold nothing
    /// are not returned either, though they satisfy it.
    pub fn candidates(
        &self,
        query: &Query,
        allow: &dyn Fn(u64) -> bool,
    ) -> Result<Candidates, Error> {
        let mut found = self.find(query, Reading::All)?;
        found.keep(query, allow);
        Ok(found)
    }

    /// Returns the documents that may hold a term of the query, of all jobs. It is the part of
    /// [`Index::candidates`] which needs no catalogue; [`Candidates::keep`] is the rest.
    pub fn find(&self, query: &Query, reading: Reading) -> Result<Candidates, Error> {
        let plans: Vec<Plan> = query.terms.iter().map(Plan::of).collect();
        // Of anything else than a word a document may hold every token and still not the term.
        let is_word = matches!(&query.terms[..], [Term { pattern: Pattern::Literal(word), .. }]
            if word.iter().copied().all(in_run));
        let reading = if is_word { reading } else { Reading::All };
        let mut found = guard(&self.inner.dir, || self.documents(&plans, reading))?;
        found.list.sort_unstable_by_key(|candidate| {
            let newest = (u64::MAX - candidate.job, u64::MAX - candidate.trace);
            (newest, candidate.frame)
        });
        // A document may be there twice if its first commit was not known to have happened.
        found.list.dedup_by(|next, kept| {
            let same = (next.job, next.trace, next.frame) == (kept.job, kept.trace, kept.frame);
            kept.terms |= if same { next.terms } else { 0 };
            same
        });
        Ok(found)
    }

    fn documents(&self, plans: &[Plan], reading: Reading) -> ::tantivy::Result<Candidates> {
        let searcher = self.inner.reader.searcher();
        let mut found = Candidates {
            documents: searcher.num_docs(),
            segments: searcher.segment_readers().len(),
            ..Candidates::default()
        };
        let stats_of = |plan: &Plan| TermStats { lookups: plan.lookups(), ..TermStats::default() };
        found.terms = plans.iter().map(stats_of).collect();
        for segment in searcher.segment_readers() {
            let mut searched = Searched::new(self, segment, reading)?;
            let mut any = Bits::none(segment.max_doc());
            let mut by_term = Vec::with_capacity(plans.len());
            for (plan, stats) in plans.iter().zip(&mut found.terms) {
                let documents = searched.documents(plan, stats)?;
                stats.documents += u64::from(documents.count());
                any.union(&documents);
                by_term.push(documents);
            }
            let columns = segment.fast_fields();
            let (jobs, traces) = (columns.u64("job")?, columns.u64("trace")?);
            let frames = columns.u64("frame")?;
            found.list.reserve(any.count() as usize);
            for document in any.iter() {
                let terms = by_term.iter().enumerate().fold(0, |terms, (index, documents)| {
                    terms | u64::from(documents.contains(document)) << index
                });
                found.list.push(Candidate {
                    job: number(&jobs, document),
                    trace: number(&traces, document),
                    frame: u32::try_from(number(&frames, document)).unwrap_or(u32::MAX),
                    terms,
                });
            }
        }
        Ok(found)
    }
}

impl Candidates {
    /// Keeps the documents of the jobs that `allow` lets pass, and of them the traces for which
    /// the query may hold and which may have a hit.
    pub fn keep(&mut self, query: &Query, allow: &dyn Fn(u64) -> bool) {
        let positive = query.positive_terms();
        let (mut kept, mut at) = (0, 0);
        // In place, and so are the joints elsewhere: fresh memory for all documents of a large
        // archive takes longer than looking at them.
        while let Some(Candidate { job, trace, .. }) = self.list.get(at).copied() {
            let rest = &self.list[at..];
            let len = rest.iter().take_while(|c| (c.job, c.trace) == (job, trace)).count();
            let terms = rest[..len].iter().fold(0, |terms, candidate| terms | candidate.terms);
            let term = |index| match terms >> index & 1 {
                0 => Maybe::No,
                _ => Maybe::Maybe,
            };
            let hits = positive == 0 || terms & positive != 0;
            let may = hits && query.maybe(term, |_| Maybe::Maybe) != Maybe::No;
            if may && allow(job) {
                self.list.copy_within(at..at + len, kept);
                kept += len;
            }
            at += len;
        }
        self.list.truncate(kept);
    }
}

fn number(column: &Column<u64>, document: u32) -> u64 {
    column.first(document).unwrap_or(0)
}
