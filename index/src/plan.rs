//! What a term implies about the tokens of every text that holds it.
//!
//! Pure. A plan is a formula over look-ups in the set of a text's tokens. It is *complete*: a text
//! in which the term occurs satisfies it. It may hold for other texts as well; whatever makes a
//! formula too large only loosens it. The tokens themselves are in [`crate::text`].

mod describe;
mod lookup;
#[cfg(test)]
mod tests;
mod walk;

use crate::matcher;
use crate::pairs::{Frequent, Pair, Side};
use crate::query::{Pattern, Term};
use crate::text::{Coding, MAX_WORD, PIECE, in_run, may_be_rough};

pub use describe::describe;
pub(crate) use lookup::{Lookup, Place};

/// The most look-ups of a plan; a conjunct that would exceed it is dropped, an alternative that
/// would makes the plan accept every text.
const MAX_LOOKUPS: usize = 2048;
/// The most pieces of one run that are looked up; the rest would hardly tell more.
const MAX_PIECES: usize = 16;
/// The most runs of one fragment that are looked up.
const MAX_RUNS: usize = 64;
/// The most pairs that two neighbouring runs may be; more exclude next to nothing.
const MAX_PAIRS: usize = 64;

/// A formula over the tokens of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Every text.
    All,
    /// The texts that satisfy all parts.
    And(Vec<Plan>),
    /// The texts that satisfy some part; with no parts none.
    Or(Vec<Plan>),
    /// The texts with a token that is accepted.
    Lookup(Lookup),
    /// The texts with two frequent words side by side, or one and a mark.
    Pair(Pair),
}

/// Bytes that stand side by side in one line of the text. What stands around them is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub(crate) bytes: Vec<u8>,
    /// Whether ASCII letters, then in lower case, stand for both cases.
    pub(crate) fold: bool,
    /// Before which of the bytes, or behind the last, a word begins or ends.
    pub(crate) bounds: Vec<usize>,
}

impl Fragment {
    pub(crate) fn of(bytes: Vec<u8>, fold: bool) -> Fragment {
        Fragment { bytes, fold, bounds: Vec::new() }
    }

    /// Where a word begins or ends, and nothing else.
    fn boundary() -> Fragment {
        Fragment { bounds: vec![0], ..Fragment::default() }
    }
}

impl Plan {
    /// Returns the plan of a term.
    pub(crate) fn of(term: &Term) -> Plan {
        match &term.pattern {
            Pattern::Literal(bytes) if !term.ignore_case => {
                Plan::of_fragment(&Fragment::of(bytes.clone(), false))
            }
            Pattern::Literal(bytes) => walk::plan(&matcher::escape(bytes), true),
            Pattern::Regex(regex) => walk::plan(regex, term.ignore_case),
        }
    }

    /// The plan that no text satisfies.
    pub(crate) fn none() -> Plan {
        Plan::Or(Vec::new())
    }

    pub(crate) fn and(parts: impl IntoIterator<Item = Plan>) -> Plan {
        let mut flat = Vec::new();
        let mut lookups = 0;
        for part in parts {
            if part == Plan::none() {
                return part;
            }
            lookups += part.lookups();
            match part {
                Plan::All => {}
                part if lookups > MAX_LOOKUPS => lookups -= part.lookups(),
                Plan::And(parts) => flat.extend(parts),
                part => flat.push(part),
            }
        }
        match flat.len() {
            0 => Plan::All,
            1 => flat.swap_remove(0),
            _ => Plan::And(flat),
        }
    }

    pub(crate) fn or(parts: impl IntoIterator<Item = Plan>) -> Plan {
        let mut flat = Vec::new();
        let mut lookups = 0;
        for part in parts {
            lookups += part.lookups();
            match part {
                Plan::All => return Plan::All,
                _ if lookups > MAX_LOOKUPS => return Plan::All,
                Plan::Or(parts) => flat.extend(parts),
                part => flat.push(part),
            }
        }
        match flat.len() {
            1 => flat.swap_remove(0),
            _ => Plan::Or(flat),
        }
    }

    /// Returns the number of look-ups.
    pub(crate) fn lookups(&self) -> usize {
        match self {
            Plan::All => 0,
            Plan::Pair(_) => 1,
            Plan::And(parts) | Plan::Or(parts) => parts.iter().map(Plan::lookups).sum(),
            Plan::Lookup(_) => 1,
        }
    }

