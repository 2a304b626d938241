//! Section markers in a line, and the stack of sections they open and close.
//!
//! Owns the grammar of markers and how sections nest. Names may repeat, ends may lack starts and
//! starts ends; nothing here fails. Runs in linear time on any line.
//! Source: <https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections>.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2};

use super::escape::{ESC, escapes};

/// The depth from which on further starts are ignored. Real logs nest two or three deep.
pub const MAX_OPEN: usize = 64;

/// The longest name that opens a section; the marker of a longer one is removed and ignored.
pub const MAX_NAME_BYTES: usize = 256;

/// What every marker begins with.
const PREFIX: &[u8] = b"section_";

/// One section marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Whether it opens the section rather than closing it.
    pub start: bool,
    /// The runner's clock in seconds since 1970; a larger number than fits is the largest that does.
    pub time_secs: u64,
    /// The name, which is ASCII by its grammar.
    pub name: String,
    /// What stands between the brackets, such as `collapsed=true`; empty without brackets.
    pub options: Vec<u8>,
}

/// The markers of one line, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Markers {
    all: Vec<Marker>,
    before: usize,
}

impl Markers {
    /// Reads the markers of a line's content; see [`Line::content`](super::Line::content).
    pub fn of(content: &[u8]) -> Self {
        if !can_hold_marker(content) {
            return Self::default();
        }
        let mut text = Vec::new();
        let mut places = Vec::new();
        let mut all = Vec::new();
        let mut from = 0;
        for place in Scan::new(content) {
            text.extend_from_slice(&content[from..place.start]);
            from = place.end;
            places.push(text.len());
            all.push(place.marker(content));
        }
        text.extend_from_slice(&content[from..]);
        let shown = first_visible(&text);
        let before = places.iter().filter(|place| **place <= shown).count();
        Self { all, before }
    }

    /// All markers of the line.
    pub fn all(&self) -> &[Marker] {
        &self.all
    }

    /// The markers before the first visible byte: the line stands in the sections they leave.
    /// All of them if the line shows nothing.
    pub fn before(&self) -> &[Marker] {
        &self.all[..self.before]
    }

    /// The markers behind the first visible byte, which take effect after the line.
    pub fn after(&self) -> &[Marker] {
        &self.all[self.before..]
    }
}

/// Where the first byte stands that is neither escape nor carriage return; past all if none is.
fn first_visible(text: &[u8]) -> usize {
    let visible = |from: usize, to: usize| (from..to).find(|at| text[*at] != b'\r');
    let mut from = 0;
    for escape in escapes(text) {
        if let Some(at) = visible(from, escape.start) {
            return at;
        }
        from = escape.end;
    }
    visible(from, text.len()).unwrap_or(usize::MAX)
}

/// The sections that are open at a place in a trace, outermost first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sections {
    open: Vec<String>,
}

impl Sections {
    /// No section is open, as where a trace begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Resumes where the named sections are open, as a frame records; at most [`MAX_OPEN`] of them.
    pub fn from_open(mut open: Vec<String>) -> Self {
        open.truncate(MAX_OPEN);
        Self { open }
    }

    /// Applies markers in order.
    ///
    /// An end closes the innermost open section of its name and all that were opened inside it;
    /// an end of a section that is not open does nothing.
    pub fn feed(&mut self, markers: &[Marker]) {
        for marker in markers {
            if marker.start {
                if self.open.len() < MAX_OPEN && marker.name.len() <= MAX_NAME_BYTES {
                    self.open.push(marker.name.clone());
                }
            } else if let Some(at) = self.open.iter().rposition(|name| *name == marker.name) {
                self.open.truncate(at);
            }
        }
    }

    /// The open sections, outermost first.
    pub fn open(&self) -> &[String] {
        &self.open
    }

    /// The name of the innermost open section.
    pub fn innermost(&self) -> Option<&str> {
        self.open.last().map(String::as_str)
    }
}

/// Writes the content of a line without its section markers.
pub(crate) fn strip_markers(content: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    if can_hold_marker(content) {
        for place in Scan::new(content) {
            out.extend_from_slice(&content[from..place.start]);
            from = place.end;
        }
    }
    out.extend_from_slice(&content[from..]);
}

/// A cheap look: most lines have no carriage return, and most of the others no prefix.
pub(super) fn can_hold_marker(content: &[u8]) -> bool {
    memchr(b'\r', content).is_some() && Scan::new(content).next_prefix().is_some()
}

