//! The tokens of a plain text.
//!
//! Pure. A *run* is a longest stretch of letters, digits, `_` and bytes from 0x80 on. A run of
//! more than [`PIECE`] bytes which holds a digit, or of more than [`MAX_WORD`], is *cut* into
//! aligned pieces of [`PIECE`] bytes, the last one shorter; each piece is a token with the byte
//! [`MARK`] in front, so that a piece of an id is not taken for a word. A cut run that looks like an
//! id in another alphabet than hex is *rough*: its bytes are mapped to sixteen kinds first, and its
//! pieces have [`ROUGH`] in front. Any other run is a token as it is. Ids are most of what is new in
//! a log, and their pieces repeat: that bounds the dictionary. What a token means for a search is in
//! `plan`.

mod rough;

pub(crate) use rough::{kind, may_be_rough};

/// Bytes of a piece of a cut run.
pub const PIECE: usize = 4;
/// The longest run that is a token as it is, whatever it holds; a longer one is cut.
pub const MAX_WORD: usize = 128;
/// The first byte of the token of a piece. No run holds it.
pub const MARK: u8 = 0x01;
/// The first byte of the token of a piece of a rough run. No run holds it.
pub const ROUGH: u8 = 0x03;
/// The token of every text that holds U+017F or U+212A: the only characters beyond ASCII which
/// fold to ASCII letters (s and k). A search that ignores case accepts these texts instead of
/// looking for the characters. Source: the statuses C and S of
/// <https://www.unicode.org/Public/16.0.0/ucd/CaseFolding.txt>.
pub const FOLDING: &[u8] = &[0x02];
/// The UTF-8 of the two characters which [`FOLDING`] stands for.
pub(crate) const FOLDING_CHARS: [&[u8]; 2] = ["\u{17f}".as_bytes(), "\u{212a}".as_bytes()];

/// The bit of a digit in its class.
const DIGIT: u8 = 2;
/// The bit of a byte beyond ASCII in its class.
const WIDE: u8 = 4;
/// What a byte is in a run: 0 if it separates runs, else bits.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => 1,
            0x80..=0xff => WIDE,
            _ => 0,
        };
        byte += 1;
    }
    class
};

/// Tells whether a byte can be part of a run.
pub(crate) fn in_run(byte: u8) -> bool {
    CLASS[byte as usize] != 0
}

/// What the tokens of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// The run.
    Word,
    /// Its pieces.
    Pieces,
    /// The pieces of the kinds of its bytes.
    Rough,
}

impl Coding {
    /// Returns the coding of a whole run.
    pub(crate) fn of(run: &[u8]) -> Coding {
        Coding::given(run, run.iter().any(u8::is_ascii_digit))
    }

    #[inline]
    fn given(run: &[u8], has_digit: bool) -> Coding {
        match run.len() > MAX_WORD || (run.len() > PIECE && has_digit) {
            true if rough::is_rough(run) => Coding::Rough,
            true => Coding::Pieces,
            false => Coding::Word,
        }
    }

    /// Returns the byte that a token begins with.
    pub(crate) fn mark(self) -> Option<u8> {
        match self {
            Coding::Word => None,
            Coding::Pieces => Some(MARK),
            Coding::Rough => Some(ROUGH),
        }
    }

    /// Takes a token apart: the coding of its run, and what stands behind the mark.
    pub(crate) fn of_token(token: &[u8]) -> (Coding, &[u8]) {
        match token {
            [MARK, piece @ ..] => (Coding::Pieces, piece),
            [ROUGH, piece @ ..] => (Coding::Rough, piece),
            word => (Coding::Word, word),
        }
    }
}

/// A run of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'t> {
    /// Where in the text it begins.
    pub(crate) start: usize,
    /// Its bytes.
    pub(crate) bytes: &'t [u8],
    /// What its tokens are.
    pub(crate) coding: Coding,
}

