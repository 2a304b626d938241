//! A class of tokens, which a plan is made of.
//!
//! Pure. Knows what it accepts; where tokens stand is the dictionary's affair.

use super::Plan;
use crate::pairs::Frequent;
use crate::text::{Coding, FOLDING, PIECE, kind};

/// Of a rough piece no fewer bytes are looked for: with one known, a scan would find thousands of
/// pieces, and nearly every text with ids has one of them.
const MIN_ROUGH: usize = 2;

/// A class of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// What the token is.
    pub(crate) coding: Coding,
    /// Where in the token the bytes stand.
    pub(crate) place: Place,
    /// The bytes, without the mark of a piece; in lower case if `fold`. Of a rough piece the kinds.
    pub(crate) bytes: Vec<u8>,
    /// Whether ASCII letters match in any case.
    pub(crate) fold: bool,
    /// Whether the token must be a piece of full length.
    pub(crate) full: bool,
    /// Whether the token must not be a frequent word.
    pub(crate) rare: bool,
    /// Whether the byte of the token before the bytes is beyond ASCII, or none, and the one behind.
    pub(crate) bounds: [bool; 2],
}

/// Where in a token bytes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// They are the token.
    Whole,
    /// At its start.
    Start,
    /// At its end.
    End,
    /// Anywhere.
    Inside,
}

impl Lookup {
    /// Makes the look-up of bytes as they stand in the text.
    pub(super) fn new(coding: Coding, place: Place, bytes: &[u8], fold: bool) -> Lookup {
        let fold = fold && coding != Coding::Rough && bytes.iter().any(u8::is_ascii_alphabetic);
        // No piece is longer.
        let fills = coding != Coding::Word && bytes.len() == PIECE;
        let place = if fills { Place::Whole } else { place };
        let (place, bytes) = match coding {
            // Every text with a rough run has the token of no bytes.
            Coding::Rough if place != Place::Whole && bytes.len() < MIN_ROUGH => {
                (Place::Whole, Vec::new())
            }
            Coding::Rough => (place, bytes.iter().copied().map(kind).collect()),
            Coding::Word | Coding::Pieces => (place, bytes.to_vec()),
        };
        Lookup { coding, place, bytes, fold, full: false, rare: false, bounds: [false; 2] }
    }

    pub(super) fn folding() -> Lookup {
        Lookup::new(Coding::Word, Place::Whole, FOLDING, false)
    }

    /// Returns the same of pieces of full length alone; the token of no bytes stays what it is.
    pub(super) fn full(self) -> Lookup {
        Lookup { full: !self.bytes.is_empty(), ..self }
    }

    /// Returns the same where beside the bytes, to the left and to the right, no ASCII byte of their
    /// run stands. Of rough pieces, which hold no others, this tells nothing.
    pub(crate) fn bounded(self, bounds: [bool; 2]) -> Lookup {
        let [left, right] = bounds;
        let bounds = match (self.coding, self.place) {
            (Coding::Rough, _) | (_, Place::Whole) => [false; 2],
            (_, Place::Start) => [false, right],
            (_, Place::End) => [left, false],
            (_, Place::Inside) => bounds,
        };
        Lookup { bounds, ..self }
    }

    /// Returns the only token that is accepted, or `None` if there may be several.
    pub(crate) fn token(&self) -> Option<Vec<u8>> {
        if self.fold || self.place != Place::Whole {
            return None;
        }
        let mut token = Vec::from_iter(self.coding.mark());
        token.extend(&self.bytes);
        Some(token)
    }

    /// Tells whether a token is accepted.
    pub(crate) fn accepts(&self, token: &[u8]) -> bool {
        let (coding, token) = Coding::of_token(token);
        if coding != self.coding || (self.full && token.len() != PIECE) {
            return false;
        }
        if self.rare && coding == Coding::Word && Frequent::of(token).is_some() {
            return false;
        }
        let Some(spare) = token.len().checked_sub(self.bytes.len()) else {
            return false;
        };
        let same = |part: &[u8]| match self.fold {
            true => part.eq_ignore_ascii_case(&self.bytes),
            false => part == self.bytes,
        };
        let is_beyond = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii());
        let [left, right] = self.bounds;
        let at = |at: usize| {
            let end = at + self.bytes.len();
            same(&token[at..end])
                && (!left || is_beyond(token[..at].last()))
                && (!right || is_beyond(token.get(end)))
        };
        match self.place {
            Place::Whole => spare == 0 && at(0),
            Place::Start => at(0),
            Place::End => at(spare),
            Place::Inside => (0..=spare).any(at),
        }
    }

    /// Returns the look-up as a plan: with few letters to fold, each case is a token to look up.
    pub(super) fn plan(self) -> Plan {
        let letters = self.bytes.iter().filter(|byte| byte.is_ascii_alphabetic());
        if self.place != Place::Whole || !self.fold || letters.count() > PIECE {
            return Plan::Lookup(self);
        }
        let mut cases = vec![Vec::new()];
        for byte in &self.bytes {
            let upper = byte.to_ascii_uppercase();
            let mut more = Vec::new();
            for case in &mut cases {
                if upper != *byte {
                    more.push([case.as_slice(), &[upper]].concat());
                }
                case.push(*byte);
            }
            cases.append(&mut more);
        }
        let whole =
            |case: &Vec<u8>| Plan::Lookup(Lookup::new(self.coding, self.place, case, false));
        Plan::or(cases.iter().map(whole))
    }
}
