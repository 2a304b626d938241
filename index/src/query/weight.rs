//! How large a regex becomes when it is compiled, told without compiling it.
//!
//! Pure. It counts the ranges of bytes that an automaton steps over, and something for each of its
//! states; a repetition counts as often as it is unrolled. How large a step really is, is the engine's
//! affair.

use regex_syntax::hir::{Class, Hir, HirKind};
use regex_syntax::utf8::Utf8Sequences;

/// The most that all regexes of a query may weigh together: a little more than the largest one that
/// compiles, `\w{400}`, so that many are compiled in the time of one, some tenths of a second.
pub(super) const MAX_WEIGHT: usize = 3 << 19;

/// What a state weighs beside its ranges: 200,000 of a literal take as long to compile as the 400
/// times 3,388 ranges of the `\w`, measured roughly.
const STATE: usize = 8;

/// Returns the weight of a regex; what weighs more than [`MAX_WEIGHT`] is not weighed to its end.
pub(super) fn weight(hir: &Hir) -> usize {
    let all = |parts: &[Hir]| {
        let mut sum: usize = STATE;
        for part in parts {
            sum = sum.saturating_add(weight(part));
            if sum > MAX_WEIGHT {
                break;
            }
        }
        sum
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => STATE,
        HirKind::Literal(literal) => literal.0.len().saturating_mul(STATE),
        HirKind::Class(Class::Unicode(class)) => {
            let sequences =
                class.iter().flat_map(|range| Utf8Sequences::new(range.start(), range.end()));
            sequences.map(|sequence| sequence.len()).sum::<usize>() + STATE
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            // Each time that may be left out is a fork with two ways.
            let forks = if repetition.max == Some(repetition.min) { 0 } else { 2 * STATE };
            weight(&repetition.sub).saturating_add(forks).saturating_mul(times as usize)
        }
        HirKind::Capture(capture) => weight(&capture.sub).saturating_add(STATE),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => all(parts),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;
    use crate::matcher;

    fn weight_of(regex: &str) -> usize {
        let ast = regex_syntax::ast::parse::Parser::new().parse(regex).unwrap();
        weight(&matcher::translator(false).translate(regex, &ast).unwrap())
    }

    #[test]
    fn a_regex_weighs_what_it_unrolls_to() {
        assert_eq!(weight_of("abc"), 3 * STATE);
        assert_eq!(weight_of("(?:abc){5}"), 15 * STATE);
        assert_eq!(weight_of("a{2,7}"), 7 * 3 * STATE);
        assert_eq!(weight_of("[a-z]{3}"), 3 * (STATE + 1));
        let word = weight_of("\\w");
        assert!((2_000..3_900).contains(&word), "{word}");
        assert_eq!(weight_of("(?:\\w{10}){10}"), 100 * word);
        assert!(weight_of("\\w{400}") <= MAX_WEIGHT);
        assert!(weight_of("(?:\\w{1000}){1000}") > MAX_WEIGHT);
        assert!(weight_of("(?:(?:(?:\\w{1000}){1000}){1000}){1000}{1000}{1000}") > MAX_WEIGHT);
    }
}
