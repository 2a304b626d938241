//! Entries as stored bytes: payloads of frames, compression with and without a base, verified decoding. Pure.
//!
//! Knows nothing of files or of which base is chosen. Decoding hostile bytes fails with [`FormatError`]; memory is
//! bounded by the limit of the entry's kind whatever the stored bytes claim.

use std::io;

use zstd::dict::DecoderDictionary;
use zstd::zstd_safe::{self, CCtx, CParameter, DParameter};

use super::format::{
    FormatError, Kind, MAX_BASE_BYTES, MAX_CHUNK_BYTES, MAX_FRAME_BYTES, MAX_LEDGER_BYTES,
};
use super::stamps;
use super::varint::{self, Reader};

/// Decoders accept windows up to 128 MiB, zstd's own default limit.
const WINDOW_LOG_MAX: u32 = 27;
/// A base has at least this many bytes: zstd takes a shorter dictionary for none.
pub(crate) const MIN_BASE_BYTES: usize = 8;
/// What zstd's own dictionaries begin with; a base that did would not be taken as raw content.
const DICTIONARY_MAGIC: [u8; 4] = [0x37, 0xa4, 0x30, 0xec];
/// The payload is the trace's bytes as they are.
const CODEC_PLAIN: u8 = 0;
/// The payload is a stream of stamps and the trace's bytes without them.
const CODEC_STAMPED: u8 = 1;
/// Tables of an encoder with a base: a tenth of a base's positions fit zstd's default at level 3, and with it the
/// gain shrinks to a third. Larger tables than the upper bound are copied for each frame at more cost than gain.
const MIN_HASH_LOG: u32 = 16;
const MAX_HASH_LOG: u32 = 20;
/// Frames of any length see the whole base.
const WINDOW_LOG: u32 = 23;

/// A frame's payload, and where the trace's text begins in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    body_at: usize,
}

impl Payload {
    /// Codes a piece of a trace.
    pub(crate) fn new(piece: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(piece.len() + 16);
        match stamps::split(piece) {
            Some(split) => {
                bytes.push(CODEC_STAMPED);
                varint::put(&mut bytes, split.stamps.len() as u64);
                bytes.extend_from_slice(&split.stamps);
                let body_at = bytes.len();
                bytes.extend_from_slice(&split.body);
                Self { bytes, body_at }
            }
            None => {
                bytes.push(CODEC_PLAIN);
                bytes.extend_from_slice(piece);
                Self { bytes, body_at: 1 }
            }
        }
    }

    /// Returns all of it, as it is compressed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the text of the piece's lines.
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.body_at..]
    }
}

/// Takes a payload apart into the piece it was made of, of `raw_bytes` bytes.
fn piece_of(mut payload: Vec<u8>, raw_bytes: usize) -> Result<Vec<u8>, FormatError> {
    match payload.first() {
        Some(&CODEC_PLAIN) => {
            payload.drain(..1);
            Ok(payload)
        }
        Some(&CODEC_STAMPED) => {
            let mut reader = Reader::new(&payload[1..]);
            let parts = reader.size().and_then(|len| reader.bytes(len));
            let stream = parts.ok_or(FormatError::Entry("its stamps are cut off"))?;
            let body = &payload[payload.len() - reader.left()..];
            stamps::join(stream, body, raw_bytes)
                .ok_or(FormatError::Entry("its stamps do not fit its lines"))
        }
        Some(_) => Err(FormatError::Entry("its coding is unknown")),
        None => Err(FormatError::Entry("it is empty")),
    }
}

/// Returns whether bytes may be a base.
pub(crate) fn may_be_base(content: &[u8]) -> bool {
    let fits = (MIN_BASE_BYTES as u64..=MAX_BASE_BYTES).contains(&(content.len() as u64));
    fits && !content.starts_with(&DICTIONARY_MAGIC)
}

/// Compresses what goes into entries, with one base or none. Keeps zstd's context, whose tables are dear to make.
pub(crate) struct Encoder {
    context: CCtx<'static>,
}

