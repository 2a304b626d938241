//! The documents of one segment that satisfy a plan.
//!
//! Look-ups of known tokens come first; the dictionary is scanned for the others only while more
//! documents are left than it is worth. Leaving a condition out keeps documents in, so the answer
//! is complete either way.

use std::sync::Arc;

use ::tantivy::schema::IndexRecordOption;
use ::tantivy::{DocSet, InvertedIndexReader, SegmentReader, TERMINATED};

use super::error::beside;
use super::listing::each;
use super::writer::UNREAD;
use super::{Index, Reading, TermStats};
use crate::bits::Bits;
use crate::plan::{Lookup, Plan};
use crate::terms::Flat;

/// A scan costs about a nanosecond and a half per token, a document in vain about 100 us: with so
/// many tokens or more per document left, scanning is not worth it.
const TOKENS_PER_DOCUMENT: u64 = 1 << 16;
/// However large the dictionary, with more documents left than this it is scanned.
const MAX_UNSCANNED: u64 = 40;
/// A look-up which accepts more tokens than this says nothing worth reading their documents for.
const MAX_TOKENS: usize = 2048;
/// Reading a token's documents takes five microseconds or more: with more tokens than this per
/// document left, reading those is the cheaper way.
const TOKENS_READ_PER_DOCUMENT: usize = 8;
/// After so many tokens, then twice as many, it is asked whether they exclude anything.
const TOKENS_AT_ONCE: usize = 64;
/// So many tokens are worth a second thread, which takes as long to begin as reading some of them.
const TOKENS_OF_TWO: usize = 32;
/// Of more tokens than that so many are read first, the shortest, which are in most documents: that
/// they exclude nothing is known before hundreds of others are read.
const TOKENS_FIRST: usize = 8;
/// Where few documents will be read, the newest first, so many newest ones tell how many of them hold
/// a token.
const NEWEST: usize = 128;
/// If each has one line of those wanted, so many are read in vain without the documents of the token's
/// longer forms; where that takes no longer than so many tokens each, those are not looked up.
const TOKENS_OF_DOCUMENT: u64 = 6;
/// Tokens that leave this part of the documents in are read no further.
const USELESS_PART: f64 = 0.75;

/// One segment during one search.
pub(super) struct Searched<'s> {
    index: &'s Index,
    segment: &'s SegmentReader,
    inverted: Arc<InvertedIndexReader>,
    pairs: Arc<InvertedIndexReader>,
    flat: Option<Arc<Flat>>,
    reading: Reading,
    /// The job of each document, read when first needed.
    jobs: Option<Vec<u64>>,
    /// With at most so many documents left, no dictionary is scanned.
    few: u32,
}

impl<'s> Searched<'s> {
    pub(super) fn new(
        index: &'s Index,
        segment: &'s SegmentReader,
        reading: Reading,
    ) -> ::tantivy::Result<Self> {
        let inverted = segment.inverted_index(index.inner.terms)?;
        let few = (inverted.terms().num_terms() as u64 / TOKENS_PER_DOCUMENT).min(MAX_UNSCANNED);
        let pairs = segment.inverted_index(index.inner.pairs)?;
        let (flat, jobs) = (None, None);
        Ok(Searched { index, segment, inverted, pairs, flat, reading, jobs, few: few as u32 })
    }

    /// Returns the documents that satisfy the plan, and maybe others.
    pub(super) fn documents(
        &mut self,
        plan: &Plan,
        stats: &mut TermStats,
    ) -> ::tantivy::Result<Bits> {
        let all = Bits::all(self.segment.max_doc());
        let mut found = self.within(plan, &all, stats)?;
        // Whoever reads them finds the term, or why they cannot be read.
        read(&self.pairs, UNREAD, &mut found, &mut TermStats::default())?;
        Ok(found)
    }

    /// Like [`Searched::documents`], of the documents given.
    fn within(
        &mut self,
        plan: &Plan,
        left: &Bits,
        stats: &mut TermStats,
    ) -> ::tantivy::Result<Bits> {
        match plan {
            Plan::All => Ok(left.clone()),
            Plan::Lookup(lookup) => {
                let mut found = self.lookup(lookup, left, stats)?;
                found.intersect(left);
                Ok(found)
            }
            Plan::Pair(pair) => {
                let mut found = Bits::none(self.segment.max_doc());
                read(&self.pairs, &pair.term(), &mut found, stats)?;
                found.intersect(left);
                Ok(found)
            }
            Plan::Or(parts) => {
                let mut found = Bits::none(self.segment.max_doc());
                for part in parts {
                    if part.scans() && left.count() <= self.few {
                        return Ok(left.clone());
                    }
                    found.union(&self.within(part, left, stats)?);
                    if found.count() == left.count() {
                        break;
                    }
                }
                Ok(found)
            }
            Plan::And(parts) => {
                let mut left = left.clone();
                // A document that satisfies one of several conditions is not yet one with the term.
                let reading = std::mem::replace(&mut self.reading, Reading::All);
                let (scans, exact): (Vec<&Plan>, Vec<&Plan>) =
                    parts.iter().partition(|part| part.scans());
                for part in exact.into_iter().chain(scans) {
                    if left.is_empty() || (part.scans() && left.count() <= self.few) {
                        break;
                    }
                    left = self.within(part, &left, stats)?;
                }
                self.reading = reading;
                Ok(left)
            }
        }
    }

