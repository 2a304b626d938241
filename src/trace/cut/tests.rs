#![allow(clippy::unwrap_used)] // A test states what must hold.

use proptest::prelude::*;

use super::*;
use crate::trace::lines::Lines;
use crate::trace::oracle;
use crate::trace::plain::{Plain, plain_with_window};
use crate::trace::section::Sections;

/// Small enough that generated logs reach every case.
const SMALL: CutOptions = CutOptions { target: 64, max: 512 };

fn cut(raw: &[u8], options: CutOptions, window: u64, step: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut cutter = Cutter::with_window(options, window);
    for part in raw.chunks(step.max(1)) {
        cutter.push(part, &mut |frame| frames.push(frame));
        assert!(cutter.buf.len() <= cutter.options.max + 32 + part.len() + window as usize);
    }
    cutter.finish(&mut |frame| frames.push(frame));
    frames
}

/// Checks everything a frame promises.
fn check(raw: &[u8], frames: &[Frame], max: usize, window: u64) {
    let joined: Vec<u8> = frames.iter().flat_map(|frame| frame.raw.clone()).collect();
    assert_eq!(joined, raw);
    let mut text = Vec::new();
    let mut sections = Sections::new();
    let documents: Vec<&[Frame]> = frames.chunk_by(|_, next| next.continues).collect();
    for document in documents {
        assert!(!document[0].continues);
        let bytes: Vec<u8> = document.iter().flat_map(|frame| frame.raw.clone()).collect();
        let lines = Lines::with_window(&bytes, window);
        let count: u64 = document.iter().map(|frame| frame.lines).sum();
        assert_eq!(count, lines.len() as u64);
        let mut at = 0;
        for frame in document {
            assert!(!frame.raw.is_empty() && frame.raw.len() <= max);
            let place = at..at + frame.raw.len();
            let begun = lines.iter().filter(|line| place.contains(&line.raw_range().start));
            assert_eq!(frame.lines, begun.count() as u64);
            assert_eq!(frame.open, sections.open());
            at = place.end;
        }
        for line in lines.iter() {
            sections.feed(line.markers().all());
        }
        let mut plain = Plain::default();
        plain_with_window(&bytes, window, &mut plain);
        text.extend_from_slice(plain.text());
    }
    let want = oracle::plain(raw, usize::try_from(window).unwrap());
    assert_eq!(text.escape_ascii().to_string(), want.escape_ascii().to_string());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn frames_keep_their_promises(raw in oracle::log(120), window in 1..200_u64, step in 1..700_usize) {
        let frames = cut(&raw, SMALL, window, usize::MAX);
        check(&raw, &frames, SMALL.max, window);
        prop_assert_eq!(cut(&raw, SMALL, window, step), frames);
    }

    #[test]
    fn other_sizes_keep_them_too(
        raw in oracle::log(120),
        target in 0..400_usize,
        max in 0..600_usize,
        step in 1..40_usize,
    ) {
        let options = CutOptions { target, max };
        let frames = cut(&raw, options, 80, usize::MAX);
        check(&raw, &frames, max.max(80 * 2 + 64), 80);
        prop_assert_eq!(cut(&raw, options, 80, step), frames);
    }
}

fn stamped(stream: &str, flag: char, text: &str) -> String {
    format!("2024-05-06T07:08:09.000001Z {stream}{flag}{text}\n")
}

#[test]
fn an_empty_trace_has_no_frame() {
    assert_eq!(cut(b"", CutOptions::default(), 65536, 1), []);
}

#[test]
fn unstamped_lines_are_cut_at_the_first_end_from_the_target_on() {
    let raw = b"line\n".repeat(100);
    let frames = cut(&raw, SMALL, 100, usize::MAX);
    assert!(frames[..frames.len() - 1].iter().all(|frame| frame.raw.len() == 65));
    assert!(frames.iter().all(|frame| !frame.continues));
    assert_eq!(frames[0].lines, 13);
    check(&raw, &frames, SMALL.max, 100);
}

