#![allow(clippy::unwrap_used)] // A test states what must hold.

use super::*;

fn strip(content: &[u8]) -> String {
    let mut out = Vec::new();
    strip_markers(content, &mut out);
    out.escape_ascii().to_string()
}

fn walk(sections: &mut Sections, content: &[u8]) -> String {
    let markers = Markers::of(content);
    sections.feed(markers.before());
    let here = sections.open().join("/");
    sections.feed(markers.after());
    here
}

#[test]
fn a_marker_gives_all_its_parts() {
    let content = b"\x1b[0Ksection_start:1700000000:my-first.one_2[collapsed=true, a=b]\r\x1b[0Kx";
    let markers = Markers::of(content);
    assert_eq!(
        markers.all(),
        [Marker {
            start: true,
            time_secs: 1_700_000_000,
            name: "my-first.one_2".to_owned(),
            options: b"collapsed=true, a=b".to_vec(),
        }]
    );
    assert_eq!(strip(content), "\\x1b[0Kx");
}

#[test]
fn what_is_not_quite_a_marker_is_text() {
    for text in [
        "section_start:1:name",
        "section_start:1:name\\n",
        "section_start::name\r.",
        "section_start:1:\r.",
        "section_start:1:na me\r.",
        "section_start:1:name[a\r.",
        "section_start:1:name[a]b\r.",
        "section_begin:1:name\r.",
        "Section_start:1:name\r.",
    ] {
        assert_eq!(strip(text.as_bytes()), text.as_bytes().escape_ascii().to_string());
    }
}

#[test]
fn a_marker_can_begin_inside_a_broken_one() {
    assert_eq!(strip(b"section_start:1:section_end:2:a\rx"), "section_start:1:x");
    assert_eq!(strip(b"section_section_end:2:a\rx"), "section_x");
    assert_eq!(strip(b"section_start:1:a[section_end:2:b\rx"), "section_start:1:a[x");
}

#[test]
fn removal_makes_no_new_marker() {
    assert_eq!(strip(b"section_section_end:2:a\rend:1:b\rx"), "section_end:1:b\\rx");
}

#[test]
fn a_clock_out_of_range_saturates() {
    let content = format!("section_end:{}:a\r", "9".repeat(400));
    assert_eq!(Markers::of(content.as_bytes()).all()[0].time_secs, u64::MAX);
}

#[test]
fn a_line_stands_in_the_sections_open_at_its_first_visible_byte() {
    let mut sections = Sections::new();
    let glued = b"section_end:1:a\r\x1b[0Ksection_start:1:b\r\x1b[0K\x1b[36;1mTitle\x1b[0m";
    assert_eq!(walk(&mut sections, b"section_start:1:a\r\x1b[0K\x1b[0KIn a"), "a");
    assert_eq!(walk(&mut sections, glued), "b");
    assert_eq!(walk(&mut sections, b"last of bsection_end:2:b\r\x1b[0K"), "b");
    assert_eq!(walk(&mut sections, b"section_start:3:c\r\x1b[0K\r"), "c");
    assert_eq!(walk(&mut sections, b"  section_end:3:c\r"), "c");
    assert_eq!(walk(&mut sections, b"outside"), "");
}

#[test]
fn an_escape_put_together_by_a_removal_is_not_visible() {
    let markers = Markers::of(b"\x1bsection_start:1:a\r[0mtextsection_start:1:b\r");
    assert_eq!(markers.before().len(), 1);
    assert_eq!(markers.after().len(), 1);
}

#[test]
fn unbalanced_sections_close_what_they_can() {
    let mut sections = Sections::from_open(vec!["a".to_owned(), "b".to_owned(), "a".to_owned()]);
    walk(&mut sections, b"section_end:1:z\r");
    assert_eq!(sections.open(), ["a", "b", "a"]);
    walk(&mut sections, b"section_end:1:a\r");
    assert_eq!(sections.open(), ["a", "b"]);
    walk(&mut sections, b"section_end:1:a\r");
    assert_eq!(sections.innermost(), None);
}

#[test]
fn depth_and_names_are_bounded() {
    let mut sections = Sections::new();
    for _ in 0..MAX_OPEN * 2 {
        walk(&mut sections, b"section_start:1:a\r");
    }
    assert_eq!(sections.open().len(), MAX_OPEN);
    let long = format!("section_start:1:{}\r", "n".repeat(MAX_NAME_BYTES + 1));
    let mut sections = Sections::new();
    assert_eq!(walk(&mut sections, long.as_bytes()), "");
    assert_eq!(strip(long.as_bytes()), "");
}

#[test]
fn a_line_of_opened_brackets_is_read_once() {
    let line = b"section_start:1:a[".repeat(100_000);
    let mut closed = line.clone();
    closed.push(b'\r');
    assert_eq!(strip(&closed).len(), line.len() + 2);
}

#[test]
fn the_end_of_a_text_may_begin_a_marker() {
    let unfinished = |text: &[u8]| {
        let mut scan = Scan::new(text);
        scan.by_ref().for_each(drop);
        scan.unfinished()
    };
    let whole = b"section_start:12:name[o]";
    for cut in 1..=whole.len() {
        let text = [b"text ", &whole[..cut]].concat();
        assert_eq!(unfinished(&text), Some(5), "{cut}");
    }
    assert_eq!(unfinished(b"section_start:1:a\r"), None);
    assert_eq!(unfinished(b"section_x"), None);
    assert_eq!(unfinished(b"plain"), None);
}
