//! Pack format v1: the bytes around entries, and the footer that lists them. Pure; `docs/FORMAT.md` is its specification.
//!
//! Knows nothing of files, the catalogue or GitLab. Reading hostile bytes fails with [`FormatError`] and never
//! panics; every length is checked against its bound before memory is taken for it.

use std::collections::HashMap;

use super::varint::{self, Reader};

/// The first bytes of every pack: a name and the version of the format.
pub(crate) const MAGIC: &[u8; 8] = b"JVPACK\x00\x01";
/// The version in it.
pub(crate) const VERSION: u16 = 1;
/// The last bytes of every pack.
pub(crate) const END_MAGIC: &[u8; 8] = b"\x01\x00JVPEND";
/// Footer hash, footer length, end magic.
pub(crate) const TRAILER_BYTES: usize = 32 + 8 + END_MAGIC.len();

/// A frame's content never exceeds this: a longer line is cut by force.
pub const MAX_FRAME_BYTES: u64 = 4 * 1024 * 1024 + 128 * 1024;
/// A base never exceeds this, so that one fits every decoder's window with a frame behind it.
pub const MAX_BASE_BYTES: u64 = 4 * 1024 * 1024;
/// A ledger never exceeds this; the bound is that of one JSON answer with room for its neighbours.
pub const MAX_LEDGER_BYTES: u64 = 80 * 1024 * 1024;
/// A chunk never exceeds this, so that reading a little of a large file decodes little.
pub const MAX_CHUNK_BYTES: u64 = 1024 * 1024;
/// A footer never exceeds this. At about 60 bytes an entry it lists half a million, as of a log of 64 GiB; read into
/// memory it takes four times as much.
pub const MAX_FOOTER_BYTES: u64 = 32 * 1024 * 1024;

/// Why bytes are not a pack, a footer or an entry of format v1.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// The first or last bytes are not those of a pack.
    #[error("not a jobvault pack ({0})")]
    NotAPack(&'static str),
    /// The pack was written by a newer jobvault.
    #[error("pack format {0} is newer than this jobvault understands ({VERSION})")]
    Newer(u16),
    /// The footer's checksum does not fit its bytes.
    #[error("the footer is damaged ({0})")]
    Footer(&'static str),
    /// An entry's stored bytes do not decode.
    #[error("the entry does not decode ({0})")]
    Entry(&'static str),
    /// An entry decodes, but to other bytes than were stored.
    #[error("the content does not match its hash")]
    Hash,
}

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A piece of one trace.
    Frame,
    /// Raw bytes that frames are compressed against.
    Base,
    /// Job documents as received, artifact listings and notes; see [`super::ledger`].
    Ledger,
    /// A piece of a file out of a job's artifacts, the archive itself among them.
    Chunk,
}

/// Where a frame stands in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FramePlace {
    /// The archive's number of the trace.
    pub trace: u64,
    /// The job's id.
    pub job: u64,
    /// The project's id.
    pub project: u64,
    /// Offset of the frame's first byte in the raw trace.
    pub raw_offset: u64,
    /// Number of plain lines that begin before this frame.
    pub first_line: u64,
    /// Number of plain lines that begin in this frame.
    pub lines: u64,
    /// The frame belongs to the same document as the frame before it.
    pub continues: bool,
    /// The frame is the last of its trace.
    pub last: bool,
}

/// What a footer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// The archive's number of the pack; a later pack has a higher one.
    pub number: u64,
    /// Compaction leaves it alone: it was written by that out of earlier packs, or holds chunks only.
    pub compacted: bool,
    /// The entries, in the order of their places.
    pub entries: Vec<Entry>,
}

/// One row of the entry table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it holds.
    pub kind: Kind,
    /// Offset of the stored bytes in the pack.
    pub offset: u64,
    /// Length of the stored bytes.
    pub stored_bytes: u64,
    /// Length of the content.
    pub raw_bytes: u64,
    /// BLAKE3 of the content.
    pub hash: [u8; 32],
    /// BLAKE3 of the base that the entry is compressed against, if any.
    pub base: Option<[u8; 32]>,
    /// Frames only; zero elsewhere.
    pub place: FramePlace,
}

