//! Where a trace waits between the network and the packs: in memory while it is small, then in a file.
//!
//! A trace is judged only when it is whole, so it cannot go straight into a pack; and a hundred megabytes cannot
//! wait in memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::SpooledTempFile;

use crate::gitlab::{ArchiveSink, TraceSink};

/// A trace longer than this waits in a file: some two dozen may wait at once.
const MEMORY_BYTES: usize = 256 * 1024;

/// A trace as it came, or an archive.
#[derive(Debug)]
pub(crate) struct Spool {
    content: Content,
}

#[derive(Debug)]
enum Content {
    Spooled(SpooledTempFile),
    File(File),
}

impl Spool {
    /// Makes an empty spool whose file, should it need one, is in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        let file = tempfile::spooled_tempfile_in(MEMORY_BYTES, dir);
        Self { content: Content::Spooled(file) }
    }

    /// Takes a file that has no name any more, so that it is gone when it is closed.
    pub(crate) fn of(file: File) -> Self {
        Self { content: Content::File(file) }
    }

    /// Goes back to the first byte, for reading.
    pub(crate) fn rewind(&mut self) -> io::Result<&mut impl Read> {
        self.seek(SeekFrom::Start(0))?;
        Ok(self)
    }

    /// Returns the last `len` bytes, fewer where there are fewer.
    pub(crate) fn tail(&mut self, len: u64) -> io::Result<Vec<u8>> {
        let end = self.seek(SeekFrom::End(0))?;
        self.seek(SeekFrom::Start(end.saturating_sub(len)))?;
        let mut tail = Vec::new();
        self.read_to_end(&mut tail)?;
        Ok(tail)
    }
}

impl Read for Spool {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.content {
            Content::Spooled(file) => file.read(into),
            Content::File(file) => file.read(into),
        }
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.content {
            Content::Spooled(file) => file.seek(to),
            Content::File(file) => file.seek(to),
        }
    }
}

impl TraceSink for Spool {
    fn start(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0))?;
        match &mut self.content {
            Content::Spooled(file) => file.set_len(0),
            Content::File(file) => file.set_len(0),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.content {
            Content::Spooled(file) => file.write_all(bytes),
            Content::File(file) => file.write_all(bytes),
        }
    }
}

impl ArchiveSink for Spool {}
