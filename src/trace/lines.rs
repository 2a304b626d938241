//! The lines of a trace in full detail: raw pieces, time, stream, content and plain text.
//!
//! Owns how pieces become lines (splitting, stamps, continuation). Does not interpret what
//! stands in a line; markers and escapes have their own modules. Holds a few words of memory per
//! piece, so a caller with a huge trace goes document by document.

use std::borrow::Cow;
use std::ops::Range;

use jiff::Timestamp;
use memchr::{memchr, memchr_iter};

use super::JOIN_WINDOW_BYTES;
use super::plain::{Scratch, needs_no_change};
use super::section::Markers;
use super::stamp::{Head, Latest, STAMP_BYTES, Stamp, Stream};

/// Splits a document, which is a whole trace or frames that stand alone, into its lines.
pub fn lines(raw: &[u8]) -> Lines<'_> {
    Lines::with_window(raw, JOIN_WINDOW_BYTES)
}

/// The lines of a document.
#[derive(Debug)]
pub struct Lines<'a> {
    raw: &'a [u8],
    pieces: Vec<Piece>,
    /// The first piece of each line.
    first: Vec<usize>,
}

/// A part of a line between two line feeds of the raw bytes.
#[derive(Debug)]
struct Piece {
    start: usize,
    end: usize,
    stamped: bool,
    /// The next piece of the same line. A piece never follows itself: zero means none.
    next: usize,
}

impl<'a> Lines<'a> {
    /// As [`lines`], with another [`JOIN_WINDOW_BYTES`] so that small tests reach its edge.
    pub(super) fn with_window(raw: &'a [u8], window: u64) -> Self {
        let mut lines = Self { raw, pieces: Vec::new(), first: Vec::new() };
        let mut latest = Latest::new(window);
        let mut start = 0;
        for end in memchr_iter(b'\n', raw).chain([raw.len()]) {
            if start < raw.len() {
                lines.push(start, end, &mut latest);
            }
            start = end + 1;
        }
        lines
    }

    fn push(&mut self, start: usize, end: usize, latest: &mut Latest) {
        let head = Head::parse(&self.raw[start..end]);
        let index = self.pieces.len();
        self.pieces.push(Piece { start, end, stamped: head.is_some(), next: 0 });
        let before = head.and_then(|head| latest.continued(&head, start as u64));
        match before {
            Some((piece, _)) => self.pieces[piece as usize].next = index,
            None => self.first.push(index),
        }
        if let Some(head) = head {
            latest.note(head.stream, index as u64, end as u64 + 1);
        }
    }

    /// The number of lines.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether the document has no line, which only an empty one has not.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Returns a line by its index, which is one less than its number.
    pub fn get(&self, index: usize) -> Option<Line<'_>> {
        let first = *self.first.get(index)?;
        Some(Line { raw: self.raw, pieces: &self.pieces, first })
    }

    /// Goes through the lines in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Line<'_>> + DoubleEndedIterator {
        self.first.iter().map(|first| Line { raw: self.raw, pieces: &self.pieces, first: *first })
    }
}

/// One line of a document.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    raw: &'a [u8],
    pieces: &'a [Piece],
    first: usize,
}

impl<'a> Line<'a> {
    fn chain(&self) -> impl Iterator<Item = &'a Piece> + use<'a> {
        let pieces = self.pieces;
        std::iter::successors(pieces.get(self.first), move |piece| match piece.next {
            0 => None,
            next => pieces.get(next),
        })
    }

    /// The raw ranges of the line's pieces in order, stamps included, line feeds not.
    pub fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<'a> {
        self.chain().map(|piece| piece.start..piece.end)
    }

    /// The raw range from the first piece's start to the last one's end. Pieces of other lines
    /// may lie inside it.
    pub fn raw_range(&self) -> Range<usize> {
        let end = self.chain().last().map_or(0, |piece| piece.end);
        self.pieces[self.first].start..end
    }

    fn head(&self) -> Option<Head> {
        let first = &self.pieces[self.first];
        Head::parse(&self.raw[first.start..first.end])
    }

    /// The time in the stamp of the first piece, as written.
    pub fn stamp(&self) -> Option<Stamp> {
        self.head().map(|head| head.time)
    }

    /// The moment in the stamp of the first piece. `None` also if no calendar has it.
    pub fn time(&self) -> Option<Timestamp> {
        self.stamp()?.timestamp()
    }

    /// The stream in the stamp of the first piece.
    pub fn stream(&self) -> Option<Stream> {
        self.head().map(|head| head.stream)
    }

    fn text(&self, piece: &Piece) -> &'a [u8] {
        let stamp = if piece.stamped { STAMP_BYTES } else { 0 };
        &self.raw[piece.start + stamp..piece.end]
    }

    /// The joined pieces without their stamps; markers and escapes are still in.
    pub fn content(&self) -> Cow<'a, [u8]> {
        let first = &self.pieces[self.first];
        if first.next == 0 {
            return Cow::Borrowed(self.text(first));
        }
        let mut content = Vec::new();
        for piece in self.chain() {
            content.extend_from_slice(self.text(piece));
        }
        Cow::Owned(content)
    }

    /// The section markers of the line.
    pub fn markers(&self) -> Markers {
        Markers::of(&self.content())
    }

    /// What a person reads of the line: the content without markers, escapes and the last CR.
    pub fn plain(&self) -> Cow<'a, [u8]> {
        let content = self.content();
        if needs_no_change(&content) {
            return content;
        }
        let mut out = Vec::with_capacity(content.len());
        Scratch::default().line(&content, &mut out);
        Cow::Owned(out)
    }

    /// Appends the plain text to `out`; like [`Line::plain`] without allocations of its own.
    pub(super) fn plain_into(&self, scratch: &mut Scratch, out: &mut Vec<u8>) {
        let first = &self.pieces[self.first];
        if first.next == 0 {
            return scratch.line(self.text(first), out);
        }
        scratch.joined(self.chain().map(|piece| self.text(piece)), out);
    }
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({:?}, {})", self.raw_range(), self.content().escape_ascii())
    }
}

/// Returns where the piece that begins at `start` ends, its line feed not included.
pub(super) fn piece_end(raw: &[u8], start: usize) -> usize {
    memchr(b'\n', &raw[start..]).map_or(raw.len(), |found| start + found)
}
