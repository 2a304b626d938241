//! Made-up logs and queries for the property tests: small, and full of what is hard.
//!
//! The number of cases is that of proptest, `PROPTEST_CASES` in the environment.
#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::query::{Case, Pattern, Query};

/// A query before it is known which text it is cut from.
#[derive(Debug, Clone)]
pub(crate) enum Sought {
    /// Some bytes of a line, letters changed in case where a bit says so.
    Cut(Index, Index, Index, u64),
    Literal(Vec<u8>),
    Regex(String),
}

const WORDS: [&str; 39] = [
    "the",
    "The",
    "in",
    "to",
    "test",
    "file",
    "error",
    "Error",
    "k",
    "K",
    "s",
    "task",
    "TASKS",
    "kiss",
    "\u{212a}elvin",
    "wa\u{17f}",
    "ß",
    "Straße",
    "é",
    "É",
    "naïve",
    "abc",
    "abcd",
    "abcde",
    "x86",
    "a1b2",
    "deadbeef01",
    "DEAD",
    "beef",
    "0",
    "42",
    "12345678",
    "v8Xq2LmN0pRt",
    "k7S9sK2a4e8x1",
    "7Q3M9Z1K",
    "_x",
    "snake_case_9",
    "日本",
    "ǆ",
];
const GAPS: [&str; 16] =
    [" ", " ", "", "", "/", ": ", "-", ".", "\r", "\t", "(", ")", "\u{1b}[", "%", "=", "  "];

fn word() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        2 => "[0-9a-f]{1,12}".prop_map(String::into_bytes),
        1 => "[0-9a-fks-uA-DKS]{6,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..4),
        1 => ("[a-c]", 120usize..140).prop_map(|(c, n)| c.repeat(n).into_bytes()),
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((word(), select(&GAPS[..])), 0..5).prop_map(|parts| {
        let parts = parts.into_iter().map(|(word, gap)| [word, gap.as_bytes().to_vec()].concat());
        let mut line = parts.collect::<Vec<_>>().concat();
        line.retain(|byte| *byte != b'\n');
        line
    })
}

/// Texts of whole lines, each ended by LF.
pub(crate) fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let text = prop::collection::vec(line(), 0..5);
    let text = text.prop_map(|lines| {
        let lines = lines.into_iter().map(|line| [line.as_slice(), b"\n"].concat());
        lines.collect::<Vec<_>>().concat()
    });
    prop::collection::vec(text, 1..5)
}

fn regex() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        6 => select(&WORDS[..]).prop_map(regex_syntax::escape),
        3 => "[a-ce-fksKS0-9_ é]{1,3}",
        1 => select(&[
            ".", "\\d", "\\w", "\\s", "\\S", "^", "$", "\\b", "\\B", "\\A", "\\z", "[a-c]", "[kK]", "[sS\u{17f}]",
            "[^a]", "\\x41", "(?i)", "\\pL", "\\r", "[0-9a-f]", "(?-u:\\xff)", "(?-u:\\w)", "[\\n a]", "\\b{start}",
        ][..]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let many = prop::collection::vec(inner.clone(), 1..4);
        let repeat = select(&["?", "*", "+", "{2}", "{1,3}", "{2,}", "*?", "{0}"][..]);
        prop_oneof![
            4 => many.clone().prop_map(|parts| parts.concat()),
            2 => many.prop_map(|parts| format!("({})", parts.join("|"))),
            2 => (inner.clone(), repeat).prop_map(|(part, times)| format!("(?:{part}){times}")),
            1 => inner.prop_map(|part| format!("(?i:{part})")),
        ]
    })
}

/// What is looked for.
pub(crate) fn sought() -> impl Strategy<Value = Sought> {
    let literal = "[a-cefksKS0-9_ .é\u{212a}]{0,6}";
    prop_oneof![
        5 => (any::<Index>(), any::<Index>(), any::<Index>(), prop_oneof![Just(0), any::<u64>()])
            .prop_map(|(line, from, to, flips)| Sought::Cut(line, from, to, flips)),
        2 => literal.prop_map(|literal| Sought::Literal(literal.into_bytes())),
        5 => regex().prop_map(Sought::Regex),
    ]
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    select(&[Case::Smart, Case::Ignore, Case::Sensitive][..])
}

/// Makes the query of one term, or `None` if the regex is refused.
pub(crate) fn query(sought: &Sought, texts: &[Vec<u8>], case: Case) -> Option<Query> {
    let (literals, regexes) = match sought {
        Sought::Cut(line, from, to, flips) => (vec![cut(texts, line, from, to, *flips)], vec![]),
        Sought::Literal(literal) => (vec![literal.clone()], vec![]),
        Sought::Regex(regex) => (vec![], vec![regex.clone()]),
    };
    Query::from_parts(&literals, &regexes, &[], case).ok()
}

fn cut(texts: &[Vec<u8>], line: &Index, from: &Index, to: &Index, flips: u64) -> Vec<u8> {
    let lines: Vec<&[u8]> = texts.iter().flat_map(|text| lines_of(text)).collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let line = lines[line.index(lines.len())];
    let (a, b) = (from.index(line.len() + 1), to.index(line.len() + 1));
    let mut cut = line[a.min(b)..a.max(b)].to_vec();
    for (index, byte) in cut.iter_mut().enumerate() {
        if flips >> (index % 64) & 1 == 1 && byte.is_ascii_alphabetic() {
            *byte ^= 0x20;
        }
    }
    cut
}

/// Returns the lines of a text without their LF.
pub(crate) fn lines_of(text: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.pop(), Some(&[] as &[u8]));
    lines
}

/// Returns the numbers of the lines in which the first term occurs, found line by line.
pub(crate) fn oracle(query: &Query, text: &[u8]) -> Vec<usize> {
    let term = &query.terms[0];
    let pattern = match &term.pattern {
        Pattern::Literal(literal) => crate::matcher::escape(literal),
        Pattern::Regex(regex) => regex.clone(),
    };
    let regex = regex::bytes::RegexBuilder::new(&format!("(?:{pattern})"))
        .multi_line(true)
        .case_insensitive(term.ignore_case)
        .size_limit(64 << 20)
        .build()
        .unwrap();
    let lines = lines_of(text).into_iter().enumerate();
    lines.filter(|(_, line)| regex.is_match(line)).map(|(number, _)| number).collect()
}
