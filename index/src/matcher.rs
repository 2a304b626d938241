//! Exact matching of a query's terms in lines.
//!
//! Pure. It owns the settings of the regex engine, which are ripgrep's (`rg -a -E none`), and the
//! care that a match never spans lines. It does not know how terms are joined: that is
//! [`Query::eval`]. Building fails if a regex does not compile; matching cannot fail.

mod reach;
#[cfg(test)]
mod tests;

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use grep_matcher::{LineMatchKind, Match, Matcher as _};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use memchr::memmem;
use regex_syntax::hir::translate::{Translator, TranslatorBuilder};

use crate::query::{Pattern, Query, Term};
pub(crate) use reach::Reach;

/// How deep a regex may nest, as in ripgrep.
pub(crate) const NEST_LIMIT: u32 = 250;
/// The most bytes a compiled regex may take; a larger one is refused. ripgrep allows 100 MiB, but
/// here strangers may ask. `\w{400}` still compiles.
const SIZE_LIMIT: usize = 32 * 1024 * 1024;
/// The most bytes a regex's lazy automaton may take while matching; beyond, it starts afresh.
const DFA_SIZE_LIMIT: usize = 64 * 1024 * 1024;
/// Lines longer than this are matched in windows of this size.
pub const WINDOW: usize = 16 * 1024 * 1024;
/// How far windows overlap: the longest match that is sure to be found in a longer line.
pub const OVERLAP: usize = 64 * 1024;

/// The most ranges that are reported of one line; there is no use for more in a display.
pub const MAX_RANGES: usize = 10_000;
/// How many times all terms together may read a line to find their ranges in it. A regex such as
/// `e.*z|x` may read to the line's end for each match of `x`; then the first ranges have to do.
const RANGE_READS: usize = 64;
/// What they may read besides, in bytes: of a line of up to 1,400 every range of one term is found.
const RANGE_SPARE: usize = 1024 * 1024;

/// Whether some line was so long that it was matched in windows, and a match across them missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windowed(pub bool);

/// A term could not be made into a matcher.
#[derive(Debug, thiserror::Error)]
#[error("the term `{term}` cannot be matched")]
pub struct Error {
    /// The term as written.
    pub term: String,
    /// What the regex engine says.
    pub source: grep_regex::Error,
}

/// Finds the terms of a query in lines.
#[derive(Debug)]
pub struct Matcher {
    terms: Vec<Needle>,
}

#[derive(Debug)]
enum Needle {
    Literal(Box<memmem::Finder<'static>>),
    Regex(Arc<Compiled>),
}

/// A regex compiled as ripgrep does.
#[derive(Debug)]
pub(crate) struct Compiled {
    regex: RegexMatcher,
    reach: Reach,
    /// How large it is, for a bound of all regexes of a query.
    pub(crate) weight: usize,
}

/// It follows from the regex and its case, so where these are equal it is, too.
impl PartialEq for Compiled {
    fn eq(&self, _: &Compiled) -> bool {
        true
    }
}

impl Eq for Compiled {}

impl Matcher {
    /// Compiles the terms of a query.
    pub fn new(query: &Query) -> Result<Matcher, Error> {
        let terms = query.terms.iter().map(Needle::new).collect::<Result<_, _>>()?;
        Ok(Matcher { terms })
    }

    /// Calls `f` with the range of each line (without its LF) in which a term occurs, in order.
    ///
    /// `text` is whole lines; the last one may lack its LF. Each line is matched as if it stood
    /// alone. `f` may stop the search.
    pub fn lines(
        &self,
        term: usize,
        text: &[u8],
        f: &mut dyn FnMut(Range<usize>) -> ControlFlow<()>,
    ) -> Windowed {
        self.terms[term].lines(text, f)
    }

    /// Returns the ranges in one line (without its LF) that a term matches, without overlaps; the
    /// first [`MAX_RANGES`] of them.
    ///
    /// Of a long line they are fewer where each may cost reading all of it: what is read is bounded
    /// by a multiple of the line's length. The first range is always there.
    pub fn ranges(&self, term: usize, line: &[u8]) -> Vec<Range<usize>> {
        let needle = &self.terms[term];
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut from = 0;
        let may_read = line.len().saturating_mul(RANGE_READS).saturating_add(RANGE_SPARE);
        let mut left = may_read / self.terms.len();
        windows(line, |window| {
            from = from.max(window.start);
            while ranges.len() < MAX_RANGES && from <= window.end {
                if left == 0 && !ranges.is_empty() {
                    return true;
                }
                let text = &line[..window.end];
                let Some(found) = needle.find(text, from) else {
                    break;
                };
                left = left.saturating_sub(needle.read(text, found) - from);
                // An empty match right behind a match is none of its own.
                let behind = ranges.last().is_some_and(|last| last.end == found.end());
                if found.is_empty() && behind {
                    from = found.end() + 1;
                    continue;
                }
                from = found.end();
                ranges.push(found.start()..found.end());
            }
            ranges.len() == MAX_RANGES
        });
        ranges
    }

