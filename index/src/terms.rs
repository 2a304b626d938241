//! The flat dictionary of a segment: its sorted tokens in one piece of memory, to be scanned.
//!
//! A scan with `memmem` finds suffixes, infixes and case variants a hundred times faster than the
//! engine's own dictionary can. The file is a copy of that dictionary, front-coded (each token
//! without what it shares with the one before), and may be missing: then, and if anything about it
//! is wrong, it is made again in memory. It knows nothing of documents.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ::tantivy::Directory;
use ::tantivy::directory::MmapDirectory;
use ::tantivy::termdict::TermDictionary;
use memchr::{memchr, memmem, memrchr};

use crate::plan::{Lookup, Place};
use crate::text::MARK;

/// The folder of the files, beside the engine's own.
pub(crate) const FOLDER: &str = "flat";
const MAGIC: &[u8; 8] = b"JVTERMS1";
/// Magic, tokens, length of the body, its checksum.
const HEADER: usize = 32;
/// A length of a front-coded token from here on has a byte of its own for the rest.
const LONG: usize = 15;

/// The tokens of a segment: a line feed, then each token followed by one.
pub(crate) struct Flat {
    blob: Vec<u8>,
    /// Where the pieces end and the words begin: the line feed between them.
    split: usize,
    tokens: u64,
    /// The same with ASCII letters in lower case, made when first needed.
    lower: OnceLock<Vec<u8>>,
}

impl Flat {
    fn empty() -> Flat {
        Flat { blob: vec![b'\n'], split: 0, tokens: 0, lower: OnceLock::new() }
    }

    /// Adds a token behind all others.
    fn push(&mut self, token: &[u8]) {
        self.blob.extend_from_slice(token);
        self.blob.push(b'\n');
        self.tokens += 1;
        if token.first() == Some(&MARK) {
            self.split = self.blob.len() - 1;
        }
    }

    /// Makes it from the engine's dictionary.
    pub(crate) fn build(dictionary: &TermDictionary) -> io::Result<Flat> {
        let mut flat = Flat::empty();
        let mut stream = dictionary.stream()?;
        while stream.advance() {
            flat.push(stream.key());
        }
        Ok(flat)
    }

    /// Returns the path of a segment's file in the engine's directory.
    pub(crate) fn path(segment: &str) -> PathBuf {
        Path::new(FOLDER).join(format!("{segment}.terms"))
    }

    /// Reads a file, or returns `None` if it is not there or not what was written.
    pub(crate) fn open(directory: &MmapDirectory, segment: &str, tokens: u64) -> Option<Flat> {
        let file = directory.open_read(&Flat::path(segment)).ok()?;
        Flat::parse(&file.read_bytes().ok()?, tokens)
    }

    fn parse(file: &[u8], tokens: u64) -> Option<Flat> {
        let (header, body) = file.split_at_checked(HEADER)?;
        let (numbers, _) = header.as_chunks::<8>();
        let [magic, count, len, sum] = numbers else {
            return None;
        };
        let right = magic == MAGIC
            && u64::from_le_bytes(*count) == tokens
            && u64::from_le_bytes(*len) == body.len() as u64
            && u64::from_le_bytes(*sum) == checksum(body);
        if !right {
            return None;
        }
        let flat = decode(body)?;
        (flat.tokens == tokens).then_some(flat)
    }

    /// Writes the file of a segment, whole or not at all.
    pub(crate) fn write(&self, directory: &MmapDirectory, segment: &str) -> io::Result<()> {
        let body = self.encode();
        let numbers = [self.tokens, body.len() as u64, checksum(&body)];
        let mut file = MAGIC.to_vec();
        numbers.iter().for_each(|number| file.extend_from_slice(&number.to_le_bytes()));
        file.extend_from_slice(&body);
        directory.atomic_write(&Flat::path(segment), &file)
    }