impl Encoder {
    /// Makes an encoder for entries that stand alone, at zstd's `level`.
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        let mut context = CCtx::try_create().ok_or_else(|| io::Error::other("out of memory"))?;
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::ChecksumFlag(true),
            CParameter::ContentSizeFlag(true),
        ] {
            context.set_parameter(parameter).map_err(error)?;
        }
        Ok(Self { context })
    }

    /// Makes an encoder for entries against `base`, whose tables are made once.
    pub(crate) fn with_base(level: i32, base: &[u8]) -> io::Result<Self> {
        let mut encoder = Self::new(level)?;
        let log = base.len().max(1).ilog2().clamp(MIN_HASH_LOG, MAX_HASH_LOG);
        for parameter in
            [CParameter::HashLog(log), CParameter::ChainLog(log), CParameter::WindowLog(WINDOW_LOG)]
        {
            encoder.context.set_parameter(parameter).map_err(error)?;
        }
        encoder.context.load_dictionary(base).map_err(error)?;
        Ok(encoder)
    }

    /// Compresses `bytes` to what goes into the pack.
    pub(crate) fn encode(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut stored = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
        self.context.compress2(&mut stored, bytes).map_err(error)?;
        stored.shrink_to_fit();
        Ok(stored)
    }
}

fn error(code: usize) -> io::Error {
    io::Error::other(zstd_safe::get_error_name(code))
}

/// A base made ready for decoding. Holds a copy of its content.
pub(crate) struct BaseDict {
    dictionary: DecoderDictionary<'static>,
    bytes: usize,
}

impl BaseDict {
    /// Makes a verified base ready.
    pub(crate) fn new(content: &[u8]) -> Result<Self, FormatError> {
        if !may_be_base(content) {
            return Err(FormatError::Entry("it may not be a base"));
        }
        let dictionary = DecoderDictionary::try_copy(content)
            .map_err(|_| FormatError::Entry("zstd refuses the base"))?;
        Ok(Self { dictionary, bytes: content.len() })
    }

    /// Returns how many bytes it keeps in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl std::fmt::Debug for BaseDict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BaseDict({} bytes)", self.bytes)
    }
}

/// Decodes the stored bytes of an entry and checks its hash. `base` is the one which the entry names.
pub(crate) fn decode(
    kind: Kind,
    stored: &[u8],
    raw_bytes: u64,
    hash: &[u8; 32],
    base: Option<&BaseDict>,
) -> Result<Vec<u8>, FormatError> {
    let limit = match kind {
        Kind::Frame => MAX_FRAME_BYTES,
        Kind::Base => MAX_BASE_BYTES,
        Kind::Ledger => MAX_LEDGER_BYTES,
        Kind::Chunk => MAX_CHUNK_BYTES,
    };
    if raw_bytes > limit {
        return Err(FormatError::Entry("its length is over the limit"));
    }
    let raw = raw_bytes as usize;
    let content = match kind {
        // Either coding makes a piece longer by one byte at most.
        Kind::Frame => piece_of(decompress(stored, raw + 1, base)?, raw)?,
        Kind::Base | Kind::Ledger | Kind::Chunk => decompress(stored, raw, base)?,
    };
    if content.len() != raw || blake3::hash(&content).as_bytes() != hash {
        return Err(FormatError::Hash);
    }
    Ok(content)
}

fn decompress(stored: &[u8], room: usize, base: Option<&BaseDict>) -> Result<Vec<u8>, FormatError> {
    let broken = |_| FormatError::Entry("zstd refuses it");
    let mut context = match base {
        Some(base) => zstd::bulk::Decompressor::with_prepared_dictionary(&base.dictionary),
        None => zstd::bulk::Decompressor::new(),
    }
    .map_err(broken)?;
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(broken)?;
    context.decompress(stored, room).map_err(broken)
}

#[cfg(test)]
mod tests;
