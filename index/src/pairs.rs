//! Neighbours: which frequent words stand side by side in a text, and which marks beside them.
//!
//! Pure. Words that are both in a text but not next to each other are the main cause of documents
//! read in vain, and nearly all of them are words of every log. So for a fixed list of frequent
//! words each pair of neighbours is a term of its own, hashed to two bytes; and so is each pair of
//! a word and the punctuation mark right before or behind it, by which `[ERROR]` is told from
//! `error`. Of other words nothing is recorded. The list is part of the index's version: with
//! another one, an index is built anew.

mod frequent;

#[cfg(any(test, fuzzing))]
use crate::text::for_each_run;
use crate::text::{Coding, Run, number};
use frequent::WORDS;

/// The longest word of the list.
const MAX_BYTES: usize = 8;
/// Slots of the table that finds a word; a power of two, four times the words.
const SLOTS: usize = 2048;
/// Finds the place of a word in the list: open addressing, 0 for an empty slot, else one more than
/// the place.
static TABLE: [u16; SLOTS] = table();

/// The number of the first pair with a mark; below are the hashes of pairs of words.
const MARKED: u32 = 1 << 16;
/// Bits of a mark and of its side in the number of a pair.
const MARK_BITS: u32 = 6;
/// Pairs there can be: their numbers are below.
pub(crate) const PAIRS: usize = MARKED as usize + (WORDS.len() << MARK_BITS);
/// What each byte is as a mark: 0 for none, which letters, digits, blanks and control bytes are.
const MARKS: [u8; 256] = {
    let mut marks = [0; 256];
    let (mut byte, mut next) = (b'!', 1);
    while byte <= b'~' {
        if byte.is_ascii_punctuation() && byte != b'_' {
            marks[byte as usize] = next;
            next += 1;
        }
        byte += 1;
    }
    assert!(next <= 1 << (MARK_BITS - 1), "one bit is left for the side");
    marks
};

const _: () = assert!(WORDS.len() * 4 <= SLOTS);

/// A frequent word: its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frequent(u16);

/// Two frequent words side by side, in this order, or one and a mark. Different pairs of words may be
/// equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pair(u32);

/// Where a mark stands beside a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Right before it.
    Left,
    /// Right behind it.
    Right,
}

impl Frequent {
    /// Returns the entry of a run, in any case of its letters; `None` if it is not in the list.
    #[inline]
    pub(crate) fn of(run: &[u8]) -> Option<Frequent> {
        if run.len() > MAX_BYTES {
            return None;
        }
        let key = key(run);
        let mut slot = slot(key);
        loop {
            let place = TABLE[slot].checked_sub(1)?;
            if KEYS[place as usize] == key {
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
        Pair(both.wrapping_mul(0x9e37_79b1) >> 16)
    }

    /// Returns the pair of a word and the byte beside it, or `None` if that is no mark.
    #[inline]
    pub(crate) fn marked(word: Frequent, side: Side, byte: u8) -> Option<Pair> {
        let mark = u32::from(MARKS[byte as usize]);
        let place = (u32::from(word.0) << 1 | side as u32) << (MARK_BITS - 1);
        (mark != 0).then_some(Pair(MARKED + place + mark))
    }

    /// Returns its term in the index.
    pub(crate) fn term(self) -> [u8; 3] {
        let [_, term @ ..] = self.0.to_be_bytes();
        term
    }

    /// Returns it as a number below [`PAIRS`], for sets.
    pub(crate) fn number(self) -> usize {
        self.0 as usize
    }
}

/// Calls `f` with each pair of the text, repeated ones repeatedly.
#[cfg(any(test, fuzzing))]
pub(crate) fn for_each_pair(text: &[u8], mut f: impl FnMut(Pair)) {
    let mut neighbours = Neighbours::of(text);
    for_each_run(text, |run| neighbours.next(run, &mut f));
}

/// The pairs of a text, found run by run.
pub(crate) struct Neighbours<'t> {
    text: &'t [u8],
    /// The last run, where it is a frequent word, and its end.
    before: Option<(Frequent, usize)>,
}

impl<'t> Neighbours<'t> {
    /// Begins at the start of a text.
    pub(crate) fn of(text: &'t [u8]) -> Self {
        Neighbours { text, before: None }
    }

