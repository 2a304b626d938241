//! Pack files kept open, so that reading frame after frame does not open a file for each.
//!
//! Bounded by number. A file that was deleted is not read any longer: whoever asks learns that it is missing.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex};

use super::PackName;

/// Files open at once: at 16 MiB each the packs of 100 GB of logs, and far from the 1024 that systems usually allow.
const MAX_OPEN: usize = 64;

/// Open files by the names of their packs. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    open: Arc<Mutex<HashMap<PackName, Arc<File>>>>,
}

impl Files {
    /// Returns the open file of a pack and its length; `open` opens it where need be.
    pub(super) fn get(
        &self,
        name: PackName,
        open: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<(Arc<File>, u64)> {
        let known = self.lock().get(&name).cloned();
        if let Some(file) = known {
            let found = file.metadata()?;
            if found.nlink() > 0 {
                return Ok((file, found.len()));
            }
            self.lock().remove(&name);
        }
        let file = Arc::new(open()?);
        let bytes = file.metadata()?.len();
        let mut kept = self.lock();
        if kept.len() >= MAX_OPEN {
            kept.clear();
        }
        kept.insert(name, file.clone());
        Ok((file, bytes))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PackName, Arc<File>>> {
        self.open.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_file_is_opened_once_and_missed_when_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pack");
        std::fs::write(&path, b"bytes").unwrap();
        let files = Files::default();
        let name = PackName([1; 32]);
        assert_eq!(files.get(name, || File::open(&path)).unwrap().1, 5);
        let unasked = || Err(io::Error::other("it is open"));
        assert_eq!(files.get(name, unasked).unwrap().1, 5);
        std::fs::remove_file(&path).unwrap();
        let gone = files.get(name, || File::open(&path)).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_number_of_open_files_is_bounded() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let files = Files::default();
        for n in 0..200 {
            files.get(PackName([n; 32]), || File::open(file.path())).unwrap();
        }
        assert!(files.lock().len() <= MAX_OPEN);
    }
}
