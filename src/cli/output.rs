//! Where output goes: data to standard output, which is written here alone, and messages to standard error.
//!
//! Owns the decision for colour, the buffer, and what a closed pipe means. Text of servers and logs comes here
//! sanitised; see [`crate::export`]. A closed pipe is [`OutputError::Closed`] and ends the program in peace.

mod json;

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;

use super::pager::Pager;
use crate::config::{Env, PagerChoice};
pub(crate) use json::json_text;

/// Bytes that wait before they are written; a terminal gets each line at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// The width of what is no terminal, and of a terminal that does not tell its own.
const USUAL_COLUMNS: usize = 80;

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader is gone and wants no more.
    #[error("standard output was closed")]
    Closed,
    /// It cannot be written for another reason.
    #[error("cannot write to standard output")]
    Io(#[source] io::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless the environment says no.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColourChoice {
    fn decide(self, env: &Env, terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => env.wants_colour(terminal),
        }
    }
}

/// A way to set off text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Names.
    Bold,
    /// What matters less.
    Dim,
    /// What went wrong.
    Red,
    /// What went well.
    Green,
    /// What is between both.
    Yellow,
    /// Numbers of lines.
    Cyan,
}

impl Paint {
    fn start(self) -> &'static str {
        match self {
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Red => "\x1b[31m",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Cyan => "\x1b[36m",
        }
    }
}

/// Where data goes.
enum Sink {
    Stdout(io::Stdout),
    Pager(Pager),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Pager(pager) => pager.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Pager(pager) => pager.flush(),
        }
    }
}

/// Standard output and standard error.
pub struct Out {
    data: BufWriter<Sink>,
    /// What shows long output, once there is some.
    pager: Option<PagerChoice>,
    /// A pager has the terminal; messages wait until it gives it back.
    paging: bool,
    held: Vec<String>,
    /// Bars may be drawn with block characters.
    blocks: bool,
    /// Standard output is a terminal.
    terminal: bool,
    colour: bool,
    messages_terminal: bool,
    messages_colour: bool,
    quiet: bool,
}

impl Out {
    /// Looks at both streams once.
    pub fn new(choice: ColourChoice, quiet: bool, env: &Env) -> Self {
        let terminal = io::stdout().is_terminal();
        let messages_terminal = io::stderr().is_terminal();
        Self {
            data: BufWriter::with_capacity(BUFFER_BYTES, Sink::Stdout(io::stdout())),
            pager: None,
            paging: false,
            held: Vec::new(),
            blocks: env.wants_blocks(),
            terminal,
            colour: choice.decide(env, terminal),
            messages_terminal,
            messages_colour: choice.decide(env, messages_terminal),
            quiet,
        }
    }

    /// Shows what comes from now on with a pager, if standard output is a terminal. It begins with the first line.
    pub fn page_with(&mut self, pager: PagerChoice) {
        self.pager = Some(pager).filter(|_| self.terminal);
    }

    /// Tells whether a pager may take the terminal, and with it the key that interrupts.
    pub fn may_page(&self) -> bool {
        self.paging || self.pager.is_some()
    }

    /// Returns the width of the terminal in columns.
    pub fn columns(&self) -> usize {
        let size = if self.terminal { terminal_size::terminal_size() } else { None };
        size.map_or(USUAL_COLUMNS, |(width, _)| usize::from(width.0))
    }

    /// Tells whether bars may be drawn with block characters.
    pub fn has_blocks(&self) -> bool {
        self.blocks
    }

    /// Tells whether standard output is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Tells whether data may hold colours.
    pub fn has_colour(&self) -> bool {
        self.colour
    }

    /// Tells whether messages may hold colours.
    pub fn colours_messages(&self) -> bool {
        self.messages_colour
    }

    /// Tells whether progress may be drawn on standard error.
    pub fn shows_progress(&self) -> bool {
        self.messages_terminal && !self.quiet
    }

    /// Sets off text of the data, where it may hold colours.
    pub fn paint(&self, paint: Paint, text: impl Display) -> String {
        painted(self.colour, paint, text)
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.start_pager();
        Ok(self.data.write_all(bytes)?)
    }

    /// Returns standard output for what writes bytes as it goes.
    pub fn writer(&mut self) -> impl Write + use<'_> {
        &mut self.data
    }

    /// Writes a line.
    pub fn line(&mut self, line: impl AsRef<[u8]>) -> Result<(), OutputError> {
        self.start_pager();
        self.data.write_all(line.as_ref())?;
        self.data.write_all(b"\n")?;
        if self.terminal {
            self.data.flush()?;
        }
        Ok(())
    }

    /// Writes an object as one line of JSON, in which nothing acts on a terminal.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), OutputError> {
        json::write(value, &mut self.data)?;
        self.line("")
    }

    /// Writes what is left, and waits until the pager is done.
    pub fn finish(&mut self) -> Result<(), OutputError> {
        let written = self.data.flush();
        self.end_pager();
        Ok(written?)
    }

    fn start_pager(&mut self) {
        let Some(choice) = self.pager.take() else { return };
        if let Some(pager) = Pager::start(&choice) {
            // Nothing waits in the old one: data begins with the first line.
            self.data = BufWriter::with_capacity(BUFFER_BYTES, Sink::Pager(pager));
            self.paging = true;
        }
    }

    /// Waits until the pager is done, and says what had to wait for that.
    fn end_pager(&mut self) {
        self.pager = None;
        if !std::mem::take(&mut self.paging) {
            return;
        }
        let stdout = BufWriter::with_capacity(BUFFER_BYTES, Sink::Stdout(io::stdout()));
        // A pager that was left early wants no more.
        let (sink, _) = std::mem::replace(&mut self.data, stdout).into_parts();
        if let Sink::Pager(pager) = sink {
            pager.wait();
        }
        for message in std::mem::take(&mut self.held) {
            self.message(message);
        }
    }

    /// Says something on standard error, unless it shall be quiet.
    ///
    /// What was written to standard output before comes first on a terminal that shows both.
    pub fn note(&mut self, text: impl Display) {
        if !self.quiet {
            self.message(painted(self.messages_colour, Paint::Dim, text));
        }
    }

    /// Says how something went on standard error, unless it shall be quiet.
    pub fn summary(&mut self, text: impl Display) {
        if !self.quiet {
            self.message(text);
        }
    }

    /// Warns on standard error, also when it shall be quiet.
    pub fn warn(&mut self, text: impl Display) {
        let word = painted(self.messages_colour, Paint::Yellow, "warning:");
        self.message(format!("{word} {text}"));
    }

    /// Gives a hint on standard error.
    pub fn hint(&mut self, text: impl Display) {
        let word = painted(self.messages_colour, Paint::Bold, "hint:");
        self.message(format!("{word} {text}"));
    }

    /// Says what failed on standard error.
    pub fn error(&mut self, text: impl Display) {
        self.end_pager();
        let word = painted(self.messages_colour, Paint::Red, "error:");
        self.message(format!("{word} {text}"));
    }

    /// Writes a line to standard error. Where that is closed there is nobody to tell.
    pub fn message(&mut self, text: impl Display) {
        if self.paging {
            self.held.push(text.to_string());
            return;
        }
        let _ = self.data.flush();
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        self.end_pager();
    }
}

fn painted(colour: bool, paint: Paint, text: impl Display) -> String {
    match colour {
        true => format!("{}{text}\x1b[0m", paint.start()),
        false => text.to_string(),
    }
}
