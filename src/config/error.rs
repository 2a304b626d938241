//! What is wrong with the configuration, and where.

use std::io;
use std::path::PathBuf;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A variable is not text.
    #[error("{name} is not UTF-8")]
    NotText {
        /// The variable.
        name: &'static str,
    },
    /// Nothing says where the archive is.
    #[error("there is no home directory to keep the archive in")]
    NoHome,
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The configuration file is wrong.
    #[error("{}:{line}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A host is none.
    #[error("{origin} is not the address of a GitLab: {reason}")]
    Host {
        /// The flag, variable or key that gave it.
        origin: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A token is none.
    #[error("{origin} holds no token: {reason}")]
    Token {
        /// The variable or file that gave it.
        origin: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl ConfigError {
    /// Tells whether the file is not there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. } if matches!(
            source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ))
    }

    /// Returns what to do about it, or `None` where the error says it all.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoHome => Some("name the archive with --archive DIR or JOBVAULT_ARCHIVE"),
            Self::Host { .. } => Some("write it like https://gitlab.example.com"),
            Self::Token { .. } => Some("a token is one line such as glpat-..., nothing else"),
            _ => None,
        }
    }
}
