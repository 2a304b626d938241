//! Verification: reads the documents of logs that may match and finds the lines which do. Blocks; runs in parallel.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use jobvault_index::{Matcher, Query};

use super::document::{Document, document_of, each_section, in_section};
use super::filter::Allowed;
use super::{Detail, Found, Hit, Options, Summary};
use crate::model::JobId;
use crate::store::{JobRow, Store, StoreError, TraceRow};
use crate::trace::{self, Lines, Plain};

/// A log to be verified.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) row: Arc<JobRow>,
    pub(super) trace: Option<TraceRow>,
    /// First frame of each document and the terms it may hold, ascending.
    pub(super) documents: Vec<(u32, u64)>,
}

/// What came of one log.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    found: Vec<Found>,
    unreadable: Option<(JobId, String)>,
    /// What a limit counts: lines, or jobs where the query has no text.
    units: u64,
    windowed: bool,
    decoded: u64,
    false_candidates: u64,
    decoded_bytes: u64,
}

impl Outcome {
    /// Returns how much of a limit it takes.
    pub(super) fn units(&self) -> u64 {
        self.units
    }

    /// Adds itself to the summary and hands over what was found, down to the limit.
    pub(super) fn hand_over(
        self,
        summary: &mut Summary,
        limit: Option<u64>,
        sink: &mut impl FnMut(Found) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        summary.windowed |= self.windowed;
        summary.explain.decoded += self.decoded;
        summary.explain.false_candidates += self.false_candidates;
        summary.explain.decoded_bytes += self.decoded_bytes;
        summary.unreadable.extend(self.unreadable);
        let mut counted = false;
        for mut found in self.found {
            let left = limit.map_or(u64::MAX, |l| l.saturating_sub(summary.lines));
            match &mut found {
                Found::Hits { hits, .. } => {
                    hits.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    if hits.is_empty() {
                        return ControlFlow::Continue(());
                    }
                    summary.lines += hits.len() as u64;
                }
                Found::Count { lines, .. } => summary.lines += *lines,
                Found::Job(_) if limit.is_some_and(|l| summary.jobs >= l) => {
                    return ControlFlow::Continue(());
                }
                Found::Job(_) => {}
            }
            if !std::mem::replace(&mut counted, true) {
                summary.jobs += 1;
            }
            sink(found)?;
        }
        ControlFlow::Continue(())
    }
}

/// What a verifying thread needs. Cheap to clone, for another thread.
#[derive(Clone)]
pub(super) struct Verifier {
    store: Store,
    matcher: Arc<Matcher>,
    query: Arc<Query>,
    options: Arc<Options>,
    allowed: Arc<Allowed>,
    /// Memory of documents that are done with: fresh memory costs a page fault every 4 KiB.
    spare: Vec<(Vec<u8>, Plain)>,
}

impl Verifier {
    pub(super) fn new(
        store: Store,
        matcher: Arc<Matcher>,
        query: Query,
        options: Options,
        allowed: Arc<Allowed>,
    ) -> Self {
        Self {
            store,
            matcher,
            query: Arc::new(query),
            options: Arc::new(options),
            allowed,
            spare: Vec::new(),
        }
    }

    /// Verifies a log, as far as `limit` lines go.
    pub(super) fn log(&mut self, job: &Job, limit: Option<u64>) -> Outcome {
        let mut outcome = Outcome::default();
        if let Err(e) = self.verify(job, limit, &mut outcome) {
            let source =
                std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
            outcome.unreadable = Some((job.row.id, format!("{e}{source}")));
        }
        outcome
    }

