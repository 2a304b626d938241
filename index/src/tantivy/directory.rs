//! The engine's directory, such that a read-only one opens, postings are compressed, and damage is
//! told.
//!
//! The engine takes a lock for opening segments, against their removal by a writer, and makes a
//! file for it. Where nobody can write, nobody can remove: the lock is then granted without a file.
//! Files of postings, and those that tell a document's job, are written and read as [`blocks`],
//! which have checksums; so has the list of segments here. The engine does not notice: it would
//! take what it reads for right, and documents would be missing from an answer.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::tantivy::Directory;
use ::tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use ::tantivy::directory::{
    DirectoryLock, FileHandle, Lock, META_LOCK, MmapDirectory, WatchCallback, WatchHandle, WritePtr,
};

use super::META_FILE;
use super::blocks::{self, Blocks};
use crate::terms::checksum;

/// The extension of files of postings.
const POSTINGS: &str = "idx";
/// The extensions of files of postings, and of the numbers of documents.
const COMPRESSED: [&str; 2] = [POSTINGS, "fast"];
/// Bytes of the checksum behind the list of segments: hex digits and a line feed.
const SEAL: usize = 17;

fn is_compressed(path: &Path) -> bool {
    COMPRESSED.iter().any(|extension| path.extension() == Some(OsStr::new(extension)))
}

fn is_sealed(path: &Path) -> bool {
    path == Path::new(META_FILE)
}

/// Returns the error of a file whose content is not what its checksum was made of.
pub(super) fn wrong_checksum(path: PathBuf) -> OpenReadError {
    OpenReadError::wrap_io_error(blocks::invalid("its checksum is wrong"), path)
}

fn seal(data: &[u8]) -> [u8; SEAL] {
    let text = format!("{:016x}\n", checksum(data));
    text.as_bytes().try_into().expect("it has sixteen digits and a line feed")
}

/// A memory-mapped directory that may be read-only.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    files: MmapDirectory,
    dir: PathBuf,
}

impl Shared {
    pub(super) fn of(files: MmapDirectory, dir: &Path) -> Shared {
        Shared { files, dir: dir.to_owned() }
    }

    /// Returns the bytes of the files of postings. Of one that goes meanwhile none are counted.
    fn posting_bytes(&self) -> io::Result<u64> {
        let is_of_postings = |path: &Path| path.extension() == Some(OsStr::new(POSTINGS));
        let entries = std::fs::read_dir(&self.dir)?.filter_map(Result::ok);
        let entries = entries.filter(|entry| is_of_postings(&entry.path()));
        Ok(entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum())
    }
}

impl Directory for Shared {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let file = self.files.get_file_handle(path)?;
        if !is_compressed(path) {
            return Ok(file);
        }
        let blocks = Blocks::open(file)
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        Ok(Arc::new(blocks))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.files.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.files.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = self.files.open_write(path)?;
        if !is_compressed(path) {
            return Ok(file);
        }
        let bytes = self.posting_bytes();
        bytes
            .and_then(|bytes| blocks::writer(file, blocks::block_bytes(bytes)))
            .map_err(|error| OpenWriteError::wrap_io_error(error, path.to_owned()))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let mut data = self.files.atomic_read(path)?;
        if is_sealed(path) {
            let found = data.split_off(data.len().saturating_sub(SEAL));
            if found != seal(&data) {
                return Err(wrong_checksum(path.to_owned()));
            }
        }
        Ok(data)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        match is_sealed(path) {
            true => self.files.atomic_write(path, &[data, &seal(data)].concat()),
            false => self.files.atomic_write(path, data),
        }
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.files.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        let refused = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
        match self.files.acquire_lock(lock) {
            Err(LockError::IoError(error))
                if refused.contains(&error.kind()) && lock.filepath == META_LOCK.filepath =>
            {
                Ok(DirectoryLock::from(Box::new(())))
            }
            result => result,
        }
    }

    fn watch(&self, callback: WatchCallback) -> ::tantivy::Result<WatchHandle> {
        self.files.watch(callback)
    }
}
