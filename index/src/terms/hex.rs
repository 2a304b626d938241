//! Sets of tokens of four lower-case hex digits, a bit for each of the 65,536.
//!
//! Pure. A set takes 8 KiB instead of four or five bytes a token, and a scan that knows a digit
//! looks at a sixteenth of it. Knows nothing of pieces and words but that a piece has a mark.

use crate::plan::{Lookup, Place};
use crate::text::PIECE;

/// Bytes of a set.
pub(super) const BYTES: usize = (1 << (4 * PIECE)) / 8;
/// The digits, by value.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A set that is being made; it takes no space while it is empty.
#[derive(Default)]
pub(super) struct Set(Vec<u8>);

impl Set {
    /// Takes a token in, without the mark, if it is four such digits.
    pub(super) fn insert(&mut self, token: &[u8]) -> bool {
        let Ok(token) = <[u8; PIECE]>::try_from(token) else { return false };
        let mut number = 0;
        for byte in token {
            let Some(value) = value(byte) else { return false };
            number = number << 4 | value;
        }
        self.0.resize(BYTES, 0);
        self.0[number / 8] |= 1 << (number % 8);
        true
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn value(byte: u8) -> Option<usize> {
    match byte {
        b'0'..=b'9' => Some((byte - b'0').into()),
        b'a'..=b'f' => Some((byte - b'a' + 10).into()),
        _ => None,
    }
}

/// Calls `f` with each token of a set that a look-up accepts until it returns false, and returns
/// whether it never did.
pub(super) fn scan(set: &[u8], lookup: &Lookup, f: &mut impl FnMut(&[u8]) -> bool) -> bool {
    let Some(spare) = PIECE.checked_sub(lookup.bytes.len()) else { return true };
    if set.is_empty() {
        return true;
    }
    let offsets = match lookup.place {
        Place::Whole if spare > 0 => 0..0,
        Place::Whole | Place::Start => 0..1,
        Place::End => spare..spare + 1,
        Place::Inside => 0..spare + 1,
    };
    let mark = lookup.coding.mark();
    let mut token = [mark.unwrap_or_default(); PIECE + 1];
    let from = usize::from(mark.is_none());
    for offset in offsets.clone() {
        let Some(digits) = digits(lookup, offset) else { continue };
        let [a, b, c, d] = &digits;
        for (number, at) in each(a, b, c, d) {
            if set[number / 8] >> (number % 8) & 1 == 0 {
                continue;
            }
            token[1..].copy_from_slice(&at.map(|value| DIGITS[value]));
            // One that was found further left already is not found again.
            let earlier = (offsets.start..offset).any(|before| holds(&token[1..], lookup, before));
            if !earlier && lookup.accepts(&token[from..]) && !f(&token[from..]) {
                return false;
            }
        }
    }
    true
}

/// Returns the values that each place of a token may have if the look-up's bytes begin at `offset`,
/// or `None` if there is no such token.
fn digits(lookup: &Lookup, offset: usize) -> Option<[Vec<usize>; PIECE]> {
    let mut digits: [Vec<usize>; PIECE] = std::array::from_fn(|_| (0..DIGITS.len()).collect());
    for (place, byte) in digits[offset..].iter_mut().zip(&lookup.bytes) {
        *place = vec![value(*byte)?];
    }
    Some(digits)
}

fn holds(token: &[u8], lookup: &Lookup, offset: usize) -> bool {
    token[offset..].starts_with(&lookup.bytes)
}

/// Returns each number made of one value of each place, with its values.
fn each<'d>(
    a: &'d [usize],
    b: &'d [usize],
    c: &'d [usize],
    d: &'d [usize],
) -> impl Iterator<Item = (usize, [usize; PIECE])> + 'd {
    let first = a.iter().flat_map(move |a| b.iter().map(move |b| (*a, *b)));
    let three = first.flat_map(move |(a, b)| c.iter().map(move |c| (a, b, *c)));
    three.flat_map(move |(a, b, c)| {
        d.iter().map(move |d| (a << 12 | b << 8 | c << 4 | d, [a, b, c, *d]))
    })
}
