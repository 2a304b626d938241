//! Cutting a trace, while it arrives, into frames.
//!
//! Owns the choice of the places. A cut is legal at a line end over which no line goes on, which
//! for stamped lines is known only [`JOIN_WINDOW_BYTES`] later. Where no
//! legal cut comes in time the frame is cut by force, and the frames up to the next legal cut make
//! one document. The places depend on the bytes alone, not on how they arrive in parts. Does not
//! know compression or storage. Cannot fail; memory stays within `max`, the window and 64 KiB.

mod markers;
#[cfg(test)]
mod tests;

use memchr::memchr;

use self::markers::MarkerLog;
use super::JOIN_WINDOW_BYTES;
use super::section::Sections;
use super::stamp::{Head, Latest, STAMP_BYTES, Stream};

/// How many bytes are taken in before the next look, so that one large push costs no large moves.
const STEP_BYTES: usize = 64 * 1024;

/// How large frames are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOptions {
    /// The first legal cut from this length on is taken.
    pub target: usize,
    /// No frame is longer. At least twice the join window, and the target at most half of it.
    pub max: usize,
}

impl Default for CutOptions {
    /// About 128 KiB, at most 4 MiB: the start values of the pack format.
    fn default() -> Self {
        Self { target: 128 * 1024, max: 4 * 1024 * 1024 }
    }
}

/// A part of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The raw bytes; never empty.
    pub raw: Vec<u8>,
    /// How many plain lines begin in this frame. Their sum over a document is its line count.
    pub lines: u64,
    /// Whether the frame belongs to the document of the frame before it.
    pub continues: bool,
    /// The sections open where the frame's document begins, outermost first.
    pub open: Vec<String>,
}

/// Cuts one trace into frames.
#[derive(Debug)]
pub struct Cutter {
    options: CutOptions,
    /// The bytes not given out yet; they begin where the current frame begins.
    buf: Vec<u8>,
    /// Where `buf` begins in its document.
    base: u64,
    reading: Reading,
    latest: Latest,
    /// Lines that began in the document so far, and of them those before this frame.
    lines: u64,
    lines_before: u64,
    candidate: Option<Candidate>,
    /// A legal cut before the target, taken if none comes between target and `max`.
    early: Option<Place>,
    /// The last line end up to `max`.
    last_end: Option<Place>,
    markers: MarkerLog,
    sections: Sections,
    /// The sections open where the document began.
    open: Vec<String>,
    continues: bool,
}

#[derive(Debug, Clone, Copy)]
enum Reading {
    /// At the first byte of a piece.
    Head { at: usize },
    /// In a piece: its text from `text` on is not yet read for markers, and `buf` holds no line
    /// feed between there and `searched`.
    Body { text: usize, searched: usize, stream: Option<Stream>, line: u64 },
}

/// A line end in `buf`, with the number of the document's lines that began before it.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    lines: u64,
}

/// A line end that is a legal cut unless one of the open streams goes on.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    place: Place,
    open: usize,
    /// From this offset of the document on none can go on.
    until: u64,
}

/// What a look at the buffer came to.
enum Step {
    Wait,
    Next,
    Legal(Place),
    Forced(Place),
}

impl Cutter {
    /// Begins a trace.
    pub fn new(options: CutOptions) -> Self {
        Self::with_window(options, JOIN_WINDOW_BYTES)
    }

    /// As [`Cutter::new`], with another window so that small tests reach its edge.
    pub(super) fn with_window(options: CutOptions, window: u64) -> Self {
        // A forced cut must not fall behind what was looked at ahead of it.
        let least = usize::try_from(window).unwrap_or(usize::MAX / 4) * 2 + 2 * STAMP_BYTES;
        let max = options.max.max(least);
        let target = options.target.clamp(1, max / 2);
        Self {
            options: CutOptions { target, max },
            buf: Vec::new(),
            base: 0,
            reading: Reading::Head { at: 0 },
            latest: Latest::new(window),
            lines: 0,
            lines_before: 0,
            candidate: None,
            early: None,
            last_end: None,
            markers: MarkerLog::default(),
            sections: Sections::new(),
            open: Vec::new(),
            continues: false,
        }
    }

