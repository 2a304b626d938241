//! Showing lines of logs and names from a server, on a terminal and in HTML, and taking jobs out in a [`bundle`].
//!
//! Owns what may reach a terminal: with [`Style::sanitise`] no byte of a log can move the cursor,
//! hide text or speak to the terminal; the most it does is colour. Showing does not know where lines come
//! from and cannot fail; bytes that are not UTF-8 show as U+FFFD.

pub mod bundle;
mod highlight;
mod visible;

#[cfg(test)]
mod tests;

use std::ops::Range;

pub use highlight::highlight;
pub use visible::{escape_html, is_shown, sanitise};

use self::visible::sanitise_into;
use crate::trace::{escapes, strip_markers};

/// Ends all colours.
const RESET: &str = "\x1b[0m";

/// How many colour sequences of hidden frames are repeated before the shown one.
const MAX_CARRIED: usize = 16;

/// The longest colour sequence that is kept; a longer one is dropped. Real ones have under 20 bytes.
const MAX_SGR_BYTES: usize = 64;

/// How a line of a log is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Keep the colours of the log.
    pub colour: bool,
    /// Make control bytes visible instead of sending them; switched off only for output that is
    /// no terminal.
    pub sanitise: bool,
}

/// Shows the content of a line as a terminal would leave it: without section markers, without
/// escapes but colours, and of the frames between carriage returns the last that is not empty.
pub fn render_terminal(content: &[u8], style: Style) -> Vec<u8> {
    let line = Shown::new(content);
    let frame = line.last_frame();
    line.render(frame, style)
}

/// As [`render_terminal`], with the frame that holds a byte of the plain line.
pub fn render_terminal_at(content: &[u8], style: Style, plain_offset: usize) -> Vec<u8> {
    let line = Shown::new(content);
    let frame = frame_around(&line.plain, plain_offset..plain_offset);
    line.render(frame, style)
}

/// A line's plain text and the colours between its bytes.
struct Shown {
    plain: Vec<u8>,
    /// Where in `plain` each colour sequence stands.
    colours: Vec<(usize, Vec<u8>)>,
}

impl Shown {
    fn new(content: &[u8]) -> Self {
        let mut text = Vec::with_capacity(content.len());
        strip_markers(content, &mut text);
        let mut plain = Vec::with_capacity(text.len());
        let mut colours = Vec::new();
        let mut from = 0;
        for escape in escapes(&text) {
            plain.extend_from_slice(&text[from..escape.start]);
            from = escape.end;
            let sequence = &text[escape];
            if is_colour(sequence) {
                colours.push((plain.len(), sequence.to_vec()));
            }
        }
        plain.extend_from_slice(&text[from..]);
        if plain.last() == Some(&b'\r') {
            plain.pop();
        }
        Self { plain, colours }
    }

    fn last_frame(&self) -> Range<usize> {
        let end = self.plain.iter().rposition(|byte| *byte != b'\r');
        let end = end.map_or(0, |last| last + 1);
        let start = self.plain[..end].iter().rposition(|byte| *byte == b'\r');
        start.map_or(0, |cr| cr + 1)..end
    }

    fn render(&self, frame: Range<usize>, style: Style) -> Vec<u8> {
        let mut out = Vec::with_capacity(frame.len() + RESET.len());
        let show = |from: usize, to: usize, out: &mut Vec<u8>| {
            let text = &self.plain[from..to];
            match style.sanitise {
                true => sanitise_into(text, out),
                false => out.extend_from_slice(text),
            }
        };
        if !style.colour {
            show(frame.start, frame.end, &mut out);
            return out;
        }
        let before = self.colours.partition_point(|(at, _)| *at < frame.start);
        let behind = self.colours.partition_point(|(at, _)| *at <= frame.end);
        let mut open = false;
        for (_, sequence) in self.carried(before) {
            out.extend_from_slice(sequence);
            open = true;
        }
        let mut from = frame.start;
        for (at, sequence) in &self.colours[before..behind] {
            show(from, *at, &mut out);
            from = *at;
            out.extend_from_slice(sequence);
            open = !is_reset(sequence);
        }
        show(from, frame.end, &mut out);
        if open {
            out.extend_from_slice(RESET.as_bytes());
        }
        out
    }

    /// The colours that hold where a frame begins, of those set in the frames before it.
    fn carried(&self, before: usize) -> &[(usize, Vec<u8>)] {
        let set = &self.colours[..before];
        let reset = set.iter().rposition(|(_, sequence)| is_reset(sequence));
        let set = &set[reset.map_or(0, |at| at + 1)..];
        &set[set.len().saturating_sub(MAX_CARRIED)..]
    }
}

/// The bytes around a range of a plain line up to the carriage returns on both sides. A range
/// that spans one is shown whole.
fn frame_around(plain: &[u8], range: Range<usize>) -> Range<usize> {
    let start = range.start.min(plain.len());
    let end = range.end.clamp(start, plain.len());
    let before = plain[..start].iter().rposition(|byte| *byte == b'\r');
    let behind = plain[end..].iter().position(|byte| *byte == b'\r');
    before.map_or(0, |cr| cr + 1)..behind.map_or(plain.len(), |found| end + found)
}

/// Whether an escape only sets colours: `\x1b[`, digits with `;` and `:`, `m`. Private forms such
/// as `\x1b[>4m` switch keyboards and are none.
fn is_colour(sequence: &[u8]) -> bool {
    let parameters = sequence.strip_prefix(b"\x1b[").and_then(|rest| rest.strip_suffix(b"m"));
    sequence.len() <= MAX_SGR_BYTES
        && parameters.is_some_and(|bytes| {
            bytes.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':'))
        })
}

/// Whether a colour sequence ends all colours: it has no parameter but zeros.
fn is_reset(sequence: &[u8]) -> bool {
    sequence[2..].iter().all(|byte| matches!(byte, b'0' | b';' | b'm'))
}
