//! Neighbours: which frequent words stand side by side in a text.
//!
//! Pure. Words that are both in a text but not next to each other are the main cause of documents
//! read in vain, and nearly all of them are words of every log. So for a fixed list of frequent
//! words each pair of neighbours is a term of its own, hashed to two bytes; of other words nothing
//! is recorded. The list is part of the index's version: with another one, an index is built anew.

mod frequent;

use crate::text::{in_run, is_cut};
use frequent::WORDS;

/// The longest word of the list.
const MAX_BYTES: usize = 8;
/// Slots of the table that finds a word; a power of two, four times the words.
const SLOTS: usize = 2048;
/// Finds the place of a word in the list: open addressing, 0 for an empty slot, else one more than
/// the place.
const TABLE: [u16; SLOTS] = table();

const _: () = assert!(WORDS.len() * 4 <= SLOTS);

/// A frequent word: its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frequent(u16);

/// Two frequent words side by side, in this order. Different ones may be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pair(u16);

impl Frequent {
    /// Returns the entry of a run, in any case of its letters; `None` if it is not in the list.
    #[inline]
    pub(crate) fn of(run: &[u8]) -> Option<Frequent> {
        if run.is_empty() || run.len() > MAX_BYTES {
            return None;
        }
        let mut slot = slot(run);
        loop {
            let place = TABLE[slot].checked_sub(1)?;
            if WORDS[place as usize].as_bytes().eq_ignore_ascii_case(run) {
                return Some(Frequent(place));
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// Returns the entries that begin or end with some bytes, in any case of their letters.
    pub(crate) fn like(bytes: &[u8], end: bool) -> Vec<Frequent> {
        let fits = |word: &str| {
            let word = word.as_bytes();
            let Some(spare) = word.len().checked_sub(bytes.len()) else { return false };
            let part = if end { &word[spare..] } else { &word[..bytes.len()] };
            part.eq_ignore_ascii_case(bytes)
        };
        let places = (0..).zip(WORDS).filter(|(_, word)| fits(word));
        places.map(|(place, _)| Frequent(place)).collect()
    }
}

impl Pair {
    pub(crate) fn of(left: Frequent, right: Frequent) -> Pair {
        let both = u32::from(left.0) << 9 | u32::from(right.0);
        Pair((both.wrapping_mul(0x9e37_79b1) >> 16) as u16)
    }

    /// Returns its term in the index.
    pub(crate) fn term(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    /// Returns it as a number, for sets.
    pub(crate) fn number(self) -> u16 {
        self.0
    }
}

/// Calls `f` with each pair of neighbours of the text, repeated ones repeatedly. Words of two lines
/// are no neighbours, for no match holds both.
pub(crate) fn for_each_pair(text: &[u8], mut f: impl FnMut(Pair)) {
    let mut before = None;
    let mut at = 0;
    while at < text.len() {
        if !in_run(text[at]) {
            before = before.filter(|_| text[at] != b'\n');
            at += 1;
            continue;
        }
        let len = text[at..].iter().take_while(|byte| in_run(**byte)).count();
        let run = &text[at..at + len];
        // A run that is cut is found by its pieces, and so is not of the list.
        let word = Frequent::of(run).filter(|_| !is_cut(run));
        if let (Some(left), Some(right)) = (before, word) {
            f(Pair::of(left, right));
        }
        before = word;
        at += len;
    }
}

/// The slot where the search for a word begins. Case does not matter.
const fn slot(word: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < word.len() {
        hash = (hash ^ word[at].to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ (hash >> 15)) as usize % SLOTS
}

const fn table() -> [u16; SLOTS] {
    let mut table = [0; SLOTS];
    let mut place = 0;
    while place < WORDS.len() {
        let mut at = slot(WORDS[place].as_bytes());
        while table[at] != 0 {
            at = (at + 1) % SLOTS;
        }
        table[at] = place as u16 + 1;
        place += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]
    use super::*;

    fn pairs(text: &str) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for_each_pair(text.as_bytes(), |pair| pairs.push(pair));
        pairs
    }

    fn pair(left: &str, right: &str) -> Pair {
        let word = |word: &str| Frequent::of(word.as_bytes()).unwrap();
        Pair::of(word(left), word(right))
    }

    #[test]
    fn every_word_of_the_list_is_found_and_is_a_run_that_is_not_cut() {
        for (place, word) in (0..).zip(WORDS) {
            assert_eq!(Frequent::of(word.as_bytes()), Some(Frequent(place)), "{word}");
            assert_eq!(Frequent::of(word.to_uppercase().as_bytes()), Some(Frequent(place)));
            assert!(word.bytes().all(in_run) && !is_cut(word.as_bytes()), "{word}");
            assert_eq!(word, word.to_ascii_lowercase());
        }
        assert_eq!(Frequent::of(b"zyxwv"), None);
        assert_eq!(Frequent::of(b""), None);
    }

    #[test]
    fn neighbours_of_one_line_are_pairs() {
        assert_eq!(pairs("The: error"), [pair("the", "error")]);
        assert_eq!(pairs("the zyxwv error"), []);
        assert_eq!(pairs("the\nerror"), []);
        assert_ne!(pair("the", "error"), pair("error", "the"));
    }

    #[test]
    fn words_are_found_by_their_edges() {
        let error = Frequent::of(b"error").unwrap();
        assert!(Frequent::like(b"ROR", true).contains(&error));
        assert!(Frequent::like(b"err", false).contains(&error));
        assert!(!Frequent::like(b"err", true).contains(&error));
    }
}
