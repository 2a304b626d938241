//! Lines, sections and plain text against the oracle, and cases by hand.
#![allow(clippy::unwrap_used)] // A test states what must hold.

use proptest::prelude::*;

use super::lines::Lines;
use super::plain::plain_with_window;
use super::*;

const O: &str = "2024-05-06T07:08:09.000001Z 01O";
const E: &str = "2024-05-06T07:08:10.000001Z 01E";

fn text(raw: &[u8]) -> String {
    let plain = plain(raw);
    let by_line: Vec<u8> =
        lines(raw).iter().flat_map(|line| [&line.plain()[..], b"\n"].concat()).collect();
    assert_eq!(plain.text().escape_ascii().to_string(), by_line.escape_ascii().to_string());
    assert_eq!(plain.text(), oracle::plain(raw, 65536));
    plain.text().escape_ascii().to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn plain_text_is_what_the_rule_says(raw in oracle::log(40), window in 1..300_u64) {
        let mut plain = Plain::default();
        plain_with_window(&raw, window, &mut plain);
        let want = oracle::plain(&raw, usize::try_from(window).unwrap());
        prop_assert_eq!(plain.text().escape_ascii().to_string(), want.escape_ascii().to_string());
        let joined: Vec<u8> = plain.lines().flat_map(|line| [line, b"\n"].concat()).collect();
        prop_assert_eq!(plain.text(), joined);
        for (index, end) in plain.ends().iter().enumerate() {
            prop_assert_eq!(plain.line_at(*end), Some(index));
            prop_assert_eq!(plain.line_at(*end + 1), (index + 1 < plain.len()).then_some(index + 1));
        }
    }

    #[test]
    fn lines_are_what_the_rule_says(raw in oracle::log(40), window in 1..300_u64) {
        let lines = Lines::with_window(&raw, window);
        let want = oracle::lines(&raw, usize::try_from(window).unwrap());
        prop_assert_eq!(lines.len(), want.len());
        let mut covered = 0;
        for (line, want) in lines.iter().zip(&want) {
            prop_assert_eq!(line.pieces().collect::<Vec<_>>(), want.pieces.clone());
            prop_assert_eq!(line.raw_range().start, want.pieces[0].start);
            prop_assert_eq!(line.raw_range().end, want.pieces.last().unwrap().end);
            prop_assert_eq!(line.content().to_vec(), want.content.clone());
            prop_assert_eq!(line.plain().to_vec(), want.plain());
            prop_assert_eq!(line.stream().map(|stream| stream.to_string()), want.stream.clone());
            prop_assert_eq!(line.stamp().is_some(), want.stream.is_some());
            let markers = line.markers();
            let found = markers.all().iter().map(|marker| (marker.start, marker.name.clone()));
            prop_assert_eq!(found.collect::<Vec<_>>(), want.markers());
            covered += line.pieces().map(|piece| piece.len()).sum::<usize>();
        }
        let feeds = raw.iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!(covered + feeds, raw.len());
    }

    #[test]
    fn the_end_of_a_log_never_panics(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        is_truncated(&raw);
    }
}

#[test]
fn an_empty_log_has_no_line() {
    assert_eq!(text(b""), "");
    assert!(lines(b"").is_empty());
    assert!(plain(b"").is_empty());
    assert_eq!(plain(b"").line_at(0), None);
}

#[test]
fn a_last_line_needs_no_line_feed() {
    assert_eq!(text(b"a\nb"), "a\\nb\\n");
    assert_eq!(text(b"a\nb\n"), "a\\nb\\n");
    assert_eq!(text(b"\n\n"), "\\n\\n");
    assert_eq!(text(b"a\r"), "a\\n");
}

#[test]
fn one_carriage_return_goes_and_frames_stay() {
    assert_eq!(text(b"windows\r\n"), "windows\\n");
    assert_eq!(text(b"odd\r\r\n"), "odd\\r\\n");
    assert_eq!(text(b" 10%\r 50%\r\x1b[K100%\r\n"), " 10%\\r 50%\\r100%\\n");
}

#[test]
fn odd_bytes_stay() {
    assert_eq!(text(b"a\0b\xff\xfe\x80\n"), "a\\x00b\\xff\\xfe\\x80\\n");
}

#[test]
fn a_runners_log_loses_markers_and_colours() {
    let raw = b"\x1b[0KRunning with gitlab-runner 17.5.0\x1b[0;m\n\
        section_start:1:prepare\r\x1b[0K\x1b[0K\x1b[36;1mPreparing\x1b[0;m\x1b[0;m\n\
        section_end:2:prepare\r\x1b[0Ksection_start:2:step\r\x1b[0K\x1b[32;1m$ make\x1b[0;m\n\
        section_end:3:step\r\x1b[0K\n";
    assert_eq!(text(raw), "Running with gitlab-runner 17.5.0\\nPreparing\\n$ make\\n\\n");
}

#[test]
fn stamped_pieces_join_their_stream() {
    let raw = format!("plain\n{O} one\n{E} two\n{O}+ and\r\n{E}+ too\n{O} three\nend\n");
    assert_eq!(text(raw.as_bytes()), "plain\\none and\\ntwo too\\nthree\\nend\\n");
    let lines = lines(raw.as_bytes());
    let one = lines.get(1).unwrap();
    assert_eq!(one.pieces().count(), 2);
    assert_eq!(one.stamp().unwrap().as_str(), &O[..27]);
    assert_eq!(one.time().unwrap().to_string(), "2024-05-06T07:08:09.000001Z");
    assert_eq!(one.stream().unwrap(), Stream { number: 1, stderr: false });
    assert_eq!(one.content(), &b"one and\r"[..]);
    assert!(raw[one.raw_range()].ends_with("+ and\r"));
    assert_eq!(lines.get(0).unwrap().stream(), None);
    assert!(lines.get(5).is_none());
}

#[test]
fn a_marker_split_by_a_flush_is_removed_whole() {
    let raw = format!("{O} section_start:1:a\r\n{O}+\x1b[0KTitle\n{O} section_e\n{O}+nd:2:a\r\n");
    assert_eq!(text(raw.as_bytes()), "Title\\n\\n");
    assert_eq!(lines(raw.as_bytes()).get(1).unwrap().markers().all().len(), 1);
}

#[test]
fn the_window_counts_from_line_feed_to_stamp() {
    for (gap, want) in [(65_535, 2), (65_536, 3)] {
        let between = "x".repeat(gap - 1);
        let raw = format!("{O} one\n{between}\n{O}+two\n");
        text(raw.as_bytes());
        assert_eq!(plain(raw.as_bytes()).len(), want, "{gap}");
    }
}

#[test]
fn a_line_of_50_mb_is_one_line() {
    let mut raw = vec![b'x'; 50_000_000];
    assert_eq!(plain(&raw).ends(), [50_000_000]);
    raw.extend_from_slice(b"\x1b[0m\r\nnext");
    assert_eq!(plain(&raw).ends(), [50_000_000, 50_000_005]);
    assert_eq!(lines(&raw).get(0).unwrap().plain().len(), 50_000_000);
}

#[test]
fn buffers_are_reused_without_a_trace_of_before() {
    let mut plain = Plain::default();
    plain_into(b"a long first text\nof two lines\n", &mut plain);
    plain_into(b"short", &mut plain);
    assert_eq!(plain.text(), b"short\n");
    assert_eq!(plain.line(0), Some(&b"short"[..]));
    assert_eq!(plain.into_text(), b"short\n");
}
