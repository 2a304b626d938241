//! Plans: that they miss nothing, and that they are not vacuous.
#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::pairs::for_each_pair;
use crate::query::{Case, Query};
use crate::sample::{self, oracle};
use crate::text::for_each_token;

/// What the index keeps of a text.
pub(crate) struct Text {
    pub(crate) tokens: HashSet<Vec<u8>>,
    pub(crate) pairs: HashSet<Pair>,
}

fn tokens(text: &[u8]) -> Text {
    let mut kept = Text { tokens: HashSet::new(), pairs: HashSet::new() };
    for_each_token(text, |token| {
        kept.tokens.insert(token.to_vec());
    });
    for_each_pair(text, |pair| {
        kept.pairs.insert(pair);
    });
    kept
}

fn literal(literal: &str) -> Plan {
    let literal = literal.as_bytes().to_vec();
    Plan::of(&Query::from_parts(&[literal], &[], &[], Case::Smart).unwrap().terms[0])
}

fn regex(regex: &str) -> Plan {
    let regex = regex.to_owned();
    Plan::of(&Query::from_parts(&[], &[regex], &[], Case::Smart).unwrap().terms[0])
}

#[test]
fn inner_runs_are_known_whole() {
    let plan = literal(": Error in deadbeef01 ");
    assert!(!plan.scans());
    assert!(plan.accepts(&tokens(b"Error in deadbeef01")));
    for text in
        ["Errors in deadbeef01", "Error deadbeef01", "Error in deadbeef0", "Error in xdeadbeef01"]
    {
        assert!(!plan.accepts(&tokens(text.as_bytes())), "{text}");
    }
}

#[test]
fn edges_reach_into_words_and_ids() {
    for (sought, texts) in [
        (
            "Rror in",
            vec!["xRror in", "0Rror int", "x86_Rror2 xx; abcdeRror insert5678", "1Rror inn"],
        ),
        ("Beef", vec!["Beef", "deadBeef01", "xdeadBeef01", "dBeef001", "00Beef1", "aBeefz"]),
        ("Ab1", vec!["Ab1", "xAb1", "xxAb1x", "00Ab1", "0000Ab1000", "xxxAb1"]),
    ] {
        for text in texts {
            assert!(literal(sought).accepts(&tokens(text.as_bytes())), "{sought} in {text}");
        }
    }
    assert!(!literal("Beef").accepts(&tokens(b"Bee f")));
    assert!(!literal("Beef").accepts(&tokens(b"deadbeef01")));
    assert!(!literal("Beef012").accepts(&tokens(b"xxxxBeef 012")));
    assert!(!literal("Rror in").accepts(&tokens(b"error inner")));
}

#[test]
fn a_word_bounded_is_no_part_of_another_word() {
    let plan = regex(r"\bRror\b");
    for text in ["Rror", "x Rror-1", "│Rror│", "5│Rror│xyz", "größer│Rror 1"] {
        assert!(plan.accepts(&tokens(text.as_bytes())), "{text}");
    }
    for text in ["Rrors", "xRror", "a_Rror_b", "ErrorRrorX"] {
        assert!(!plan.accepts(&tokens(text.as_bytes())), "{text}");
    }
    assert!(regex(r"\bé").accepts(&tokens("aé".as_bytes())), "a word may begin with what is none");
    assert!(regex(r"│\bRr").accepts(&tokens("│Rror".as_bytes())));
    assert!(regex(r"\bRr").accepts(&tokens("xRr5 Rr".as_bytes())));
}

#[test]
fn folding_finds_the_kelvin_sign_and_the_long_s() {
    for text in ["TASK", "task", "tas\u{212a}", "ta\u{17f}k", "subTaSkS9"] {
        assert!(literal("task").accepts(&tokens(text.as_bytes())), "{text}");
    }
    assert!(!literal("task").accepts(&tokens(b"tax")));
    assert!(!literal("error").accepts(&tokens("e\u{212a}".as_bytes())));
    let kelvin = ["\u{212a}".as_bytes().to_vec()];
    let kelvin = Query::from_parts(&kelvin, &[], &[], Case::Ignore).unwrap();
    assert!(Plan::of(&kelvin.terms[0]).accepts(&tokens(b"k")));
    assert!(literal("größe").accepts(&tokens("GRÖSSE GRÖ\u{1e9e}E".as_bytes())));
    assert!(!literal("größe").accepts(&tokens("GROESSE".as_bytes())));
}

