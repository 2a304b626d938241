//! One member of an archive: unpacked and checked against what the directory says of it.

use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::directory::number;
use crate::model::{ArtifactEntry, ArtifactListing, EntryFlag};

/// The header before a member's bytes, without its name and extra fields.
pub const LOCAL_HEADER_BYTES: u64 = 30;
const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
/// What the name and the extra fields of a local header take at most beyond those of the directory; 65,535 is the
/// format's bound, and what writers really add is a time and an alignment.
const EXTRA_ROOM: u64 = 512;
/// Bytes unpacked at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes unpacked to check one archive; what is beyond is not checked, and that is said.
const MAX_CHECKED_BYTES: u64 = 16 << 30;

/// Why a member cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// It is no file, or none that can be unpacked.
    #[error("it is {0}")]
    NotAFile(&'static str),
    /// Its header is not where the directory says.
    #[error("its header is damaged")]
    Header,
    /// It does not unpack.
    #[error("it does not unpack")]
    Packed(#[source] io::Error),
    /// It unpacks to another length.
    #[error("it has not the {0} bytes that are announced")]
    Length(u64),
    /// It unpacks to other bytes.
    #[error("its CRC is wrong")]
    Crc,
    /// It is larger than is wanted.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// What takes it failed.
    #[error("it cannot be written")]
    Write(#[source] io::Error),
}

/// Returns how many bytes from a member's offset on hold all of it, most likely.
pub fn room(entry: &ArtifactEntry) -> u64 {
    let name = entry.path.len() as u64;
    LOCAL_HEADER_BYTES.saturating_add(name + EXTRA_ROOM).saturating_add(entry.packed)
}

/// Unpacks a member into `out` and checks its length and CRC; what was written of one that fails is void.
///
/// `archive` begins at `at` in the archive. Never writes more than the length announced, nor more than `limit`.
pub fn extract(
    archive: &mut (impl Read + Seek),
    at: u64,
    entry: &ArtifactEntry,
    limit: u64,
    out: &mut impl Write,
) -> Result<(), MemberError> {
    refuse(entry)?;
    if entry.size > limit {
        return Err(MemberError::TooLarge(limit));
    }
    let start = entry.offset.checked_sub(at).ok_or(MemberError::Header)?;
    let mut header = [0; LOCAL_HEADER_BYTES as usize];
    archive.seek(SeekFrom::Start(start)).map_err(MemberError::Packed)?;
    archive.read_exact(&mut header).map_err(MemberError::Packed)?;
    let lens = number(&header, 26, 2).zip(number(&header, 28, 2)).map(|(name, extra)| name + extra);
    let (true, Some(lens)) = (header.starts_with(LOCAL_HEADER), lens) else {
        return Err(MemberError::Header);
    };
    let data = start + LOCAL_HEADER_BYTES + lens;
    archive.seek(SeekFrom::Start(data)).map_err(MemberError::Packed)?;
    let packed = archive.take(entry.packed);
    match entry.method {
        0 => copy(packed, entry, out),
        _ => copy(DeflateDecoder::new(packed), entry, out),
    }
}

fn refuse(entry: &ArtifactEntry) -> Result<(), MemberError> {
    let reasons = [
        (EntryFlag::Directory, "a directory"),
        (EntryFlag::NoFile, "a link or another thing that is no file"),
        (EntryFlag::Encrypted, "encrypted"),
        (EntryFlag::Method, "compressed by an unknown method"),
        (EntryFlag::Outside, "said to lie outside the archive"),
        (EntryFlag::Bomb, "a bomb: it claims what its bytes cannot hold, or shares them"),
    ];
    match reasons.iter().find(|(flag, _)| entry.is(*flag)) {
        Some((_, reason)) => Err(MemberError::NotAFile(reason)),
        None => Ok(()),
    }
}

fn copy(
    mut from: impl Read,
    entry: &ArtifactEntry,
    out: &mut impl Write,
) -> Result<(), MemberError> {
    let mut crc = Crc::new();
    let mut left = entry.size;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = match from.read(&mut chunk) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(MemberError::Packed(e)),
        };
        if read == 0 {
            break;
        }
        left = left.checked_sub(read as u64).ok_or(MemberError::Length(entry.size))?;
        crc.update(&chunk[..read]);
        out.write_all(&chunk[..read]).map_err(MemberError::Write)?;
    }
    match (left, crc.sum() == entry.crc) {
        (0, true) => Ok(()),
        (0, false) => Err(MemberError::Crc),
        _ => Err(MemberError::Length(entry.size)),
    }
}

/// What a check of all members found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Members that are as announced.
    pub good: u64,
    /// Members that are not.
    pub bad: u64,
    /// Members that are not unpacked.
    pub unchecked: u64,
    /// The first that is bad, and why.
    pub first: Option<String>,
}

/// Unpacks all files of an archive into nothing and flags those that are not as announced.
pub fn check(archive: &mut (impl Read + Seek), listing: &mut ArtifactListing) -> Checked {
    let mut checked = Checked::default();
    let mut left = MAX_CHECKED_BYTES;
    for entry in &mut listing.entries {
        if entry.is(EntryFlag::Directory) {
            continue;
        }
        if !entry.is_file() || entry.size > left {
            checked.unchecked += 1;
            continue;
        }
        left -= entry.size;
        match extract(archive, 0, entry, u64::MAX, &mut io::sink()) {
            Ok(()) => checked.good += 1,
            Err(error) => {
                entry.flags.push(EntryFlag::Damaged);
                checked.bad += 1;
                checked.first.get_or_insert_with(|| format!("{}: {error}", entry.path));
            }
        }
    }
    checked.unchecked += listing.more;
    checked
}