    /// Tells whether a term occurs in one line (without its LF).
    pub fn is_match(&self, term: usize, line: &[u8]) -> bool {
        self.terms[term].is_match(line)
    }
}

impl Compiled {
    /// Compiles a regex.
    pub(crate) fn new(
        regex: &str,
        ignore_case: bool,
        reach: Reach,
        weight: usize,
    ) -> Result<Compiled, grep_regex::Error> {
        let regex = RegexMatcherBuilder::new()
            .multi_line(true)
            .unicode(true)
            .case_insensitive(ignore_case)
            .line_terminator(Some(b'\n'))
            .nest_limit(NEST_LIMIT)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(DFA_SIZE_LIMIT)
            .build(regex)?;
        Ok(Compiled { regex, reach, weight })
    }
}

impl Needle {
    fn new(term: &Term) -> Result<Needle, Error> {
        if let Some(compiled) = &term.compiled {
            return Ok(Needle::Regex(compiled.clone()));
        }
        let (regex, reach) = match &term.pattern {
            Pattern::Literal(bytes) if !term.ignore_case || !has_case(bytes) => {
                let finder = memmem::Finder::new(bytes).into_owned();
                return Ok(Needle::Literal(Box::new(finder)));
            }
            Pattern::Literal(bytes) => (escape(bytes), Reach::of_folded(bytes)),
            Pattern::Regex(regex) => (regex.clone(), Reach::unknown()),
        };
        match Compiled::new(&regex, term.ignore_case, reach, 0) {
            Ok(compiled) => Ok(Needle::Regex(Arc::new(compiled))),
            Err(source) => Err(Error { term: term.source.clone(), source }),
        }
    }

    /// Finds the first match in a line that begins at `from` or later.
    fn find(&self, line: &[u8], from: usize) -> Option<Match> {
        match self {
            Needle::Literal(finder) => {
                let at = from + finder.find(line.get(from..)?)?;
                Some(Match::new(at, at + finder.needle().len()))
            }
            // The engine's error type has no values.
            Needle::Regex(compiled) => compiled.regex.find_at(line, from).ok().flatten(),
        }
    }

    /// Returns the place up to which a line was read at most when a match was found in it.
    fn read(&self, line: &[u8], found: Match) -> usize {
        match self {
            Needle::Literal(_) => found.end(),
            Needle::Regex(compiled) => compiled.reach.end(line, &(found.start()..found.end())),
        }
    }

    fn is_match(&self, line: &[u8]) -> bool {
        let mut found = false;
        windows(line, |window| {
            found |= self.find(&line[..window.end], window.start).is_some();
            found
        });
        found
    }

    fn lines(&self, text: &[u8], f: &mut dyn FnMut(Range<usize>) -> ControlFlow<()>) -> Windowed {
        let mut windowed = false;
        let mut at = 0;
        while at < text.len() {
            let Some((place, sure)) = self.candidate(&text[at..]) else {
                break;
            };
            let line = line_at(text, at + place, at);
            windowed |= line.len() > WINDOW;
            at = line.end + 1;
            // A place behind the last LF is no line.
            if line.start >= text.len() {
                break;
            }
            let holds = sure || self.is_match(&text[line.clone()]);
            if holds && f(line).is_break() {
                break;
            }
        }
        Windowed(windowed)
    }

    /// Returns a place in the first line of the text that may match, and whether it surely does.
    fn candidate(&self, text: &[u8]) -> Option<(usize, bool)> {
        match self {
            Needle::Literal(finder) => finder.find(text).map(|at| (at, true)),
            // Without a line terminator the regex has `\A` or `\z`: each line must stand alone.
            Needle::Regex(compiled) if compiled.regex.line_terminator().is_none() => {
                Some((0, false))
            }
            Needle::Regex(compiled) => {
                let (LineMatchKind::Confirmed(at) | LineMatchKind::Candidate(at)) =
                    compiled.regex.find_candidate_line(text).ok().flatten()?;
                Some((at, false))
            }
        }
    }
}

/// Returns the range of the line around a place, given a place not before which it begins.
fn line_at(text: &[u8], place: usize, from: usize) -> Range<usize> {
    let start = memchr::memrchr(b'\n', &text[from..place]).map_or(from, |at| from + at + 1);
    let end = memchr::memchr(b'\n', &text[place..]).map_or(text.len(), |at| place + at);
    start..end
}

/// Calls `f` with the windows of a line until it says that it is done.
fn windows(line: &[u8], mut f: impl FnMut(Range<usize>) -> bool) {
    let mut start = 0;
    loop {
        let end = line.len().min(start + WINDOW);
        if f(start..end) || end == line.len() {
            return;
        }
        start = end - OVERLAP;
    }
}

/// Returns a translator with the settings of [`Compiled::new`].
pub(crate) fn translator(ignore_case: bool) -> Translator {
    TranslatorBuilder::new()
        .utf8(false)
        .unicode(true)
        .multi_line(true)
        .case_insensitive(ignore_case)
        .build()
}

/// Tells whether case can matter to a literal at all. It may say yes needlessly.
fn has_case(literal: &[u8]) -> bool {
    literal.iter().any(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
}

/// Returns the regex of a literal of any bytes.
pub(crate) fn escape(literal: &[u8]) -> String {
    let mut regex = String::new();
    for chunk in literal.utf8_chunks() {
        regex_syntax::escape_into(chunk.valid(), &mut regex);
        for byte in chunk.invalid() {
            regex.push_str(&format!("(?-u:\\x{byte:02X})"));
        }
    }
    regex
}
