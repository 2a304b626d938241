//! The flat dictionary of a segment: its tokens side by side in one piece of memory, to be scanned.
//!
//! A scan finds suffixes, infixes and case variants a hundred times faster than the engine's own
//! dictionary can. The file is a copy of that dictionary laid out as it is scanned, so that it is
//! mapped; a short one is compressed, since of few logs that are not alike it was a third of the
//! index, and decoded in a millisecond. First comes what is four lower-case hex digits, a bit each ([`hex`]), since
//! of these logs full of ids soon hold all; then the other pieces by length without anything
//! between them, then the other words, each followed by a line feed. It may be missing: then, and
//! if anything about it is wrong, it is made again in memory. It knows nothing of documents.

mod hex;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ::tantivy::Directory;
use ::tantivy::directory::{MmapDirectory, OwnedBytes};
use ::tantivy::termdict::TermDictionary;
use memchr::{memchr, memmem, memrchr};

use crate::plan::{Lookup, Place};
use crate::text::{Coding, PIECE};

/// The folder of the files, beside the engine's own.
pub(crate) const FOLDER: &str = "flat";
const MAGIC: &[u8; 8] = b"JVTERMS4";
/// zstd's level: 19 saves a tenth and takes ten times as long.
const LEVEL: i32 = 9;
/// Longer files are mapped: decoding them would be felt, and words become fewer as logs become more.
const MAX_COMPRESSED: usize = 1 << 20;
/// Magic, checksum of what follows, tokens, pieces of each length, rough ones too, bytes of the
/// words, and of the sets of bits: pieces, words, rough pieces.
const HEADER: usize = 8 * (7 + 2 * PIECE);
/// Pieces that are compared before it is asked whether one of them fits, so that the compiler
/// makes wide instructions of it.
const BLOCK: usize = 64;

/// The tokens of a segment.
pub(crate) struct Flat {
    file: OwnedBytes,
    /// Where the sets of four hex digits stand, by coding; empty without any.
    hex: [Range<usize>; 3],
    /// Where the pieces of each length stand, the shortest first; the last ones are full. Then the
    /// rough ones.
    pieces: [[Range<usize>; PIECE]; 2],
    /// Where the words stand: a line feed, then each followed by one.
    words: Range<usize>,
    /// The words with ASCII letters in lower case, made when first needed.
    lower: OnceLock<Vec<u8>>,
}

/// A flat dictionary as it is made.
struct Builder {
    /// By coding.
    hex: [hex::Set; 3],
    /// By length; then the rough ones.
    pieces: [[Vec<u8>; PIECE]; 2],
    words: Vec<u8>,
    tokens: u64,
}

impl Builder {
    fn new() -> Builder {
        let hex = Default::default();
        Builder { hex, pieces: Default::default(), words: vec![b'\n'], tokens: 0 }
    }

    fn push(&mut self, token: &[u8]) {
        self.tokens += 1;
        let (coding, bare) = Coding::of_token(token);
        if self.hex[set_of(coding)].insert(bare) {
            return;
        }
        match list_of(coding) {
            Some(list) if (1..=PIECE).contains(&bare.len()) => {
                self.pieces[list][bare.len() - 1].extend_from_slice(bare);
            }
            _ => {
                self.words.extend_from_slice(token);
                self.words.push(b'\n');
            }
        }
    }

    /// Returns the file.
    fn finish(&self) -> Vec<u8> {
        let mut rest = self.tokens.to_le_bytes().to_vec();
        for (len, pieces) in self.pieces.iter().flat_map(|list| (1..).zip(list)) {
            rest.extend_from_slice(&((pieces.len() / len) as u64).to_le_bytes());
        }
        rest.extend_from_slice(&(self.words.len() as u64).to_le_bytes());
        for set in &self.hex {
            rest.extend_from_slice(&(set.bytes().len() as u64).to_le_bytes());
        }
        self.hex.iter().for_each(|set| rest.extend_from_slice(set.bytes()));
        self.pieces.iter().flatten().for_each(|pieces| rest.extend_from_slice(pieces));
        rest.extend_from_slice(&self.words);
        [MAGIC, checksum(&rest).to_le_bytes().as_slice(), &rest].concat()
    }
}

impl Flat {
    /// Makes it from the engine's dictionary.
    pub(crate) fn build(dictionary: &TermDictionary) -> io::Result<Flat> {
        let mut builder = Builder::new();
        let mut stream = dictionary.stream()?;
        while stream.advance() {
            builder.push(stream.key());
        }
        let file = OwnedBytes::new(builder.finish());
        Ok(Flat::parse(file, builder.tokens).expect("what was just made is whole"))
    }

