//! What a user did or met that needs words of its own.

use super::Exit;

/// An error of the command line itself, with its hint and exit code.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// Lines that show where, as they are.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// How the command ends.
    pub exit: Exit,
}

impl Problem {
    /// Makes a failure.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None, hint: None, exit: Exit::Failed }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets how the command ends.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl From<jobvault_index::QueryError> for Problem {
    fn from(error: jobvault_index::QueryError) -> Self {
        let pointer = error.pointer();
        let indented: Vec<String> = pointer.lines().map(|line| format!("  {line}")).collect();
        Self {
            message: format!("query, column {}: {error}", error.column),
            detail: Some(indented.join("\n")),
            hint: error.hint.map(str::to_owned),
            exit: Exit::Failed,
        }
    }
}