/// Where a marker stands and where its parts are.
#[derive(Debug, Clone)]
pub(super) struct Place {
    start: usize,
    end: usize,
    opens: bool,
    time: Range<usize>,
    name: Range<usize>,
    options: Range<usize>,
}

impl Place {
    pub(super) fn marker(&self, text: &[u8]) -> Marker {
        let digit = |sum: u64, digit: &u8| {
            let digit = u64::from(digit - b'0');
            sum.saturating_mul(10).saturating_add(digit)
        };
        Marker {
            start: self.opens,
            time_secs: text[self.time.clone()].iter().fold(0, digit),
            name: String::from_utf8_lossy(&text[self.name.clone()]).into_owned(),
            options: text[self.options.clone()].to_vec(),
        }
    }
}

/// Finds the markers of a text without line feeds.
pub(super) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    /// The first `]` or carriage return at or behind some place, so that a line of nothing but
    /// opened brackets is read once.
    stop: usize,
    /// A beginning at the text's end that more text might make a marker.
    unfinished: Option<usize>,
}

enum Attempt {
    Marker(Place),
    Unfinished,
    Text,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, stop: 0, unfinished: None }
    }

    /// Returns, once all markers are read, where one may begin that the text's end cuts off.
    pub(super) fn unfinished(&self) -> Option<usize> {
        let end = self.text.len();
        self.unfinished.or_else(|| {
            let longest = (PREFIX.len() - 1).min(end - self.at);
            (end - longest..end).find(|at| PREFIX.starts_with(&self.text[*at..]))
        })
    }

    fn past(&self, mut at: usize, class: impl Fn(&u8) -> bool) -> usize {
        while self.text.get(at).is_some_and(&class) {
            at += 1;
        }
        at
    }

    /// Looks for the rarest byte of the prefix: on short lines that is far cheaper than to prepare
    /// a search for all of it.
    fn next_prefix(&self) -> Option<usize> {
        let text = &self.text[self.at..];
        memchr_iter(b'_', text)
            .find(|last| text[..=*last].ends_with(PREFIX))
            .map(|last| self.at + last + 1 - PREFIX.len())
    }

    fn attempt(&mut self, start: usize) -> Attempt {
        let rest = &self.text[start + PREFIX.len()..];
        let words: [(&[u8], bool); 2] = [(b"start:", true), (b"end:", false)];
        let Some((word, opens)) = words.into_iter().find(|(word, _)| rest.starts_with(word)) else {
            let cut = words.iter().any(|(word, _)| word.starts_with(rest));
            return if cut { Attempt::Unfinished } else { Attempt::Text };
        };
        let time = start + PREFIX.len() + word.len();
        let time = time..self.past(time, u8::is_ascii_digit);
        match self.text.get(time.end) {
            None => return Attempt::Unfinished,
            Some(b':') if !time.is_empty() => {}
            Some(_) => return Attempt::Text,
        }
        let name = time.end + 1;
        let name = name..self
            .past(name, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
        let (options, last) = match self.text.get(name.end) {
            Some(_) if name.is_empty() => return Attempt::Text,
            Some(b'[') => {
                let stop = self.stop_at(name.end + 1);
                match self.text.get(stop) {
                    Some(b']') => (name.end + 1..stop, stop + 1),
                    Some(_) => return Attempt::Text,
                    None => return Attempt::Unfinished,
                }
            }
            _ => (name.end..name.end, name.end),
        };
        match self.text.get(last) {
            None => return Attempt::Unfinished,
            Some(b'\r') => {}
            Some(_) => return Attempt::Text,
        }
        let after = &self.text[last + 1..];
        let clears = after.starts_with(&[ESC, b'[', b'0', b'K']);
        Attempt::Marker(Place {
            start,
            end: last + if clears { 5 } else { 1 },
            opens,
            time,
            name,
            options,
        })
    }

    fn stop_at(&mut self, from: usize) -> usize {
        if self.stop < from {
            self.stop = memchr2(b']', b'\r', &self.text[from..])
                .map_or(self.text.len(), |found| from + found);
        }
        self.stop
    }
}

impl Iterator for Scan<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        while self.unfinished.is_none() {
            let start = self.next_prefix()?;
            match self.attempt(start) {
                Attempt::Marker(place) => {
                    self.at = place.end;
                    return Some(place);
                }
                // No marker can be complete behind one that is still open at the text's end.
                Attempt::Unfinished => self.unfinished = Some(start),
                Attempt::Text => self.at = start + PREFIX.len(),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
