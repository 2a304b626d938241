//! Decoders that wait for their next entry, with the buffers they read into.
//!
//! Making one takes longer than a small frame, and fresh memory costs a page fault every 4 KiB: what was used is used
//! again. Bounded by number and by bytes each.

use std::sync::{Arc, Mutex};

use super::codec::Decoder;
use super::format::FormatError;

/// Decoders kept, about one for each thread that reads at once; more are made and dropped.
const MAX_KEPT: usize = 8;
/// A decoder whose buffers grew beyond this is dropped: only a line of megabytes, or a base, needs them.
const MAX_BYTES: usize = 1024 * 1024;

/// A decoder, and a buffer for the bytes to be decoded.
pub(super) struct Reading {
    pub(super) decoder: Decoder,
    pub(super) stored: Vec<u8>,
}

/// Decoders nobody uses right now. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Decoders {
    idle: Arc<Mutex<Vec<Reading>>>,
}

impl Decoders {
    /// Lends a decoder to `work`; fails where there is no memory for one.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Reading) -> T) -> Result<T, FormatError> {
        let idle = self.idle.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let mut reading = match idle {
            Some(reading) => reading,
            None => Reading { decoder: Decoder::new()?, stored: Vec::new() },
        };
        let result = work(&mut reading);
        if reading.decoder.bytes() + reading.stored.capacity() <= MAX_BYTES {
            let mut idle = self.idle.lock().unwrap_or_else(|e| e.into_inner());
            if idle.len() < MAX_KEPT {
                idle.push(reading);
            }
        }
        Ok(result)
    }
}

impl std::fmt::Debug for Decoders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoders")
    }
}