    /// Tells whether some look-up needs a scan of the dictionary.
    pub(crate) fn scans(&self) -> bool {
        match self {
            Plan::All | Plan::Pair(_) => false,
            Plan::And(parts) | Plan::Or(parts) => parts.iter().any(Plan::scans),
            Plan::Lookup(lookup) => lookup.token().is_none(),
        }
    }

    /// Returns the plan of a fragment: the conjunction of its runs' plans.
    pub(crate) fn of_fragment(fragment: &Fragment) -> Plan {
        let Fragment { bytes, fold, .. } = fragment;
        let runs = Run::all(fragment);
        let neighbours = runs.windows(2).map(|both| neighbours(&both[0], &both[1]));
        let marked = runs.iter().flat_map(Run::marked);
        let plan = Plan::and(neighbours.chain(marked).chain(runs.iter().map(Run::plan)));
        let folds_wide = |byte: &u8| matches!(byte.to_ascii_lowercase(), b'k' | b's');
        if plan != Plan::All && *fold && bytes.iter().any(folds_wide) {
            return Plan::or([plan, Plan::Lookup(Lookup::folding())]);
        }
        plan
    }

    /// Tells whether a text satisfies the plan: what it means, in short.
    #[cfg(test)]
    pub(crate) fn accepts(&self, text: &tests::Text) -> bool {
        match self {
            Plan::All => true,
            Plan::And(parts) => parts.iter().all(|part| part.accepts(text)),
            Plan::Or(parts) => parts.iter().any(|part| part.accepts(text)),
            Plan::Lookup(lookup) => text.tokens.iter().any(|token| lookup.accepts(token)),
            Plan::Pair(pair) => text.pairs.contains(pair),
        }
    }
}

/// Returns the plan of two runs side by side: they are frequent words that were seen so, or one of
/// them is no frequent word.
fn neighbours(left: &Run<'_>, right: &Run<'_>) -> Plan {
    let (lefts, rights) = (left.frequent(), &right.frequent());
    if !(1..=MAX_PAIRS).contains(&(lefts.len() * rights.len())) {
        return Plan::All;
    }
    let pairs = lefts.iter().flat_map(|l| rights.iter().map(move |r| Pair::of(*l, *r)));
    let rare = [left, right].map(Run::rare);
    Plan::or(rare.into_iter().chain(pairs.map(Plan::Pair)))
}

/// A run of a fragment.
#[derive(Clone, Copy)]
struct Run<'b> {
    bytes: &'b [u8],
    fold: bool,
    /// The byte before it; without one the text's run may begin further left.
    left: Option<u8>,
    /// The byte behind it; without one the text's run may go on.
    right: Option<u8>,
    /// Whether it must not be a frequent word.
    rare: bool,
    /// Where the run may go on, whether a word begins or ends there, to the left and to the right.
    bounds: [bool; 2],
}

