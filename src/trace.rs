//! The text of a job log: raw trace bytes in, lines, sections and frames out.
//!
//! This module owns the meaning of text: what a line is, what of it a person reads, when and on
//! which stream it was written, in which section it stands, and where a trace may be cut into
//! frames. It is pure. It does not know where traces come from, how they are stored or searched.
//! It cannot fail: any bytes are a trace, and what follows no rule is text.
//!
//! [`plain()`] gives all the text at once and is made for speed; [`Lines`] gives every detail of
//! each line; [`Cutter`] splits a trace, while it arrives, into frames that can be read alone.

mod cut;
mod escape;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod limit;
mod lines;
mod plain;
mod section;
mod stamp;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

pub use cut::{CutOptions, Cutter, Frame};
pub use limit::is_truncated;
pub use lines::{Line, Lines, lines};
pub use plain::{Plain, plain, plain_into};
pub use section::{MAX_NAME_BYTES, MAX_OPEN, Marker, Markers, Sections};
pub use stamp::{STAMP_BYTES, Stamp, Stream};

#[cfg(test)]
pub(crate) use oracle::log as log_for_tests;

pub(crate) use escape::escapes;
pub(crate) use section::strip_markers;

/// How far apart two pieces of one line may lie, in raw bytes, before the later one begins a line
/// of its own. It bounds how far a cut has to look ahead.
pub const JOIN_WINDOW_BYTES: u64 = 64 * 1024;
