#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use proptest::prelude::*;

fn entry(kind: Kind, stored: u64, job: u64, base: Option<[u8; 32]>) -> Entry {
    let place = FramePlace {
        trace: job / 2,
        job,
        project: 7,
        raw_offset: 3,
        first_line: 2,
        lines: 9,
        continues: job.is_multiple_of(2),
        last: true,
    };
    let place = if kind == Kind::Frame { place } else { FramePlace::default() };
    Entry {
        kind,
        offset: 0,
        stored_bytes: stored,
        raw_bytes: stored * 3,
        hash: [job as u8; 32],
        base,
        place,
    }
}

fn pack_of(entries: &mut [Entry]) -> (Vec<u8>, u64) {
    let mut at = MAGIC.len() as u64;
    for e in entries.iter_mut() {
        e.offset = at;
        at += e.stored_bytes;
    }
    let footer = encode_footer(9, true, entries);
    let bytes = at + footer.len() as u64;
    (footer, bytes)
}

fn open(footer: &[u8], pack_bytes: u64) -> Result<Footer, FormatError> {
    let (rest, trailer) = footer.split_at(footer.len() - TRAILER_BYTES);
    let len = footer_len(trailer, pack_bytes)? as usize;
    let footer = rest.len().checked_sub(len).map(|at| &rest[at..]);
    // The bytes before the footer are entries, of which there are none here.
    decode_footer(footer.unwrap_or_default(), trailer, pack_bytes)
}

#[test]
fn a_footer_comes_back_as_written() {
    let mut entries = vec![
        entry(Kind::Base, 100, 0, None),
        entry(Kind::Frame, 10, 1, Some([9; 32])),
        entry(Kind::Frame, 0, u64::MAX, None),
        entry(Kind::Frame, 5, 4, Some([9; 32])),
        entry(Kind::Ledger, 50, 0, None),
    ];
    let (footer, bytes) = pack_of(&mut entries);
    let read = open(&footer, bytes).unwrap();
    assert_eq!((read.number, read.compacted), (9, true));
    assert_eq!(read.entries, entries);
}

#[test]
fn every_flipped_bit_of_a_footer_is_noticed() {
    let mut entries = vec![entry(Kind::Frame, 10, 1, None), entry(Kind::Ledger, 50, 0, None)];
    let (footer, bytes) = pack_of(&mut entries);
    for bit in 0..footer.len() * 8 {
        let mut broken = footer.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        let read = open(&broken, bytes);
        // The two version bytes of the end magic are not needed to read the footer.
        assert!(read.is_err() || read.unwrap().entries == entries, "bit {bit} changed the table");
    }
}

#[test]
fn a_newer_pack_is_told_from_a_foreign_file() {
    assert_eq!(check_magic(b"JVPACK\x00\x02"), Err(FormatError::Newer(2)));
    assert!(matches!(check_magic(b"PK\x03\x04aaaa"), Err(FormatError::NotAPack(_))));
    assert!(matches!(check_magic(b"JV"), Err(FormatError::NotAPack(_))));
    assert_eq!(check_magic(MAGIC), Ok(()));
}

proptest! {
    #[test]
    fn hostile_footers_never_panic(footer in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut trailer = blake3::hash(&footer).as_bytes().to_vec();
        trailer.extend_from_slice(&(footer.len() as u64).to_le_bytes());
        trailer.extend_from_slice(END_MAGIC);
        let _ = decode_footer(&footer, &trailer, 1000);
    }
}
