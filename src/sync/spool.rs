//! Where a trace waits between the network and the packs: in memory while it is small, then in a file.
//!
//! A trace is judged only when it is whole, so it cannot go straight into a pack; and a hundred megabytes cannot
//! wait in memory.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::SpooledTempFile;

use crate::gitlab::TraceSink;

/// A trace longer than this waits in a file: some two dozen may wait at once.
const MEMORY_BYTES: usize = 256 * 1024;

/// A trace as it came.
#[derive(Debug)]
pub(crate) struct Spool {
    file: SpooledTempFile,
}

impl Spool {
    /// Makes an empty spool whose file, should it need one, is in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { file: tempfile::spooled_tempfile_in(MEMORY_BYTES, dir) }
    }

    /// Goes back to the first byte, for reading.
    pub(crate) fn rewind(&mut self) -> io::Result<&mut impl Read> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(&mut self.file)
    }

    /// Returns it for reading anywhere.
    pub(crate) fn anywhere(&mut self) -> &mut (impl Read + Seek + Send) {
        &mut self.file
    }

    /// Returns the last `len` bytes, fewer where there are fewer.
    pub(crate) fn tail(&mut self, len: u64) -> io::Result<Vec<u8>> {
        let end = self.file.seek(SeekFrom::End(0))?;
        self.file.seek(SeekFrom::Start(end.saturating_sub(len)))?;
        let mut tail = Vec::new();
        self.file.read_to_end(&mut tail)?;
        Ok(tail)
    }
}

impl TraceSink for Spool {
    fn start(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.set_len(0)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }
}