    /// Returns the path of a segment's file in the engine's directory.
    pub(crate) fn path(segment: &str) -> PathBuf {
        Path::new(FOLDER).join(format!("{segment}.terms"))
    }

    /// Maps or decodes a file, or returns `None` if it is not there or not what was written.
    pub(crate) fn open(directory: &MmapDirectory, segment: &str, tokens: u64) -> Option<Flat> {
        let file = directory.open_read(&Flat::path(segment)).ok()?.read_bytes().ok()?;
        match file.starts_with(MAGIC) {
            true => Flat::parse(file, tokens),
            false => {
                let decoded = zstd::bulk::decompress(&file, MAX_COMPRESSED).ok()?;
                Flat::parse(OwnedBytes::new(decoded), tokens)
            }
        }
    }

    fn parse(file: OwnedBytes, tokens: u64) -> Option<Flat> {
        let (numbers, _) = file.get(..HEADER)?.as_chunks::<8>();
        let (head, counts) = numbers.split_first_chunk::<3>()?;
        let [magic, sum, count] = head;
        let right = magic == MAGIC
            && u64::from_le_bytes(*count) == tokens
            && u64::from_le_bytes(*sum) == checksum(file.get(16..)?);
        if !right {
            return None;
        }
        let (counts, sets) = counts.split_last_chunk::<3>()?;
        let (words, counts) = counts.split_last()?;
        let mut at = HEADER;
        let mut take = |count: u64, size: usize| {
            let len = usize::try_from(count).ok()?.checked_mul(size)?;
            let start = at;
            at = at.checked_add(len).filter(|end| *end <= file.len())?;
            Some(start..at)
        };
        let mut hex: [Range<usize>; 3] = Default::default();
        for (range, bytes) in hex.iter_mut().zip(sets) {
            *range = take(u64::from_le_bytes(*bytes), 1)?;
            if ![0, hex::BYTES].contains(&range.len()) {
                return None;
            }
        }
        let mut pieces: [[Range<usize>; PIECE]; 2] = Default::default();
        let lists = pieces.iter_mut().flat_map(|list| (1..).zip(list));
        for ((size, range), count) in lists.zip(counts) {
            *range = take(u64::from_le_bytes(*count), size)?;
        }
        let words = take(u64::from_le_bytes(*words), 1)?;
        let bounded = file[words.clone()].first() == Some(&b'\n') && file.last() == Some(&b'\n');
        if !bounded || words.end != file.len() {
            return None;
        }
        Some(Flat { file, hex, pieces, words, lower: OnceLock::new() })
    }

    /// Writes the file of a segment, whole or not at all.
    pub(crate) fn write(&self, directory: &MmapDirectory, segment: &str) -> io::Result<()> {
        let path = Flat::path(segment);
        match self.file.len() <= MAX_COMPRESSED {
            true => directory.atomic_write(&path, &zstd::bulk::compress(&self.file, LEVEL)?),
            false => directory.atomic_write(&path, &self.file),
        }
    }

    /// Calls `f` with each token that a look-up accepts until it returns false.
    pub(crate) fn scan(&self, lookup: &Lookup, mut f: impl FnMut(&[u8]) -> bool) {
        let set = &self.file[self.hex[set_of(lookup.coding)].clone()];
        if !hex::scan(set, lookup, &mut f) {
            return;
        }
        match (list_of(lookup.coding), lookup.coding.mark()) {
            (Some(list), Some(mark)) => self.scan_pieces(&self.pieces[list], mark, lookup, &mut f),
            _ => self.scan_words(lookup, &mut f),
        }
    }