    /// Calls `f` with each pair that the next run of the text makes, repeated ones repeatedly. Words
    /// of two lines are no neighbours, for no match holds both.
    #[inline]
    pub(crate) fn next(&mut self, run: Run<'t>, mut f: impl FnMut(Pair)) {
        let before = self.before.take();
        // A run that is cut is found by its pieces, and so is not of the list.
        let is_word = run.coding == Coding::Word;
        let Some(word) = Frequent::of(run.bytes).filter(|_| is_word) else { return };
        let end = run.start + run.bytes.len();
        if let Some((left, left_end)) = before
            && !self.text[left_end..run.start].contains(&b'\n')
        {
            f(Pair::of(left, word));
        }
        let beside = [(Side::Left, run.start.wrapping_sub(1)), (Side::Right, end)];
        for (side, at) in beside {
            let mark = self.text.get(at).and_then(|mark| Pair::marked(word, side, *mark));
            mark.into_iter().for_each(&mut f);
        }
        self.before = Some((word, end));
    }
}

/// A word of up to eight bytes as a number in which case does not matter. The other bytes of runs
/// stay what they are, or become what no word of the list holds.
#[inline]
const fn key(word: &[u8]) -> u64 {
    number(word) | u64::from_le_bytes([b' '; MAX_BYTES])
}

/// The slot where the search for a word begins.
const fn slot(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % SLOTS
}

/// The keys of the list.
static KEYS: [u64; WORDS.len()] = {
    let mut keys = [0; WORDS.len()];
    let mut place = 0;
    while place < WORDS.len() {
        keys[place] = key(WORDS[place].as_bytes());
        place += 1;
    }
    keys
};

const fn table() -> [u16; SLOTS] {
    let mut table = [0; SLOTS];
    let mut place = 0;
    while place < WORDS.len() {
        let mut at = slot(KEYS[place]);
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
    use crate::text::in_run;

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
            assert!(
                word.bytes().all(in_run) && Coding::of(word.as_bytes()) == Coding::Word,
                "{word}"
            );
            assert_eq!(word, word.to_ascii_lowercase());
        }
        assert_eq!(Frequent::of(b"zyxwv"), None);
        assert_eq!(Frequent::of(b""), None);
    }

    #[test]
    fn neighbours_of_one_line_are_pairs() {
        assert_eq!(pairs("The error"), [pair("the", "error")]);
        assert!(pairs("(the): error").contains(&pair("the", "error")));
        assert_eq!(pairs("the zyxwv error"), []);
        assert_eq!(pairs("the\nerror"), []);
        assert_ne!(pair("the", "error"), pair("error", "the"));
    }

    #[test]
    fn marks_beside_a_word_are_pairs() {
        let error = Frequent::of(b"error").unwrap();
        let marked = |side, byte| Pair::marked(error, side, byte).unwrap();
        let both = [marked(Side::Left, b'['), marked(Side::Right, b']')];
        assert_eq!(pairs("[ERROR]"), both);
        assert_eq!(pairs("zyxwv [error]"), both);
        assert_eq!(pairs(" error\t"), []);
        assert_eq!(pairs("(zyxwv)"), []);
        assert_eq!(Pair::marked(error, Side::Left, b' '), None);
    }

    #[test]
    fn each_pair_with_a_mark_has_a_number_of_its_own() {
        let words = WORDS.map(|word| Frequent::of(word.as_bytes()).unwrap());
        let sides = [Side::Left, Side::Right];
        let bytes = sides.into_iter().flat_map(|side| (0..=u8::MAX).map(move |byte| (side, byte)));
        let marked = words.into_iter().flat_map(|word| {
            bytes.clone().filter_map(move |(side, byte)| Pair::marked(word, side, byte))
        });
        let numbers: Vec<usize> = marked.map(Pair::number).collect();
        assert_eq!(numbers.len(), WORDS.len() * 2 * 31);
        assert!(numbers.iter().all(|number| (MARKED as usize..PAIRS).contains(number)));
        let different: std::collections::HashSet<_> = numbers.iter().collect();
        assert_eq!(different.len(), numbers.len());
    }

    #[test]
    fn words_are_found_by_their_edges() {
        let error = Frequent::of(b"error").unwrap();
        assert!(Frequent::like(b"ROR", true).contains(&error));
        assert!(Frequent::like(b"err", false).contains(&error));
        assert!(!Frequent::like(b"err", true).contains(&error));
    }
}
