//! Entries as stored bytes: payloads of frames, compression with and without a base, verified decoding. Pure.
//!
//! Knows nothing of files or of which base is chosen. Decoding hostile bytes fails with [`FormatError`]; memory is
//! bounded by the limit of the entry's kind whatever the stored bytes claim.

use std::io;

use zstd::zstd_safe::{self, CCtx, CParameter, DCtx};

use super::format::{Entry, FormatError, Kind, MAX_BASE_BYTES, MAX_FRAME_BYTES, MAX_LEDGER_BYTES};
use super::stamps;
use super::varint::{self, Reader};

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

/// Takes a payload apart and appends the piece it was made of, of `raw_bytes` bytes, to `out`.
fn append_piece(payload: &[u8], raw_bytes: usize, out: &mut Vec<u8>) -> Result<(), FormatError> {
    match payload.split_first() {
        Some((&CODEC_PLAIN, piece)) => {
            out.extend_from_slice(piece);
            Ok(())
        }
        Some((&CODEC_STAMPED, rest)) => {
            let mut reader = Reader::new(rest);
            let parts = reader.size().and_then(|len| reader.bytes(len));
            let stream = parts.ok_or(FormatError::Entry("its stamps are cut off"))?;
            let body = &rest[rest.len() - reader.left()..];
            stamps::join(stream, body, raw_bytes, out)
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

/// A base as frames are decoded against it. Its bytes may be unverified: what a frame gives with it proves itself.
pub(crate) struct Base {
    content: Vec<u8>,
}

impl Base {
    /// Takes the content of a base.
    pub(crate) fn new(content: Vec<u8>) -> Result<Self, FormatError> {
        match may_be_base(&content) {
            true => Ok(Self { content }),
            false => Err(FormatError::Entry("it may not be a base")),
        }
    }

    /// Returns how many bytes it keeps in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.content.capacity()
    }

    /// Tells whether its content has this hash.
    pub(crate) fn has_hash(&self, hash: &[u8; 32]) -> bool {
        blake3::hash(&self.content).as_bytes() == hash
    }
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base({} bytes)", self.content.len())
    }
}

/// Takes entries apart. Keeps zstd's context and a buffer, whose pages are dear to get.
pub(crate) struct Decoder {
    context: DCtx<'static>,
    payload: Vec<u8>,
}

impl Decoder {
    /// Makes a decoder.
    pub(crate) fn new() -> Result<Self, FormatError> {
        let context = DCtx::try_create().ok_or(FormatError::Entry("out of memory"))?;
        Ok(Self { context, payload: Vec::new() })
    }

    /// Returns how many bytes its buffer takes.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.capacity()
    }

    /// Decodes the stored bytes of an entry, checks its hash and appends its content to `out`. `base` is the one
    /// which the entry names. On failure `out` is as before.
    pub(crate) fn decode(
        &mut self,
        entry: &Entry,
        stored: &[u8],
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let before = out.len();
        let read = self.append(entry, stored, base, out).and_then(|()| {
            let content = &out[before..];
            let whole = content.len() as u64 == entry.raw_bytes;
            match whole && blake3::hash(content).as_bytes() == &entry.hash {
                true => Ok(()),
                false => Err(FormatError::Hash),
            }
        });
        if read.is_err() {
            out.truncate(before);
        }
        read
    }

    /// Decodes the stored bytes of a base, not checking its hash: nobody sees them but frames, which have their own.
    pub(crate) fn base(&mut self, entry: &Entry, stored: &[u8]) -> Result<Base, FormatError> {
        let mut content = Vec::new();
        self.append(entry, stored, None, &mut content)?;
        Base::new(content)
    }

    fn append(
        &mut self,
        entry: &Entry,
        stored: &[u8],
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let limit = match entry.kind {
            Kind::Frame => MAX_FRAME_BYTES,
            Kind::Base => MAX_BASE_BYTES,
            Kind::Ledger => MAX_LEDGER_BYTES,
        };
        if entry.raw_bytes > limit {
            return Err(FormatError::Entry("its length is over the limit"));
        }
        let raw = entry.raw_bytes as usize;
        let (context, payload) = (&mut self.context, &mut self.payload);
        match entry.kind {
            Kind::Frame => {
                // Either coding makes a piece longer by one byte at most.
                decompress(context, stored, raw + 1, base, payload)?;
                append_piece(payload, raw, out)
            }
            _ if out.is_empty() => decompress(context, stored, raw, None, out),
            _ => {
                decompress(context, stored, raw, None, payload)?;
                out.extend_from_slice(payload);
                Ok(())
            }
        }
    }
}

/// Decompresses into `out`, in the place of what it held. All at once, so that no window is ever allocated.
fn decompress(
    context: &mut DCtx<'static>,
    stored: &[u8],
    room: usize,
    base: Option<&Base>,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    out.clear();
    // A vector that has more room than this may take more: the length is checked with the hash.
    out.reserve_exact(room);
    let base = base.map_or(&[][..], |base| &base.content);
    let refused = |_| FormatError::Entry("zstd refuses it");
    context.decompress_using_dict(out, stored, base).map_err(refused)?;
    Ok(())
}

#[cfg(test)]
mod tests;