    fn lookup(
        &mut self,
        lookup: &Lookup,
        left: &Bits,
        stats: &mut TermStats,
    ) -> ::tantivy::Result<Bits> {
        let mut found = Bits::none(self.segment.max_doc());
        if left.is_empty() {
            return Ok(found);
        }
        if let Some(token) = lookup.token() {
            read(&self.inverted, &token, &mut found, stats)?;
            return Ok(found);
        }
        if left.count() <= self.few {
            return Ok(left.clone());
        }
        stats.scans += 1;
        let flat = match &self.flat {
            Some(flat) => flat.clone(),
            None => self.index.flat(self.segment)?,
        };
        self.flat = Some(flat.clone());
        let most = MAX_TOKENS.min(left.count() as usize * TOKENS_READ_PER_DOCUMENT);
        let mut tokens = Vec::new();
        flat.scan(lookup, |token| {
            tokens.push(token.to_vec());
            tokens.len() <= most
        });
        if tokens.len() > most {
            return Ok(left.clone());
        }
        let useless = f64::from(left.count()) * USELESS_PART;
        if tokens.len() > TOKENS_AT_ONCE {
            let mut shortest: Vec<&Vec<u8>> = tokens.iter().collect();
            shortest.select_nth_unstable_by_key(TOKENS_FIRST, |token| token.len());
            for token in &shortest[..TOKENS_FIRST] {
                read(&self.inverted, token, &mut found, stats)?;
            }
            found.intersect(left);
            if f64::from(found.count()) >= useless
                || self.is_in_the_newest(&found, left, tokens.len() as u64)?
            {
                return Ok(left.clone());
            }
        }
        let (mut rest, mut at_once) = (tokens.as_slice(), TOKENS_AT_ONCE);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(at_once.min(rest.len()));
            self.read_all(now, &mut found, stats)?;
            (rest, at_once) = (later, at_once * 2);
            if !rest.is_empty() {
                found.intersect(left);
                if f64::from(found.count()) >= useless {
                    return Ok(left.clone());
                }
            }
        }
        Ok(found)
    }

    /// Adds the documents of each of these tokens. Many are read by two threads.
    fn read_all(
        &self,
        tokens: &[Vec<u8>],
        found: &mut Bits,
        stats: &mut TermStats,
    ) -> ::tantivy::Result<()> {
        let read_some = |tokens: &[Vec<u8>], found: &mut Bits, stats: &mut TermStats| {
            tokens.iter().try_for_each(|token| read(&self.inverted, token, found, stats))
        };
        if tokens.len() < TOKENS_OF_TWO {
            return read_some(tokens, found, stats);
        }
        let (ours, theirs) = tokens.split_at(tokens.len() / 2);
        let other = || {
            let (mut found, mut stats) = (Bits::none(self.segment.max_doc()), TermStats::default());
            read_some(theirs, &mut found, &mut stats).map(|()| (found, stats))
        };
        let (others, done) = beside(other, || read_some(ours, found, stats));
        done?;
        let (more, more_stats) = others?;
        found.union(&more);
        stats.tokens += more_stats.tokens;
        Ok(())
    }

    /// Tells whether few documents will be read and so many of the newest ones left are among those
    /// found that reading them all takes no longer than looking up `tokens`.
    fn is_in_the_newest(
        &mut self,
        found: &Bits,
        left: &Bits,
        tokens: u64,
    ) -> ::tantivy::Result<bool> {
        let wanted = match self.reading {
            Reading::Newest(wanted) if left.count() as usize >= NEWEST => wanted,
            _ => return Ok(false),
        };
        if self.jobs.is_none() {
            let column = self.segment.fast_fields().u64("job")?;
            let mut jobs = Vec::with_capacity(self.segment.max_doc() as usize);
            each(&column, 0..self.segment.max_doc(), |_, job| jobs.push(job));
            self.jobs = Some(jobs);
        }
        let jobs = self.jobs.as_deref().unwrap_or_default();
        let mut newest: Vec<u32> = left.iter().collect();
        newest.select_nth_unstable_by_key(NEWEST - 1, |document| {
            std::cmp::Reverse(jobs.get(*document as usize).copied())
        });
        let held = newest[..NEWEST].iter().filter(|document| found.contains(**document)).count();
        let vain = wanted.saturating_mul((NEWEST - held) as u64).checked_div(held as u64);
        Ok(vain.is_some_and(|vain| vain.saturating_mul(TOKENS_OF_DOCUMENT) <= tokens))
    }
}

/// Adds the documents of a term.
fn read(
    field: &InvertedIndexReader,
    term: &[u8],
    found: &mut Bits,
    stats: &mut TermStats,
) -> ::tantivy::Result<()> {
    let Some(info) = field.terms().get(term)? else {
        return Ok(());
    };
    stats.tokens += 1;
    let mut postings = field.read_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
    let mut document = postings.doc();
    while document != TERMINATED {
        found.insert(document);
        document = postings.advance();
    }
    Ok(())
}
