//! The lock of an archive's one writer. Readers take none.
//!
//! An advisory lock of the operating system, so that it ends with its process however that ends. The file says
//! who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;

use super::{StoreError, io};

/// The description of a holder is read to this length, in bytes.
const MAX_HOLDER_BYTES: u64 = 500;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the archive at `root`, or says who has it.
    pub(super) fn take(root: &Path, purpose: &str, now: Timestamp) -> Result<Self, StoreError> {
        let path = root.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: root.to_owned(), holder: holder(file) });
            }
            Err(TryLockError::Error(e)) => return Err(io("lock", &path)(e)),
        }
        let text = format!("`{purpose}` (process {}, since {now:.0})\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(io("write", &path))?;
        Ok(Self { file })
    }

    /// Lets another writer in, though a clone of the store may still live in a task that is about to end.
    pub(super) fn release(&self) {
        // What cannot be unlocked is unlocked when the process ends.
        let _ = self.file.unlock();
    }
}

fn holder(file: File) -> String {
    let mut text = Vec::new();
    let read = file.take(MAX_HOLDER_BYTES).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    match read {
        Ok(_) if !text.trim().is_empty() => text.trim().replace(char::is_control, " "),
        _ => "another process".to_owned(),
    }
}
