//! Artifacts archives: reading a zip's directory from its last bytes alone, and single members. Pure.
//!
//! Knows neither where bytes come from nor where they go. Archives are hostile: whatever they claim is checked or
//! recorded as an [`EntryFlag`](crate::model::EntryFlag), no path is ever followed, memory is bounded by named
//! constants, and nothing panics. Fails with [`ZipError`] for an archive and [`MemberError`] for one entry.
//!
//! Source: APPNOTE.TXT 6.3.10 of PKWARE, <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.

mod directory;
mod entry;
mod member;
mod report;
#[cfg(test)]
mod tests;

pub use directory::{MAX_DIRECTORY_BYTES, MAX_ENTRIES, Place, TAIL_BYTES, locate, parse, read};
pub use member::{Checked, LOCAL_HEADER_BYTES, MemberError, check, extract, room};
pub use report::is_report;

/// Why an archive's directory cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    /// There is no end of a directory in it.
    #[error("it is no zip archive")]
    NotAZip,
    /// It is one part of many.
    #[error("it is one part of a zip archive in many parts")]
    Split,
    /// What it says of itself cannot be.
    #[error("its directory is damaged ({0})")]
    Damaged(&'static str),
    /// The directory is longer than is read.
    #[error("its directory has {0} bytes, more than are read")]
    TooLarge(u64),
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] std::io::Error),
}
