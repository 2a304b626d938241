//! From a regex to the fragments which each of its matches must hold.
//!
//! It walks the syntax tree with the matcher's settings: concatenations join strings,
//! alternatives and small classes make several, everything else ends a fragment. Characters of one
//! case pair become one folded letter. What it cannot say is [`Plan::All`]; it cannot fail.

use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use super::{Fragment, Plan};
use crate::matcher;
use crate::text::FOLDING_CHARS;

/// The most strings that a part of a regex may stand for; with more, a fragment ends.
const MAX_STRINGS: usize = 16;
/// The most bytes of a fragment; a longer one is split.
const MAX_FRAGMENT: usize = 1024;
/// The most strings that a class may stand for. More, such as `[0-9a-f]`, cost a scan each and
/// exclude next to nothing.
const MAX_CLASS_STRINGS: usize = 4;
/// The most characters of a class that are looked at.
const MAX_CLASS: usize = 64;

/// Returns the plan of a regex. One that does not parse accepts every text.
pub(super) fn plan(regex: &str, ignore_case: bool) -> Plan {
    let ast = ParserBuilder::new().nest_limit(matcher::NEST_LIMIT).build().parse(regex);
    let hir = ast.ok().and_then(|ast| matcher::translator(ignore_case).translate(regex, &ast).ok());
    hir.map_or(Plan::All, |hir| part(&hir).plan())
}

/// What is known of the matches of a part of a regex.
enum Part {
    /// Each is one of these strings, at most [`MAX_STRINGS`].
    Strings(Vec<Fragment>),
    /// Each makes its text satisfy the plan.
    Plan(Plan),
}

impl Part {
    const UNKNOWN: Part = Part::Plan(Plan::All);

    fn empty() -> Part {
        Part::Strings(vec![Fragment::default()])
    }

    fn plan(self) -> Plan {
        match self {
            Part::Strings(strings) => Plan::or(strings.iter().map(Plan::of_fragment)),
            Part::Plan(plan) => plan,
        }
    }
}

fn part(hir: &Hir) -> Part {
    match hir.kind() {
        HirKind::Empty => Part::empty(),
        HirKind::Literal(literal) => Part::Strings(vec![Fragment::of(literal.0.to_vec(), false)]),
        HirKind::Class(class) => strings_of(class),
        HirKind::Look(look) => edge(*look),
        HirKind::Repetition(repetition) => repeated(repetition),
        HirKind::Capture(capture) => part(&capture.sub),
        HirKind::Concat(parts) => joined(parts.iter().map(part)),
        HirKind::Alternation(parts) => either(parts.iter().map(part).collect()),
    }
}

/// The edges of a line end a run as its line feed does, which is what they become here.
fn edge(look: Look) -> Part {
    match look {
        Look::Start | Look::End | Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF => {
            Part::Strings(vec![Fragment::of(b"\n".to_vec(), false)])
        }
        // Of a run it is no end: every byte from 0x80 on belongs to one.
        Look::WordAscii
        | Look::WordUnicode
        | Look::WordStartAscii
        | Look::WordEndAscii
        | Look::WordStartUnicode
        | Look::WordEndUnicode
        | Look::WordStartHalfAscii
        | Look::WordEndHalfAscii
        | Look::WordStartHalfUnicode
        | Look::WordEndHalfUnicode => Part::Strings(vec![Fragment::boundary()]),
        Look::WordAsciiNegate | Look::WordUnicodeNegate => Part::empty(),
    }
}

fn strings_of(class: &Class) -> Part {
    let mut strings: Vec<Vec<u8>> = Vec::new();
    match class {
        Class::Unicode(class) => {
            let count = class.iter().map(|range| range.len()).sum::<usize>();
            if count > MAX_CLASS {
                return Part::UNKNOWN;
            }
            for c in class.iter().flat_map(|range| range.start()..=range.end()) {
                strings.push(c.encode_utf8(&mut [0; 4]).as_bytes().to_vec());
            }
        }
        Class::Bytes(class) => {
            let count = class.iter().map(|range| range.len()).sum::<usize>();
            if count > MAX_CLASS {
                return Part::UNKNOWN;
            }
            let bytes = class.iter().flat_map(|range| range.start()..=range.end());
            strings.extend(bytes.map(|byte| vec![byte]));
        }
    }
    // No match holds a line feed.
    strings.retain(|string| string != b"\n");
    let folded = fold_pairs(strings);
    match folded.len() {
        0..=MAX_CLASS_STRINGS => Part::Strings(folded),
        _ => Part::UNKNOWN,
    }
}

