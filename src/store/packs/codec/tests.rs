#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use proptest::prelude::*;

fn stored_frame(encoder: &mut Encoder, piece: &[u8]) -> Vec<u8> {
    with_payload(piece, |payload| encoder.encode_frame(payload)).unwrap()
}

/// Calls `f` with the payload of a piece.
fn with_payload<T>(piece: &[u8], f: impl FnOnce(Payload<'_>) -> T) -> T {
    let mut bytes = Vec::new();
    let body_at = put_payload(&mut bytes, piece);
    f(Payload::of(&bytes, 0..bytes.len(), body_at))
}

fn with_base(base: &[u8]) -> Encoder {
    let mut encoder = Encoder::new(3).unwrap();
    encoder.set_base(base).unwrap();
    encoder
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
    let stored = stored_frame(&mut with_base(&base), piece);
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
    let mut encoder = with_base(&base);
    let dict = Base::new(base[..MAX_BASE_BYTES as usize].to_vec());
    assert!(dict.is_ok());
    for at in [0, 1_000_000, 3_000_000] {
        assert!(stored_frame(&mut encoder, &base[at..at + 130_000]).len() < 300, "at {at}");
    }
}

#[test]
fn a_decoder_is_used_again_and_again_for_frames_of_any_length() {
    let base = lines(60_000);
    let mut encoder = with_base(&base);
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

fn with_ids(stamp: &str, from: u64) -> Vec<u8> {
    let line = |n: u64| {
        let id = blake3::hash(&n.to_le_bytes()).to_hex();
        format!("{stamp}read partition {} of the table, took {} us\n", &id[..32], 10_000 + n * 7)
    };
    (from..from + 500).flat_map(|n| line(n).into_bytes()).collect()
}

#[test]
fn a_frame_of_fresh_ids_takes_their_bits_and_comes_back() {
    for stamp in ["", "2024-02-29T23:59:00.000000Z 00O "] {
        let base = with_ids("", 10_000);
        let mut encoder = with_base(&base);
        let dict = Base::new(base.clone()).unwrap();
        for from in [0, 1_000] {
            let piece = with_ids(stamp, from);
            let stored = stored_frame(&mut encoder, &piece);
            let whole = with_payload(&piece, |payload| encoder.encode(payload.bytes())).unwrap();
            assert!(stored.len() < 500 * 16 + 2_500, "{} bytes", stored.len());
            assert!(stored.len() + 500 < whole.len(), "{} of {}", stored.len(), whole.len());
            let hash = *blake3::hash(&piece).as_bytes();
            let len = piece.len() as u64;
            assert_eq!(decode(Kind::Frame, &stored, len, &hash, Some(&dict)).unwrap(), piece);
        }
        // The ids of the base are found in it.
        assert!(stored_frame(&mut encoder, &base).len() < 200);
    }
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
    fn hostile_payloads_never_panic(
        mut payload in proptest::collection::vec(prop_oneof![0..40u8, any::<u8>()], 0..80),
        at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let _ = append_piece(&payload, 100, &mut Vec::new());
        let piece = with_ids("2024-02-29T23:59:00.000000Z 00O ", 0);
        payload = with_payload(&piece[..9_000], |piece| {
            let split = ids::split(piece.body(), &Known::default()).unwrap();
            [&piece.head(&split)[..], &split.decimals, &split.packed].concat()
        });
        let at = at.index(payload.len());
        payload[at] = byte;
        let mut out = Vec::new();
        let _ = append_piece(&payload, 9_000, &mut out);
        prop_assert!(out.len() <= 9_000 + 32);
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
