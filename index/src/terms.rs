//! The flat dictionary of a segment: its sorted tokens in one piece of memory, to be scanned.
//!
//! A scan with `memmem` finds suffixes, infixes and case variants a hundred times faster than the
//! engine's own dictionary can. The file is a copy of that dictionary and may be missing: then, and
//! if anything about it is wrong, it is made again in memory. It knows nothing of documents.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ::tantivy::Directory;
use ::tantivy::directory::{FileSlice, MmapDirectory, OwnedBytes};
use ::tantivy::termdict::TermDictionary;
use memchr::{memchr, memmem, memrchr};

use crate::plan::{Lookup, Place};
use crate::text::MARK;

/// The folder of the files, beside the engine's own.
pub(crate) const FOLDER: &str = "flat";
const MAGIC: &[u8; 8] = b"JVTERMS1";
const HEADER: usize = 40;

/// The tokens of a segment: a line feed, then each token followed by one.
pub(crate) struct Flat {
    blob: OwnedBytes,
    /// Where the pieces end and the words begin: the line feed between them.
    split: usize,
    tokens: u64,
    /// The same with ASCII letters in lower case, made when first needed.
    lower: OnceLock<Vec<u8>>,
}

impl Flat {
    /// Makes it from the engine's dictionary.
    pub(crate) fn build(dictionary: &TermDictionary) -> io::Result<Flat> {
        let mut blob = vec![b'\n'];
        let mut split = 0;
        let mut stream = dictionary.stream()?;
        while stream.advance() {
            blob.extend_from_slice(stream.key());
            blob.push(b'\n');
            if stream.key().first() == Some(&MARK) {
                split = blob.len() - 1;
            }
        }
        Ok(Flat {
            blob: OwnedBytes::new(blob),
            split,
            tokens: dictionary.num_terms() as u64,
            lower: OnceLock::new(),
        })
    }

    /// Returns the path of a segment's file in the engine's directory.
    pub(crate) fn path(segment: &str) -> PathBuf {
        Path::new(FOLDER).join(format!("{segment}.terms"))
    }

    /// Reads a file, or returns `None` if it is not there or not what was written.
    pub(crate) fn open(directory: &MmapDirectory, segment: &str, tokens: u64) -> Option<Flat> {
        let file: FileSlice = directory.open_read(&Flat::path(segment)).ok()?;
        Flat::parse(file.read_bytes().ok()?, tokens)
    }

    fn parse(mut file: OwnedBytes, tokens: u64) -> Option<Flat> {
        if file.len() < HEADER || &file[..8] != MAGIC {
            return None;
        }
        let number = |at: usize| {
            let bytes = file[at..at + 8].try_into().ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        let (count, split) = (number(8)?, usize::try_from(number(16)?).ok()?);
        let (len, sum) = (number(24)?, number(32)?);
        let blob = &file[HEADER..];
        let right = count == tokens
            && len == blob.len() as u64
            && sum == checksum(blob)
            && blob.last() == Some(&b'\n')
            && blob.get(split) == Some(&b'\n');
        if !right {
            return None;
        }
        file.advance(HEADER);
        Some(Flat {
            blob: file,
            split,
            tokens,
            lower: OnceLock::new(),
        })
    }

    /// Writes the file of a segment, whole or not at all.
    pub(crate) fn write(&self, directory: &MmapDirectory, segment: &str) -> io::Result<()> {
        let mut file = Vec::with_capacity(HEADER + self.blob.len());
        file.extend_from_slice(MAGIC);
        let numbers = [
            self.tokens,
            self.split as u64,
            self.blob.len() as u64,
            checksum(&self.blob),
        ];
        numbers
            .iter()
            .for_each(|number| file.extend_from_slice(&number.to_le_bytes()));
        file.extend_from_slice(&self.blob);
        directory.atomic_write(&Flat::path(segment), &file)
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
    rest.iter()
        .fold(sum, |sum, byte| mix(sum, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]
    use super::*;

    fn flat(tokens: &[&str]) -> Flat {
        let mut blob = b"\n".to_vec();
        let mut split = 0;
        for token in tokens {
            blob.extend_from_slice(token.as_bytes());
            blob.push(b'\n');
            if token.as_bytes()[0] == MARK {
                split = blob.len() - 1;
            }
        }
        Flat {
            blob: OwnedBytes::new(blob),
            split,
            tokens: tokens.len() as u64,
            lower: OnceLock::new(),
        }
    }

    fn found(flat: &Flat, piece: bool, place: Place, bytes: &str, fold: bool) -> Vec<String> {
        let lookup = Lookup {
            piece,
            place,
            bytes: bytes.as_bytes().to_vec(),
            fold,
            full: false,
        };
        let mut found = Vec::new();
        flat.scan(&lookup, |token| {
            found.push(
                String::from_utf8(token.to_vec())
                    .unwrap()
                    .replace('\u{1}', "."),
            );
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
        assert_eq!(
            found(&flat, false, Start, "dead", true),
            ["DEAd", "dead", "deadline"]
        );
        assert_eq!(found(&flat, false, End, "dead", false), ["dead", "undead"]);
        assert_eq!(
            found(&flat, false, Inside, "a", false),
            ["aa", "dead", "deadline", "undead"]
        );
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
        assert!(Flat::parse(OwnedBytes::new(whole.clone()), 3).is_some());
        assert!(Flat::parse(OwnedBytes::new(whole.clone()), 4).is_none());
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            assert!(
                Flat::parse(OwnedBytes::new(flipped), 3).is_none(),
                "byte {at}"
            );
            assert!(Flat::parse(OwnedBytes::new(whole[..at].to_vec()), 3).is_none());
        }
        assert!(Flat::open(&directory, "missing", 3).is_none());
    }
}
