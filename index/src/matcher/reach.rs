//! How far into a line the search for a match may have read.
//!
//! Pure. When a match is found, an earlier alternative may still go on behind it, as `e.*z` does in
//! `e.*z|x`. It goes on only over bytes that the regex names, and not longer than any match is.

use std::ops::Range;

use regex_syntax::hir::{Class, Hir, HirKind};

/// What bounds the reading of a regex.
#[derive(Debug)]
pub(crate) struct Reach {
    /// The length of the longest match in bytes; `None` if there is no bound.
    longest: Option<usize>,
    /// The bytes that a match can hold, perhaps some more.
    bytes: [bool; 256],
}

impl Reach {
    /// Returns that of a regex.
    pub(crate) fn of(hir: &Hir) -> Reach {
        let mut reach = Reach { longest: hir.properties().maximum_len(), bytes: [false; 256] };
        reach.add(hir);
        reach
    }

    /// Returns that of a regex of which nothing is known.
    pub(super) fn unknown() -> Reach {
        Reach { longest: None, bytes: [true; 256] }
    }

    /// Returns that of a literal in any case. Folding makes of one character one other, of four
    /// bytes at most.
    pub(super) fn of_folded(literal: &[u8]) -> Reach {
        Reach { longest: Some(literal.len().saturating_mul(4)), bytes: [true; 256] }
    }

    /// Returns the place up to which a line was read at most when a match was found in it.
    pub(super) fn end(&self, line: &[u8], found: &Range<usize>) -> usize {
        let longest =
            self.longest.map_or(line.len(), |longest| found.start.saturating_add(longest));
        let longest = longest.clamp(found.end, line.len());
        let ahead = &line[found.end..longest];
        let stop = ahead.iter().position(|byte| !self.bytes[usize::from(*byte)]);
        stop.map_or(longest, |stop| found.end + stop)
    }

    fn add(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => {
                literal.0.iter().for_each(|byte| self.bytes[usize::from(*byte)] = true);
            }
            HirKind::Class(Class::Bytes(class)) => {
                for range in class.iter() {
                    self.bytes[usize::from(range.start())..=usize::from(range.end())].fill(true);
                }
            }
            HirKind::Class(Class::Unicode(class)) => {
                for range in class.iter() {
                    let (start, end) = (range.start() as usize, range.end() as usize);
                    self.bytes[start.min(0x80)..=end.min(0x7f)].fill(true);
                    if end >= 0x80 {
                        self.bytes[0x80..].fill(true);
                    }
                }
            }
            HirKind::Repetition(repetition) => self.add(&repetition.sub),
            HirKind::Capture(capture) => self.add(&capture.sub),
            HirKind::Concat(parts) | HirKind::Alternation(parts) => {
                parts.iter().for_each(|part| self.add(part));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;
    use crate::matcher::translator;

    fn end(regex: &str, line: &str, found: Range<usize>) -> usize {
        let ast = regex_syntax::ast::parse::Parser::new().parse(regex).unwrap();
        Reach::of(&translator(false).translate(regex, &ast).unwrap()).end(line.as_bytes(), &found)
    }

    #[test]
    fn nothing_is_read_behind_what_a_match_can_hold() {
        let line = "x = 12; é 345 ........";
        assert_eq!(end("\\d+", line, 4..6), 6);
        assert_eq!(end("\\d+|= .*", line, 4..6), line.len());
        assert_eq!(end("= [0-9;]+!|=", line, 2..3), 8);
        assert_eq!(end("[0-9]{1,3}.?|1", line, 4..5), 11);
        assert_eq!(end("= \\w+|=", line, 2..3), 6);
        assert_eq!(end("[a-zé]+", line, 0..1), 1);
        assert_eq!(end("(?-u:\\xc3|x)", line, 0..1), 1);
        assert_eq!(end(".*", line, 0..line.len()), line.len());
        assert_eq!(Reach::of_folded(b"x").end(line.as_bytes(), &(0..1)), 4);
    }
}