impl Run<'_> {
    /// Calls `f` with each token of the run.
    #[inline]
    pub(crate) fn for_each_token(&self, mut f: impl FnMut(&[u8])) {
        let Some(mark) = self.coding.mark() else { return f(self.bytes) };
        let mut token = [mark; PIECE + 1];
        for piece in self.bytes.chunks(PIECE) {
            let token = &mut token[..=piece.len()];
            match self.coding {
                Coding::Rough => {
                    token[1..].iter_mut().zip(piece).for_each(|(to, byte)| *to = kind(*byte));
                }
                _ => token[1..].copy_from_slice(piece),
            }
            f(token);
        }
        if self.coding == Coding::Rough {
            // Told of each text with such a run, where too little of one is known.
            f(&[ROUGH]);
        }
    }
}

/// Calls `f` with each run of the text, in order. Returns whether some run has bytes beyond ASCII.
#[inline]
pub(crate) fn for_each_run<'t>(text: &'t [u8], mut f: impl FnMut(Run<'t>)) -> bool {
    let mut at = 0;
    let mut wide = 0;
    while at < text.len() {
        let mut class = CLASS[text[at] as usize];
        if class == 0 {
            at += 1;
            continue;
        }
        let start = at;
        let mut any = 0;
        while class != 0 {
            any |= class;
            at += 1;
            class = text.get(at).map_or(0, |byte| CLASS[*byte as usize]);
        }
        wide |= any;
        let bytes = &text[start..at];
        f(Run { start, bytes, coding: Coding::given(bytes, any & DIGIT != 0) });
    }
    wide & WIDE != 0
}

/// Calls `f` with the token of a text that some characters beyond ASCII have, where it holds one.
pub(crate) fn for_folding(text: &[u8], f: impl FnOnce(&[u8])) {
    if FOLDING_CHARS.iter().any(|c| memchr::memmem::find(text, c).is_some()) {
        f(FOLDING);
    }
}

/// Calls `f` with each token of the text, repeated ones repeatedly.
pub fn for_each_token(text: &[u8], mut f: impl FnMut(&[u8])) {
    if for_each_run(text, |run| run.for_each_token(&mut f)) {
        for_folding(text, f);
    }
}

/// Returns up to eight bytes as a number, the first byte lowest, filled up with zeros.
#[inline]
pub(crate) const fn number(bytes: &[u8]) -> u64 {
    let (mut number, mut at) = (0, 0);
    while at < bytes.len() {
        number |= (bytes[at] as u64) << (8 * at);
        at += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]
    use super::*;

    fn tokens(text: &[u8]) -> Vec<String> {
        let mut tokens = Vec::new();
        for_each_token(text, |token| {
            tokens.push(String::from_utf8(token.to_vec()).unwrap());
        });
        tokens
    }

    #[test]
    fn words_are_whole_and_ids_are_cut() {
        assert_eq!(
            tokens(b"error: x86 in deadbeef01,\rabc1 snake_case\n"),
            ["error", "x86", "in", "\u{1}dead", "\u{1}beef", "\u{1}01", "abc1", "snake_case"]
        );
        assert_eq!(tokens("größe ü5 überall5".as_bytes()).len(), 2 + 3);
        assert!(tokens(b"").is_empty() && tokens(b" \n\t--\x1b[").is_empty());
    }

    #[test]
    fn ids_of_other_alphabets_are_told_roughly() {
        let rough = tokens(b"v8Xq2LmN0p");
        assert_eq!(rough, ["\u{3}9c54", "\u{3}e8b5", "\u{3}cb", "\u{3}"]);
        assert_eq!(tokens(b"w4nO6lPV8B"), tokens(b"W8xq2yBH4f"), "bytes of the same kinds");
    }

    #[test]
    fn long_runs_are_cut_even_without_digits() {
        assert_eq!(tokens(&[b'a'; MAX_WORD]).len(), 1);
        let cut = tokens(&[b'a'; MAX_WORD + 1]);
        assert_eq!(cut.len(), MAX_WORD / PIECE + 1);
        assert_eq!(cut.last().unwrap(), "\u{1}a");
    }

    #[test]
    fn characters_that_fold_to_ascii_are_marked() {
        assert_eq!(tokens("5 \u{212a}".as_bytes()), ["5", "\u{212a}", "\u{2}"]);
        assert_eq!(tokens("wa\u{17f}".as_bytes()).last().unwrap(), "\u{2}");
        assert_eq!(tokens("\u{212b}".as_bytes()), ["\u{212b}"]);
    }
}
