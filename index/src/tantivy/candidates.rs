//! From a query to the documents worth reading.
//!
//! It joins the documents of each term by trace and keeps the traces for which the expression may
//! hold. It does not know which filters hold: to it they all may.

use ::tantivy::Searcher;

use super::Index;
use super::error::{Error, guard};
use super::listing::{Found, Listing};
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
    /// The newest first, until so many lines, or jobs, are found: more candidates may be given where
    /// that is sooner done.
    Newest(u64),
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
    /// The documents that are not in the list.
    rest: Option<Listing>,
    /// How many they are.
    more: u64,
    /// The oldest job of the list, where there are more.
    oldest: u64,
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
        let judging = if is_word { reading } else { Reading::All };
        let inner = &self.inner;
        guard(&inner.dir, || {
            let searcher = inner.reader.searcher();
            self.with_dictionaries(searcher.segment_readers(), || {
                let (mut found, documents) = self.documents(&searcher, &plans, judging)?;
                let mut listing = Listing::of(inner.dir.clone(), searcher.clone(), documents);
                let Reading::Newest(wanted) = reading else {
                    found.list = listing.all()?;
                    return Ok(found);
                };
                let (list, oldest) = listing.newest(wanted)?;
                found.list = list;
                if let Some(oldest) = oldest {
                    (found.oldest, found.more) = (oldest, listing.count_without(found.list.len()));
                    found.rest = Some(listing);
                }
                Ok(found)
            })
        })
    }

    fn documents(
        &self,
        searcher: &Searcher,
        plans: &[Plan],
        reading: Reading,
    ) -> ::tantivy::Result<(Candidates, Vec<Found>)> {
        let mut found = Candidates {
            documents: searcher.num_docs(),
            segments: searcher.segment_readers().len(),
            ..Candidates::default()
        };
        let stats_of = |plan: &Plan| TermStats { lookups: plan.lookups(), ..TermStats::default() };
        found.terms = plans.iter().map(stats_of).collect();
        let mut documents = Vec::new();
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
            documents.push(Found { any, by_term });
        }
        Ok((found, documents))
    }
}

impl Candidates {
    /// Returns how many documents of older jobs are not in the list.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// Returns the oldest job whose documents are in the list: all of that and of newer jobs are; 0
    /// where none is missing.
    pub fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Lists the documents that are not in the list in its place. Returns whether there were any. Takes
    /// longer the more they are.
    pub fn older(&mut self) -> Result<bool, Error> {
        let Some(rest) = self.rest.take() else { return Ok(false) };
        self.list = rest.older()?;
        (self.more, self.oldest) = (0, 0);
        Ok(true)
    }

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