    fn verify(
        &mut self,
        job: &Job,
        limit: Option<u64>,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        let wanted = self.query.positive_terms();
        let lone = self.query.terms.len() == 1 && wanted == 1;
        let helping = match lone || self.options.same_line {
            true => wanted,
            false => {
                let present = self.present(job, outcome)?;
                let filter = |f: &_| self.allowed.filter(f, job.row.id.0);
                let term = |t: usize| present >> t & 1 == 1;
                if !self.query.eval(term, filter) {
                    return Ok(());
                }
                self.query.helping(term, filter)
            }
        };
        if wanted == 0 {
            outcome.found.push(Found::Job(job.row.clone()));
            outcome.units = 1;
            return Ok(());
        }
        let Some(trace) = &job.trace else { return Ok(()) };
        let mut left = limit.into_iter().chain(self.options.each).min().unwrap_or(u64::MAX);
        let mut count = 0;
        // Each line of one term is a hit, and nothing more is to be known of it.
        let counted = lone
            && self.options.detail == Detail::Count
            && !self.options.same_line
            && self.query.sections().is_empty();
        for (first, terms) in &job.documents {
            if terms & helping == 0 || left == 0 {
                continue;
            }
            let document = self.read(trace, *first, outcome)?;
            if counted {
                let found = self.count(&document, terms & helping, left, outcome);
                outcome.false_candidates += u64::from(found == 0);
                left -= found;
                count += found;
                self.spare.push((document.raw, document.plain));
                continue;
            }
            let lines = self.lines(&document, terms & helping, left, job, outcome);
            outcome.false_candidates += u64::from(lines.is_empty());
            left -= lines.len() as u64;
            count += lines.len() as u64;
            if !lines.is_empty() && self.options.detail > Detail::Count {
                let hits = self.hits(&document, &lines, helping);
                let context = self.context(&document, &hits)?;
                outcome.found.push(Found::Hits { job: job.row.clone(), hits, context });
                outcome.units = count;
            }
            self.spare.push((document.raw, document.plain));
        }
        if count > 0 && self.options.detail == Detail::Count {
            outcome.found.push(Found::Count { job: job.row.clone(), lines: count });
            outcome.units = count;
        }
        Ok(())
    }

