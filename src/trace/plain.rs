//! The plain text of a document, all at once and fast.
//!
//! Owns the order of removal (markers, escapes, the last CR) and the way around it for the many
//! lines that need none. The index build and the verification of hits spend their time here.

use std::ops::Range;
use std::sync::OnceLock;

use memchr::{memchr, memchr_iter, memchr2, memmem, memrchr};

use super::JOIN_WINDOW_BYTES;
use super::escape::{ESC, strip_escapes};
use super::lines::{Lines, piece_end};
use super::section::{can_hold_marker, strip_markers};
use super::stamp::{Head, Latest, MIDDLE, MIDDLE_AT, STAMP_BYTES};

/// The plain text of a document: every line followed by a line feed.
#[derive(Debug, Clone, Default)]
pub struct Plain {
    text: Vec<u8>,
    /// Found when they are first asked for: of most texts that a search reads it only asks whether a term occurs.
    ends: OnceLock<Vec<usize>>,
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Plain {}

impl Plain {
    /// The whole text. `show --plain` prints exactly this.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where each line's line feed stands in the text.
    pub fn ends(&self) -> &[usize] {
        self.ends.get_or_init(|| memchr_iter(b'\n', &self.text).collect())
    }

    /// The number of lines.
    pub fn len(&self) -> usize {
        self.ends().len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns a line, without its line feed, by its index, which is one less than its number.
    pub fn line(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends().get(index)?;
        Some(&self.text[self.start(index)..end])
    }

    /// Goes through the lines in order, without their line feeds.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator {
        let line = |(index, end): (usize, &usize)| &self.text[self.start(index)..*end];
        self.ends().iter().enumerate().map(line)
    }

    /// Returns the index of the line that holds the byte at an offset of the text, its line feed
    /// included, or `None` past the end.
    pub fn line_at(&self, offset: usize) -> Option<usize> {
        let index = self.ends().partition_point(|end| *end < offset);
        (index < self.len()).then_some(index)
    }

    /// Takes the text out.
    pub fn into_text(self) -> Vec<u8> {
        self.text
    }

