//! Exact substring and regex search over the plain text of logs.
//!
//! The index is derived and never trusted: it names *candidates*, the documents which may hold a
//! term, and misses none; a [`Matcher`] then finds the lines. So what a caller reports is exact,
//! whatever the index thinks. A document is a piece of one trace (a frame of whole lines).
//!
//! - [`query`]: the query language, pure
//! - [`text`]: the tokens of a text; `plan`: the tokens which a term implies, pure
//! - [`matcher`]: lines and byte ranges, pure
//! - [`tantivy`]: the embedded engine: [`Index`], [`Writer`], [`Candidates`]
//!
//! This crate knows nothing of GitLab, jobs' properties or packs: filters are carried, not judged.

mod bits;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod matcher;
mod pairs;
mod plan;
pub mod query;
#[cfg(test)]
mod sample;
pub mod tantivy;
mod terms;
pub mod text;

pub use matcher::Matcher;
pub use plan::describe;
pub use query::{Case, Expr, Filter, Maybe, Pattern, Query, QueryError, Term};
pub use tantivy::{Candidate, Candidates, Document, Error, Index, Reading, TermStats, Writer};
pub use tantivy::{Near, Spelling, makes_errors_of_panics};
