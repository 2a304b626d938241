//! The markers of the document being cut, so that the next one knows its open sections.
//!
//! Owns the order (markers count line by line, though pieces of lines interleave) and markers
//! that a flush of the runner split over two pieces. Does not know where cuts fall.

use std::collections::BTreeMap;

use memchr::memchr;

use crate::trace::section::{Marker, Scan, Sections};
use crate::trace::stamp::Stream;

/// How much of a marker is remembered from piece to piece. Of a longer one that is split nothing
/// is seen here; real ones have under 200 bytes.
const MAX_TAIL_BYTES: usize = 4096;

/// How many markers a document's forced frames may leave to be put in order. If they are more
/// they count in the order found.
const MAX_FOUND: usize = 100_000;

/// The markers found in a document so far, each with the index of its line.
#[derive(Debug, Default)]
pub(super) struct MarkerLog {
    found: Vec<(u64, Marker)>,
    /// The beginnings of markers at the end of what was read of a stream's line.
    tails: BTreeMap<Option<Stream>, Vec<u8>>,
}

impl MarkerLog {
    /// A piece of the stream begins, which continues its line or does not.
    pub(super) fn begin(&mut self, stream: Option<Stream>, continues: bool) {
        if !continues && !self.tails.is_empty() {
            self.tails.remove(&stream);
        }
    }

    /// Reads the last text of a piece. Without a stamp the line ends with it.
    pub(super) fn read_last(&mut self, stream: Option<Stream>, line: u64, text: &[u8]) {
        // A whole marker has a carriage return, and most lines have none.
        let none = stream.is_none() && self.tails.is_empty() && memchr(b'\r', text).is_none();
        if none {
            return;
        }
        self.read(stream, line, text);
        if stream.is_none() {
            self.tails.remove(&stream);
        }
    }

    /// Reads the next text of a line.
    pub(super) fn read(&mut self, stream: Option<Stream>, line: u64, text: &[u8]) {
        let tail = match self.tails.is_empty() {
            true => None,
            false => self.tails.remove(&stream),
        };
        match tail {
            Some(mut joined) => {
                joined.extend_from_slice(text);
                self.scan(stream, line, &joined);
            }
            None => self.scan(stream, line, text),
        }
    }

    fn scan(&mut self, stream: Option<Stream>, line: u64, text: &[u8]) {
        let mut scan = Scan::new(text);
        for place in &mut scan {
            self.found.push((line, place.marker(text)));
        }
        if let Some(at) = scan.unfinished()
            && text.len() - at <= MAX_TAIL_BYTES
        {
            self.tails.insert(stream, text[at..].to_vec());
        }
    }

    /// The document ends before the line of the index `lines`: its markers take effect, later
    /// ones are forgotten because they will be read again.
    pub(super) fn end_document(&mut self, lines: u64, sections: &mut Sections) {
        self.found.retain(|(line, _)| *line < lines);
        self.apply(sections);
        self.tails.clear();
    }

    /// Keeps the memory of a document bounded that is cut by force again and again.
    pub(super) fn limit(&mut self, sections: &mut Sections) {
        if self.found.len() > MAX_FOUND {
            self.apply(sections);
        }
    }

    fn apply(&mut self, sections: &mut Sections) {
        self.found.sort_by_key(|(line, _)| *line);
        for (_, marker) in self.found.drain(..) {
            sections.feed(std::slice::from_ref(&marker));
        }
    }
}
