//! A program that shows long output page by page, as a place to write to.
//!
//! Knows nothing of what is shown. Where it cannot be started, output goes to the terminal as it is.

use std::io::{self, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::config::PagerChoice;

/// Leave at the end of what fits one screen, show colours, leave the screen as it is.
const LESS: &str = "-FRX";

/// A running pager.
pub(super) struct Pager {
    child: Child,
    input: Option<ChildStdin>,
}

impl Pager {
    /// Starts it, or returns `None` where there is none.
    pub(super) fn start(choice: &PagerChoice) -> Option<Self> {
        let mut command = match choice {
            PagerChoice::Usual => {
                let mut less = Command::new("less");
                less.arg(LESS);
                less
            }
            PagerChoice::Command { command, set_less } => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(command);
                if *set_less {
                    shell.env("LESS", LESS.trim_start_matches('-'));
                }
                shell
            }
        };
        let mut child = command.stdin(Stdio::piped()).spawn().ok()?;
        let input = child.stdin.take();
        Some(Self { child, input })
    }

    /// Says that nothing more comes, and waits until its user is done.
    pub(super) fn wait(mut self) {
        drop(self.input.take());
        // How it ended is its own affair.
        let _ = self.child.wait();
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.input {
            Some(input) => input.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.as_mut().map_or(Ok(()), Write::flush)
    }
}