    fn start(&self, index: usize) -> usize {
        match index {
            0 => 0,
            _ => self.ends()[index - 1] + 1,
        }
    }
}

/// Returns the plain text of a document, which is a whole trace or frames that stand alone.
pub fn plain(raw: &[u8]) -> Plain {
    let mut out = Plain::default();
    plain_into(raw, &mut out);
    out
}

/// Puts the plain text of a document in the place of what `out` held, reusing its memory.
pub fn plain_into(raw: &[u8], out: &mut Plain) {
    plain_with_window(raw, JOIN_WINDOW_BYTES, out);
}

/// As [`plain_into`], with another window so that small tests reach its edge.
pub(super) fn plain_with_window(raw: &[u8], window: u64, out: &mut Plain) {
    out.ends.take();
    let out = &mut out.text;
    out.clear();
    // Removal only shortens; the one byte is the line feed a last line may lack.
    out.reserve(raw.len() + 1);
    let mut scratch = Scratch::default();
    let stamped = first_stamp(raw);
    unstamped(&raw[..stamped], &mut scratch, out);
    if stamped < raw.len() && !in_order(raw, stamped, window, &mut scratch, out) {
        for line in Lines::with_window(&raw[stamped..], window).iter() {
            line.plain_into(&mut scratch, out);
            out.push(b'\n');
        }
    }
}

/// Returns where the first line with a stamp begins, or the length.
fn first_stamp(raw: &[u8]) -> usize {
    let starts = memmem::find_iter(raw, MIDDLE).filter_map(|at| at.checked_sub(MIDDLE_AT));
    let mut starts = starts.filter(|start| *start == 0 || raw[start - 1] == b'\n');
    starts.find(|start| Head::parse(&raw[*start..]).is_some()).unwrap_or(raw.len())
}

/// Renders lines without stamps. They join nothing, so that they need no book-keeping, and where no CR is they are not
/// even looked at line by line: without one there is no marker.
fn unstamped(raw: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) {
    let mut from = 0;
    while let Some(cr) = memchr(b'\r', &raw[from..]).map(|at| from + at) {
        let start = memrchr(b'\n', &raw[from..cr]).map_or(from, |at| from + at + 1);
        strip_escapes(&raw[from..start], out);
        from = piece_end(raw, cr);
        scratch.line(&raw[start..from], out);
    }
    strip_escapes(&raw[from..], out);
    if raw.last().is_some_and(|last| *last != b'\n') {
        out.push(b'\n');
    }
}

/// Renders lines from `start` on where each piece begins a line or joins the one right before it, as nearly all do.
///
/// Where a piece joins an earlier line the pieces need book-keeping: returns false, and `out` is as it was.
fn in_order(
    raw: &[u8],
    start: usize,
    window: u64,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> bool {
    let before = out.len();
    let mut latest = Latest::new(window);
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let (mut at, mut line, mut dirty) = (start, 0, 0);
    while at < raw.len() {
        let end = piece_end(raw, at);
        let head = Head::parse(&raw[at..end]);
        let content = if head.is_some() { at + STAMP_BYTES..end } else { at..end };
        match head.as_ref().and_then(|head| latest.continued(head, at as u64)) {
            Some((continued, _)) if continued == line => {}
            Some(_) => {
                out.truncate(before);
                return false;
            }
            None => {
                scratch.pieces(raw, &mut pieces, &mut dirty, out);
                line += 1;
            }
        }
        pieces.push(content);
        if let Some(head) = head {
            latest.note(head.stream, line, end as u64 + 1);
        }
        at = end + 1;
    }
    scratch.pieces(raw, &mut pieces, &mut dirty, out);
    true
}

/// Whether a line's content is its plain text already.
pub(super) fn needs_no_change(content: &[u8]) -> bool {
    memchr2(ESC, b'\r', content).is_none()
}

/// Buffers for the lines that need change, kept from line to line.
#[derive(Default)]
pub(super) struct Scratch {
    joined: Vec<u8>,
    unmarked: Vec<u8>,
}

impl Scratch {
    /// Appends the plain text of one line's content.
    pub(super) fn line(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        if can_hold_marker(content) {
            self.unmarked.clear();
            strip_markers(content, &mut self.unmarked);
            strip_escapes(&self.unmarked, out);
        } else {
            strip_escapes(content, out);
        }
        if out.len() > start && out.last() == Some(&b'\r') {
            out.pop();
        }
    }

    /// Appends the line that the pieces make, if there are any, and forgets them. `dirty` is the first byte that makes
    /// a line need change, as far as it is known.
    fn pieces(
        &mut self,
        raw: &[u8],
        pieces: &mut Vec<Range<usize>>,
        dirty: &mut usize,
        out: &mut Vec<u8>,
    ) {
        match pieces.as_slice() {
            [] => return,
            [piece] => {
                if *dirty < piece.start {
                    let found = memchr2(ESC, b'\r', &raw[piece.start..]);
                    *dirty = found.map_or(raw.len(), |found| piece.start + found);
                }
                let content = &raw[piece.clone()];
                match *dirty < piece.end {
                    true => self.line(content, out),
                    false => out.extend_from_slice(content),
                }
            }
            pieces => {
                let pieces = pieces.iter().map(|piece| &raw[piece.clone()]);
                self.joined(pieces, out);
            }
        }
        out.push(b'\n');
        pieces.clear();
    }

    /// Appends the plain text of a line in several pieces.
    pub(super) fn joined<'p>(&mut self, pieces: impl Iterator<Item = &'p [u8]>, out: &mut Vec<u8>) {
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        pieces.for_each(|piece| joined.extend_from_slice(piece));
        self.line(&joined, out);
        self.joined = joined;
    }
}
