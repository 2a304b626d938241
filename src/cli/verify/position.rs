//! How far a check in parts has come, kept in a file of the archive. It is worth nothing but time: where it is lost or
//! cannot be read, the next check in parts begins at the first pack.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

const FILE: &str = "verify.json";

/// Where the next check in parts begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The number of the last pack that was read; 0 before the first.
    pub(super) after: u64,
}

impl Position {
    /// Reads it from the archive at `root`.
    pub(super) fn read(root: &Path) -> Self {
        let text = std::fs::read(root.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes it.
    pub(super) fn write(self, root: &Path) -> io::Result<()> {
        let temp = tempfile::NamedTempFile::new_in(root.join("tmp"))?;
        serde_json::to_writer(temp.as_file(), &self)?;
        temp.persist(root.join(FILE)).map_err(|e| e.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_position_is_read_back_and_a_broken_one_is_the_beginning() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        assert_eq!(Position::read(dir.path()), Position { after: 0 });
        Position { after: 7 }.write(dir.path()).unwrap();
        assert_eq!(Position::read(dir.path()), Position { after: 7 });
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert_eq!(Position::read(dir.path()), Position { after: 0 });
    }
}
