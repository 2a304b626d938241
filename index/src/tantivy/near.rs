//! Words of the archive that are spelt nearly like one that is asked for.
//!
//! It looks at whole words alone: the parts of ids are too much alike. It is there for the person
//! who found nothing, so it is bounded rather than complete, and it never speaks of what occurs.

use std::collections::HashMap;

use super::Index;
use super::error::{Error, guard};
use crate::query::{Pattern, Query};
use crate::terms::Flat;
use crate::text::{Coding, in_run};

/// A shorter word is near too many others.
const MIN_CHARS: usize = 4;
/// Words of at least so many characters may differ in two places, others in one.
const TWO_CHARS: usize = 6;
/// A longer word is no word.
const MAX_CHARS: usize = 64;
/// The most words of a query that are looked for; a longer query is no slip of the finger.
const MAX_WORDS: usize = 8;
/// The most words of the dictionaries that are compared; 4 million take some 100 ms (not measured
/// on more than 200 thousand).
const MAX_COMPARED: usize = 4_000_000;
/// The most spellings of one word that are told.
const MAX_SPELLINGS: usize = 3;

/// A word of a query that no word of the index holds, and what is spelt nearly like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// The word as asked for.
    pub word: String,
    /// What there is instead, the nearest first and of equals the most frequent.
    pub instead: Vec<Spelling>,
}

/// A word of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelling {
    /// The word.
    pub word: String,
    /// Documents that hold it.
    pub documents: u64,
}

/// A word that is looked for.
struct Wanted {
    word: String,
    /// In lower case.
    chars: Vec<char>,
    letters: u32,
    fold: bool,
    most: usize,
    /// Some word holds it, so that it is no slip.
    there: bool,
    /// Distance and documents of the near words.
    near: HashMap<Vec<u8>, (usize, u64)>,
}

impl Index {
    /// Returns the words of a query's literals which no word of the index holds, and what is
    /// spelt nearly like them: with one letter, or of a long word two, more, less, other or
    /// swapped, in any case.
    ///
    /// Words with nothing near them are left out, and so are regexes and parts of ids.
    pub fn near(&self, query: &Query) -> Result<Vec<Near>, Error> {
        let mut wanted = wanted(query);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        guard(&self.inner.dir, || {
            let mut left = MAX_COMPARED;
            for segment in self.inner.reader.searcher().segment_readers() {
                let flat = self.flat(segment)?;
                wanted.iter_mut().for_each(|wanted| wanted.look(&flat));
                compare(&flat, &mut wanted, &mut left);
                let inverted = segment.inverted_index(self.inner.terms)?;
                for (word, (_, documents)) in wanted.iter_mut().flat_map(|w| w.near.iter_mut()) {
                    if let Some(info) = inverted.terms().get(word)? {
                        *documents += u64::from(info.doc_freq);
                    }
                }
            }
            Ok(())
        })?;
        let near = wanted.into_iter().filter(|wanted| !wanted.there).map(Wanted::finish);
        Ok(near.filter(|near| !near.instead.is_empty()).collect())
    }
}

/// Returns the words worth looking for.
fn wanted(query: &Query) -> Vec<Wanted> {
    let positive = query.positive_terms();
    let mut found: Vec<Wanted> = Vec::new();
    for (index, term) in query.terms.iter().enumerate() {
        let Pattern::Literal(literal) = &term.pattern else { continue };
        if positive >> index & 1 == 0 {
            continue;
        }
        for run in literal.split(|byte| !in_run(*byte)) {
            let Ok(word) = std::str::from_utf8(run) else { continue };
            let chars: Vec<char> = word.to_lowercase().chars().collect();
            let fits =
                (MIN_CHARS..=MAX_CHARS).contains(&chars.len()) && Coding::of(run) == Coding::Word;
            if fits && found.len() < MAX_WORDS && found.iter().all(|wanted| wanted.word != word) {
                found.push(Wanted {
                    word: word.to_owned(),
                    letters: letters(run),
                    fold: term.ignore_case,
                    most: if chars.len() < TWO_CHARS { 1 } else { 2 },
                    chars,
                    there: false,
                    near: HashMap::new(),
                });
            }
        }
    }
    found
}

/// Compares the words of a dictionary with those wanted, at most `left` of them.
fn compare(flat: &Flat, wanted: &mut [Wanted], left: &mut usize) {
    for word in flat.words() {
        if *left == 0 || wanted.iter().all(|wanted| wanted.there) {
            return;
        }
        *left -= 1;
        let own = letters(word);
        for wanted in wanted.iter_mut().filter(|wanted| !wanted.there) {
            wanted.compare(word, own);
        }
    }
}

impl Wanted {
    fn look(&mut self, flat: &Flat) {
        let lower = self.word.to_ascii_lowercase();
        let bytes = if self.fold { lower.as_bytes() } else { self.word.as_bytes() };
        self.there = self.there || flat.has(bytes, self.fold);
    }

    fn compare(&mut self, word: &[u8], own: u32) {
        // Each difference changes at most two of the letters that occur, and one of the length;
        // a character beyond ASCII may take three bytes more.
        let longer = word.len().abs_diff(self.word.len());
        if longer > 3 * self.most || (own ^ self.letters).count_ones() as usize > 2 * self.most {
            return;
        }
        let Ok(text) = std::str::from_utf8(word) else { return };
        let chars: Vec<char> = text.to_lowercase().chars().collect();
        if chars.len().abs_diff(self.chars.len()) > self.most {
            return;
        }
        let distance = distance(&self.chars, &chars);
        if distance <= self.most {
            self.near.entry(word.to_vec()).or_insert((distance, 0));
        }
    }

    fn finish(self) -> Near {
        let best = self.near.values().map(|(distance, _)| *distance).min();
        let near = self.near.into_iter().filter(|(_, (distance, _))| Some(*distance) == best);
        let mut instead: Vec<Spelling> = near
            .map(|(word, (_, documents))| Spelling {
                word: String::from_utf8_lossy(&word).into_owned(),
                documents,
            })
            .collect();
        instead.sort_by(|a, b| b.documents.cmp(&a.documents).then(a.word.cmp(&b.word)));
        instead.truncate(MAX_SPELLINGS);
        Near { word: self.word, instead }
    }
}

/// Returns a bit for each letter that occurs, in any case; other characters share one.
fn letters(word: &[u8]) -> u32 {
    word.iter().fold(0, |letters, byte| {
        let lower = byte.to_ascii_lowercase();
        letters | 1 << if lower.is_ascii_lowercase() { lower - b'a' } else { 26 }
    })
}

/// Returns how many characters are to be added, removed, changed or swapped with their neighbour
/// to make one word the other (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = [vec![0; b.len() + 1], (0..=b.len()).collect(), vec![0; b.len() + 1]];
    for i in 1..=a.len() {
        let [before, last, row] = &mut rows;
        row[0] = i;
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: &str, b: &str) -> usize {
        distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
    }

    #[test]
    fn a_distance_counts_slips_of_the_finger() {
        assert_eq!(of("timeout", "timeout"), 0);
        assert_eq!(of("tiemout", "timeout"), 1);
        assert_eq!(of("conection", "connection"), 1);
        assert_eq!(of("", "abc"), 3);
        assert_eq!(of("kitten", "sitting"), 3);
        assert_eq!(of("naive", "naïve"), 1);
    }
}