#[test]
fn no_cut_falls_into_a_line_that_goes_on() {
    let mut raw = stamped("01O", ' ', "begun");
    raw += &stamped("01E", ' ', "between");
    raw += &stamped("01O", '+', "goes on");
    raw += &stamped("01E", ' ', "next");
    raw += &stamped("01O", ' ', "next");
    let frames = cut(raw.as_bytes(), SMALL, 100, usize::MAX);
    assert_eq!(frames.len(), 2);
    assert!(frames[1].raw.ends_with(b"next\n") && !frames[1].continues);
    assert_eq!(frames[0].lines, 2);
    check(raw.as_bytes(), &frames, SMALL.max, 100);
}

#[test]
fn a_line_over_the_limit_is_one_document() {
    let mut raw = b"first\n".repeat(8);
    raw.extend_from_slice(&vec![b'x'; 2000]);
    raw.extend_from_slice(b"\nlast\n");
    let frames = cut(&raw, SMALL, 100, 7);
    // The lines before it stand in a frame of their own.
    assert_eq!(frames[0].raw, b"first\n".repeat(6));
    assert_eq!(frames[1].lines, 3);
    let lengths: Vec<usize> = frames.iter().map(|frame| frame.raw.len()).collect();
    assert_eq!(lengths, [36, 512, 512, 512, 477, 5]);
    let continues: Vec<bool> = frames.iter().map(|frame| frame.continues).collect();
    assert_eq!(continues, [false, false, true, true, true, false]);
    check(&raw, &frames, SMALL.max, 100);
}

#[test]
fn forced_cuts_prefer_a_line_end_and_remember_the_streams() {
    let raw = stamped("01O", ' ', "a") + &stamped("01O", '+', "section_start:1:a\r").repeat(40);
    let raw = raw + &stamped("01O", ' ', "b");
    let frames = cut(raw.as_bytes(), SMALL, 100, usize::MAX);
    assert!(frames.iter().all(|frame| frame.raw.ends_with(b"\n")));
    assert!(frames[1].continues);
    assert_eq!(frames.iter().map(|frame| frame.lines).sum::<u64>(), 2);
    check(raw.as_bytes(), &frames, SMALL.max, 100);
}

#[test]
fn a_marker_on_a_forced_cut_is_seen() {
    for shift in 0..30 {
        let mut raw = vec![b'x'; 490 + shift];
        raw.extend_from_slice(b"section_start:12:name[o]\r\x1b[0K");
        raw.extend_from_slice(&vec![b'y'; 600]);
        raw.extend_from_slice(b"\n");
        raw.extend_from_slice(&b"line\n".repeat(20));
        let frames = cut(&raw, SMALL, 100, usize::MAX);
        assert_eq!(frames.last().unwrap().open, ["name"]);
        check(&raw, &frames, SMALL.max, 100);
    }
}

#[test]
fn a_marker_is_not_put_together_over_two_lines() {
    let raw = stamped("01O", ' ', "section_start:1:") + &stamped("01O", ' ', "a\r");
    let raw = raw + &stamped("01O", ' ', "line").repeat(9);
    let frames = cut(raw.as_bytes(), SMALL, 100, usize::MAX);
    assert!(frames.len() > 2 && frames.iter().all(|frame| frame.open.is_empty()));
    let raw = raw.replacen("O a\r", "O+a\r", 1);
    let frames = cut(raw.as_bytes(), SMALL, 100, usize::MAX);
    assert_eq!(frames.last().unwrap().open, ["a"]);
}

#[test]
fn a_line_of_50_mb_needs_little_memory() {
    let part = vec![b'x'; 1_000_000];
    let mut cutter = Cutter::new(CutOptions::default());
    let mut lengths = Vec::new();
    let mut lines = 0;
    let mut note = |frame: Frame| {
        lengths.push(frame.raw.len());
        lines += frame.lines;
    };
    for _ in 0..50 {
        cutter.push(&part, &mut note);
        assert!(cutter.buf.capacity() < 10 * 1024 * 1024);
    }
    cutter.finish(&mut note);
    assert_eq!(lengths.iter().sum::<usize>(), 50_000_000);
    assert_eq!((lengths.len(), lines), (12, 1));
}
