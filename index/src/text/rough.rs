//! Ids of other alphabets than hex, told roughly: `v8Xq2LmN0pRt`.
//!
//! Pure. Their pieces hardly ever repeat: kept as they are, they made the index half as large as
//! logs in which a third of the lines have such an id. So the bytes of a run that looks like one are
//! first mapped to sixteen kinds. Then there are no more different pieces than of hex ids, and a
//! part of an id is still found, for a byte has the same kind wherever it stands; texts without
//! such ids are told from others as before. It knows nothing of pieces.

use super::MAX_WORD;

/// The shortest run that is told roughly; of shorter ones the pieces repeat.
const MIN_BYTES: usize = 8;
/// More than one byte in so many must be of another shape than the one before it: letters and
/// digits of ids take turns, those of `getHttpClient2` and `1ubuntu5` do not.
const CHANGE_IN: usize = 4;
/// The same of a run that is longer than any word: there one without digits is no word either.
const CHANGE_IN_LONG: usize = 8;

/// What a byte is for telling ids from words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Digit,
    Lower,
    Upper,
    /// `_`.
    Other,
    /// Bytes beyond ASCII.
    Wide,
}

/// Shapes of bytes, and whether one is a letter that no address or hash in hex has.
const SHAPES: [(Shape, bool); 256] = {
    let mut shapes = [(Shape::Other, false); 256];
    let mut byte = 0;
    while byte < 256 {
        shapes[byte] = match byte as u8 {
            b'0'..=b'9' => (Shape::Digit, false),
            b'a'..=b'f' | b'x' => (Shape::Lower, false),
            b'a'..=b'z' => (Shape::Lower, true),
            b'A'..=b'Z' => (Shape::Upper, true),
            0x80..=0xff => (Shape::Wide, false),
            _ => (Shape::Other, false),
        };
        byte += 1;
    }
    shapes
};

/// The letters of each kind, in lower case. Those that are frequent in English words have a kind of
/// their own, so that no kind says much less than another.
const LETTERS: [&[u8]; 12] =
    [b"e", b"t", b"a", b"ij", b"oq", b"nx", b"sz", b"rw", b"lyk", b"chv", b"dug", b"mpbf"];
/// What is written for a kind.
const NAMES: &[u8; 16] = b"0123456789abcdef";

/// The kind of each byte of a rough run; of a letter in both cases.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut kind = 0;
    while kind < LETTERS.len() {
        let mut at = 0;
        while at < LETTERS[kind].len() {
            let letter = LETTERS[kind][at];
            kinds[letter as usize] = NAMES[kind];
            kinds[letter.to_ascii_uppercase() as usize] = NAMES[kind];
            at += 1;
        }
        kind += 1;
    }
    let mut digit = 0;
    while digit < 10 {
        kinds[b'0' as usize + digit] = NAMES[LETTERS.len() + digit % 4];
        digit += 1;
    }
    kinds[b'_' as usize] = NAMES[LETTERS.len()];
    kinds
};

/// Tells whether a run that is cut looks like an id of letters and digits, and not like one in hex.
pub(super) fn is_rough(run: &[u8]) -> bool {
    if run.len() < MIN_BYTES {
        return false;
    }
    let (mut changes, mut is_strange) = (0, false);
    let mut before = Shape::Other;
    for byte in run {
        let (shape, strange) = SHAPES[*byte as usize];
        if shape == Shape::Wide {
            return false;
        }
        is_strange |= strange;
        // A capital begins a word.
        let goes_on = shape == before || (before, shape) == (Shape::Upper, Shape::Lower);
        changes += usize::from(!goes_on && before != Shape::Other && shape != Shape::Other);
        before = shape;
    }
    let change_in = if run.len() > MAX_WORD { CHANGE_IN_LONG } else { CHANGE_IN };
    is_strange && changes * change_in > run.len()
}

/// Tells whether a rough run may hold a byte.
pub(crate) fn may_be_rough(byte: u8) -> bool {
    byte.is_ascii()
}

/// Returns what is kept of a byte.
#[inline]
pub(crate) fn kind(byte: u8) -> u8 {
    KINDS[byte as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_words_and_from_hex() {
        for id in ["v8Xq2LmN0pRt", "7Q3M9Z1K8X2P", "k3j9x0q2z7m4", "gabc1d2e3", &"aB".repeat(65)] {
            assert!(is_rough(id.as_bytes()), "{id}");
        }
        for word in [
            "deadbeef01deadbeef01",
            "0x7fff5a3c9e10",
            "getHttpClientFactory2Impl",
            "internationalization18n",
            "snake_case_9_and_10",
            "20251129T101112",
            "überall5überall6",
            "v1beta1",
            "1ubuntu5",
            "sha256sum",
            "größe1ß2ß3ß4",
            "",
        ] {
            assert!(!is_rough(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn a_letter_has_one_kind_in_both_cases() {
        for letter in b'a'..=b'z' {
            assert_eq!(kind(letter), kind(letter.to_ascii_uppercase()));
            assert!(NAMES.contains(&kind(letter)), "{letter}");
        }
        let kinds: std::collections::BTreeSet<u8> =
            (b'a'..=b'z').chain(b'0'..=b'9').map(kind).collect();
        assert_eq!(kinds.len(), NAMES.len());
    }
}
