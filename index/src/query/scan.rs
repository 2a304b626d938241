//! The characters of a query, and what may begin at a place among them.
//!
//! It looks and never consumes: the grammar is in `parse`. It cannot fail.

use super::filter::FilterKey;

/// How far the end of a parenthesis within a run of words is looked for, in characters. One that
/// ends later is text. It keeps a query of nothing but parentheses from costing a square.
const MAX_LOOK_AHEAD: usize = 2048;

/// The arguments joined by one space, each end of an argument remembered.
pub(super) struct Scan {
    /// The characters as read.
    pub(super) chars: Vec<char>,
    /// For each character, whether it is a space put between two arguments.
    seams: Vec<bool>,
}

/// What begins at a place that is no blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing: the query ends here.
    End,
    /// The operator OR.
    Or,
    /// The operator AND.
    And,
    /// A `)` that closes a group.
    Close,
    /// A `(` that opens one.
    Open,
    /// A `-` that negates what follows.
    Negate,
    /// A quoted literal.
    Quote,
    /// A regex; its closing `/` is at the place given.
    Regex(usize),
    /// A filter; its value begins at the place given.
    Filter(FilterKey, usize),
    /// A bare word.
    Word,
}

impl Scan {
    pub(super) fn new(args: &[String]) -> Scan {
        let mut scan = Scan { chars: Vec::new(), seams: Vec::new() };
        for (index, arg) in args.iter().enumerate() {
            if index > 0 {
                scan.chars.push(' ');
                scan.seams.push(true);
            }
            scan.chars.extend(arg.chars());
            scan.seams.resize(scan.chars.len(), false);
        }
        scan
    }

    /// Returns the text between two places.
    pub(super) fn text(&self, from: usize, to: usize) -> String {
        self.chars[from..to].iter().collect()
    }

    pub(super) fn at(&self, place: usize) -> Option<char> {
        self.chars.get(place).copied()
    }

    /// Tells whether a word cannot go on at a place: a blank or the end.
    pub(super) fn is_blank(&self, place: usize) -> bool {
        matches!(self.at(place), None | Some(' ' | '\t'))
    }

    /// Tells whether an argument ends at a place.
    pub(super) fn is_seam(&self, place: usize) -> bool {
        self.seams.get(place).copied().unwrap_or(true)
    }

    /// Returns the first place from `place` on that is no blank, and whether an argument ended.
    pub(super) fn skip_blanks(&self, mut place: usize) -> (usize, bool) {
        let mut seam = false;
        while place < self.chars.len() && self.is_blank(place) {
            seam |= self.is_seam(place);
            place += 1;
        }
        (place, seam || place == self.chars.len())
    }

    /// Returns the end of the word that begins at a place.
    ///
    /// Inside a group, closing parentheses at its end which the word itself has not opened belong
    /// to the group.
    pub(super) fn word_end(&self, from: usize, depth: usize) -> usize {
        let mut end = from;
        while !self.is_blank(end) {
            end += 1;
        }
        if depth == 0 {
            return end;
        }
        let word = &self.chars[from..end];
        let count = |wanted| word.iter().filter(|c| **c == wanted).count();
        let mut surplus = count(')').saturating_sub(count('(')).min(depth);
        while surplus > 0 && end > from && self.chars[end - 1] == ')' {
            end -= 1;
            surplus -= 1;
        }
        end
    }

    /// Tells what begins at a place that is no blank. `inside` says that a run of bare words is
    /// under way, where less is syntax.
    pub(super) fn start(&self, place: usize, depth: usize, inside: bool) -> Start {
        let Some(first) = self.at(place) else {
            return Start::End;
        };
        if first == ')' && depth > 0 {
            return Start::Close;
        }
        let word = &self.chars[place..self.word_end(place, depth)];
        match word {
            ['O', 'R'] => return Start::Or,
            ['A', 'N', 'D'] => return Start::And,
            _ => {}
        }
        if first == '-' {
            return match self.negates(place, depth, inside) {
                true => Start::Negate,
                false => Start::Word,
            };
        }
        self.term_start(place, depth, inside)
    }