/// Codes the footer and trailer that end a pack. Offsets are not stored: entries stand back to back.
pub(crate) fn encode_footer(number: u64, compacted: bool, entries: &[Entry]) -> Vec<u8> {
    let mut bases: Vec<[u8; 32]> = Vec::new();
    let mut places: HashMap<[u8; 32], u64> = HashMap::new();
    let mut table = Vec::new();
    for entry in entries {
        let base = entry.base.map_or(0, |hash| {
            *places.entry(hash).or_insert_with(|| {
                bases.push(hash);
                bases.len() as u64
            })
        });
        table.push(match entry.kind {
            Kind::Frame => 1,
            Kind::Base => 2,
            Kind::Ledger => 3,
            Kind::Chunk => 4,
        });
        varint::put(&mut table, entry.stored_bytes);
        varint::put(&mut table, entry.raw_bytes);
        table.extend_from_slice(&entry.hash);
        varint::put(&mut table, base);
        if entry.kind == Kind::Frame {
            let p = &entry.place;
            for n in [p.trace, p.job, p.project, p.raw_offset, p.first_line, p.lines] {
                varint::put(&mut table, n);
            }
            table.push(u8::from(p.continues) | (u8::from(p.last) << 1));
        }
    }
    let mut footer = Vec::with_capacity(table.len() + bases.len() * 32 + 16);
    varint::put(&mut footer, number);
    footer.push(u8::from(compacted));
    varint::put(&mut footer, entries.len() as u64);
    varint::put(&mut footer, bases.len() as u64);
    for base in &bases {
        footer.extend_from_slice(base);
    }
    footer.extend_from_slice(&table);
    let hash = blake3::hash(&footer);
    let len = footer.len() as u64;
    footer.extend_from_slice(hash.as_bytes());
    footer.extend_from_slice(&len.to_le_bytes());
    footer.extend_from_slice(END_MAGIC);
    footer
}

/// Checks the first bytes of a pack.
pub(crate) fn check_magic(head: &[u8]) -> Result<(), FormatError> {
    let Some(head) = head.get(..MAGIC.len()) else {
        return Err(FormatError::NotAPack("too short"));
    };
    if head == MAGIC {
        return Ok(());
    }
    let version = u16::from_be_bytes([head[6], head[7]]);
    match head.starts_with(b"JVPACK") && version > VERSION {
        true => Err(FormatError::Newer(version)),
        false => Err(FormatError::NotAPack("its first bytes are others")),
    }
}

/// Reads the trailer and returns the length of the footer before it.
pub(crate) fn footer_len(trailer: &[u8], pack_bytes: u64) -> Result<u64, FormatError> {
    let trailer: &[u8; TRAILER_BYTES] =
        trailer.try_into().map_err(|_| FormatError::NotAPack("too short"))?;
    if !trailer.ends_with(END_MAGIC) {
        return Err(FormatError::NotAPack("its last bytes are others"));
    }
    let len = u64::from_le_bytes(trailer[32..40].try_into().expect("eight bytes were sliced"));
    let room = pack_bytes.saturating_sub((MAGIC.len() + TRAILER_BYTES) as u64);
    if len > room || len > MAX_FOOTER_BYTES {
        return Err(FormatError::Footer("its length is impossible"));
    }
    Ok(len)
}

/// Decodes footer and trailer into the entry table.
pub(crate) fn decode_footer(
    footer: &[u8],
    trailer: &[u8],
    pack_bytes: u64,
) -> Result<Footer, FormatError> {
    if trailer.get(..32) != Some(blake3::hash(footer).as_bytes().as_slice()) {
        return Err(FormatError::Footer("its checksum does not fit"));
    }
    let end = pack_bytes
        .checked_sub((footer.len() + TRAILER_BYTES) as u64)
        .ok_or(FormatError::Footer("its length is impossible"))?;
    let mut reader = Reader::new(footer);
    parse_table(&mut reader, end).ok_or(FormatError::Footer("its entry table is inconsistent"))
}

fn parse_table(reader: &mut Reader<'_>, end: u64) -> Option<Footer> {
    let number = reader.number()?;
    let compacted = reader.byte()? != 0;
    let count = reader.size()?;
    let base_count = reader.size()?;
    // An entry takes at least 36 bytes and a base 32: larger counts are lies.
    if count > reader.left() / 36 || base_count > reader.left() / 32 {
        return None;
    }
    let bases = (0..base_count).map(|_| reader.hash()).collect::<Option<Vec<_>>>()?;
    let mut entries = Vec::with_capacity(count);
    let mut offset = MAGIC.len() as u64;
    for _ in 0..count {
        let kind = match reader.byte()? {
            1 => Kind::Frame,
            2 => Kind::Base,
            3 => Kind::Ledger,
            4 => Kind::Chunk,
            _ => return None,
        };
        let stored_bytes = reader.number()?;
        let raw_bytes = reader.number()?;
        let hash = reader.hash()?;
        let base = match reader.size()? {
            0 => None,
            n => Some(*bases.get(n - 1)?),
        };
        let place = if kind == Kind::Frame { parse_place(reader)? } else { FramePlace::default() };
        entries.push(Entry { kind, offset, stored_bytes, raw_bytes, hash, base, place });
        offset = offset.checked_add(stored_bytes)?;
    }
    (offset == end && reader.is_empty()).then_some(Footer { number, compacted, entries })
}

fn parse_place(reader: &mut Reader<'_>) -> Option<FramePlace> {
    let (trace, job, project) = (reader.number()?, reader.number()?, reader.number()?);
    let (raw_offset, first_line, lines) = (reader.number()?, reader.number()?, reader.number()?);
    let flags = reader.byte()?;
    Some(FramePlace {
        trace,
        job,
        project,
        raw_offset,
        first_line,
        lines,
        continues: flags & 1 != 0,
        last: flags & 2 != 0,
    })
}

#[cfg(test)]
mod tests;
