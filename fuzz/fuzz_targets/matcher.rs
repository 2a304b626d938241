//! The matcher against a naive one, line by line: literals and regexes, each case.
#![no_main]

use std::ops::ControlFlow;

use jobvault_index::{Case, Matcher, Query};
use libfuzzer_sys::fuzz_target;
use regex::bytes::RegexBuilder;

fuzz_target!(|data: &[u8]| {
    let [flags, len, rest @ ..] = data else { return };
    let (needle, text) = rest.split_at(rest.len().min(*len as usize % 48));
    let ignore = flags & 1 == 1;
    let case = if ignore { Case::Ignore } else { Case::Sensitive };
    let is_regex = flags & 2 == 2;
    let query = match (is_regex, std::str::from_utf8(needle)) {
        (true, Ok(regex)) => Query::from_parts(&[], &[regex.to_owned()], &[], case),
        (true, Err(_)) => return,
        (false, _) => Query::from_parts(&[needle.to_vec()], &[], &[], case),
    };
    let Ok(query) = query else { return };
    let Ok(matcher) = Matcher::new(&query) else { return };
    let naive = match (is_regex, ignore) {
        (false, false) => None,
        (false, true) if std::str::from_utf8(needle).is_err() => return,
        (true, _) => Some(String::from_utf8_lossy(needle).into_owned()),
        (false, true) => Some(regex::escape(&String::from_utf8_lossy(needle))),
    };
    let naive = naive.map(|regex| {
        RegexBuilder::new(&regex).case_insensitive(ignore).size_limit(1 << 24).build()
    });
    let Ok(naive) = naive.transpose() else { return };
    let holds = |line: &[u8]| match &naive {
        Some(regex) => regex.is_match(line),
        None => needle.is_empty() || line.windows(needle.len()).any(|window| window == needle),
    };
    let mut expected = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        if holds(bare) {
            expected.push(at..at + bare.len());
        }
        at += line.len();
    }
    let mut found = Vec::new();
    matcher.lines(0, text, &mut |range| {
        found.push(range);
        ControlFlow::Continue(())
    });
    assert_eq!(found, expected, "{:?} in {:?}", String::from_utf8_lossy(needle), text);
    for line in &found {
        let ranges = matcher.ranges(0, &text[line.clone()]);
        assert!(!ranges.is_empty() && matcher.is_match(0, &text[line.clone()]));
        assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
});