/// Joins both cases of an ASCII letter into one folded letter, which stands for the character
/// beyond ASCII that folds to it as well.
fn fold_pairs(strings: Vec<Vec<u8>>) -> Vec<Fragment> {
    let both = |letter: u8| {
        let has = |byte: u8| strings.iter().any(|string| *string == [byte]);
        has(letter.to_ascii_lowercase()) && has(letter.to_ascii_uppercase())
    };
    let [long_s, kelvin] = FOLDING_CHARS;
    let mut folded = Vec::new();
    for string in &strings {
        let fold = match string.as_slice() {
            [letter] if letter.is_ascii_alphabetic() && both(*letter) => {
                if letter.is_ascii_uppercase() {
                    continue;
                }
                true
            }
            c if c == long_s && both(b's') => continue,
            c if c == kelvin && both(b'k') => continue,
            _ => false,
        };
        folded.push(Fragment::of(string.clone(), fold));
    }
    folded
}

fn repeated(repetition: &Repetition) -> Part {
    let Repetition { min, max, sub, .. } = repetition;
    if *max == Some(0) {
        return Part::empty();
    }
    if *min == 0 {
        return match (part(sub), max) {
            (Part::Strings(mut strings), Some(1)) if strings.len() < MAX_STRINGS => {
                strings.push(Fragment::default());
                Part::Strings(strings)
            }
            _ => Part::UNKNOWN,
        };
    }
    let strings = match part(sub) {
        Part::Strings(strings) => strings,
        plan => return plan,
    };
    let mut power = strings.clone();
    let mut times = 1;
    while times < *min {
        let Some(longer) = cross(&power, &strings) else {
            break;
        };
        power = longer;
        times += 1;
    }
    let whole = Part::Strings(power);
    match *max == Some(times) && times == *min {
        true => whole,
        false => Part::Plan(whole.plan()),
    }
}

fn joined(parts: impl Iterator<Item = Part>) -> Part {
    let mut current = vec![Fragment::default()];
    let mut done = Vec::new();
    for part in parts {
        match part {
            Part::Plan(plan) => {
                let strings = std::mem::replace(&mut current, vec![Fragment::default()]);
                done.push(Part::Strings(strings).plan());
                done.push(plan);
            }
            Part::Strings(strings) => match cross(&current, &strings) {
                Some(longer) => current = longer,
                None => {
                    let strings = std::mem::replace(&mut current, strings);
                    done.push(Part::Strings(strings).plan());
                }
            },
        }
    }
    let last = Part::Strings(current);
    match done.is_empty() {
        true => last,
        false => {
            done.push(last.plan());
            Part::Plan(Plan::and(done))
        }
    }
}

fn either(parts: Vec<Part>) -> Part {
    let count = parts.iter().map(|part| match part {
        Part::Strings(strings) => strings.len(),
        Part::Plan(_) => MAX_STRINGS + 1,
    });
    if count.sum::<usize>() > MAX_STRINGS {
        return Part::Plan(Plan::or(parts.into_iter().map(Part::plan)));
    }
    let strings = parts.into_iter().flat_map(|part| match part {
        Part::Strings(strings) => strings,
        Part::Plan(_) => Vec::new(),
    });
    Part::Strings(strings.collect())
}

/// Returns each left string followed by each right one, or `None` if that is too much.
fn cross(left: &[Fragment], right: &[Fragment]) -> Option<Vec<Fragment>> {
    let longest = |strings: &[Fragment]| strings.iter().map(|s| s.bytes.len()).max().unwrap_or(0);
    if left.len() * right.len() > MAX_STRINGS || longest(left) + longest(right) > MAX_FRAGMENT {
        return None;
    }
    let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
    Some(pairs.map(|(l, r)| join(l, r)).collect())
}

/// Joins two strings; one that folds makes all of it fold, which only accepts more.
fn join(left: &Fragment, right: &Fragment) -> Fragment {
    let fold = left.fold || right.fold;
    let mut bytes = [left.bytes.as_slice(), &right.bytes].concat();
    if fold {
        bytes.make_ascii_lowercase();
    }
    let behind = |at: &usize| at + left.bytes.len();
    let bounds = left.bounds.iter().copied().chain(right.bounds.iter().map(behind)).collect();
    Fragment { bytes, fold, bounds }
}
