//! What fuzz targets call: the text of a log, by each of the ways to it. Tests try them too, so that they stay true.

use super::lines::Lines;
use super::plain::{Plain, plain_with_window};
use super::{CutOptions, Cutter, Frame, is_truncated};

/// Cuts a trace into frames with a small window, and reads it whole and by frames.
///
/// # Panics
///
/// Where bytes are lost, or the ways to the text do not agree.
pub fn trace(data: &[u8]) {
    let [window, step, raw @ ..] = data else { return };
    let (window, step) = (u64::from(*window) + 1, usize::from(*step) + 1);
    let _ = is_truncated(raw);
    let mut frames: Vec<Frame> = Vec::new();
    let mut cutter = Cutter::with_window(CutOptions { target: 64, max: 512 }, window);
    for part in raw.chunks(step) {
        cutter.push(part, &mut |frame| frames.push(frame));
    }
    cutter.finish(&mut |frame| frames.push(frame));
    let joined: Vec<u8> = frames.iter().flat_map(|frame| frame.raw.clone()).collect();
    assert!(joined == raw, "bytes were lost");
    let mut whole = Plain::default();
    plain_with_window(raw, window, &mut whole);
    let mut by_frames = Vec::new();
    for document in frames.chunk_by(|_, next| next.continues) {
        let bytes: Vec<u8> = document.iter().flat_map(|frame| frame.raw.clone()).collect();
        let mut plain = Plain::default();
        plain_with_window(&bytes, window, &mut plain);
        assert_eq!(plain.len() as u64, document.iter().map(|frame| frame.lines).sum::<u64>());
        by_frames.extend_from_slice(plain.text());
    }
    assert!(by_frames == whole.text(), "frames read by themselves give another text");
    let lines = Lines::with_window(raw, window);
    let by_line: Vec<u8> = lines.iter().flat_map(|l| [&l.plain()[..], b"\n"].concat()).collect();
    assert!(by_line == whole.text(), "lines read one by one give another text");
    for line in lines.iter() {
        assert!(line.raw_range().end <= raw.len());
        let _ = (line.markers(), line.time(), line.stream());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::trace::oracle;

    proptest! {
        #[test]
        fn the_target_holds(window: u8, step: u8, raw in oracle::log(80)) {
            super::trace(&[&[window, step][..], &raw].concat());
        }
    }
}
