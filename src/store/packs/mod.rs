//! Packs: the truth of the archive. Write-once files of compressed, hashed entries.
//!
//! Owns the bytes and their verification; knows nothing of jobs beyond the numbers in a footer, and nothing of
//! the catalogue. A pack is durable when `PackWriter::finish` returns, and is never changed afterwards.

pub(crate) mod base;
mod cache;
pub(crate) mod codec;
mod decoders;
mod dir;
pub(in crate::store) mod disk;
pub(crate) mod encoders;
mod files;
pub(crate) mod format;
mod ids;
pub mod ledger;
mod salvage;
pub(crate) mod shapes;
mod stamps;
pub(crate) mod varint;

pub(crate) use cache::BaseCache;
pub(crate) use dir::PackWriter;
pub use dir::{PackInfo, PackName, Packs};
pub use format::{Entry, Footer, FormatError, FramePlace, Kind};

use std::path::PathBuf;

use format::VERSION;

/// The number of a base that no pack holds, so that reading says what is missing.
pub(crate) const NO_BASE: u64 = u64::MAX >> 2;

/// Why a pack cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The operating system refused; `path` says where.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A pack's bytes are not what was written.
    #[error("pack {pack} is damaged")]
    Damaged {
        /// The pack.
        pack: PackName,
        /// What is wrong with it.
        #[source]
        source: FormatError,
    },
    /// A pack is as it was written, by a newer jobvault.
    #[error("pack {pack} has format {version}, this jobvault reads format {VERSION}")]
    Newer {
        /// The pack.
        pack: PackName,
        /// Its format.
        version: u16,
    },
    /// A pack that the catalogue refers to is not there.
    #[error("pack {pack} is missing")]
    Missing {
        /// The pack.
        pack: PackName,
    },
}

impl PackError {
    /// True where stored bytes are lost or altered, false where only access to them failed.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Newer { .. })
    }

    /// True where this pack cannot be read and others may be: a check goes on with them.
    pub(crate) fn is_of_one_pack(&self) -> bool {
        !matches!(self, Self::Newer { .. })
    }
}
