//! The end of an archive, and the directory that it points at.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use super::ZipError;
use super::entry::{self, Fields};
use crate::model::ArtifactListing;

/// So many last bytes of an archive hold the end record, whatever its comment, and mostly the directory too.
pub const TAIL_BYTES: u64 = 128 * 1024;
/// A longer directory is not read: at some hundred bytes an entry it holds about as many as are listed.
pub const MAX_DIRECTORY_BYTES: u64 = 32 * 1024 * 1024;
/// Entries beyond this are counted and not listed.
pub const MAX_ENTRIES: usize = 200_000;

/// End of central directory record, without its comment.
const END_BYTES: usize = 22;
const END: &[u8] = b"PK\x05\x06";
const LOCATOR_BYTES: usize = 20;
const LOCATOR: &[u8] = b"PK\x06\x07";
const END64_BYTES: usize = 56;
const END64: &[u8] = b"PK\x06\x06";
/// In a field of 16 or 32 bits: the value stands in the Zip64 record.
const SEE_64_SHORT: u64 = 0xffff;
const SEE_64: u64 = 0xffff_ffff;

/// Where the directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its bytes in the archive.
    pub bytes: Range<u64>,
    /// The entries it claims to have.
    pub entries: u64,
    /// Bytes before the archive proper, by which all offsets in it are too small.
    pub shift: u64,
}

/// Reads a number of up to eight bytes, little endian, as all numbers are. `None` past the end.
pub(super) fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let slice = bytes.get(at..at.checked_add(len)?)?;
    Some(slice.iter().rev().fold(0, |n, byte| (n << 8) | u64::from(*byte)))
}

/// Finds the directory of an archive of `total` bytes by its last bytes, at least [`TAIL_BYTES`] or all of it.
pub fn locate(tail: &[u8], total: u64) -> Result<Place, ZipError> {
    let at = total.checked_sub(tail.len() as u64).ok_or(ZipError::Damaged("its length"))?;
    let fits = |end: &usize| {
        let comment = number(tail, end + 20, 2).unwrap_or(u64::MAX);
        tail[*end..].starts_with(END) && (end + END_BYTES) as u64 + comment == tail.len() as u64
    };
    let last = tail.len().checked_sub(END_BYTES).ok_or(ZipError::NotAZip)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let end = (first..=last).rev().find(fits).ok_or(ZipError::NotAZip)?;
    let field = |offset, len| number(tail, end + offset, len).unwrap_or_default();
    let (disks, mut entries) = (field(4, 2), field(10, 2));
    let (mut bytes, mut offset) = (field(12, 4), field(16, 4));
    let mut behind = end;
    let is_64 = entries == SEE_64_SHORT || bytes == SEE_64 || offset == SEE_64;
    if let (true, Some(end64)) = (is_64, end64(tail, end, at)?) {
        let wide = |at| number(tail, end64 + at, 8).unwrap_or_default();
        (entries, bytes, offset) = (wide(32), wide(40), wide(48));
        behind = end64;
    } else if disks != 0 {
        return Err(ZipError::Split);
    }
    // What stands before the archive is found by where the directory must be.
    let behind = at + behind as u64;
    let start = behind.checked_sub(bytes).ok_or(ZipError::Damaged("its length"))?;
    let shift = start.checked_sub(offset).ok_or(ZipError::Damaged("its place"))?;
    if bytes > MAX_DIRECTORY_BYTES {
        return Err(ZipError::TooLarge(bytes));
    }
    Ok(Place { bytes: start..behind, entries, shift })
}

/// Returns where the Zip64 end record begins in the tail; `None` without a locator, where the values mean themselves.
fn end64(tail: &[u8], end: usize, at: u64) -> Result<Option<usize>, ZipError> {
    let Some(locator) = end.checked_sub(LOCATOR_BYTES) else { return Ok(None) };
    if !tail[locator..].starts_with(LOCATOR) {
        return Ok(None);
    }
    let says = number(tail, locator + 8, 8).and_then(|says| says.checked_sub(at));
    // Behind something that stands before the archive, the record is not where the locator says.
    let near = locator.checked_sub(END64_BYTES);
    let found = [says.and_then(|says| usize::try_from(says).ok()), near]
        .into_iter()
        .flatten()
        .find(|at| *at < locator && tail[*at..locator].starts_with(END64));
    match found {
        Some(found) if found + END64_BYTES <= locator => Ok(Some(found)),
        _ => Err(ZipError::Damaged("its Zip64 end")),
    }
}

/// Reads the directory at `place`, whose bytes are `bytes`, of an archive of `total` bytes.
pub fn parse(bytes: &[u8], place: &Place, total: u64) -> Result<ArtifactListing, ZipError> {
    let mut listing = ArtifactListing { bytes: total, ..ArtifactListing::default() };
    let mut left = bytes;
    let mut count = 0u64;
    while let Some(fields) = Fields::of(left) {
        let (header, rest) = left.split_at(fields.bytes);
        left = rest;
        count += 1;
        if listing.entries.len() < MAX_ENTRIES {
            listing.entries.push(entry::entry(header, &fields, place));
        } else {
            listing.more += 1;
        }
    }
    if !left.is_empty() {
        return Err(ZipError::Damaged("an entry is cut off"));
    }
    // A plain count of 16 bits is all that some writers of many entries give.
    if count != place.entries && count & SEE_64_SHORT != place.entries {
        return Err(ZipError::Damaged("it has not the entries that it counts"));
    }
    entry::flag(&mut listing.entries, place.bytes.start);
    Ok(listing)
}

/// Reads the directory of a whole archive.
pub fn read(archive: &mut (impl Read + Seek)) -> Result<ArtifactListing, ZipError> {
    let total = archive.seek(SeekFrom::End(0))?;
    let tail = piece(archive, total.saturating_sub(TAIL_BYTES)..total)?;
    let place = locate(&tail, total)?;
    let directory = piece(archive, place.bytes.clone())?;
    parse(&directory, &place, total)
}

fn piece(archive: &mut (impl Read + Seek), range: Range<u64>) -> Result<Vec<u8>, ZipError> {
    archive.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    archive.take(range.end - range.start).read_to_end(&mut bytes)?;
    Ok(bytes)
}