    /// Like [`Scan::start`], of what can follow a `-`.
    fn term_start(&self, place: usize, depth: usize, inside: bool) -> Start {
        match self.at(place) {
            Some('"') if !inside || self.quote_end(place).is_some() => Start::Quote,
            Some('/') => match self.regex_end(place, depth) {
                Some(end) => Start::Regex(end),
                None => Start::Word,
            },
            Some('(') if !inside || self.is_group(place) => Start::Open,
            _ => match self.filter(place) {
                // A key and a colon alone end a run only if something follows at once, so that
                // `see job: 12` stays text.
                Some((_, value)) if inside && self.is_blank(value) => Start::Word,
                Some((key, value)) => Start::Filter(key, value),
                None => Start::Word,
            },
        }
    }

    /// Tells whether the `-` at a place negates.
    fn negates(&self, place: usize, depth: usize, inside: bool) -> bool {
        let next = place + 1;
        if self.is_blank(next) || self.at(next) == Some('-') {
            return false;
        }
        if self.at(next) == Some(')') && depth > 0 {
            return false;
        }
        if self.term_start(next, depth, inside) != Start::Word {
            return true;
        }
        if inside {
            return false;
        }
        // One bare word only: the next word, if any, must be no part of the same literal.
        let (after, seam) = self.skip_blanks(self.word_end(next, depth));
        seam || self.start(after, depth, true) != Start::Word
    }

    /// Returns the place of the quote that ends the one at a place, if its argument has one.
    pub(super) fn quote_end(&self, open: usize) -> Option<usize> {
        self.unescaped(open, '"')
    }

    /// Returns the place of the `/` that ends a regex, if one begins here.
    fn regex_end(&self, open: usize, depth: usize) -> Option<usize> {
        let end = self.unescaped(open, '/')?;
        let closed = self.is_blank(end + 1) || (depth > 0 && self.at(end + 1) == Some(')'));
        (closed && end > open + 1).then_some(end)
    }

    fn unescaped(&self, open: usize, wanted: char) -> Option<usize> {
        let mut place = open + 1;
        while let Some(c) = self.at(place) {
            match c {
                _ if self.is_seam(place) => return None,
                '\\' if self.is_seam(place + 1) => return None,
                '\\' => place += 1,
                c if c == wanted => return Some(place),
                _ => {}
            }
            place += 1;
        }
        None
    }

    /// Returns the key of the filter at a place and where its value begins.
    fn filter(&self, place: usize) -> Option<(FilterKey, usize)> {
        let longest = FilterKey::ALL.iter().map(|(name, _)| name.len()).max()?;
        let head = self.chars.iter().skip(place).take(longest + 1);
        let colon = head.clone().position(|c| *c == ':')?;
        let name: String = head.take(colon).collect();
        Some((FilterKey::from_name(&name)?, place + colon + 1))
    }

    /// Tells whether a parenthesis within a run of words groups: only if what it holds, in the
    /// same argument and not too far, is more than words.
    fn is_group(&self, open: usize) -> bool {
        let mut depth = 0usize;
        let mut syntax = false;
        let last = self.chars.len().min(open + MAX_LOOK_AHEAD);
        for place in open..last {
            if self.is_seam(place) {
                return false;
            }
            match self.chars[place] {
                '(' => depth += 1,
                ')' if depth == 1 => return syntax,
                ')' => depth -= 1,
                '"' => syntax = true,
                _ if self.is_blank(place - 1) || self.chars[place - 1] == '(' => {
                    syntax |= self.is_word(place, "OR") || self.is_word(place, "AND");
                    syntax |= self.filter(place).is_some();
                }
                _ => {}
            }
        }
        false
    }

    fn is_word(&self, place: usize, word: &str) -> bool {
        let end = place + word.len();
        let ends = self.is_blank(end) || self.at(end) == Some(')');
        let here = self.chars.get(place..end);
        ends && here.is_some_and(|here| word.chars().eq(here.iter().copied()))
    }
}
