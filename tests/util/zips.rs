//! Zip archives made byte by byte, good and hostile ones.
#![allow(dead_code, clippy::unwrap_used, reason = "each user needs another part; a test may panic")]

use std::io::Write;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// One entry, as it is to be written.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: Vec<u8>,
    pub content: Vec<u8>,
    pub deflate: bool,
    /// Sizes and CRC stand behind the bytes and not before them.
    pub descriptor: bool,
    /// Sizes and offset stand in Zip64 fields.
    pub wide: bool,
    pub mode: Option<u32>,
    /// What the directory claims in place of the truth.
    pub claims: Option<(u64, u32)>,
    pub flags: u16,
}

impl Member {
    pub fn new(name: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            content: content.into(),
            deflate: true,
            descriptor: false,
            wide: false,
            mode: Some(0o100_644),
            claims: None,
            flags: 0,
        }
    }
}

fn put(out: &mut Vec<u8>, fields: &[(u64, usize)]) {
    for (value, len) in fields {
        out.extend(&value.to_le_bytes()[..*len]);
    }
}

/// Makes an archive of entries.
pub fn zip(members: &[Member]) -> Vec<u8> {
    zip_with(members, false, b"")
}

/// Makes an archive with a Zip64 end record, or with a comment.
pub fn zip_with(members: &[Member], zip64: bool, comment: &[u8]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        put_member(&mut out, &mut directory, member);
    }
    let (at, len, count) = (out.len() as u64, directory.len() as u64, members.len() as u64);
    out.extend(&directory);
    let end64 = out.len() as u64;
    if zip64 {
        out.extend(b"PK\x06\x06");
        put(&mut out, &[(44, 8), (45, 2), (45, 2), (0, 4), (0, 4)]);
        put(&mut out, &[(count, 8), (count, 8), (len, 8), (at, 8)]);
        out.extend(b"PK\x06\x07");
        put(&mut out, &[(0, 4), (end64, 8), (1, 4)]);
    }
    out.extend(b"PK\x05\x06");
    let short = |value: u64, len: usize| if zip64 { (u64::MAX, len) } else { (value, len) };
    put(&mut out, &[(0, 2), (0, 2), short(count, 2), short(count, 2), short(len, 4), short(at, 4)]);
    put(&mut out, &[(comment.len() as u64, 2)]);
    out.extend(comment);
    out
}

fn put_member(out: &mut Vec<u8>, directory: &mut Vec<u8>, member: &Member) {
    let packed = match member.deflate {
        true => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&member.content).unwrap();
            encoder.finish().unwrap()
        }
        false => member.content.clone(),
    };
    let mut crc = Crc::new();
    crc.update(&member.content);
    let (size, crc) = member.claims.unwrap_or((member.content.len() as u64, crc.sum()));
    let (method, offset, len) =
        (if member.deflate { 8 } else { 0 }, out.len() as u64, packed.len() as u64);
    let flags = u64::from(member.flags) | if member.descriptor { 8 } else { 0 };
    let name = member.name.len() as u64;
    out.extend(b"PK\x03\x04");
    let known = if member.descriptor { (0, 0, 0) } else { (u64::from(crc), len, size) };
    put(out, &[(20, 2), (flags, 2), (method, 2), (0x6000, 2), (0x5a21, 2)]);
    // Five bytes of an extra field that the directory does not have.
    put(out, &[(known.0, 4), (known.1, 4), (known.2, 4), (name, 2), (5, 2)]);
    out.extend(&member.name);
    put(out, &[(0xcafe, 2), (1, 2), (7, 1)]);
    out.extend(&packed);
    if member.descriptor {
        out.extend(b"PK\x07\x08");
        put(out, &[(u64::from(crc), 4), (len, 4), (size, 4)]);
    }
    let mut extra = Vec::new();
    if member.wide {
        put(&mut extra, &[(1, 2), (24, 2), (size, 8), (len, 8), (offset, 8)]);
    }
    put(&mut extra, &[(0x5455, 2), (5, 2), (1, 1), (1_700_000_000, 4)]);
    let short = |value: u64| if member.wide { (u64::MAX, 4) } else { (value, 4) };
    directory.extend(b"PK\x01\x02");
    put(directory, &[(45 | (3 << 8), 2), (20, 2), (flags, 2), (method, 2), (0x6000, 2)]);
    put(directory, &[(0x5a21, 2), (u64::from(crc), 4), short(len), short(size), (name, 2)]);
    put(directory, &[(extra.len() as u64, 2), (0, 2), (0, 2), (0, 2)]);
    put(directory, &[(u64::from(member.mode.unwrap_or(0)) << 16, 4), short(offset)]);
    directory.extend(&member.name);
    directory.extend(&extra);
}
