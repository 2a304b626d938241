#![allow(clippy::unwrap_used)] // A test states what must hold.
#![allow(clippy::single_range_in_vec_init)] // A list of one match is meant.

use proptest::prelude::*;

use super::*;
use crate::trace;

const COLOUR: Style = Style { colour: true, sanitise: true };
const PLAIN: Style = Style { colour: false, sanitise: true };
const RAW: Style = Style { colour: false, sanitise: false };

fn show(content: &[u8], style: Style) -> String {
    render_terminal(content, style).escape_ascii().to_string()
}

fn lit(plain: &[u8], ranges: &[Range<usize>]) -> String {
    let shown = String::from_utf8(highlight(plain, ranges, COLOUR)).unwrap();
    shown.replace("\x1b[1;31m", "<").replace(RESET, ">")
}

/// Whether a terminal that gets the bytes does no more than print and colour.
fn is_harmless(shown: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(shown) else {
        return false;
    };
    let mut rest = Vec::new();
    let mut from = 0;
    for escape in escapes(text.as_bytes()) {
        rest.extend_from_slice(&text.as_bytes()[from..escape.start]);
        from = escape.end;
        if !is_colour(&text.as_bytes()[escape]) {
            return false;
        }
    }
    rest.extend_from_slice(&text.as_bytes()[from..]);
    let rest = String::from_utf8(rest).unwrap();
    !rest.chars().any(|char| {
        (char.is_control() && char != '\t')
            || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn nothing_harmful_reaches_a_terminal(
        raw in crate::trace::log_for_tests(12),
        ranges in prop::collection::vec((0..80_usize, 0..20_usize), 0..4),
        offset in 0..100_usize,
    ) {
        for line in trace::lines(&raw).iter() {
            let content = line.content();
            for style in [COLOUR, PLAIN] {
                let at = render_terminal_at(&content, style, offset);
                prop_assert!(is_harmless(&render_terminal(&content, style)));
                prop_assert!(is_harmless(&at));
            }
            let mut ranges: Vec<_> = ranges.iter().map(|(at, len)| *at..at + len).collect();
            ranges.sort_by_key(|range| range.start);
            let lit = highlight(&line.plain(), &ranges, COLOUR);
            prop_assert!(is_harmless(&lit), "{}", lit.escape_ascii());
            prop_assert!(!escape_html(&content).contains(['<', '>', '"', '\'', '\0', '\x1b']));
        }
    }

    #[test]
    fn without_carriage_returns_and_sanitising_a_line_shows_its_plain_text(
        raw in crate::trace::log_for_tests(12),
    ) {
        for line in trace::lines(&raw).iter() {
            let plain = line.plain();
            if !plain.contains(&b'\r') {
                prop_assert_eq!(render_terminal(&line.content(), RAW), plain.to_vec());
                prop_assert_eq!(highlight(&plain, &[], RAW), plain.to_vec());
            }
        }
    }
}

#[test]
fn colours_stay_if_asked_and_are_closed() {
    let line = b"\x1b[0K\x1b[36;1mTitle\x1b[0;m and \x1b[?25l\x1b]0;x\x07\x1b[38;5;0mrest";
    assert_eq!(show(line, PLAIN), "Title and rest");
    assert_eq!(show(line, COLOUR), "\\x1b[36;1mTitle\\x1b[0;m and \\x1b[38;5;0mrest\\x1b[0m");
    assert_eq!(show(b"\x1b[1mbold\x1b[m", COLOUR), "\\x1b[1mbold\\x1b[m");
    assert_eq!(show(b"\x1b[>4mkeys", COLOUR), "keys");
    let long = format!("\x1b[{}mx", "1;".repeat(100));
    assert_eq!(show(long.as_bytes(), COLOUR), "x");
}

#[test]
fn section_markers_are_not_shown() {
    let line = b"section_end:1:a\r\x1b[0Ksection_start:1:b\r\x1b[0KTitle\r";
    assert_eq!(show(line, PLAIN), "Title");
}

#[test]
fn of_a_progress_bar_the_last_frame_shows() {
    let line = b"\x1b[32m 10%\r 50%\x1b[1m\r100%\r\r";
    assert_eq!(show(line, PLAIN), "100%");
    assert_eq!(show(line, COLOUR), "\\x1b[32m\\x1b[1m100%\\x1b[0m");
    assert_eq!(show(b"\r\r", PLAIN), "");
    assert_eq!(show(b"", COLOUR), "");
    assert_eq!(show(b"\x1b[31mold\x1b[0m\rnew", COLOUR), "new");
}

#[test]
fn the_frame_of_an_offset_shows() {
    let line = b"one\r\x1b[1mtwo\rthree";
    let at = |offset| render_terminal_at(line, PLAIN, offset);
    assert_eq!(at(0), b"one");
    assert_eq!(at(4), b"two");
    assert_eq!(at(8), b"three");
    assert_eq!(at(1000), b"three");
}

#[test]
fn control_bytes_become_visible() {
    assert_eq!(sanitise("a\tb\n\x07\x7f\0"), "a\tb^J^G^?^@");
    assert_eq!(sanitise("\u{9b}31m \u{202e}x\u{2069}"), "\\u{9b}31m \\u{202e}x\\u{2069}");
    assert_eq!(sanitise(b"\xff\xc3(\xe2\x82"), "\u{fffd}\u{fffd}(\u{fffd}");
    assert_eq!(sanitise("\x1b]0;title\x07"), "^[]0;title^G");
    assert_eq!(sanitise("naïve ✓"), "naïve ✓");
}

#[test]
fn output_that_is_no_terminal_can_have_the_bytes_as_they_are() {
    assert_eq!(show(b"a\x07\xff\x1b[1mb", RAW), "a\\x07\\xffb");
    assert_eq!(highlight(b"a\x07\xff", &[0..2], RAW), b"a\x07\xff");
}

#[test]
fn html_shows_text_as_it_is() {
    assert_eq!(escape_html("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    assert_eq!(escape_html(b"\xff\0\t\n"), "\u{fffd}\u{fffd}\t\n");
}

#[test]
fn matches_are_lit() {
    assert_eq!(lit(b"an error here", &[3..8]), "an <error> here");
    assert_eq!(lit(b"aXbX", &[1..2, 3..4]), "a<X>b<X>");
    assert_eq!(lit(b"aXXb", &[1..2, 2..3]), "a<XX>b");
    assert_eq!(lit(b"abc", &[]), "abc");
    assert_eq!(lit(b"abc", &[1..1, 2..90]), "ab<c>");
    assert_eq!(lit(b"abc", &[50..90]), "abc");
}

#[test]
fn a_cut_character_is_lit_whole() {
    assert_eq!(lit("aéb".as_bytes(), &[2..3]), "a<é>b");
    assert_eq!(lit(b"a\xff\x07b", &[1..3]), "a<\u{fffd}^G>b");
}

#[test]
fn of_a_progress_bar_the_frame_with_the_match_shows() {
    assert_eq!(lit(b"10%\rfail\r100%", &[4..8]), "<fail>");
    assert_eq!(lit(b"10%\rfail\r100%", &[2..5]), "10<%^Mf>ail");
    assert_eq!(lit(b"one\rtwo one", &[0..3, 8..11]), "<one>");
}
