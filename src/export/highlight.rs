//! A hit on a terminal: the plain line with its matches in colour.
//!
//! Owns where the colour begins and ends once characters are replaced. Matches come as byte
//! ranges of the plain line and need not fall between characters.

use std::ops::Range;

use super::visible::push;
use super::{RESET, Style, frame_around};

/// How matches look: bold red, as in ripgrep.
const MATCH: &str = "\x1b[1;31m";

/// Shows the frame of a plain line that holds its first match, with the matches in colour if the
/// style has colour.
///
/// The ranges ascend; parts of them outside the line or the frame are left out. A character that
/// a range cuts is coloured whole.
pub fn highlight(plain: &[u8], ranges: &[Range<usize>], style: Style) -> Vec<u8> {
    let first = ranges.first().cloned().unwrap_or(0..plain.len());
    let frame = frame_around(plain, first);
    let mut painter = Painter {
        plain,
        ranges: if style.colour { ranges } else { &[] },
        sanitise: style.sanitise,
        out: Vec::with_capacity(frame.len() + MATCH.len() + RESET.len()),
        lit: false,
    };
    let mut at = frame.start;
    for chunk in plain[frame].utf8_chunks() {
        for char in chunk.valid().chars() {
            painter.put(at..at + char.len_utf8(), char);
            at += char.len_utf8();
        }
        if !chunk.invalid().is_empty() {
            let end = at + chunk.invalid().len();
            painter.put(at..end, char::REPLACEMENT_CHARACTER);
            at = end;
        }
    }
    painter.light(false);
    painter.out
}

struct Painter<'a> {
    plain: &'a [u8],
    /// What is not painted yet.
    ranges: &'a [Range<usize>],
    sanitise: bool,
    out: Vec<u8>,
    lit: bool,
}

impl Painter<'_> {
    /// Puts the bytes at a place of the line, which are or stand for the character.
    fn put(&mut self, place: Range<usize>, char: char) {
        while let Some((range, rest)) = self.ranges.split_first()
            && (range.end <= place.start || range.is_empty())
        {
            self.ranges = rest;
        }
        let lit = self.ranges.first();
        self.light(lit.is_some_and(|range| range.start < place.end));
        if self.sanitise {
            push(&mut self.out, char);
        } else {
            self.out.extend_from_slice(&self.plain[place]);
        }
    }

    fn light(&mut self, lit: bool) {
        if self.lit != lit {
            let sequence = if lit { MATCH } else { RESET };
            self.out.extend_from_slice(sequence.as_bytes());
            self.lit = lit;
        }
    }
}
