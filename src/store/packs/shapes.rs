//! Line shapes: what remains of a line when its numbers and ids are taken for one and the same. Pure.
//!
//! Logs of one job over and over have the same shapes whatever their times, ids and counts are. A [`Shapes`] is the
//! set of a piece of text, a [`Sketch`] the sample of a base's set that is kept. Neither can fail; a sketch that
//! does not decode is `None`.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::varint::{self, Reader};

/// A line is cut at this length, so that a megabyte without a line feed has more than one shape.
const MAX_LINE_BYTES: usize = 512;
/// Shapes that a sketch keeps: enough to tell a fifth from a tenth, at about two kilobytes for each base.
const MAX_SKETCH: usize = 1024;
/// A word of so many letters, all of them hexadecimal digits, is taken for a piece of an id. Of UUIDs one in sixteen
/// has such a piece, which would be a new shape each time; of words there are few.
const MIN_HEX_WORD: usize = 4;
const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

/// A map whose keys are shapes, which are hashes already.
pub(crate) type ShapeMap<V> = HashMap<u32, V, BuildHasherDefault<ShapeHasher>>;

/// Spreads a shape over 64 bits.
#[derive(Default)]
pub(crate) struct ShapeHasher(u64);

impl Hasher for ShapeHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(PRIME));
    }

    fn write_u32(&mut self, shape: u32) {
        self.0 = u64::from(shape).wrapping_mul(PRIME);
    }
}

/// What a byte is in a word: 0 where it is in none, else a bit.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' => HEX_LETTER,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => LETTER,
            _ => 0,
        };
        byte += 1;
    }
    classes
};
const DIGIT: u8 = 1;
const HEX_LETTER: u8 = 2;
const LETTER: u8 = 4;

/// The different line shapes of a text, by number, each with the length of the line that first had it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shapes(Vec<(u32, u32)>);

impl Shapes {
    /// Finds the shapes of `text`.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut found = Vec::with_capacity(text.len() / 64);
        let (mut line, mut start, mut last) = (0u64, 0, 0u8);
        let mut at = 0;
        while let Some(byte) = text.get(at).copied() {
            if CLASSES[usize::from(byte)] != 0 {
                let (word, class) = word_at(&text[at..]);
                let is_id = class & DIGIT != 0 || class == HEX_LETTER && word.len() >= MIN_HEX_WORD;
                line = mixed(line, if is_id { 1 } else { hash(word) });
                at += word.len();
                last = 0;
                continue;
            }
            at += 1;
            if byte == b'\n' || byte == b'\r' || at - start >= MAX_LINE_BYTES {
                if line != 0 {
                    found.push(((line >> 32) as u32, (at - start) as u32));
                }
                (line, start, last) = (0, at, 0);
            } else if byte != last {
                // A run of one mark counts once: columns are padded by what stands in them.
                line = mixed(line, u64::from(byte));
                last = byte;
            }
        }
        if line != 0 {
            found.push(((line >> 32) as u32, (at - start) as u32));
        }
        Self::sorted(found)
    }

    fn sorted(mut list: Vec<(u32, u32)>) -> Self {
        list.sort_unstable();
        list.dedup_by_key(|(shape, _)| *shape);
        Self(list)
    }

    /// Returns the shapes of several texts taken together.
    pub(crate) fn union<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        Self::sorted(all.flat_map(|s| s.0.iter().copied()).collect())
    }

    /// Returns the shapes, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|(shape, _)| *shape)
    }

    /// Returns which part of the text, by bytes of different lines, has shapes that are `known`; 1 of none.
    pub(crate) fn part(&self, mut known: impl FnMut(u32) -> bool) -> f64 {
        let (mut of, mut all) = (0u64, 0u64);
        for (shape, bytes) in &self.0 {
            all += u64::from(*bytes);
            of += if known(*shape) { u64::from(*bytes) } else { 0 };
        }
        if all == 0 { 1.0 } else { of as f64 / all as f64 }
    }
}

/// Returns the word that a text begins with, and the classes of its bytes.
fn word_at(text: &[u8]) -> (&[u8], u8) {
    let (mut len, mut class) = (0, 0);
    while let Some(more) = text.get(len).map(|byte| CLASSES[usize::from(*byte)]).filter(|c| *c != 0)
    {
        class |= more;
        len += 1;
    }
    (&text[..len], class)
}

