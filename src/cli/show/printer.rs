//! A log to standard output, document by document, so that a large one needs little memory.

use std::collections::BTreeSet;

use super::range::{self, Selection};
use crate::cli::output::{Out, OutputError, Paint};
use crate::export::{self, Style, sanitise};
use crate::store::{Store, TraceRow};
use crate::trace::{self, Line, Sections};

/// Lines that a log with numbers is expected to stay under; more only widen the column.
const NUMBER_WIDTH: usize = 5;
/// Names of sections remembered for whoever named none of them.
const MAX_SECTIONS: usize = 30;

/// How a log is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// As a terminal would leave it, in its colours.
    Pretty,
    /// The plain text that is searched.
    Plain,
    /// The bytes.
    Raw,
}

/// Prints a log.
pub(super) struct Printer<'a> {
    pub(super) out: &'a mut Out,
    pub(super) mode: Mode,
    pub(super) number: bool,
    pub(super) timestamps: bool,
    /// Lines shown so far.
    pub(super) shown: u64,
    /// Sections met, where one was asked for.
    pub(super) sections: BTreeSet<String>,
}

impl Printer<'_> {
    /// Prints what is selected of a trace. Only the frames that are needed are read.
    pub(super) fn print(
        &mut self,
        store: &Store,
        trace: &TraceRow,
        selection: &Selection,
    ) -> anyhow::Result<()> {
        if self.mode == Mode::Raw && selection.is_all() && !self.out.is_terminal() {
            for frame in 0..trace.frames.len() {
                let raw = store.read_piece(trace, frame)?;
                self.out.bytes(&raw)?;
            }
            return Ok(());
        }
        for document in trace.documents() {
            let frames = &trace.frames[document.clone()];
            let first = frames[0].first_line + 1;
            let count = frames.iter().map(|frame| frame.lines).sum();
            if !selection.touches(first, count) {
                continue;
            }
            let open = frames[0].open.clone();
            let raw = range::read(store, trace, document)?;
            if self.is_verbatim(selection) {
                let plain = trace::plain(&raw);
                self.out.bytes(plain.text())?;
                self.shown += plain.len() as u64;
                continue;
            }
            self.document(&raw, first, open, selection)?;
        }
        Ok(())
    }

    /// Tells whether the plain text goes out as it is.
    fn is_verbatim(&self, selection: &Selection) -> bool {
        let bare = !self.number && !self.timestamps && !self.out.is_terminal();
        self.mode == Mode::Plain && selection.is_all() && bare
    }

    fn document(
        &mut self,
        raw: &[u8],
        first: u64,
        open: Vec<String>,
        selection: &Selection,
    ) -> Result<(), OutputError> {
        let mut sections = Sections::from_open(open);
        for (index, line) in trace::lines(raw).iter().enumerate() {
            let number = first + index as u64;
            let mut inside = true;
            if let Some(glob) = &selection.section {
                let markers = line.markers();
                sections.feed(markers.before());
                inside = sections.open().iter().any(|name| glob.matches(name));
                if self.shown == 0 && !inside && self.sections.len() < MAX_SECTIONS {
                    self.sections.extend(sections.innermost().map(str::to_owned));
                }
                sections.feed(markers.after());
            }
            if inside && selection.holds(number) {
                self.shown += 1;
                self.line(raw, number, &line)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, raw: &[u8], number: u64, line: &Line<'_>) -> Result<(), OutputError> {
        let terminal = self.out.is_terminal();
        if self.mode == Mode::Raw {
            for piece in line.pieces() {
                match terminal {
                    true => self.out.line(sanitise(&raw[piece]))?,
                    false => self.out.line(&raw[piece])?,
                }
            }
            return Ok(());
        }
        let mut text = Vec::new();
        if self.number {
            let number = self.out.paint(Paint::Dim, format!("{number:>NUMBER_WIDTH$}"));
            text.extend_from_slice(format!("{number}  ").as_bytes());
        }
        if self.timestamps {
            let stamp = line.stamp().map(|stamp| stamp.to_string()).unwrap_or_default();
            let stamp = self.out.paint(Paint::Dim, format!("{stamp:<27}"));
            text.extend_from_slice(format!("{stamp}  ").as_bytes());
        }
        match (self.mode, terminal) {
            (Mode::Pretty, _) => {
                let style = Style { colour: self.out.has_colour(), sanitise: true };
                text.extend(export::render_terminal(&line.content(), style));
            }
            (_, true) => text.extend_from_slice(sanitise(line.plain()).as_bytes()),
            (_, false) => text.extend_from_slice(&line.plain()),
        }
        self.out.line(text)
    }
}
