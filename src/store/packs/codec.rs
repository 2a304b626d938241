//! Entries as stored bytes: payloads of frames, compression with and without a base, verified decoding. Pure.
//!
//! Knows nothing of files or of which base is chosen. Decoding hostile bytes fails with [`FormatError`]; memory is
//! bounded by the limit of the entry's kind whatever the stored bytes claim.

use std::io;
use std::ops::Range;

use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective};

use super::format::{
    Entry, FormatError, Kind, MAX_BASE_BYTES, MAX_CHUNK_BYTES, MAX_FRAME_BYTES, MAX_LEDGER_BYTES,
};
use super::ids::{self, Known};
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
/// The payload is a stream of stamps, which may be empty, and the ids and the rest apart.
const CODEC_IDS: u8 = 2;
/// Between ids, matches shorter than this cost more than the digits they stand for.
const MIN_MATCH_WITH_IDS: u32 = 6;
/// What ending blocks early adds to zstd's bound, in bytes; three each are needed.
const PARTS_ROOM: usize = 64;
/// Tables of an encoder with a base: a tenth of a base's positions fit zstd's default at level 3, and with it the
/// gain shrinks to a third. The upper bound is from when tables were copied for each frame; larger ones are not measured.
const MIN_HASH_LOG: u32 = 16;
const MAX_HASH_LOG: u32 = 20;
/// Frames of any length see the whole base.
const WINDOW_LOG: u32 = 23;

/// Appends the payload of a piece of a trace to `out`, as it is compressed. Returns where in `out` the text of its
/// lines begins, which goes to the end.
pub(crate) fn put_payload(out: &mut Vec<u8>, piece: &[u8]) -> usize {
    let body_at;
    match stamps::split(piece) {
        Some(split) => {
            out.push(CODEC_STAMPED);
            varint::put(out, split.stamps.len() as u64);
            out.extend_from_slice(&split.stamps);
            body_at = out.len();
            out.extend_from_slice(&split.body);
        }
        None => {
            out.push(CODEC_PLAIN);
            body_at = out.len();
            out.extend_from_slice(piece);
        }
    }
    body_at
}

/// A frame's payload, and where the trace's text begins in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload<'a> {
    bytes: &'a [u8],
    body_at: usize,
}

impl<'a> Payload<'a> {
    /// Takes a payload that [`put_payload`] appended; `body_at` is what it returned.
    pub(crate) fn of(buffer: &'a [u8], range: Range<usize>, body_at: usize) -> Self {
        Self { body_at: body_at - range.start, bytes: &buffer[range] }
    }

    /// Returns all of it, as it is compressed.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the text of the piece's lines.
    pub(crate) fn body(&self) -> &'a [u8] {
        &self.bytes[self.body_at..]
    }

    /// Returns the head of a payload whose ids stand apart.
    fn head(&self, split: &ids::Split) -> Vec<u8> {
        let stamps = &self.bytes[1..self.body_at];
        let mut head = Vec::with_capacity(2 + stamps.len() + split.head.len());
        head.push(CODEC_IDS);
        head.extend_from_slice(if stamps.is_empty() { &[0] } else { stamps });
        head.extend_from_slice(&split.head);
        head
    }
}

