//! What fuzz targets call: readers of bytes from a disk that may have been written by anyone. Tests try them too, so that they stay true.

use super::catalogue::frames;
use super::packs::FormatError;
use super::packs::codec::{Base, Decoder, Encoder, Payload, put_payload};
use super::packs::format::{
    END_MAGIC, TRAILER_BYTES, check_magic, decode_footer, encode_footer, footer_len,
};
use super::packs::shapes::Sketch;
use super::packs::{FramePlace, Kind, ledger};
use super::{TraceRow, segment};

/// Reads bytes as a pack's ends, and as a footer whose checksum is right.
///
/// # Panics
///
/// Where a footer that was read does not come back as it was written.
pub fn pack(data: &[u8]) {
    let _ = check_magic(data);
    if let Some((rest, trailer)) = data.split_last_chunk::<TRAILER_BYTES>() {
        let _ = footer_len(trailer, rest.len() as u64);
        let _ = decode_footer(rest, trailer, data.len() as u64);
    }
    let Some((room, footer)) = data.split_first_chunk::<8>() else { return };
    let mut trailer = blake3::hash(footer).as_bytes().to_vec();
    trailer.extend_from_slice(&(footer.len() as u64).to_le_bytes());
    trailer.extend_from_slice(END_MAGIC);
    let bytes = u64::from_le_bytes(*room).saturating_add((footer.len() + TRAILER_BYTES) as u64);
    if let Ok(read) = decode_footer(footer, &trailer, bytes) {
        let again = encode_footer(read.number, read.compacted, &read.entries);
        let (rest, trailer) = again.split_at(again.len() - TRAILER_BYTES);
        let end = bytes - footer.len() as u64 + rest.len() as u64;
        let again = decode_footer(rest, trailer, end).expect("what was written is read");
        assert_eq!(again.entries, read.entries);
        assert!(
            read.entries.iter().all(|e| e.kind == Kind::Frame || e.place == FramePlace::default())
        );
    }
}

/// Reads bytes as an entry's stored bytes, a payload, a ledger, a list of frames and a sketch.
///
/// # Panics
///
/// Where a piece of a trace does not come back.
pub fn entry(data: &[u8]) {
    let (id, job, frames) = Default::default();
    let bare = TraceRow { id, job, raw_bytes: 0, lines: 0, hash: [0; 32], frames };
    let _ = frames::decode(&[0; 32], data, bare);
    let _ = ledger::records(data).count();
    let _ = Sketch::decode(data);
    let Some(([flags, len @ ..], rest)) = data.split_first_chunk::<4>() else { return };
    let raw_bytes = u64::from(u32::from_le_bytes([len[0], len[1], len[2], 0]));
    let kind = [Kind::Frame, Kind::Base, Kind::Ledger, Kind::Chunk][usize::from(flags % 4)];
    let cut = rest.len() / 2;
    let base = Base::new(rest[..cut].to_vec()).ok().filter(|_| flags & 128 != 0);
    let _ = decode(kind, rest, raw_bytes, [0; 32], base.as_ref());
    let mut encoder = Encoder::new(1).expect("there is memory");
    // As a payload that anyone wrote, which zstd has let through.
    let stored = encoder.encode(rest).expect("there is room");
    let _ = decode(kind, &stored, raw_bytes, [0; 32], None);
    // As a piece of a trace.
    let mut payload = Vec::new();
    let body_at = put_payload(&mut payload, rest);
    let payload = Payload::of(&payload, 0..payload.len(), body_at);
    let stored = encoder.encode_frame(payload).expect("there is room");
    let hash = *blake3::hash(rest).as_bytes();
    let read = decode(Kind::Frame, &stored, rest.len() as u64, hash, None);
    assert_eq!(read.as_deref(), Ok(rest));
}

fn decode(
    kind: Kind,
    stored: &[u8],
    raw_bytes: u64,
    hash: [u8; 32],
    base: Option<&Base>,
) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    let entry = segment::entry(kind, raw_bytes, hash);
    Decoder::new()?.decode(&entry, stored, base, &mut out).map(|()| out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_targets_hold(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            super::pack(&data);
            super::entry(&data);
        }

        #[test]
        fn small_numbers_get_further(data in proptest::collection::vec(0..4u8, 0..200)) {
            super::pack(&data);
            super::entry(&data);
        }
    }
}