    /// Takes in more of the trace and gives out the frames that are certain.
    pub fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(Frame)) {
        for part in bytes.chunks(STEP_BYTES) {
            self.buf.extend_from_slice(part);
            self.advance(false, out);
        }
    }

    /// Ends the trace and gives out the rest. A trace without bytes has no frame.
    pub fn finish(mut self, out: &mut impl FnMut(Frame)) {
        self.advance(true, out);
        if !self.buf.is_empty() {
            let place = Place { at: self.buf.len(), lines: self.lines };
            out(self.take(place));
        }
    }

    fn advance(&mut self, ended: bool, out: &mut impl FnMut(Frame)) {
        loop {
            match self.step(ended) {
                Step::Wait => return,
                Step::Next => {}
                Step::Legal(place) => {
                    out(self.take(place));
                    self.begin_document(place);
                }
                Step::Forced(place) => {
                    self.read_text_until(place.at);
                    out(self.take(place));
                    self.go_on(place);
                }
            }
        }
    }

    fn step(&mut self, ended: bool) -> Step {
        match self.reading {
            Reading::Head { at } => self.head(at, ended),
            Reading::Body { searched, stream, line, .. } => {
                let found = memchr(b'\n', &self.buf[searched..]).map(|found| searched + found);
                match found {
                    Some(feed) => self.piece_end(feed, feed + 1, stream, line),
                    None if ended => self.piece_end(self.buf.len(), self.buf.len(), stream, line),
                    None => self.in_body(),
                }
            }
        }
    }

    /// Reads what a piece begins with: which line it belongs to, and what that means for the
    /// candidate.
    fn head(&mut self, at: usize, ended: bool) -> Step {
        if let Some(step) = self.resolved_by(at) {
            return step;
        }
        let rest = &self.buf[at..];
        if rest.is_empty() && ended {
            return self.candidate.map_or(Step::Wait, |it| self.resolve(it.place));
        }
        let enough = rest.len() >= STAMP_BYTES || ended || memchr(b'\n', rest).is_some();
        if rest.is_empty() || !enough {
            return Step::Wait;
        }
        let start = self.base + at as u64;
        let head = Head::parse(rest);
        let before = head.and_then(|head| self.latest.continued(&head, start));
        if let (Some(head), Some(candidate)) = (head, self.candidate) {
            let cut = self.base + candidate.place.at as u64;
            match before {
                Some((_, end)) if end <= cut => self.candidate = None,
                None if self.latest.is_open(head.stream, cut) => {
                    if candidate.open == 1 {
                        return self.resolve(candidate.place);
                    }
                    self.candidate = Some(Candidate { open: candidate.open - 1, ..candidate });
                }
                _ => {}
            }
        }
        let line = before.map_or(self.lines, |(line, _)| line);
        if before.is_none() {
            self.lines += 1;
        }
        let text = if head.is_some() { at + STAMP_BYTES } else { at };
        let stream = head.map(|head| head.stream);
        self.markers.begin(stream, before.is_some());
        self.reading = Reading::Body { text, searched: text, stream, line };
        Step::Next
    }

    /// The piece goes on behind the buffer.
    fn in_body(&mut self) -> Step {
        if let Some(step) = self.resolved_by(self.buf.len()) {
            return step;
        }
        if self.candidate.is_none() && self.buf.len() >= self.options.max {
            return self.no_legal_cut();
        }
        if let Reading::Body { searched, .. } = &mut self.reading {
            *searched = self.buf.len();
        }
        Step::Wait
    }

    fn piece_end(&mut self, feed: usize, end: usize, stream: Option<Stream>, line: u64) -> Step {
        // As when the same bytes arrive in parts and the look comes before the line feed.
        if let Some(step) = self.resolved_by(feed) {
            return step;
        }
        if self.candidate.is_none() && end > self.options.max {
            return self.no_legal_cut();
        }
        if let Reading::Body { text, .. } = self.reading {
            self.markers.read_last(stream, line, &self.buf[text..feed]);
        }
        if let Some(stream) = stream {
            // The line feed counts even where the trace's end stands in its place.
            self.latest.note(stream, line, self.base + feed as u64 + 1);
        }
        self.reading = Reading::Head { at: end };
        if end > self.options.max {
            return Step::Next;
        }
        let place = Place { at: end, lines: self.lines };
        self.last_end = Some(place);
        self.offer(place)
    }

    /// Makes a line end the candidate if one is wanted here.
    fn offer(&mut self, place: Place) -> Step {
        let target = self.options.target;
        let wanted = match self.candidate {
            Some(candidate) => candidate.place.at < target && place.at >= target,
            None => place.at >= target || (self.early.is_none() && place.at >= target / 2),
        };
        if !wanted {
            return Step::Next;
        }
        let (open, until) = self.latest.open(self.base + place.at as u64);
        if open == 0 {
            return self.resolve(place);
        }
        self.candidate = Some(Candidate { place, open, until });
        Step::Next
    }

    /// The candidate's fate if the next piece begins at `at` or later.
    fn resolved_by(&mut self, at: usize) -> Option<Step> {
        let candidate = self.candidate?;
        (self.base + at as u64 >= candidate.until).then(|| self.resolve(candidate.place))
    }

    /// A line end proved a legal cut.
    fn resolve(&mut self, place: Place) -> Step {
        self.candidate = None;
        if place.at >= self.options.target {
            return Step::Legal(place);
        }
        self.early = Some(place);
        Step::Next
    }

    fn no_legal_cut(&mut self) -> Step {
        if let Some(place) = self.early {
            return Step::Legal(place);
        }
        let line_end = self.last_end.filter(|end| end.at >= self.options.target);
        // Only a candidate lets pieces begin behind `max`, and it is such a line end itself; so
        // without one all lines so far began before `max`.
        Step::Forced(line_end.unwrap_or(Place { at: self.options.max, lines: self.lines }))
    }

    /// Reads the current piece's text up to a forced cut for markers.
    fn read_text_until(&mut self, end: usize) {
        if let Reading::Body { text, stream, line, .. } = &mut self.reading
            && *text < end
        {
            self.markers.read(*stream, *line, &self.buf[*text..end]);
            *text = end;
        }
    }

    fn take(&mut self, place: Place) -> Frame {
        let rest = self.buf.split_off(place.at);
        Frame {
            raw: std::mem::replace(&mut self.buf, rest),
            lines: place.lines - self.lines_before,
            continues: self.continues,
            open: self.open.clone(),
        }
    }

    /// After a legal cut: reads from there once more, with nothing remembered but the sections.
    fn begin_document(&mut self, place: Place) {
        self.markers.end_document(place.lines, &mut self.sections);
        self.open = self.sections.open().to_vec();
        self.latest.clear();
        self.reading = Reading::Head { at: 0 };
        self.base = 0;
        self.lines = 0;
        self.continues = false;
        self.begin_frame(0);
    }

    /// After a forced cut: goes on where the look ahead stands.
    fn go_on(&mut self, place: Place) {
        self.markers.limit(&mut self.sections);
        self.base += place.at as u64;
        match &mut self.reading {
            Reading::Head { at } => *at -= place.at,
            Reading::Body { text, searched, .. } => {
                *text -= place.at;
                *searched = searched.saturating_sub(place.at).max(*text);
            }
        }
        self.continues = true;
        self.begin_frame(place.lines);
    }

    fn begin_frame(&mut self, lines_before: u64) {
        self.lines_before = lines_before;
        self.candidate = None;
        self.early = None;
        self.last_end = None;
    }
}
