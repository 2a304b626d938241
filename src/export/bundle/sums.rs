//! Lengths and hashes of bytes on their way out, and an outlet that can be shut.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

/// Length, SHA-256 and BLAKE3 of bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub(super) bytes: u64,
    sha256: Sha256,
    blake3: blake3::Hasher,
}

impl Sums {
    fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sha256.update(bytes);
        self.blake3.update(bytes);
    }

    /// Returns the SHA-256 in hexadecimal digits.
    pub(super) fn sha256(&self) -> String {
        self.sha256.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the BLAKE3 in hexadecimal digits.
    pub(super) fn blake3(&self) -> String {
        self.blake3.finalize().to_hex().to_string()
    }
}

/// Writes through and sums up what it writes.
#[derive(Debug)]
pub(super) struct Tee<W> {
    out: W,
    sums: Sums,
}

impl<W: Write> Tee<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, sums: Sums::default() }
    }

    pub(super) fn into_parts(self) -> (W, Sums) {
        (self.out, self.sums)
    }
}

impl<W: Write> Write for Tee<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sums.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Shuts an outlet when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Valve(Arc<AtomicBool>);

impl Drop for Valve {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes through until it fails or is shut; what comes later is thrown away.
///
/// A zip writer that is dropped ends its file: a bundle that was given up would look whole to who unpacks it.
#[derive(Debug)]
pub(super) struct Outlet<W> {
    out: W,
    shut: Arc<AtomicBool>,
}

impl<W: Write> Outlet<W> {
    pub(super) fn new(out: W, valve: &Valve) -> Self {
        Self { out, shut: valve.0.clone() }
    }

    pub(super) fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Write for Outlet<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.shut.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        self.out.write(bytes).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.shut.store(true, Ordering::Relaxed);
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.shut.load(Ordering::Relaxed) { Ok(()) } else { self.out.flush() }
    }
}
