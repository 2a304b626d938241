//! Where output goes: data to standard output, which is written here alone, and messages to standard error.
//!
//! Owns the decision for colour, the buffer, and what a closed pipe means. Text of servers and logs comes here
//! sanitised; see [`crate::export`]. A closed pipe is [`OutputError::Closed`] and ends the program in peace.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;

use crate::config::Env;

/// Bytes that wait before they are written; a terminal gets each line at once.
const BUFFER_BYTES: usize = 64 * 1024;

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

/// Standard output and standard error.
pub struct Out {
    data: BufWriter<io::Stdout>,
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
            data: BufWriter::with_capacity(BUFFER_BYTES, io::stdout()),
            terminal,
            colour: choice.decide(env, terminal),
            messages_terminal,
            messages_colour: choice.decide(env, messages_terminal),
            quiet,
        }
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
        Ok(self.data.write_all(bytes)?)
    }

    /// Returns standard output for what writes bytes as it goes.
    pub fn writer(&mut self) -> impl Write + use<'_> {
        &mut self.data
    }

    /// Writes a line.
    pub fn line(&mut self, line: impl AsRef<[u8]>) -> Result<(), OutputError> {
        self.data.write_all(line.as_ref())?;
        self.data.write_all(b"\n")?;
        if self.terminal {
            self.data.flush()?;
        }
        Ok(())
    }

    /// Writes an object as one line of JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), OutputError> {
        serde_json::to_writer(&mut self.data, value).map_err(io::Error::from)?;
        self.line("")
    }

    /// Writes what is left.
    pub fn finish(&mut self) -> Result<(), OutputError> {
        Ok(self.data.flush()?)
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
        let word = painted(self.messages_colour, Paint::Red, "error:");
        self.message(format!("{word} {text}"));
    }

    /// Writes a line to standard error. Where that is closed there is nobody to tell.
    pub fn message(&mut self, text: impl Display) {
        let _ = self.data.flush();
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

fn painted(colour: bool, paint: Paint, text: impl Display) -> String {
    match colour {
        true => format!("{}{text}\x1b[0m", paint.start()),
        false => text.to_string(),
    }
}
