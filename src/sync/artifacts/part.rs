//! A large archive on its way, in a file that outlives the process: what is there of it need not be fetched again.
//!
//! A note beside the file says how many bytes of it are durable, their hash, and what tells the archive from another
//! one of the same job. Bytes that the note does not speak for are dropped, for a power cut may have spared any of
//! them. Without a note, or with one that does not fit, the download begins anew. Knows nothing of what an archive holds.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::gitlab::{ArchiveSink, Left, TraceSink};
use crate::model::{JobId, ProjectId};
use crate::sync::spool::Spool;

/// Archives from this length on are worth a file that outlives the process.
pub(super) const MIN_BYTES: u64 = 16 << 20;
/// A note is written each time so many bytes have come: what a killed download costs at most.
const NOTE_EVERY: u64 = 16 << 20;

/// What is sure of an archive's first bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    bytes: u64,
    blake3: String,
    validator: String,
}

/// An archive on its way.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    file: File,
    bytes: u64,
    noted: u64,
    hasher: blake3::Hasher,
    validator: Option<String>,
    left: Option<Left>,
}

impl Part {
    /// Opens what there is of a job's archive in `dir`, or begins it. Reads what there is, so it blocks.
    ///
    /// # Errors
    ///
    /// The operating system's, where the file can be neither read nor made.
    pub(super) fn open(dir: &Path, project: ProjectId, job: JobId) -> io::Result<Self> {
        fs::DirBuilder::new().mode(0o700).recursive(true).create(dir)?;
        let path = dir.join(format!("{project}-{job}.part"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        let hasher = blake3::Hasher::new();
        let mut part = Self { path, file, bytes: 0, noted: 0, hasher, validator: None, left: None };
        part.find()?;
        Ok(part)
    }

    /// Finds what an earlier download left, and drops what is not sure of it.
    fn find(&mut self) -> io::Result<()> {
        let note = fs::read(self.note()).ok();
        let Some(note) = note.and_then(|text| serde_json::from_slice::<Note>(&text).ok()) else {
            return Ok(());
        };
        let mut hasher = blake3::Hasher::new();
        self.file.seek(SeekFrom::Start(0))?;
        let read = io::copy(&mut (&self.file).take(note.bytes), &mut hasher)?;
        if read != note.bytes || *hasher.finalize().to_hex() != *note.blake3 {
            return Ok(());
        }
        self.file.set_len(read)?;
        (self.bytes, self.noted, self.hasher) = (read, read, hasher.clone());
        self.left = Some(Left { bytes: read, hasher, validator: note.validator });
        Ok(())
    }

    /// Takes the archive's name away and returns it for reading.
    pub(super) fn into_spool(self) -> Spool {
        self.remove();
        Spool::of(self.file)
    }

    /// Removes the file. One that stays is removed when it is old.
    pub(super) fn remove(&self) {
        let _ = fs::remove_file(self.note());
        let _ = fs::remove_file(&self.path);
    }

    fn note(&self) -> PathBuf {
        self.path.with_extension("json")
    }

    /// Makes sure of what has come. Without a validator nobody could tell later whether the rest fits.
    fn write_note(&mut self) -> io::Result<()> {
        let Some(validator) = self.validator.clone() else { return Ok(()) };
        self.file.sync_data()?;
        let blake3 = self.hasher.finalize().to_hex().to_string();
        let text = serde_json::to_vec(&Note { bytes: self.bytes, blake3, validator })?;
        let new = self.path.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, self.note())?;
        self.noted = self.bytes;
        Ok(())
    }
}

impl TraceSink for Part {
    fn start(&mut self) -> io::Result<()> {
        // The note before the bytes, so that it never speaks of bytes that are gone.
        match fs::remove_file(self.note()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        (self.bytes, self.noted, self.hasher) = (0, 0, blake3::Hasher::new());
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        if self.bytes - self.noted >= NOTE_EVERY {
            self.write_note()?;
        }
        Ok(())
    }
}

impl ArchiveSink for Part {
    fn left(&mut self) -> Option<Left> {
        self.left.take()
    }

    fn is_of(&mut self, validator: Option<&str>) -> io::Result<()> {
        self.validator = validator.map(str::to_owned);
        Ok(())
    }
}
