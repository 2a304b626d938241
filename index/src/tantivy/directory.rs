//! The engine's directory, such that a read-only one opens and that postings are compressed.
//!
//! The engine takes a lock for opening segments, against their removal by a writer, and makes a
//! file for it. Where nobody can write, nobody can remove: the lock is then granted without a file.
//! Files of postings are written and read as [`blocks`]; the engine does not notice.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ::tantivy::Directory;
use ::tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use ::tantivy::directory::{
    DirectoryLock, FileHandle, Lock, META_LOCK, MmapDirectory, WatchCallback, WatchHandle, WritePtr,
};

use super::blocks::{self, Blocks};

/// The extension of files of postings.
const POSTINGS: &str = "idx";

fn is_compressed(path: &Path) -> bool {
    path.extension() == Some(OsStr::new(POSTINGS))
}

/// A memory-mapped directory that may be read-only.
#[derive(Debug, Clone)]
pub(super) struct Shared(pub(super) MmapDirectory);

impl Directory for Shared {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let file = self.0.get_file_handle(path)?;
        if !is_compressed(path) {
            return Ok(file);
        }
        let blocks = Blocks::open(file)
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        Ok(Arc::new(blocks))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.0.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.0.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = self.0.open_write(path)?;
        if !is_compressed(path) {
            return Ok(file);
        }
        blocks::writer(file).map_err(|error| OpenWriteError::wrap_io_error(error, path.to_owned()))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.0.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.0.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        let refused = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
        match self.0.acquire_lock(lock) {
            Err(LockError::IoError(error))
                if refused.contains(&error.kind()) && lock.filepath == META_LOCK.filepath =>
            {
                Ok(DirectoryLock::from(Box::new(())))
            }
            result => result,
        }
    }

    fn watch(&self, callback: WatchCallback) -> ::tantivy::Result<WatchHandle> {
        self.0.watch(callback)
    }
}