    /// Front-codes the tokens: a byte with both lengths (bytes shared, bytes that follow), more
    /// bytes for long ones, and what follows. Tokens are too short for a length to need more.
    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let mut last: &[u8] = &[];
        let tokens = self.blob.split(|byte| *byte == b'\n');
        for token in tokens.filter(|token| !token.is_empty()) {
            let pairs = token.iter().zip(last).take(LONG + usize::from(u8::MAX));
            let shared = pairs.take_while(|(byte, before)| byte == before).count();
            let rest = &token[shared..];
            body.push((shared.min(LONG) << 4 | rest.len().min(LONG)) as u8);
            for len in [shared, rest.len()] {
                body.extend(len.checked_sub(LONG).map(|more| more as u8));
            }
            body.extend_from_slice(rest);
            last = token;
        }
        body
    }

    /// Calls `f` with each token that a look-up accepts, in order, until it returns false.
    pub(crate) fn scan(&self, lookup: &Lookup, mut f: impl FnMut(&[u8]) -> bool) {
        let range = match lookup.piece {
            true => 0..self.split + 1,
            false => self.split..self.blob.len(),
        };
        let original = &self.blob[range.clone()];
        let haystack = match lookup.fold {
            true => &self.lower.get_or_init(|| self.blob.to_ascii_lowercase())[range],
            false => original,
        };
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

/// Undoes [`Flat::encode`], or returns `None` where it could not have written this.
fn decode(mut body: &[u8]) -> Option<Flat> {
    let mut flat = Flat::empty();
    let mut token = Vec::new();
    while let Some((lens, rest)) = body.split_first() {
        body = rest;
        let mut long = |len: usize| {
            if len < LONG {
                return Some(len);
            }
            let (more, rest) = body.split_first()?;
            body = rest;
            Some(len + usize::from(*more))
        };
        let shared = long(usize::from(lens >> 4))?;
        let len = long(usize::from(lens & 15))?;
        let (rest, behind) = body.split_at_checked(len)?;
        if shared > token.len() {
            return None;
        }
        token.truncate(shared);
        token.extend_from_slice(rest);
        body = behind;
        flat.push(&token);
    }
    Some(flat)
}

/// Returns what stands in the dictionary where a token is accepted; never empty.
fn needle(lookup: &Lookup) -> Vec<u8> {
    let mut needle = Vec::new();
    if matches!(lookup.place, Place::Whole | Place::Start) {
        needle.push(b'\n');
        needle.extend(lookup.piece.then_some(MARK));
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

/// A checksum against damage, not against malice: FNV-1a over words of eight bytes.
fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mix = |sum: u64, word: u64| {
        let sum = (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        sum ^ (sum >> 29)
    };
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let sum = words.fold(0xcbf2_9ce4_8422_2325, mix);
    rest.iter().fold(sum, |sum, byte| mix(sum, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]
    use super::*;

    fn flat(tokens: &[&str]) -> Flat {
        let mut flat = Flat::empty();
        tokens.iter().for_each(|token| flat.push(token.as_bytes()));
        flat
    }

    fn found(flat: &Flat, piece: bool, place: Place, bytes: &str, fold: bool) -> Vec<String> {
        let lookup = Lookup { piece, place, bytes: bytes.as_bytes().to_vec(), fold, full: false };
        let mut found = Vec::new();
        flat.scan(&lookup, |token| {
            found.push(String::from_utf8(token.to_vec()).unwrap().replace('\u{1}', "."));
            true
        });
        found
    }

    #[test]
    fn a_scan_finds_each_kind_of_place_in_its_half() {
        let flat = flat(&[
            "\u{1}0dea",
            "\u{1}dead",
            "\u{1}eade",
            "\u{2}",
            "DEAd",
            "aa",
            "dead",
            "deadline",
            "undead",
        ]);
        use Place::*;
        assert_eq!(found(&flat, true, Inside, "ead", false), [".dead", ".eade"]);
        assert_eq!(found(&flat, true, Start, "dea", false), [".dead"]);
        assert_eq!(found(&flat, true, End, "dea", false), [".0dea"]);
        assert_eq!(found(&flat, false, Whole, "dead", false), ["dead"]);
        assert_eq!(found(&flat, false, Whole, "dead", true), ["DEAd", "dead"]);
        assert_eq!(found(&flat, false, Start, "dead", true), ["DEAd", "dead", "deadline"]);
        assert_eq!(found(&flat, false, End, "dead", false), ["dead", "undead"]);
        assert_eq!(found(&flat, false, Inside, "a", false), ["aa", "dead", "deadline", "undead"]);
    }

    #[test]
    fn halves_may_be_empty() {
        assert!(found(&flat(&[]), false, Place::Inside, "a", false).is_empty());
        assert!(found(&flat(&["\u{1}a"]), false, Place::Inside, "a", false).is_empty());
        assert!(found(&flat(&["a"]), true, Place::Inside, "a", false).is_empty());
    }

    #[test]
    fn a_damaged_or_stale_file_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
        let directory = MmapDirectory::open(folder.path()).unwrap();
        flat(&["\u{1}a", "b", "cc"]).write(&directory, "s").unwrap();
        let whole = std::fs::read(folder.path().join(Flat::path("s"))).unwrap();
        assert!(Flat::parse(&whole, 3).is_some());
        assert!(Flat::parse(&whole, 4).is_none());
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            assert!(Flat::parse(&flipped, 3).is_none(), "byte {at}");
            assert!(Flat::parse(&whole[..at], 3).is_none());
        }
        assert!(Flat::open(&directory, "missing", 3).is_none());
    }

    #[test]
    fn front_coding_loses_nothing() {
        let long = "a".repeat(100);
        let longer = format!("{long}{}", "b".repeat(28));
        let flat = flat(&["\u{1}0", "\u{1}00", "\u{2}", "a", &long, &longer, "b", "ba"]);
        let body = flat.encode();
        assert!(body.len() < flat.blob.len());
        let again = decode(&body).unwrap();
        assert_eq!((again.blob, again.split), (flat.blob, flat.split));
        for end in 0..body.len() {
            // A part of it is a shorter dictionary or none, and never a panic.
            let _ = decode(&body[..end]);
        }
    }
}
