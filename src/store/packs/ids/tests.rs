#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use proptest::prelude::*;

/// Random enough, and the same each time.
fn hex(seed: u64, digits: usize) -> String {
    let hash = blake3::hash(&seed.to_le_bytes()).to_hex();
    hash.as_str().repeat(digits / 64 + 1)[..digits].to_owned()
}

fn uuid(seed: u64) -> String {
    let hex = hex(seed, 32);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn join(coding: &[u8], room: usize) -> Option<Vec<u8>> {
    let mut out = b"before".to_vec();
    super::join(coding, room, &mut out)?;
    assert!(out.starts_with(b"before"));
    Some(out.split_off(6))
}

fn comes_back(text: &str, known: &Known) -> Split {
    let split = split(text.as_bytes(), known).expect("most of it are ids");
    assert_eq!(join(&split.parts().concat(), text.len()).unwrap(), text.as_bytes());
    split
}

/// The text with placeholders.
fn body(split: &Split) -> &[u8] {
    let mut reader = Reader::new(&split.head);
    let [forms, body, _] = [(); 3].map(|()| reader.size().unwrap());
    reader.bytes(2 * forms).unwrap();
    let text = reader.bytes(body).unwrap();
    assert!(reader.is_empty());
    text
}

#[test]
fn ids_take_half_a_byte_a_digit_and_leave_equal_lines() {
    let line = |n| format!("part-7-{}.parquet trace {} rows\n", uuid(n), hex(n + 1000, 40));
    let split = comes_back(&(0..100).map(line).collect::<String>(), &Known::default());
    assert_eq!(split.packed.len(), 100 * (16 + 20));
    assert!(split.decimals.is_empty());
    let lines: Vec<&[u8]> = body(&split).split(|b| *b == b'\n').collect();
    assert!(lines[1..100].iter().all(|line| *line == lines[0]));
    assert!(split.surely);
}

#[test]
fn capitals_and_odd_runs_and_numbers_come_back() {
    let line = |n: u64| {
        let (id, odd) = (hex(n, 32).to_uppercase(), hex(n + 500, 21));
        format!("{id} {} {odd} took {}\n", uuid(n + 900).to_uppercase(), 10_000 + n)
    };
    let split = comes_back(&(0..50).map(line).collect::<String>(), &Known::default());
    assert_eq!(split.decimals.len(), 50 * 5);
    assert!(split.packed.len() >= 49 * (16 + 16 + 10));
}

#[test]
fn what_repeats_or_stands_in_the_base_stays_in_the_text() {
    let known = Known::of(uuid(1).as_bytes());
    let twice = hex(2, 32);
    let fresh: String = (10..60).map(|n| format!("{} ", hex(n, 32))).collect();
    let split = comes_back(&format!("{} {twice} {fresh}{twice}", uuid(1)), &known);
    let text = String::from_utf8(body(&split).to_vec()).unwrap();
    assert!(text.contains(&uuid(1)) && text.matches(&twice).count() == 2, "{text}");
    assert_eq!(split.packed.len(), 50 * 16);
    let base: String = (0..60).map(|n| format!("{} ", hex(n, 32))).collect();
    assert_eq!(super::split(base.as_bytes(), &Known::of(base.as_bytes())), None);
}

#[test]
fn mixed_case_words_and_numbers_are_no_ids() {
    let text = "deadBEEF01234567 effaced 1234567890123 beefbeefbeef\n".repeat(3);
    assert_eq!(split(text.as_bytes(), &Known::default()), None);
    assert_eq!(split(b"", &Known::default()), None);
}

#[test]
fn a_text_with_every_control_character_is_left() {
    let ids: String = (0..50).map(|n| hex(n, 32) + " ").collect();
    let mut text: Vec<u8> = (0..PLACEHOLDERS_END).collect();
    text.extend_from_slice(ids.as_bytes());
    assert_eq!(split(&text, &Known::default()), None);
    text.remove(5);
    assert!(split(&text, &Known::default()).is_some());
}

#[test]
fn a_coding_that_gives_too_much_is_refused() {
    let mut coding = vec![1, 4, 0, 7, HEX_FROM + 2, 7, b'x', 7, b'y', 0xab, 0xcd, 0xef, 0x01];
    assert_eq!(join(&coding, 10).as_deref(), Some(&b"abcdxef01y"[..]));
    assert_eq!(join(&coding, 9), None);
    coding.pop();
    assert_eq!(join(&coding, 10), None);
    coding.extend([1, 1]);
    assert_eq!(join(&coding, 10), None);
    assert_eq!(join(&[1, 0, 0, PLACEHOLDERS_END, 0], 9), None);
}

proptest! {
    #[test]
    fn any_mixture_comes_back_or_is_left(
        words in proptest::collection::vec(
            prop_oneof![
                2 => "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                2 => "[0-9a-f]{1,70}",
                1 => "[0-9A-F]{6,20}",
                2 => "[0-9]{1,20}",
                1 => "[ -~\\x00-\\x1f]{0,9}",
                1 => "[0-9a-fA-F-]{0,50}",
            ], 0..60),
        separator in "[ g\\n-]{0,1}",
        base in "[0-9a-f]{0,40}",
    ) {
        let text = words.join(&separator).into_bytes();
        if let Some(split) = split(&text, &Known::of(base.as_bytes())) {
            let coding = split.parts().concat();
            prop_assert!(coding.len() < text.len());
            prop_assert_eq!(join(&coding, text.len()).unwrap(), text);
        }
    }

    #[test]
    fn a_place_below_is_the_first(text in proptest::collection::vec(any::<u8>(), 0..40), end in 0..=128u8) {
        prop_assert_eq!(first_below(&text, end), text.iter().position(|b| *b < end));
    }

    #[test]
    fn hostile_codings_never_panic_and_stay_within_the_room(
        mut coding in proptest::collection::vec(prop_oneof![0..40u8, any::<u8>()], 0..80),
        seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        if let Some(joined) = join(&coding, 100) {
            prop_assert!(joined.len() <= 100);
        }
        let text: String = (0..9).map(|n| uuid(seed ^ n) + " x 4711\n").collect();
        coding = split(text.as_bytes(), &Known::default()).unwrap().parts().concat();
        let at = at.index(coding.len());
        coding[at] = byte;
        if let Some(joined) = join(&coding, 500) {
            prop_assert!(joined.len() <= 500);
        }
    }
}
