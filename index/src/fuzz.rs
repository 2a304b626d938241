//! What fuzz targets call: plans and dictionaries. Tests try them too, so that they stay true.

use std::collections::BTreeSet;

use crate::pairs::{Pair, for_each_pair};
use crate::plan::{Lookup, Place, Plan};
use crate::query::{Case, Query};
use crate::text::{Coding, PIECE, for_each_token};
use crate::{Matcher, terms};

/// Asks whether a text that holds a term satisfies the term's plan.
///
/// # Panics
///
/// Where the index would miss the text.
pub fn plan(data: &[u8]) {
    let [flags, len, rest @ ..] = data else { return };
    let (needle, text) = rest.split_at(rest.len().min(usize::from(*len) % 64));
    let case = if flags & 1 == 1 { Case::Ignore } else { Case::Sensitive };
    let query = match (flags & 2, std::str::from_utf8(needle)) {
        (2, Ok(regex)) => Query::from_parts(&[], &[regex.to_owned()], &[], case),
        (2, Err(_)) => return,
        _ => Query::from_parts(&[needle.to_vec()], &[], &[], case),
    };
    let Ok(query) = query else { return };
    let Ok(matcher) = Matcher::new(&query) else { return };
    let plan = Plan::of(&query.terms[0]);
    if text.split(|byte| *byte == b'\n').any(|line| matcher.is_match(0, line)) {
        let mut pairs = BTreeSet::new();
        for_each_pair(text, |pair| pairs.extend([pair]));
        let tokens = tokens(text);
        assert!(holds(&plan, &tokens, &pairs), "{query:?} is missed: {plan:?}");
    }
}

fn tokens(text: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut tokens = BTreeSet::new();
    for_each_token(text, |token| tokens.extend([token.to_vec()]));
    tokens
}

fn holds(plan: &Plan, tokens: &BTreeSet<Vec<u8>>, pairs: &BTreeSet<Pair>) -> bool {
    match plan {
        Plan::All => true,
        Plan::And(parts) => parts.iter().all(|part| holds(part, tokens, pairs)),
        Plan::Or(parts) => parts.iter().any(|part| holds(part, tokens, pairs)),
        Plan::Lookup(lookup) => tokens.iter().any(|token| lookup.accepts(token)),
        Plan::Pair(pair) => pairs.contains(pair),
    }
}

/// Reads bytes as a flat dictionary, and scans one that was made of the tokens of a text.
///
/// # Panics
///
/// Where a scan does not find what is there, or finds what is not.
pub fn flat(data: &[u8]) {
    let [flags, len, rest @ ..] = data else { return };
    let (bytes, text) = rest.split_at(rest.len().min(usize::from(*len) % 6));
    let fold = flags & 2 == 2;
    let coding = match (flags & 1, flags & 64) {
        (0, _) => Coding::Word,
        (_, 0) => Coding::Pieces,
        _ => Coding::Rough,
    };
    let is_piece = coding != Coding::Word;
    // A rough piece of no bytes is looked up, not scanned for.
    if (is_piece && bytes.len() > PIECE) || (coding == Coding::Rough && bytes.is_empty()) {
        return;
    }
    let place = [Place::Whole, Place::Start, Place::End, Place::Inside];
    let lookup = Lookup {
        coding,
        place: place[usize::from(flags >> 2 & 3)],
        bytes: if fold { bytes.to_ascii_lowercase() } else { bytes.to_vec() },
        fold,
        full: is_piece && flags & 16 == 16,
        rare: !is_piece && flags & 32 == 32,
        bounds: [false; 2],
    };
    let lookup = lookup.bounded([flags & 128 == 128; 2]);
    terms::fuzz::hostile(text, &lookup);
    let tokens = tokens(text);
    let found = terms::fuzz::scan(&tokens, &lookup);
    let expected: BTreeSet<Vec<u8>> =
        tokens.into_iter().filter(|token| lookup.accepts(token)).collect();
    assert_eq!(found, expected, "{lookup:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_targets_hold(flags: u8, len: u8, rest in "[a-f0-9 k\u{212a}x:_\n]{0,80}") {
            let data = [&[flags & !2, len][..], rest.as_bytes()].concat();
            super::plan(&data);
            super::flat(&data);
        }

        #[test]
        fn any_bytes_are_taken(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            super::plan(&data);
            super::flat(&data);
        }
    }
}
