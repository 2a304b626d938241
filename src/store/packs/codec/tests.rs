#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use proptest::prelude::*;

fn stored_frame(encoder: &mut Encoder, piece: &[u8]) -> Vec<u8> {
    encoder.encode(Payload::new(piece).bytes()).unwrap()
}

fn entry(kind: Kind, raw_bytes: u64, hash: &[u8; 32]) -> Entry {
    crate::store::segment::entry(kind, raw_bytes, *hash)
}

fn decode(
    kind: Kind,
    stored: &[u8],
    raw_bytes: u64,
    hash: &[u8; 32],
    base: Option<&Base>,
) -> Result<Vec<u8>, FormatError> {
    let mut out = b"before".to_vec();
    let read = Decoder::new()?.decode(&entry(kind, raw_bytes, hash), stored, base, &mut out);
    assert!(out.starts_with(b"before") && (read.is_ok() || out.len() == 6));
    read.map(|()| out.split_off(6))
}

fn lines(count: u32) -> Vec<u8> {
    (0..count).flat_map(|i| format!("line {i} of the base\n").into_bytes()).collect()
}

#[test]
fn a_frame_against_a_base_decodes_with_it_alone() {
    let base = lines(20_000);
    let piece = &base[5_000..90_000];
    let stored = stored_frame(&mut Encoder::with_base(3, &base).unwrap(), piece);
    assert!(stored.len() < 4000, "{} bytes", stored.len());
    let hash = *blake3::hash(piece).as_bytes();
    let len = piece.len() as u64;
    let dict = Base::new(base.clone()).unwrap();
    assert_eq!(decode(Kind::Frame, &stored, len, &hash, Some(&dict)).unwrap(), piece);
    assert!(decode(Kind::Frame, &stored, len, &hash, None).is_err());
    let other = Base::new(base[..100_000].to_vec()).unwrap();
    assert!(decode(Kind::Frame, &stored, len, &hash, Some(&other)).is_err());
}

#[test]
fn an_encoder_with_a_base_is_used_again_and_again() {
    let base = lines(200_000);
    let mut encoder = Encoder::with_base(3, &base).unwrap();
    let dict = Base::new(base[..MAX_BASE_BYTES as usize].to_vec());
    assert!(dict.is_ok());
    for at in [0, 1_000_000, 3_000_000] {
        assert!(stored_frame(&mut encoder, &base[at..at + 130_000]).len() < 300, "at {at}");
    }
}

#[test]
fn a_decoder_is_used_again_and_again_for_frames_of_any_length() {
    let base = lines(60_000);
    let mut encoder = Encoder::with_base(3, &base).unwrap();
    let dict = Base::new(base.clone()).unwrap();
    let mut decoder = Decoder::new().unwrap();
    for len in [1, 100_000, 130_000, 700_000, 20, 130_000] {
        let piece = &base[7..7 + len];
        let stored = stored_frame(&mut encoder, piece);
        let entry = entry(Kind::Frame, len as u64, blake3::hash(piece).as_bytes());
        let mut out = Vec::new();
        decoder.decode(&entry, &stored, Some(&dict), &mut out).unwrap();
        assert!(out == piece, "{len} bytes");
        let broken = Entry { raw_bytes: len as u64 - 1, ..entry };
        assert!(decoder.decode(&broken, &stored, Some(&dict), &mut out).is_err());
        assert!(out == piece, "{len} bytes are as they were");
    }
    assert!(dict.has_hash(blake3::hash(&base).as_bytes()));
}

#[test]
fn a_stamped_frame_is_smaller_and_comes_back() {
    let line = |i: u32| format!("2024-02-29T23:59:00.{:06}Z 00O the same text\n", i * 31 % 999_983);
    let piece: Vec<u8> = (0..1000).flat_map(|i| line(i).into_bytes()).collect();
    let mut encoder = Encoder::new(3).unwrap();
    let stored = stored_frame(&mut encoder, &piece);
    let plain = encoder.encode(&piece).unwrap();
    assert!(stored.len() * 2 < plain.len(), "{} of {}", stored.len(), plain.len());
    let hash = *blake3::hash(&piece).as_bytes();
    let len = piece.len() as u64;
    assert_eq!(decode(Kind::Frame, &stored, len, &hash, None).unwrap(), piece);
}

#[test]
fn a_length_over_the_limit_takes_no_memory() {
    let err = decode(Kind::Frame, b"", u64::MAX, &[0; 32], None).unwrap_err();
    assert_eq!(err, FormatError::Entry("its length is over the limit"));
}

#[test]
fn what_zstd_takes_for_a_dictionary_of_its_own_is_no_base() {
    assert!(!may_be_base(&[0x37, 0xa4, 0x30, 0xec, 0, 0, 0, 0, 0]));
    assert!(!may_be_base(b"1234567"));
    assert!(may_be_base(b"12345678"));
    assert!(Base::new(vec![b'x'; MAX_BASE_BYTES as usize + 1]).is_err());
}

proptest! {
    #[test]
    fn content_comes_back(content in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let mut encoder = Encoder::new(3).unwrap();
        let hash = *blake3::hash(&content).as_bytes();
        let len = content.len() as u64;
        let stored = stored_frame(&mut encoder, &content);
        prop_assert_eq!(&decode(Kind::Frame, &stored, len, &hash, None).unwrap(), &content);
        let stored = encoder.encode(&content).unwrap();
        prop_assert_eq!(&decode(Kind::Ledger, &stored, len, &hash, None).unwrap(), &content);
    }

    #[test]
    fn a_flipped_bit_never_gives_other_bytes(content in proptest::collection::vec(any::<u8>(), 1..300), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let hash = *blake3::hash(&content).as_bytes();
        let mut stored = stored_frame(&mut Encoder::new(3).unwrap(), &content);
        let at = at.index(stored.len());
        stored[at] ^= 1 << bit;
        if let Ok(read) = decode(Kind::Frame, &stored, content.len() as u64, &hash, None) {
            prop_assert_eq!(read, content);
        }
    }
}
