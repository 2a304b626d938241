//! The tokens of one document, each of which counts once.
//!
//! Most tokens are short, and most were met a moment ago: short ones are numbers, and the last ones
//! are told without a search. Memory is kept from one document to the next.

use foldhash::HashSet;

use crate::text::number;

/// Tokens that are told without a search, a power of two; 32 KiB of them stay in the first cache.
const LATEST: usize = 4096;
/// The longest token that is a number; the last byte is for its length.
const SHORT: usize = 7;

/// A set of tokens.
pub(super) struct Seen {
    /// Numbers of short tokens, each at the place that its hash gives it; 0 for none.
    latest: Box<[u64]>,
    short: HashSet<u64>,
    long: HashSet<Vec<u8>>,
}

impl Seen {
    pub(super) fn new() -> Seen {
        Seen { latest: vec![0; LATEST].into(), short: HashSet::default(), long: HashSet::default() }
    }

    pub(super) fn clear(&mut self) {
        self.latest.fill(0);
        self.short.clear();
        self.long.clear();
    }

    /// Takes a token in; returns whether it is new.
    #[inline]
    pub(super) fn insert(&mut self, token: &[u8]) -> bool {
        if token.len() > SHORT {
            return !self.long.contains(token) && self.long.insert(token.to_vec());
        }
        let number = short(token);
        let place = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % LATEST;
        if self.latest[place] == number {
            return false;
        }
        self.latest[place] = number;
        self.short.insert(number)
    }
}

/// Returns a token of up to seven bytes as a number that no other token has.
fn short(token: &[u8]) -> u64 {
    number(token) | (token.len() as u64) << (8 * SHORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_new_once() {
        let mut tokens: Vec<Vec<u8>> = (0..20_000).map(|n| format!("{n}").into_bytes()).collect();
        tokens.extend((0..20_000).map(|n| format!("a long token {n}").into_bytes()));
        tokens.extend([b"".to_vec(), b"\0".to_vec(), b"\0\0".to_vec(), b"a".to_vec()]);
        tokens.extend([b"a\0".to_vec(), b"abcdefg".to_vec(), b"abcdefgh".to_vec()]);
        let mut seen = Seen::new();
        for _ in 0..2 {
            assert!(tokens.iter().all(|token| seen.insert(token)));
            assert!(tokens.iter().all(|token| !seen.insert(token)));
            seen.clear();
        }
    }
}
