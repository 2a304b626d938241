//! What is wrong with a query, and where.
//!
//! It knows neither the grammar nor where the query came from.

use std::fmt;

/// The most characters of the input shown on each side of the column.
const SHOWN_CHARS: usize = 60;

/// A mistake in a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct QueryError {
    /// What is wrong, in one line.
    pub message: String,
    /// Where, in characters from 1 of `input`.
    pub column: usize,
    /// The query as it was read.
    pub input: String,
    /// What to do instead, if there is something to say.
    pub hint: Option<&'static str>,
}

impl QueryError {
    /// Makes an error without a hint.
    pub(crate) fn new(message: impl Into<String>, column: usize, input: &str) -> QueryError {
        QueryError { message: message.into(), column, input: input.to_owned(), hint: None }
    }

    /// Returns two lines: the input near the column, and a caret under the column.
    ///
    /// Control characters are shown as U+FFFD so that the caret stays in place.
    pub fn pointer(&self) -> String {
        let at = self.column.saturating_sub(1);
        let from = at.saturating_sub(SHOWN_CHARS);
        let shown = self.input.chars().skip(from).take(2 * SHOWN_CHARS);
        let shown: String = shown
            .map(|c| match c {
                '\t' => ' ',
                c if c.is_control() => '\u{fffd}',
                c => c,
            })
            .collect();
        format!("{shown}\n{}^", " ".repeat(at - from))
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A mistake whose place in the query is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    /// The character of the part at which it lies, from 0.
    pub(super) offset: usize,
    pub(super) hint: Option<&'static str>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Fault {
        Fault { message: message.into(), offset: 0, hint: None }
    }

    /// Places the fault in the input at a column.
    pub(super) fn at(self, column: usize, input: &str) -> QueryError {
        QueryError { message: self.message, column, input: input.to_owned(), hint: self.hint }
    }

    /// Places the fault, given the column of each of the part's characters and of its end.
    pub(super) fn within(self, columns: &[usize], input: &str) -> QueryError {
        let column = columns.get(self.offset).or(columns.last());
        let column = column.copied().unwrap_or(1);
        self.at(column, input)
    }
}
