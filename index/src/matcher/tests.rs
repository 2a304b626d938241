//! Lines and ranges, against examples and line by line against the regex crate.
#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use proptest::prelude::*;

use super::*;
use crate::query::Case;
use crate::sample::{self, lines_of, oracle};

fn matcher(regex: &str) -> Matcher {
    Matcher::new(&Query::from_parts(&[], &[regex.to_owned()], &[], Case::Smart).unwrap()).unwrap()
}

fn literal(literal: &[u8]) -> Matcher {
    Matcher::new(&Query::from_parts(&[literal.to_vec()], &[], &[], Case::Smart).unwrap()).unwrap()
}

/// The numbers of the lines, checked to be whole lines.
fn lines(matcher: &Matcher, text: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let _ = matcher.lines(0, text, &mut |range| {
        assert!(range.start == 0 || text[range.start - 1] == b'\n');
        assert!(text.get(range.end).is_none_or(|byte| *byte == b'\n'));
        found.push(text[..range.start].iter().filter(|byte| **byte == b'\n').count());
        ControlFlow::Continue(())
    });
    found
}

#[test]
fn anchors_and_classes_keep_to_one_line() {
    let text = b"foo\n\nbar\r\nfoo bar\n";
    for (regex, expected) in [
        ("^foo$", vec![0]),
        ("^$", vec![1]),
        ("\\Abar", vec![2]),
        ("foo\\z", vec![0]),
        ("bar$", vec![3]),
        ("bar.$", vec![2]),
        ("o\\s*b", vec![3]),
        ("[^x]*", vec![0, 1, 2, 3]),
        ("o[^x]b", vec![3]),
        ("", vec![0, 1, 2, 3]),
        ("\\bbar\\b", vec![2, 3]),
    ] {
        assert_eq!(lines(&matcher(regex), text), expected, "{regex}");
    }
}

#[test]
fn literals_may_be_any_bytes_and_fold_by_unicode() {
    assert_eq!(lines(&literal(b"\xff\xfe"), b"a\n\xff\xfe\n"), [1]);
    assert_eq!(lines(&literal(b"\xffk"), "a\n".as_bytes()), [0; 0]);
    assert_eq!(lines(&literal(b"\xffk"), b"\xff\xe2\x84\xaa\n\xffK\n\xffk\n"), [0, 1, 2]);
    assert_eq!(lines(&literal("straße".as_bytes()), "STRA\u{1e9e}E\n".as_bytes()), [0]);
    assert_eq!(lines(&literal(b"Error"), b"error\nError\n"), [1]);
    assert_eq!(lines(&literal(b"a.c"), b"abc\nA.C\n"), [1]);
    assert_eq!(lines(&literal(b""), b"\n\n"), [0, 1]);
    assert_eq!(lines(&literal(b"x"), b""), [0; 0]);
    assert_eq!(lines(&literal(b"x"), b"a\nx"), [1]);
}

#[test]
fn a_search_stops_when_told() {
    let mut found = 0;
    let _ = literal(b"x").lines(0, b"x\nx\nx\n", &mut |_| {
        found += 1;
        if found == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(found, 2);
}

#[test]
fn ranges_do_not_overlap() {
    assert_eq!(literal(b"aa").ranges(0, b"aaaaa"), [0..2, 2..4]);
    assert_eq!(matcher("b*").ranges(0, b"abba"), [0..0, 1..3, 4..4]);
    assert_eq!(matcher("\\d+").ranges(0, b"1 22 333"), [0..1, 2..4, 5..8]);
    assert_eq!(literal(b"").ranges(0, b""), [Range::default()]);
    assert_eq!(literal(b"").ranges(0, &[b'a'; 2 * MAX_RANGES]).len(), MAX_RANGES);
}

#[test]
fn a_line_is_read_a_bounded_number_of_times_for_its_ranges() {
    let line = b"ex ".repeat(100_000);
    // For each `x` the engine reads to the end, since `e.*zz` would come first.
    let costly = matcher("e.*zz|x").ranges(0, &line);
    assert_eq!(costly[0], 1..2);
    let bound = RANGE_READS + RANGE_SPARE.div_ceil(line.len()) + 1;
    assert!((RANGE_READS..=bound).contains(&costly.len()), "{}", costly.len());
    // What cannot match far, or was read only once, is found all over the line.
    for cheap in [matcher("e.{0,3}zz|x"), matcher("[ex]+"), matcher("\\w+?"), literal(b"x")] {
        assert_eq!(cheap.ranges(0, &line).len(), MAX_RANGES);
    }
    let short = &line[..1_200];
    assert_eq!(matcher("e.*zz|x").ranges(0, short).len(), 400);
}

#[test]
fn long_lines_are_matched_in_windows_that_overlap() {
    let mut text = vec![b'.'; 2 * WINDOW + 1000];
    let places = [10, WINDOW - 3, WINDOW - OVERLAP + 1, 2 * WINDOW - OVERLAP - 2, 2 * WINDOW + 5];
    for at in places {
        text[at..at + 6].copy_from_slice(b"needle");
    }
    let mut expected = places.map(|at| at..at + 6);
    expected.sort_by_key(|range| range.start);
    let line = text.clone();
    text.extend_from_slice(b"\nno\n");
    for matcher in [literal(b"needle"), matcher("n[e]+dle")] {
        assert_eq!(matcher.ranges(0, &line), expected);
        let mut found = 0;
        let windowed = matcher.lines(0, &text, &mut |range| {
            assert_eq!(range, 0..line.len());
            found += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((found, windowed), (1, Windowed(true)));
    }
    let windowed = literal(b"no").lines(0, b"no\n", &mut |_| ControlFlow::Continue(()));
    assert_eq!(windowed, Windowed(false));
}

proptest! {
    #[test]
    fn lines_are_those_found_one_by_one(
        texts in sample::texts(), sought in sample::sought(), case in sample::case()
    ) {
        let Some(query) = sample::query(&sought, &texts, case) else { return Ok(()) };
        let matcher = Matcher::new(&query).unwrap();
        for text in &texts {
            let expected = oracle(&query, text);
            prop_assert_eq!(&lines(&matcher, text), &expected);
            for (number, line) in lines_of(text).into_iter().enumerate() {
                let ranges = matcher.ranges(0, line);
                prop_assert_eq!(!ranges.is_empty(), expected.contains(&number));
                prop_assert!(ranges.is_sorted_by(|a, b| a.end <= b.start && a != b));
                prop_assert!(ranges.iter().all(|range| range.end <= line.len()));
            }
        }
    }
}