    /// Returns the words, which are no pieces of ids, in the order of the dictionary.
    pub(crate) fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.file[self.words.clone()].split(|byte| *byte == b'\n').filter(|word| !word.is_empty())
    }

    /// Tells whether some word holds the bytes; with `fold`, for which they are in lower case, in
    /// any case of ASCII letters.
    pub(crate) fn has(&self, bytes: &[u8], fold: bool) -> bool {
        memmem::find(self.haystack(fold), bytes).is_some()
    }

    fn haystack(&self, fold: bool) -> &[u8] {
        let original = &self.file[self.words.clone()];
        match fold {
            true => self.lower.get_or_init(|| original.to_ascii_lowercase()),
            false => original,
        }
    }

    fn scan_pieces(
        &self,
        pieces: &[Range<usize>; PIECE],
        mark: u8,
        lookup: &Lookup,
        f: &mut impl FnMut(&[u8]) -> bool,
    ) {
        let mut token = [mark; PIECE + 1];
        for (len, range) in (1..PIECE).zip(pieces) {
            if lookup.full || len < lookup.bytes.len() {
                continue;
            }
            for piece in self.file[range.clone()].chunks_exact(len) {
                token[1..=len].copy_from_slice(piece);
                if lookup.accepts(&token[..=len]) && !f(&token[..=len]) {
                    return;
                }
            }
        }
        let (full, _) = self.file[pieces[PIECE - 1].clone()].as_chunks::<PIECE>();
        let tests = Test::of(lookup);
        for block in full.chunks(BLOCK) {
            let holds = |piece: &[u8; PIECE]| {
                let piece = u32::from_le_bytes(*piece);
                tests.iter().fold(false, |holds, test| holds | test.holds(piece))
            };
            if !block.iter().fold(false, |any, piece| any | holds(piece)) {
                continue;
            }
            for piece in block.iter().filter(|piece| holds(piece)) {
                token[1..].copy_from_slice(piece);
                let is_bounded = lookup.bounds == [false; 2] || lookup.accepts(&token);
                if is_bounded && !f(&token) {
                    return;
                }
            }
        }
    }

    fn scan_words(&self, lookup: &Lookup, f: &mut impl FnMut(&[u8]) -> bool) {
        let original = &self.file[self.words.clone()];
        let haystack = self.haystack(lookup.fold);
        let needle = needle(lookup);
        let finder = memmem::Finder::new(&needle);
        let mut at = 0;
        while let Some(found) = finder.find(&haystack[at..]) {
            // The needle may begin with the line feed before the token.
            let inside = at + found + usize::from(needle[0] == b'\n');
            let start = memrchr(b'\n', &haystack[..inside]).map_or(0, |at| at + 1);
            let Some(end) = memchr(b'\n', &haystack[inside..]).map(|end| inside + end) else {
                return;
            };
            let token = &original[start..end];
            if lookup.accepts(token) && !f(token) {
                return;
            }
            at = end;
        }
    }
}

/// Which set of four hex digits holds the tokens of a coding; the kinds of bytes are written so too.
fn set_of(coding: Coding) -> usize {
    match coding {
        Coding::Pieces => 0,
        Coding::Word => 1,
        Coding::Rough => 2,
    }
}

/// Which list of pieces holds the others; `None` where words do.
fn list_of(coding: Coding) -> Option<usize> {
    match coding {
        Coding::Pieces => Some(0),
        Coding::Rough => Some(1),
        Coding::Word => None,
    }
}

/// A way in which a full piece is accepted, for four bytes at once.
struct Test {
    fold: u32,
    mask: u32,
    bytes: u32,
}

impl Test {
    fn of(lookup: &Lookup) -> Vec<Test> {
        let Some(spare) = PIECE.checked_sub(lookup.bytes.len()) else {
            return Vec::new();
        };
        let offsets = match lookup.place {
            Place::Whole if spare > 0 => 0..0,
            Place::Whole | Place::Start => 0..1,
            Place::End => spare..spare + 1,
            Place::Inside => 0..spare + 1,
        };
        offsets.map(|offset| Test::at(lookup, offset)).collect()
    }

    fn at(lookup: &Lookup, offset: usize) -> Test {
        let (mut fold, mut mask, mut bytes) = ([0; PIECE], [0; PIECE], [0; PIECE]);
        for (index, byte) in (offset..).zip(&lookup.bytes) {
            mask[index] = 0xff;
            bytes[index] = *byte;
            // A lower-case letter is its upper-case one with this bit, and nothing else is.
            fold[index] = if lookup.fold && byte.is_ascii_lowercase() { 0x20 } else { 0 };
        }
        let [fold, mask, bytes] = [fold, mask, bytes].map(u32::from_le_bytes);
        Test { fold, mask, bytes }
    }

    fn holds(&self, piece: u32) -> bool {
        (piece | self.fold) & self.mask == self.bytes
    }
}

/// Returns what stands among the words where one is accepted; never empty.
fn needle(lookup: &Lookup) -> Vec<u8> {
    let mut needle = Vec::new();
    if matches!(lookup.place, Place::Whole | Place::Start) {
        needle.push(b'\n');
    }
    needle.extend_from_slice(&lookup.bytes);
    if matches!(lookup.place, Place::Whole | Place::End) {
        needle.push(b'\n');
    }
    if needle.is_empty() {
        needle.push(b'\n');
    }
    needle
}

/// A checksum against damage, not against malice: FNV-1a over words of eight bytes, in four lanes
/// that do not wait for each other.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, word: u64| {
        let sum = (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        sum ^ (sum >> 29)
    };
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut lanes = [0xcbf2_9ce4_8422_2325, 1, 2, 3];
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = mix(*lane, u64::from_le_bytes(*word));
        }
    }
    let sum = lanes.into_iter().fold(bytes.len() as u64, mix);
    rest.iter().fold(sum, |sum, byte| mix(sum, u64::from(*byte)))
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;
