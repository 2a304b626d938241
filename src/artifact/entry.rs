//! One entry of a directory, and what is odd about it.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::directory::{Place, number};
use super::member::LOCAL_HEADER_BYTES;
use crate::model::{ArtifactEntry, EntryFlag};

/// A header in the directory, without name, extra fields and comment.
const HEADER_BYTES: usize = 46;
const HEADER: &[u8] = b"PK\x01\x02";
/// In a field of 32 bits: the value stands in the Zip64 extra field.
const SEE_64: u64 = 0xffff_ffff;
/// Extra fields: wide sizes, and times of Unix.
const EXTRA_64: u64 = 1;
const EXTRA_TIME: u64 = 0x5455;
/// Makers of archives whose attributes are those of Unix.
const UNIX: u64 = 3;
const MACOS: u64 = 19;
/// Deflate packs at most 1032 to 1, so what claims more is a lie, and what comes near it is no build's file.
const BOMB_RATIO: u64 = 1000;
/// Smaller files are no danger.
const BOMB_BYTES: u64 = 16 * 1024 * 1024;

/// The numbers of a header.
pub(super) struct Fields {
    /// Bytes of the header, all of it.
    pub(super) bytes: usize,
    name: usize,
    extra: usize,
}

impl Fields {
    /// Reads those of the header that `bytes` begin with; `None` where they begin with none, or it is cut off.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(HEADER) {
            return None;
        }
        let len = |at| number(bytes, at, 2).map(|n| n as usize);
        let (name, extra, comment) = (len(28)?, len(30)?, len(32)?);
        let all = HEADER_BYTES + name + extra + comment;
        (all <= bytes.len()).then_some(Self { bytes: all, name, extra })
    }
}

/// Reads an entry whose header is `header`.
pub(super) fn entry(header: &[u8], fields: &Fields, place: &Place) -> ArtifactEntry {
    let field = |at, len| number(header, at, len).unwrap_or_default();
    let name = &header[HEADER_BYTES..HEADER_BYTES + fields.name];
    let extra = &header[HEADER_BYTES + fields.name..HEADER_BYTES + fields.name + fields.extra];
    let (mut packed, mut size, mut offset) = (field(20, 4), field(24, 4), field(42, 4));
    let mut wide = extra_field(extra, EXTRA_64).unwrap_or_default();
    for value in [&mut size, &mut packed, &mut offset] {
        if *value == SEE_64
            && let Some(found) = number(wide, 0, 8)
        {
            *value = found;
            wide = &wide[8..];
        }
    }
    let mut flags = Vec::new();
    let mut path_hex = None;
    let path = match std::str::from_utf8(name) {
        Ok(path) => path.to_owned(),
        Err(_) => {
            flags.push(EntryFlag::NotUtf8);
            path_hex = Some(name.iter().map(|byte| format!("{byte:02x}")).collect());
            String::from_utf8_lossy(name).into_owned()
        }
    };
    if field(8, 2) & 1 != 0 {
        flags.push(EntryFlag::Encrypted);
    }
    let is_unix = matches!(field(5, 1), UNIX | MACOS);
    let mode = is_unix.then(|| (field(38, 4) >> 16) as u32).filter(|mode| *mode != 0);
    ArtifactEntry {
        path,
        path_hex,
        size,
        packed,
        crc: field(16, 4) as u32,
        method: field(10, 2) as u16,
        mode,
        modified: unix_time(extra).or_else(|| dos_time(field(14, 2), field(12, 2))),
        offset: offset.saturating_add(place.shift),
        flags,
    }
}

fn extra_field(mut extra: &[u8], wanted: u64) -> Option<&[u8]> {
    loop {
        let (id, len) = (number(extra, 0, 2)?, number(extra, 2, 2)? as usize);
        let data = extra.get(4..4 + len)?;
        if id == wanted {
            return Some(data);
        }
        extra = &extra[4 + len..];
    }
}

fn unix_time(extra: &[u8]) -> Option<Timestamp> {
    let data = extra_field(extra, EXTRA_TIME)?;
    let has_time = data.first()? & 1 != 0;
    let secs = number(data, 1, 4).filter(|_| has_time)? as u32;
    Timestamp::from_second(i64::from(secs.cast_signed())).ok()
}

fn dos_time(date: u64, time: u64) -> Option<Timestamp> {
    let bits = |value: u64, from: u32, len: u32| ((value >> from) & ((1 << len) - 1)) as i8;
    let year = 1980 + i16::from((date >> 9) as u8 & 0x7f);
    let date = Date::new(year, bits(date, 5, 4), bits(date, 0, 5)).ok()?;
    let time = Time::new(bits(time, 11, 5), bits(time, 5, 6), bits(time, 0, 5) * 2, 0).ok()?;
    Some(date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Flags what is odd about entries. Their bytes must lie before the directory, which begins at `end`.
pub(super) fn flag(entries: &mut [ArtifactEntry], end: u64) {
    let mut seen: HashSet<(String, Option<String>)> = HashSet::with_capacity(entries.len());
    for entry in entries.iter_mut() {
        let flags = odd_path(&entry.path);
        entry.flags.extend(flags);
        if !seen.insert((entry.path.clone(), entry.path_hex.clone())) {
            entry.flags.push(EntryFlag::Duplicate);
        }
        // The upper four bits of a Unix mode are the type; 0 means that none is told.
        match entry.mode.unwrap_or_default() >> 12 {
            _ if entry.path.ends_with('/') => entry.flags.push(EntryFlag::Directory),
            0 | 0o10 => {}
            0o4 => entry.flags.push(EntryFlag::Directory),
            _ => entry.flags.push(EntryFlag::NoFile),
        }
        if !matches!(entry.method, 0 | 8) {
            entry.flags.push(EntryFlag::Method);
        }
        let last = entry.offset.saturating_add(LOCAL_HEADER_BYTES).saturating_add(entry.packed);
        if last > end {
            entry.flags.push(EntryFlag::Outside);
        }
        if entry.size > BOMB_BYTES && entry.size / entry.packed.max(1) >= BOMB_RATIO {
            entry.flags.push(EntryFlag::Bomb);
        }
    }
    flag_shared(entries);
}

/// Flags entries whose bytes are those of others too.
fn flag_shared(entries: &mut [ArtifactEntry]) {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|at| entries[*at].offset);
    let mut end = 0;
    for at in order {
        let entry = &mut entries[at];
        if entry.offset < end && !entry.is(EntryFlag::Bomb) {
            entry.flags.push(EntryFlag::Bomb);
        }
        let own = entry.offset.saturating_add(LOCAL_HEADER_BYTES).saturating_add(entry.packed);
        end = end.max(own);
    }
}

fn odd_path(path: &str) -> Vec<EntryFlag> {
    let mut flags = Vec::new();
    let drive = path.as_bytes().get(1) == Some(&b':');
    if path.starts_with(['/', '\\']) || drive {
        flags.push(EntryFlag::Absolute);
    }
    if path.split(['/', '\\']).any(|part| part == "..") {
        flags.push(EntryFlag::Climbs);
    }
    if path.is_empty() || path.contains(char::is_control) {
        flags.push(EntryFlag::Control);
    }
    flags
}
