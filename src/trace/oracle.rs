//! The text rule once more, slowly and from its wording alone, to compare with; and generators of
//! logs that lean towards what is hard in it.
#![allow(clippy::unwrap_used)] // Test code: the expressions are constant.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use proptest::prelude::*;
use regex::bytes::Regex;

fn regex(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

static STAMP: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?-u)\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ([0-9a-f]{2}[OE])([+ ])")
});
static MARKER: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?-u)section_(start|end):(\d+):([A-Za-z0-9_.-]+)(\[[^\]\r\n]*\])?\r(\x1b\[0K)?")
});
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"(?s-u)\x1b\[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]",
        r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\)",
        r"|\x1b\[[\x30-\x3f]*[\x20-\x2f]*\z",
        r"|\x1b[\]PX^_]",
        r"|\x1b(?:[\x20-\x2f]+[\x30-\x7e]|[\x30-\x5a\x5c-\x7e])",
        r"|\x1b",
    ))
});

/// A line as the rule describes it.
pub(super) struct Line {
    pub(super) content: Vec<u8>,
    pub(super) pieces: Vec<Range<usize>>,
    pub(super) stream: Option<String>,
}

impl Line {
    pub(super) fn plain(&self) -> Vec<u8> {
        let unmarked = MARKER.replace_all(&self.content, &b""[..]);
        let mut plain = ESCAPE.replace_all(&unmarked, &b""[..]).into_owned();
        if plain.ends_with(b"\r") {
            plain.pop();
        }
        plain
    }

    /// Whether each marker opens, and its name.
    pub(super) fn markers(&self) -> Vec<(bool, String)> {
        let marker = |found: regex::bytes::Captures<'_>| {
            let name = String::from_utf8(found[3].to_vec()).unwrap();
            (&found[1] == b"start", name)
        };
        MARKER.captures_iter(&self.content).map(marker).collect()
    }
}

pub(super) fn lines(raw: &[u8], window: usize) -> Vec<Line> {
    let mut pieces: Vec<&[u8]> = raw.split(|byte| *byte == b'\n').collect();
    if pieces.last() == Some(&&b""[..]) {
        pieces.pop();
    }
    let mut lines: Vec<Line> = Vec::new();
    let mut latest: HashMap<Vec<u8>, (usize, usize)> = HashMap::new();
    let mut at = 0;
    for piece in pieces {
        let range = at..at + piece.len();
        let Some(stamp) = STAMP.captures(piece) else {
            lines.push(Line { content: piece.to_vec(), pieces: vec![range], stream: None });
            at += piece.len() + 1;
            continue;
        };
        let (stream, text) = (stamp[1].to_vec(), &piece[stamp[0].len()..]);
        let before = latest.get(&stream).copied();
        let line = match before {
            Some((line, end)) if &stamp[2] == b"+" && at - end < window => {
                lines[line].content.extend_from_slice(text);
                lines[line].pieces.push(range);
                line
            }
            _ => {
                lines.push(Line {
                    content: text.to_vec(),
                    pieces: vec![range],
                    stream: Some(String::from_utf8(stream.clone()).unwrap()),
                });
                lines.len() - 1
            }
        };
        at += piece.len() + 1;
        latest.insert(stream, (line, at));
    }
    lines
}

pub(super) fn plain(raw: &[u8], window: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines(raw, window) {
        out.extend_from_slice(&line.plain());
        out.push(b'\n');
    }
    out
}

/// A log of up to `parts` parts, most of them whole tokens of the grammar, some cut or broken.
pub(crate) fn log(parts: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(part(), 0..parts).prop_map(|parts| parts.concat())
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => stamp(),
        6 => Just(b"\n".to_vec()),
        4 => (stamp(), token()).prop_map(|(stamp, text)| [b"\n", &stamp[..], &text[..]].concat()),
        6 => token(),
        2 => (token(), any::<prop::sample::Index>()).prop_map(|(token, at)| {
            token[..at.index(token.len() + 1)].to_vec()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..6),
        1 => (1..150_usize).prop_map(|length| vec![b'x'; length]),
    ]
}

fn stamp() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop::sample::select(vec!["00O", "00E", "01O", "01E", "ffO", "0gO", "01X"]);
    let time = prop::sample::select(vec!["2024-05-06T07:08:09", "2024-13-06T07:08:61"]);
    let flag = prop::sample::select(vec!["+", "+", " ", "-"]);
    (time, stream, flag)
        .prop_map(|(time, stream, flag)| format!("{time}.000001Z {stream}{flag}").into_bytes())
}

fn token() -> impl Strategy<Value = Vec<u8>> {
    let tokens: Vec<&[u8]> = vec![
        b"section_start:1700000000:a\r\x1b[0K",
        b"section_start:1:a\r",
        b"section_start:2:b[collapsed=true]\r\x1b[0K",
        b"section_end:3:a\r\x1b[0K",
        b"section_end:4:b\r",
        b"section_end:5:c\r",
        b"section_",
        b"start:1:",
        b"a[x]\r",
        b"[",
        b"]",
        b"\r",
        b"\r\n",
        b"\x1b",
        b"\x1b[",
        b"\x1b[0K",
        b"\x1b[1;31m",
        b"[0m",
        b"\x1b]0;title",
        b"\x07",
        b"\x1b\\",
        b"\x1bP",
        b"\x1b(B",
        b"\x1b ",
        b"0",
        b" ",
        b"text",
        b"\0",
        b"\xff\xc3",
        "\u{e9}\u{202e}\u{9b}".as_bytes(),
    ];
    prop::sample::select(tokens).prop_map(<[u8]>::to_vec)
}
