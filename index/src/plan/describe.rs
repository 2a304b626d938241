//! A plan in words, for people who ask why a search is slow.

use super::{Lookup, Place, Plan};
use crate::query::Term;
use crate::text::{Coding, FOLDING};

/// The most look-ups that are written out; what is beyond is left out, and marked.
const MAX_SHOWN: usize = 24;

/// Returns what is looked up for a term: words, pieces (`#`) of ids, and the kinds of their bytes
/// (`?`), with `*` where more may stand beside, `~` where case does not count, `+` between what must be there together and `|`
/// between alternatives.
///
/// The text may hold any character of the term.
pub fn describe(term: &Term) -> String {
    let plan = Plan::of(term);
    let mut left = MAX_SHOWN;
    let mut text = String::new();
    write(&plan, false, &mut left, &mut text);
    text
}

/// Returns the look-up that alternatives stand for which differ in case alone.
fn any_case(parts: &[Plan]) -> Option<Lookup> {
    let Some((Plan::Lookup(first), others)) = parts.split_first() else { return None };
    let same = |part: &Plan| match part {
        Plan::Lookup(other) => {
            (other.coding, other.place) == (first.coding, first.place)
                && other.bytes.eq_ignore_ascii_case(&first.bytes)
        }
        _ => false,
    };
    let fold = || Lookup { fold: true, ..first.clone() };
    (!others.is_empty() && others.iter().all(same)).then(fold)
}

fn write(plan: &Plan, nested: bool, left: &mut usize, text: &mut String) {
    if let Plan::Or(parts) = plan
        && let Some(lookup) = any_case(parts)
    {
        return write(&Plan::Lookup(lookup), nested, left, text);
    }
    let (parts, joint) = match plan {
        Plan::All => return text.push_str("everything"),
        Plan::Lookup(lookup) => {
            *left = left.saturating_sub(1);
            return text.push_str(&lookup.describe());
        }
        Plan::Pair(_) => {
            *left = left.saturating_sub(1);
            return text.push_str("neighbours");
        }
        Plan::And(parts) => (parts, " + "),
        Plan::Or(parts) if parts.is_empty() => return text.push_str("nothing"),
        Plan::Or(parts) => (parts, " | "),
    };
    if nested {
        text.push('(');
    }
    for (i, part) in parts.iter().enumerate() {
        if *left == 0 {
            text.push_str(" ...");
            break;
        }
        text.push_str(if i == 0 { "" } else { joint });
        write(part, true, left, text);
    }
    if nested {
        text.push(')');
    }
}

impl Lookup {
    fn describe(&self) -> String {
        if self.coding == Coding::Word && self.bytes == FOLDING {
            return "\u{17f} or \u{212a}".to_owned();
        }
        let bytes = String::from_utf8_lossy(&self.bytes);
        let (before, after) = match self.place {
            Place::Whole => ("", ""),
            Place::Start => ("", "*"),
            Place::End => ("*", ""),
            Place::Inside => ("*", "*"),
        };
        let mark = match self.coding {
            Coding::Word => "",
            Coding::Pieces => "#",
            Coding::Rough => "?",
        };
        let case = if self.fold { "~" } else { "" };
        let [before, after] = [(before, self.bounds[0]), (after, self.bounds[1])]
            .map(|(more, bound)| if bound { "" } else { more });
        format!("{case}{mark}{before}{bytes}{after}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;
    use crate::query::{Case, Query};

    fn described(text: &str) -> String {
        let query = Query::parse(&[text.to_owned()], Case::Sensitive).unwrap();
        describe(&query.terms[0])
    }

    #[test]
    fn a_plan_is_told_by_its_words() {
        let text = described("xrefused: Zconnection Yto");
        assert!(text.contains("Zconnection") && text.contains(" + "), "{text}");
        assert!(text.contains("*xrefused"), "{text}");
        assert_eq!(described("/.*/"), "everything");
        let folded = Query::parse(&["- fold -".to_owned()], Case::Ignore).unwrap();
        let folded = describe(&folded.terms[0]);
        assert!(folded.contains("~fold") && !folded.contains("FOLD"), "{folded}");
        let many: Vec<String> = (0..90).map(|n| format!("alternative_word{n:03}")).collect();
        let text = described(&format!("/{}/", many.join("|")));
        assert!(text.len() < 4000, "{text}");
    }
}