#[test]
fn a_regex_gives_what_each_match_must_hold() {
    let plan = regex("Failed to (Fetch|clone) .*refs/[x-z]q+");
    assert!(plan.accepts(&tokens(b"Failed to Fetch all refs/yqq")));
    assert!(plan.accepts(&tokens(b"xFailed to clone refs/xq")));
    for text in ["Failed Fetch refs/xq", "Failed to pull refs/xq", "Failed to clone refs/dq"] {
        assert!(!plan.accepts(&tokens(text.as_bytes())), "{text}");
    }
    let anchored = regex("^Tests run$");
    assert!(!anchored.scans());
    assert_eq!(regex("\\d+"), Plan::All);
    assert_eq!(regex("Abc|.*"), Plan::All);
    assert_eq!(literal(" - "), Plan::All);
    assert_eq!(literal(""), Plan::All);
    assert!(!regex("(?:Ab){2,}").accepts(&tokens(b"Ab")));
    assert!(regex("Ab{0}c?").accepts(&tokens(b"xA")));
}

#[test]
fn frequent_words_must_be_neighbours() {
    for sought in ["error in the log", "ror in th", "in the"] {
        assert!(literal(sought).accepts(&tokens(b"an Error in The log")), "{sought}");
        assert!(!literal(sought).accepts(&tokens(b"the error log in")), "{sought}");
    }
    for text in ["zzror in thz", "abc0ror in the", "zzror in the0000", "error in theme"] {
        assert!(literal("ror in th").accepts(&tokens(text.as_bytes())), "{text}");
    }
    assert!(!literal("error: the file").accepts(&tokens(b"the file: error")));
}

#[test]
fn frequent_words_must_bear_their_marks() {
    for (sought, not) in [
        ("[ERROR]", "ERROR ] ["),
        ("done)", "done )"),
        ("(failed", "failed ("),
        ("ror:", "xyz: error"),
    ] {
        assert!(literal(sought).accepts(&tokens(sought.as_bytes())), "{sought}");
        assert!(!literal(sought).accepts(&tokens(not.as_bytes())), "{sought} in {not}");
    }
    for text in ["[error]", "x[Error]y", "zzror [error] "] {
        assert!(literal("[error]").accepts(&tokens(text.as_bytes())), "{text}");
    }
    for text in ["Error: ", "zzror: ", "abc0ror: ", "00000ror: "] {
        assert!(literal("ror: ").accepts(&tokens(text.as_bytes())), "{text}");
    }
}

#[test]
fn a_plan_is_bounded() {
    let long = "Ab1".repeat(20_000);
    assert!(literal(&long).lookups() <= MAX_LOOKUPS);
    assert!(literal(&"Ab 1 ".repeat(13_000)).lookups() <= MAX_LOOKUPS);
    assert!(literal(&"äöü".repeat(5_000)).lookups() <= MAX_LOOKUPS);
    let words: Vec<String> = (0..2_000).map(|n| format!("Word{n}")).collect();
    assert!(regex(&words.join("|")).lookups() <= MAX_LOOKUPS);
    assert!(regex(&"(?:ab|cd|ef)".repeat(300)).lookups() <= MAX_LOOKUPS);
}

proptest! {
    #[test]
    fn no_text_that_holds_the_term_is_missed(
        texts in sample::texts(), sought in sample::sought(), case in sample::case()
    ) {
        let Some(query) = sample::query(&sought, &texts, case) else { return Ok(()) };
        let plan = Plan::of(&query.terms[0]);
        prop_assert!(plan.lookups() <= MAX_LOOKUPS);
        for text in &texts {
            if !oracle(&query, text).is_empty() {
                prop_assert!(plan.accepts(&tokens(text)), "{:?}", plan);
            }
        }
    }
}

#[test]
fn large_terms_have_small_plans() {
    let words = |count: usize| (0..count).map(|n| format!("word{n}x")).collect::<Vec<_>>();
    let alternatives = format!("({})", words(1000).join("|"));
    for pattern in [
        alternatives.clone(),
        format!("{alternatives} {alternatives}"),
        format!("(?i){alternatives}"),
        format!("[a-z]{}", words(1000).join("[0-9a-f]")),
        "(a|b)".repeat(2000),
        "(aa?){500}".to_owned(),
    ] {
        assert!(regex(&pattern).lookups() <= MAX_LOOKUPS, "{}", &pattern[..40]);
    }
    let long = words(1500).join(" ");
    assert!(long.len() > 10_000);
    assert!(literal(&long).lookups() <= MAX_RUNS * (MAX_PIECES + MAX_PAIRS));
    assert!(literal(&long.replace(' ', "")).lookups() <= MAX_LOOKUPS);
    assert!(literal(&"ab".repeat(10_000)).lookups() <= MAX_LOOKUPS);
    assert!(literal(&"k".repeat(10_000)).lookups() <= MAX_LOOKUPS);
}
