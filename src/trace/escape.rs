//! Terminal escapes in lines: where they are, so that they can be left out.
//!
//! Owns the grammar (ECMA-48 as terminals read it, plus what a cut or hostile log can hold). None goes on
//! behind a line feed, so that lines are as well done one after the other as all at once. Does not know
//! colours; whoever shows a line decides which escapes it keeps. Runs in linear time.

use std::ops::Range;

use memchr::{memchr, memchr3_iter};

pub(super) const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

/// Finds the escapes of lines from which the section markers are already gone.
///
/// The ranges ascend and do not touch the text between them; a removal never makes a new escape.
pub(crate) fn escapes(text: &[u8]) -> Escapes<'_> {
    Escapes { text, at: 0, unended: 0 }
}

/// Writes the lines without their escapes.
pub(super) fn strip_escapes(text: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    for escape in escapes(text) {
        out.extend_from_slice(&text[from..escape.start]);
        from = escape.end;
    }
    out.extend_from_slice(&text[from..]);
}

pub(crate) struct Escapes<'a> {
    text: &'a [u8],
    at: usize,
    /// No end of a string stands before this: keeps a line of nothing but introducers linear.
    unended: usize,
}

impl Iterator for Escapes<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        // One often follows another.
        let start = match self.text.get(self.at) {
            Some(&ESC) => self.at,
            _ => self.at + memchr(ESC, self.text.get(self.at..)?)?,
        };
        self.at = match self.text.get(start + 1) {
            Some(b'[') => self.control_sequence(start),
            Some(b']' | b'P' | b'X' | b'^' | b'_') => self.string(start),
            _ => self.short(start),
        };
        Some(start..self.at)
    }
}

impl Escapes<'_> {
    fn past(&self, mut at: usize, class: impl Fn(u8) -> bool) -> usize {
        while self.text.get(at).is_some_and(|byte| class(*byte)) {
            at += 1;
        }
        at
    }

    /// A complete sequence, one cut off by the line's end, or else the ESC alone.
    fn control_sequence(&self, start: usize) -> usize {
        let parameters = self.past(start + 2, |byte| matches!(byte, 0x30..=0x3f));
        let last = self.past(parameters, |byte| matches!(byte, 0x20..=0x2f));
        match self.text.get(last) {
            None | Some(b'\n') => last,
            Some(0x40..=0x7e) => last + 1,
            Some(_) => start + 1,
        }
    }

    /// A string with its end. Without one only the introducer goes, so that no text hides.
    fn string(&mut self, start: usize) -> usize {
        let from = start + 2;
        if from >= self.unended {
            let rest = &self.text[from..];
            for found in memchr3_iter(BEL, ESC, b'\n', rest) {
                let end = from + found;
                match (self.text[end], self.text.get(end + 1)) {
                    (BEL, _) => return end + 1,
                    (ESC, Some(b'\\')) => return end + 2,
                    (b'\n', _) => {
                        self.unended = end;
                        return from;
                    }
                    _ => {}
                }
            }
            self.unended = self.text.len();
        }
        from
    }

    fn short(&self, start: usize) -> usize {
        let last = self.past(start + 1, |byte| matches!(byte, 0x20..=0x2f));
        match self.text.get(last) {
            Some(0x30..=0x7e) => last + 1,
            _ => start + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(line: &[u8]) -> String {
        let mut out = Vec::new();
        strip_escapes(line, &mut out);
        out.escape_ascii().to_string()
    }

    #[test]
    fn control_sequences_go() {
        assert_eq!(strip(b"\x1b[0;31mred\x1b[K \x1b[?25l\x1b[1 q."), "red .");
        assert_eq!(strip(b"\x1b[38;5;"), "");
        assert_eq!(strip(b"a\x1b[1\x01b"), "a[1\\x01b");
        assert_eq!(strip(b"\x1b[\r"), "[\\r");
    }

    #[test]
    fn strings_go_with_their_end_and_hide_nothing_without() {
        assert_eq!(strip(b"\x1b]0;title\x07text"), "text");
        assert_eq!(strip(b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"), "link");
        assert_eq!(strip(b"\x1bPq\x1b[0m\x1b\\end"), "end");
        assert_eq!(strip(b"\x1b]0;title"), "0;title");
        assert_eq!(strip(b"\x1b]a\x1b[0mb\x1b_c"), "abc");
    }

    #[test]
    fn short_escapes_and_lone_ones_go() {
        assert_eq!(strip(b"\x1b(Ba\x1b=b\x1b cd"), "abd");
        assert_eq!(strip(b"a\x1b"), "a");
        assert_eq!(strip(b"a\x1b("), "a(");
        assert_eq!(strip(b"\x1b\x1b[0m."), ".");
        assert_eq!(strip(b"\x1b [x"), "x");
    }

    #[test]
    fn removal_makes_no_new_escape() {
        assert_eq!(strip(b"\x1b\x01[0m"), "\\x01[0m");
        assert_eq!(strip(b"\x1b\x1b[mX[0m"), "X[0m");
    }

    #[test]
    fn no_escape_goes_on_behind_a_line_feed() {
        for line in [
            "\x1b[38;5;",
            "a\x1b]0;title",
            "\x1b",
            "b\x1b(",
            "\x1b[\x01",
            "\x1b]x\x1b",
            "\x1bPc\x1b]",
        ] {
            let both = strip(format!("{line}\n{line}\x1b\\end\x07.").as_bytes());
            let [first, second] = [line.to_owned(), format!("{line}\x1b\\end\x07.")];
            assert_eq!(both, format!("{}\\n{}", strip(first.as_bytes()), strip(second.as_bytes())));
        }
    }

    #[test]
    fn a_line_of_unended_strings_takes_one_look() {
        let line = b"\x1b]".repeat(200_000);
        assert_eq!(escapes(&line).count(), 200_000);
        assert_eq!(strip(&line), "");
    }
}
