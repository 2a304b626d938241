//! A document that was read, and the sections its lines are in. Pure.

use std::ops::Range;

use crate::store::TraceRow;
use crate::trace::{self, Plain, Sections};

/// A document that was read.
pub(super) struct Document<'a> {
    pub(super) trace: &'a TraceRow,
    pub(super) frames: Range<usize>,
    pub(super) raw: Vec<u8>,
    pub(super) plain: Plain,
}

impl Document<'_> {
    /// Number of plain lines before the document.
    pub(super) fn first_line(&self) -> u64 {
        self.trace.frames[self.frames.start].first_line
    }
}

/// Returns the first frame of the document in which a line begins.
pub(super) fn document_of(trace: &TraceRow, line: u64) -> Option<u32> {
    let starts = trace.documents();
    let at = starts.partition_point(|d| trace.frames[d.start].first_line < line);
    starts.get(at.checked_sub(1)?).map(|d| d.start as u32)
}

/// Tells whether the line at a place of the text is in the sections asked for.
pub(super) fn in_section(inside: &Option<Vec<bool>>, document: &Document<'_>, at: usize) -> bool {
    let Some(inside) = inside else { return true };
    document.plain.line_at(at).and_then(|line| inside.get(line)).copied().unwrap_or_default()
}

/// Calls `f` with the sections open at each line of a document.
pub(super) fn each_section(document: &Document<'_>, mut f: impl FnMut(&[String])) {
    let open = document.trace.frames[document.frames.start].open.clone();
    let mut sections = Sections::from_open(open);
    for line in trace::lines(&document.raw).iter() {
        let markers = line.markers();
        sections.feed(markers.before());
        f(sections.open());
        sections.feed(markers.after());
    }
}