    /// Returns how many lines of a document a term occurs in, at most `limit`.
    fn count(&self, document: &Document<'_>, term: u64, limit: u64, outcome: &mut Outcome) -> u64 {
        let mut found = 0;
        let term = term.trailing_zeros() as usize;
        let windowed = self.matcher.lines(term, document.plain.text(), &mut |_| {
            found += 1;
            match found < limit {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        outcome.windowed |= windowed.0;
        found
    }

    /// Returns the mask of the terms that occur in the log.
    fn present(&mut self, job: &Job, outcome: &mut Outcome) -> Result<u64, StoreError> {
        let Some(trace) = &job.trace else { return Ok(0) };
        let mut present = 0;
        for (first, terms) in &job.documents {
            let open = terms & !present;
            if open == 0 {
                continue;
            }
            let document = self.read(trace, *first, outcome)?;
            let inside = self.inside(&document);
            for term in (0..self.query.terms.len()).filter(|t| open >> t & 1 == 1) {
                let windowed = self.matcher.lines(term, document.plain.text(), &mut |range| {
                    if !in_section(&inside, &document, range.start) {
                        return ControlFlow::Continue(());
                    }
                    present |= 1 << term;
                    ControlFlow::Break(())
                });
                outcome.windowed |= windowed.0;
            }
            self.spare.push((document.raw, document.plain));
        }
        Ok(present)
    }

    /// Returns the lines of a document that are hits, by their place in it, at most `limit`.
    fn lines(
        &self,
        document: &Document<'_>,
        terms: u64,
        limit: u64,
        job: &Job,
        outcome: &mut Outcome,
    ) -> Vec<usize> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // What is found may only be cut off where all of it is a hit and comes in order.
        let most = match terms.is_power_of_two() && !self.options.same_line {
            true => limit,
            false => usize::MAX,
        };
        let mut lines: Vec<usize> = Vec::new();
        let inside = self.inside(document);
        for term in (0..self.query.terms.len()).filter(|t| terms >> t & 1 == 1) {
            let windowed = self.matcher.lines(term, document.plain.text(), &mut |range| {
                if in_section(&inside, document, range.start) {
                    lines.extend(document.plain.line_at(range.start));
                }
                match lines.len() < most {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            });
            outcome.windowed |= windowed.0;
        }
        if !terms.is_power_of_two() {
            lines.sort_unstable();
            lines.dedup();
        }
        if self.options.same_line {
            let filter = |f: &_| self.allowed.filter(f, job.row.id.0);
            lines.retain(|line| {
                let text = document.plain.line(*line).unwrap_or_default();
                self.query.eval(|t| self.matcher.is_match(t, text), filter)
            });
        }
        lines.truncate(limit);
        lines
    }

    fn read<'a>(
        &mut self,
        trace: &'a TraceRow,
        first: u32,
        outcome: &mut Outcome,
    ) -> Result<Document<'a>, StoreError> {
        let start = first as usize;
        let rest = trace.frames.get(start + 1..).unwrap_or_default();
        let frames = start..start + 1 + rest.iter().take_while(|f| f.continues).count();
        let (mut raw, mut plain) = self.spare.pop().unwrap_or_default();
        raw.clear();
        for index in frames.clone().filter(|index| *index < trace.frames.len()) {
            self.store.append_piece(trace, index, &mut raw)?;
        }
        outcome.decoded += 1;
        outcome.decoded_bytes += raw.len() as u64;
        trace::plain_into(&raw, &mut plain);
        Ok(Document { trace, frames, raw, plain })
    }

    /// Returns for each line whether the sections asked for are open there; `None` where none is asked for.
    fn inside(&self, document: &Document<'_>) -> Option<Vec<bool>> {
        let wanted = self.query.sections();
        if wanted.is_empty() {
            return None;
        }
        let mut inside = Vec::new();
        each_section(document, |open| {
            inside.push(wanted.iter().all(|glob| open.iter().any(|name| glob.matches(name))));
        });
        Some(inside)
    }

    fn hits(&self, document: &Document<'_>, lines: &[usize], helping: u64) -> Vec<Hit> {
        let detailed = self.options.detail == Detail::All;
        let layout: Option<Lines<'_>> = detailed.then(|| trace::lines(&document.raw));
        let mut sections: Vec<Option<String>> = Vec::new();
        if detailed {
            each_section(document, |open| sections.push(open.last().cloned()));
        }
        let raw_offset = document.trace.frames[document.frames.start].raw_offset;
        let hit = |index: &usize| {
            let text = document.plain.line(*index).unwrap_or_default().to_vec();
            let line = layout.as_ref().and_then(|l| l.get(*index));
            let raw = line.as_ref().map_or(0..0, |l| l.raw_range());
            Hit {
                line: document.first_line() + *index as u64 + 1,
                ranges: self.ranges(&text, helping),
                text,
                raw: raw_offset + raw.start as u64..raw_offset + raw.end as u64,
                section: sections.get(*index).cloned().flatten(),
                time: line.and_then(|l| l.time()),
            }
        };
        lines.iter().map(hit).collect()
    }

    /// Returns where the helping terms occur in a line, joined where they touch.
    fn ranges(&self, line: &[u8], helping: u64) -> Vec<Range<usize>> {
        let terms = (0..self.query.terms.len()).filter(|t| helping >> t & 1 == 1);
        let mut ranges: Vec<_> = terms.flat_map(|t| self.matcher.ranges(t, line)).collect();
        ranges.sort_by_key(|r| (r.start, r.end));
        ranges.dedup_by(|next, kept| {
            let joined = next.start < kept.end || *next == *kept;
            if joined {
                kept.end = kept.end.max(next.end);
            }
            joined
        });
        ranges
    }

    /// Returns the lines around hits, from neighbouring documents too.
    fn context(
        &mut self,
        document: &Document<'_>,
        hits: &[Hit],
    ) -> Result<BTreeMap<u64, Vec<u8>>, StoreError> {
        let (before, after) = self.options.context;
        let mut context = BTreeMap::new();
        if (before, after) == (0, 0) {
            return Ok(context);
        }
        let mut wanted: BTreeSet<u64> = BTreeSet::new();
        for hit in hits {
            let first = hit.line.saturating_sub(before).max(1);
            wanted.extend(first..=hit.line.saturating_add(after).min(document.trace.lines));
        }
        let mut ignored = Outcome::default();
        let mut other: Option<Document<'_>> = None;
        for line in wanted {
            let holds = |d: &Document<'_>| {
                line > d.first_line() && line <= d.first_line() + d.plain.len() as u64
            };
            if !holds(document) && !other.as_ref().is_some_and(holds) {
                other = match document_of(document.trace, line) {
                    Some(first) => Some(self.read(document.trace, first, &mut ignored)?),
                    None => continue,
                };
            }
            let source = other.as_ref().filter(|d| holds(d)).unwrap_or(document);
            let index = (line - source.first_line() - 1) as usize;
            context.insert(line, source.plain.line(index).unwrap_or_default().to_vec());
        }
        Ok(context)
    }
}