/// Takes a payload apart and appends the piece it was made of, of `raw_bytes` bytes, to `out`.
fn append_piece(payload: &[u8], raw_bytes: usize, out: &mut Vec<u8>) -> Result<(), FormatError> {
    match payload.split_first() {
        Some((&CODEC_PLAIN, piece)) => {
            out.extend_from_slice(piece);
            Ok(())
        }
        Some((&codec @ (CODEC_STAMPED | CODEC_IDS), rest)) => {
            let mut reader = Reader::new(rest);
            let parts = reader.size().and_then(|len| reader.bytes(len));
            let stream = parts.ok_or(FormatError::Entry("its stamps are cut off"))?;
            let body = &rest[rest.len() - reader.left()..];
            let stamped = |text: &[u8], out: &mut Vec<u8>| {
                stamps::join(stream, text, raw_bytes, out)
                    .ok_or(FormatError::Entry("its stamps do not fit its lines"))
            };
            let with_ids = |out: &mut Vec<u8>| {
                ids::join(body, raw_bytes, out)
                    .ok_or(FormatError::Entry("its ids do not fit its lines"))
            };
            if codec == CODEC_STAMPED {
                return stamped(body, out);
            }
            if stream.is_empty() {
                return with_ids(out);
            }
            let mut text = Vec::new();
            with_ids(&mut text)?;
            stamped(&text, out)
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

/// Compresses what goes into entries, with one base or none. Keeps zstd's context, whose tables are dear to make, and
/// a buffer for its output: memory taken at zstd's bound and given back but for a tenth comes back in pieces.
pub(crate) struct Encoder {
    context: CCtx<'static>,
    known: Known,
    output: Vec<u8>,
}

impl Encoder {
    /// Makes an encoder for entries that stand alone, at zstd's `level`.
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        let mut context = CCtx::try_create().ok_or_else(|| io::Error::other("out of memory"))?;
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::ChecksumFlag(true),
            CParameter::ContentSizeFlag(true),
            // Copying a base's tables, as zstd does for more than a few kilobytes, takes longer than most frames.
            CParameter::ForceAttachDict(zstd_safe::DictAttachPref::ForceAttach),
        ] {
            context.set_parameter(parameter).map_err(error)?;
        }
        Ok(Self { context, known: Known::default(), output: Vec::new() })
    }

    /// Makes entries stand against `base` from now on, whose tables are made once.
    pub(crate) fn set_base(&mut self, base: &[u8]) -> io::Result<()> {
        let log = base.len().max(1).ilog2().clamp(MIN_HASH_LOG, MAX_HASH_LOG);
        for parameter in
            [CParameter::HashLog(log), CParameter::ChainLog(log), CParameter::WindowLog(WINDOW_LOG)]
        {
            self.context.set_parameter(parameter).map_err(error)?;
        }
        self.known = Known::of(base);
        let min_match = match self.known.are_dense(base.len()) {
            true => MIN_MATCH_WITH_IDS,
            // As the level has it.
            false => 0,
        };
        self.context.set_parameter(CParameter::MinMatch(min_match)).map_err(error)?;
        self.context.load_dictionary(base).map_err(error)?;
        Ok(())
    }

    /// Compresses `bytes` to what goes into the pack.
    pub(crate) fn encode(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.output.clear();
        self.output.reserve(zstd_safe::compress_bound(bytes.len()));
        self.context.compress2(&mut self.output, bytes).map_err(error)?;
        Ok(self.output.to_vec())
    }

    /// Compresses a frame, its ids apart where that takes less.
    pub(crate) fn encode_frame(&mut self, payload: Payload<'_>) -> io::Result<Vec<u8>> {
        let Some(split) = ids::split(payload.body(), &self.known) else {
            return self.encode(payload.bytes());
        };
        let apart = self.encode_parts([&payload.head(&split), &split.decimals, &split.packed])?;
        if split.surely {
            return Ok(apart);
        }
        let whole = self.encode(payload.bytes())?;
        Ok(if whole.len() <= apart.len() { whole } else { apart })
    }

    /// Compresses parts that have nothing in common, each to blocks of its own, so that random bytes stay as they
    /// are and the literals of the others get a code that fits them.
    fn encode_parts(&mut self, parts: [&[u8]; 3]) -> io::Result<Vec<u8>> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        self.output.clear();
        self.output.reserve(zstd_safe::compress_bound(bytes) + PARTS_ROOM);
        self.context.reset(ResetDirective::SessionOnly).map_err(error)?;
        self.context.set_pledged_src_size(Some(bytes as u64)).map_err(error)?;
        let mut out = OutBuffer::around(&mut self.output);
        for (at, part) in parts.iter().enumerate() {
            let mut part = InBuffer::around(part);
            let end = match at + 1 == parts.len() {
                true => ZSTD_EndDirective::ZSTD_e_end,
                false => ZSTD_EndDirective::ZSTD_e_flush,
            };
            while self.context.compress_stream2(&mut out, &mut part, end).map_err(error)? > 0 {
                if out.pos() == out.capacity() {
                    return Err(io::Error::other("it does not fit zstd's bound"));
                }
            }
        }
        Ok(self.output.to_vec())
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
            Kind::Chunk => MAX_CHUNK_BYTES,
        };
        if entry.raw_bytes > limit {
            return Err(FormatError::Entry("its length is over the limit"));
        }
        let raw = entry.raw_bytes as usize;
        let (context, payload) = (&mut self.context, &mut self.payload);
        match entry.kind {
            Kind::Frame => {
                // No coding makes a piece longer by more than one byte.
                decompress(context, stored, raw + 1, base, payload)?;
                append_piece(payload, raw, out)
            }
            _ if out.is_empty() => decompress(context, stored, raw, base, out),
            _ => {
                decompress(context, stored, raw, base, payload)?;
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