impl<'b> Run<'b> {
    /// Returns the runs of a fragment, the first [`MAX_RUNS`] of them.
    fn all(fragment: &'b Fragment) -> Vec<Run<'b>> {
        let Fragment { bytes, fold, bounds } = fragment;
        let mut runs = Vec::new();
        let mut at = 0;
        while at < bytes.len() && runs.len() < MAX_RUNS {
            let len = bytes[at..].iter().take_while(|byte| in_run(**byte)).count();
            let run = &bytes[at..at + len];
            if len > 0 {
                // Beside any other byte a word may begin where it goes on.
                let bound = |at: usize, inside: Option<&u8>| {
                    inside.is_some_and(u8::is_ascii) && bounds.contains(&at)
                };
                runs.push(Run {
                    bytes: run,
                    fold: *fold && run.iter().any(u8::is_ascii_alphabetic),
                    left: bytes[..at].last().copied(),
                    right: bytes.get(at + len).copied(),
                    rare: false,
                    bounds: [bound(at, run.first()), bound(at + len, run.last())],
                });
            }
            at += len + 1;
        }
        runs
    }

    /// Returns the frequent words that the text's run may be.
    fn frequent(&self) -> Vec<Frequent> {
        match (self.left, self.right) {
            (Some(_), Some(_)) => Frequent::of(self.bytes).into_iter().collect(),
            // They hold no byte beyond ASCII.
            _ if self.ends() == [true; 2] => Frequent::of(self.bytes).into_iter().collect(),
            (left, _) => Frequent::like(self.bytes, left.is_none()),
        }
    }

    /// Tells on which sides no ASCII byte of its run stands beside it.
    fn ends(&self) -> [bool; 2] {
        let [left, right] = self.bounds;
        [left || self.left.is_some(), right || self.right.is_some()]
    }

    /// Returns the plans of the marks beside it: it is a frequent word seen so, or none.
    fn marked(&self) -> Vec<Plan> {
        let words = self.frequent();
        if words.is_empty() || words.len() > MAX_PAIRS {
            return Vec::new();
        }
        let marked = |(byte, side): (Option<u8>, Side)| {
            let pair = |word: &Frequent| Pair::marked(*word, side, byte?).map(Plan::Pair);
            let pairs = words.iter().map(pair).collect::<Option<Vec<Plan>>>()?;
            Some(Plan::or(pairs.into_iter().chain([self.rare()])))
        };
        let sides = [(self.left, Side::Left), (self.right, Side::Right)];
        sides.into_iter().filter_map(marked).collect()
    }

    /// Returns the plan of the run being no frequent word.
    fn rare(&self) -> Plan {
        match (self.left.is_none() || self.right.is_none(), Frequent::of(self.bytes)) {
            (true, _) => Run { rare: true, ..*self }.plan(),
            (false, Some(_)) => Plan::none(),
            // Nothing to look up which its own plan does not.
            (false, None) => Plan::All,
        }
    }

    fn plan(&self) -> Plan {
        let place = match (self.left, self.right) {
            (Some(_), Some(_)) => return self.whole(),
            (Some(_), None) => Place::Start,
            (None, Some(_)) => Place::End,
            (None, None) => Place::Inside,
        };
        let mut ways = Vec::new();
        // With more around it, a run that is short enough now may stay uncut.
        if Coding::of(self.bytes) == Coding::Word {
            ways.push(self.lookup(Coding::Word, place, self.bytes));
        }
        let offsets = if self.left.is_none() { 0..PIECE } else { 0..1 };
        // Where all of it fits into one piece at several offsets, one look-up does for all.
        let fits = |offset: &usize| offset + self.bytes.len() <= PIECE;
        for coding in self.cut() {
            if fits(&0) {
                ways.push(self.lookup(coding, place, self.bytes));
            }
            let split = offsets.clone().filter(|offset| !fits(offset));
            ways.extend(split.map(|offset| self.pieces(coding, offset)));
        }
        Plan::or(ways)
    }

    /// Returns the plan of a run that does not go on in the text.
    fn whole(&self) -> Plan {
        match Coding::of(self.bytes) {
            Coding::Word => self.lookup(Coding::Word, Place::Whole, self.bytes),
            // In another case it may look like an id, or not.
            _ if self.fold => Plan::or(self.cut().map(|coding| self.pieces(coding, 0))),
            coding => self.pieces(coding, 0),
        }
    }

    /// Returns the codings that it may have where it is cut and its text is not known whole.
    fn cut(&self) -> impl Iterator<Item = Coding> + use<> {
        let rough = self.bytes.iter().copied().all(may_be_rough).then_some(Coding::Rough);
        std::iter::once(Coding::Pieces).chain(rough)
    }

    /// Returns the plan of the run if it is cut and its first byte has this offset in a piece.
    fn pieces(&self, coding: Coding, offset: usize) -> Plan {
        let (head, rest) = match offset {
            0 => (&[] as &[u8], self.bytes),
            _ => self.bytes.split_at(PIECE - offset),
        };
        let known_end = if self.right.is_none() { rest.len() / PIECE * PIECE } else { rest.len() };
        let (exact, tail) = rest.split_at(known_end);
        let mut parts: Vec<Plan> = exact
            .chunks(PIECE)
            .take(MAX_PIECES)
            .map(|piece| self.lookup(coding, Place::Whole, piece))
            .collect();
        // One byte beside whole pieces is not worth a scan.
        let worth = |part: &[u8]| part.len() > 1 || (parts.is_empty() && !part.is_empty());
        let (head_worth, tail_worth) = (worth(head), worth(tail));
        if head_worth {
            let lookup = Lookup::new(coding, Place::End, head, self.fold);
            parts.push(lookup.full().bounded(self.bounds).plan());
        }
        if tail_worth {
            parts.push(self.lookup(coding, Place::Start, tail));
        }
        Plan::and(parts)
    }

    fn lookup(&self, coding: Coding, place: Place, bytes: &[u8]) -> Plan {
        let mut lookup = Lookup::new(coding, place, bytes, self.fold);
        lookup.rare = self.rare && coding == Coding::Word;
        lookup.bounded(self.bounds).plan()
    }
}

// A run longer than a word is always cut, so that a whole look-up never meets one.
const _: () = assert!(MAX_WORD > PIECE);
