//! Flat dictionaries: what a scan finds, and that a damaged file is never believed.
#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn file(tokens: &[&str]) -> Vec<u8> {
    let mut builder = Builder::new();
    tokens.iter().for_each(|token| builder.push(token.as_bytes()));
    builder.finish()
}

fn flat(tokens: &[&str]) -> Flat {
    Flat::parse(OwnedBytes::new(file(tokens)), tokens.len() as u64).unwrap()
}

fn scan(flat: &Flat, lookup: &Lookup) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    flat.scan(lookup, |token| {
        found.push(token.to_vec());
        true
    });
    found
}

fn found(flat: &Flat, piece: bool, place: Place, bytes: &str, fold: bool) -> Vec<String> {
    let coding = if piece { Coding::Pieces } else { Coding::Word };
    let bytes = bytes.as_bytes().to_vec();
    let (full, rare, bounds) = (false, false, [false; 2]);
    let lookup = Lookup { coding, place, bytes, fold, full, rare, bounds };
    let text = |token| String::from_utf8(token).unwrap().replace('\u{1}', ".");
    scan(flat, &lookup).into_iter().map(text).collect()
}

#[test]
fn a_scan_finds_each_kind_of_place_in_its_half() {
    let flat = flat(&[
        "\u{1}0dea",
        "\u{1}dead",
        "\u{1}ead",
        "\u{1}eade",
        "\u{2}",
        "DEAd",
        "aa",
        "dead",
        "deadline",
        "undead",
    ]);
    use Place::*;
    assert_eq!(found(&flat, true, Inside, "ead", false), [".eade", ".dead", ".ead"]);
    assert_eq!(found(&flat, true, Start, "dea", false), [".dead"]);
    assert_eq!(found(&flat, true, End, "dea", false), [".0dea"]);
    assert_eq!(found(&flat, false, Whole, "dead", false), ["dead"]);
    assert_eq!(found(&flat, false, Whole, "dead", true), ["dead", "DEAd"]);
    assert_eq!(found(&flat, false, Start, "dead", true), ["dead", "DEAd", "deadline"]);
    assert_eq!(found(&flat, false, End, "dead", false), ["dead", "undead"]);
    assert_eq!(found(&flat, false, Inside, "a", false), ["dead", "aa", "deadline", "undead"]);
}

#[test]
fn ids_take_a_bit_each() {
    let ids: Vec<String> = (0..0x10000).map(|id| format!("\u{1}{id:04x}")).collect();
    let tokens: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert!(file(&tokens).len() < 9_000);
    let flat = flat(&tokens);
    assert_eq!(found(&flat, true, Place::Whole, "12ab", false), [".12ab"]);
    assert_eq!(found(&flat, true, Place::Start, "12a", false).len(), 16);
    assert_eq!(found(&flat, true, Place::Inside, "11", false).len(), 736);
    assert_eq!(found(&flat, true, Place::End, "g", false).len(), 0);
    assert_eq!(found(&flat, false, Place::Start, "1", false).len(), 0);
}

#[test]
fn halves_may_be_empty() {
    assert!(found(&flat(&[]), false, Place::Inside, "a", false).is_empty());
    assert!(found(&flat(&["\u{1}a"]), false, Place::Inside, "a", false).is_empty());
    assert!(found(&flat(&["a"]), true, Place::Inside, "a", false).is_empty());
}

#[test]
fn a_damaged_or_stale_file_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
    let directory = MmapDirectory::open(folder.path()).unwrap();
    flat(&["\u{1}a", "b", "cc"]).write(&directory, "s").unwrap();
    let path = folder.path().join(Flat::path("s"));
    let stored = std::fs::read(&path).unwrap();
    let open = || Flat::open(&directory, "s", 3);
    assert_eq!(found(&open().unwrap(), true, Place::Whole, "a", false), [".a"]);
    for at in 0..stored.len() {
        let mut flipped = stored.clone();
        flipped[at] ^= 4;
        std::fs::write(&path, flipped).unwrap();
        assert!(open().is_none_or(|flat| flat.words().eq([b"b".as_slice(), b"cc"])), "byte {at}");
        std::fs::write(&path, &stored[..at]).unwrap();
        assert!(open().is_none());
    }
    let words: Vec<String> = (0..200_000).map(|n| format!("w{n}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    flat(&words).write(&directory, "long").unwrap();
    let long = std::fs::read(folder.path().join(Flat::path("long"))).unwrap();
    assert_eq!(long, file(&words), "what would take long to decode is mapped");
    let long = Flat::open(&directory, "long", 200_000).unwrap();
    assert_eq!(found(&long, false, Place::Whole, "w77777", false), ["w77777"]);
    let whole = file(&["\u{1}a", "b", "cc"]);
    let parse = |bytes: &[u8], tokens| Flat::parse(OwnedBytes::new(bytes.to_vec()), tokens);
    assert!(parse(&whole, 3).is_some());
    assert!(parse(&whole, 4).is_none());
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        assert!(parse(&flipped, 3).is_none(), "byte {at}");
        assert!(parse(&whole[..at], 3).is_none());
    }
    assert!(Flat::open(&directory, "missing", 3).is_none());
}

fn token() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof!["\u{1}[abAB0@`]{1,4}", "\u{1}[abé]{1,2}", "[abAB0@`é]{1,9}", "\u{3}[0-3ab]{0,4}"]
        .prop_map(String::into_bytes)
}

fn lookup() -> impl Strategy<Value = Lookup> {
    let place =
        prop_oneof![Just(Place::Whole), Just(Place::Start), Just(Place::End), Just(Place::Inside)];
    let coding = prop_oneof![Just(Coding::Word), Just(Coding::Pieces), Just(Coding::Rough)];
    let bytes = prop_oneof!["[abAB0@`]{1,5}", "[0-3ab]{1,4}"];
    let made = |(coding, [fold, full, left, right], place, bytes): (_, [bool; 4], _, String)| {
        let mut bytes = bytes.into_bytes();
        if fold {
            bytes.make_ascii_lowercase();
        }
        let (full, rare, bounds) = (full && coding != Coding::Word, false, [false; 2]);
        Lookup { coding, place, bytes, fold, full, rare, bounds }.bounded([left, right])
    };
    (coding, any::<[bool; 4]>(), place, bytes).prop_map(made)
}

proptest! {
    #[test]
    fn a_scan_finds_just_the_accepted_tokens(
        tokens in proptest::collection::btree_set(token(), 0..200), lookup in lookup()
    ) {
        let mut builder = Builder::new();
        tokens.iter().for_each(|token| builder.push(token));
        let flat = Flat::parse(OwnedBytes::new(builder.finish()), tokens.len() as u64).unwrap();
        let found: BTreeSet<Vec<u8>> = scan(&flat, &lookup).into_iter().collect();
        let accepted = tokens.into_iter().filter(|token| lookup.accepts(token));
        prop_assert_eq!(found, accepted.collect());
    }
}