fn mixed(line: u64, part: u64) -> u64 {
    (line.rotate_left(23) ^ part).wrapping_mul(PRIME)
}

fn hash(word: &[u8]) -> u64 {
    let (eights, rest) = word.as_chunks::<8>();
    let whole =
        eights.iter().fold(word.len() as u64, |h, eight| mixed(h, u64::from_le_bytes(*eight)));
    let rest = rest.iter().rev().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    mixed(whole, rest)
}

/// The smallest shapes of a base. By them one tells what part of a text has shapes of the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// Ascending.
    shapes: Vec<u32>,
    complete: bool,
}

impl Sketch {
    /// Keeps the smallest of the shapes.
    pub(crate) fn new(mut shapes: Vec<u32>) -> Self {
        shapes.sort_unstable();
        shapes.dedup();
        let complete = shapes.len() <= MAX_SKETCH;
        shapes.truncate(MAX_SKETCH);
        Self { shapes, complete }
    }

    /// Returns the `count` smallest shapes.
    pub(crate) fn smallest(&self, count: usize) -> &[u32] {
        &self.shapes[..self.shapes.len().min(count)]
    }

    /// Returns about which part of the text has shapes of the base, or `None` where the sample cannot tell.
    pub(crate) fn part_of(&self, shapes: &Shapes) -> Option<f64> {
        let limit = if self.complete { u32::MAX } else { *self.shapes.last()? };
        let end = shapes.0.partition_point(|(shape, _)| *shape <= limit);
        if end == 0 {
            return None;
        }
        let mut at = 0;
        let (mut of, mut all) = (0u64, 0u64);
        for (shape, bytes) in &shapes.0[..end] {
            while at < self.shapes.len() && self.shapes[at] < *shape {
                at += 1;
            }
            all += u64::from(*bytes);
            of += if self.shapes.get(at) == Some(shape) { u64::from(*bytes) } else { 0 };
        }
        Some(of as f64 / all.max(1) as f64)
    }

    /// Codes it for the catalogue.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.complete)];
        let mut before = 0;
        for shape in &self.shapes {
            varint::put(&mut out, u64::from(shape - before));
            before = *shape;
        }
        out
    }

    /// Decodes what [`Sketch::encode`] gave.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let complete = reader.byte()? != 0;
        let (mut shapes, mut before) = (Vec::new(), 0u32);
        while !reader.is_empty() {
            before = before.checked_add(u32::try_from(reader.number()?).ok()?)?;
            shapes.push(before);
        }
        Some(Self { shapes, complete })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_ids_and_padding_do_not_change_a_shape() {
        let shape = |line: &str| Shapes::of(line.as_bytes());
        let one = shape("built   12 files in 3.25s, commit deadbeef01\n");
        let two = shape("built  345 files in 13.5s, commit 0123456789abcdef\n");
        assert_eq!(one.iter().collect::<Vec<_>>(), two.iter().collect::<Vec<_>>());
        assert_ne!(one, shape("built   12 files in 3.25s, branch deadbeef01\n"));
        let uuid = shape("part b6029675-5178-f3e8-3ef1-878bca6aa0db\n");
        assert_eq!(uuid, shape("part 4d9c082b-fade-2f36-beef-d22cccd34caa\n"));
        assert_ne!(uuid, shape("part 4d9c082b-shed-2f36-beef-d22cccd34caa\n"));
    }

    #[test]
    fn a_part_is_that_of_the_bytes_of_different_lines() {
        let known = Shapes::of(b"wwww\nxxxx\n");
        let text = Shapes::of(b"wwww\nwwww\nyyyyyyyyyyyyyy\n");
        let sketch = Sketch::new(known.iter().collect());
        assert_eq!(sketch.part_of(&text), Some(0.25));
        assert_eq!(text.part(|s| known.iter().any(|k| k == s)), 0.25);
    }

    proptest! {
        #[test]
        fn sketches_come_back(shapes in proptest::collection::vec(any::<u32>(), 0..3000)) {
            let sketch = Sketch::new(shapes);
            prop_assert_eq!(Sketch::decode(&sketch.encode()), Some(sketch));
        }

        #[test]
        fn hostile_sketches_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(sketch) = Sketch::decode(&bytes) {
                let _ = sketch.part_of(&Shapes::of(b"some text\nand more\n"));
            }
        }
    }
}
