//! The query language: text to an expression over terms and filters.
//!
//! Pure. It owns what is syntax and what is text, the smart case of each term, and the logic of
//! evaluating an expression when some of its parts are only *possibly* true. It does not know how
//! terms are matched, where logs are, or what a filter's value is compared with. Every mistake of
//! the user is a [`QueryError`] that points at a column; nothing panics on any input.
//!
//! A run of bare words is one literal. Within it, a word that opens a quote, a `/regex/`, a filter
//! or an operator ends the run; a `-word` there is text, as in `exited with -1`, and so is a
//! parenthesis that holds only words, as in `fault (core dumped)`.

mod case;
mod combine;
mod error;
mod filter;
mod glob;
mod parse;
mod scan;
#[cfg(test)]
mod tests;
mod weight;
mod when;

use std::sync::Arc;

use crate::matcher::Compiled;
pub use error::QueryError;
pub use filter::{Filter, FilterKey, FilterValue};
pub use glob::Glob;
pub use when::{Bounds, When, parse_duration};

/// The most terms a query may have: one bit of a mask each.
pub const MAX_TERMS: usize = 64;
/// The most bytes of query text that are read; a longer query is refused.
pub const MAX_QUERY_BYTES: usize = 64 * 1024;
/// How deep groups and negations may nest; deeper is refused, since parsing recurses.
pub const MAX_DEPTH: usize = 64;

/// How the case of letters counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Case {
    /// Ignored per term unless the term has an upper-case literal.
    #[default]
    Smart,
    /// Ignored always.
    Ignore,
    /// Counts always.
    Sensitive,
}

/// What a term looks for in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// These bytes; they hold no line feed. The empty literal occurs in every line.
    Literal(Vec<u8>),
    /// A regular expression in the syntax of the regex crate, checked to compile.
    Regex(String),
}

/// One thing that occurs in a line or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// What is looked for.
    pub pattern: Pattern,
    /// Whether letters match in any case, by Unicode simple folding.
    pub ignore_case: bool,
    /// The term as its user wrote it, for messages.
    pub source: String,
    /// The regex, compiled when it was checked; a literal is made ready when it is looked for.
    pub(crate) compiled: Option<Arc<Compiled>>,
}

/// An expression over terms (by their index in [`Query::terms`]) and filters.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Holds always: the empty query.
    All,
    /// Holds if the term occurs in some line.
    Term(usize),
    /// Holds if the job has the property.
    Filter(Filter),
    /// Holds if every part does.
    And(Vec<Expr>),
    /// Holds if some part does.
    Or(Vec<Expr>),
    /// Holds if the part does not.
    Not(Box<Expr>),
}

/// A truth that may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maybe {
    /// Surely false.
    No,
    /// Not known.
    Maybe,
    /// Surely true.
    Yes,
}

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The distinct places where text is looked for, at most [`MAX_TERMS`].
    pub terms: Vec<Term>,
    /// How they are joined.
    pub expr: Expr,
}

impl Query {
    /// Parses command-line arguments.
    ///
    /// The end of an argument ends a literal; operators and groups go across arguments. Columns
    /// of errors count characters from 1 in the arguments joined by one space.
    pub fn parse(args: &[String], case: Case) -> Result<Query, QueryError> {
        Query::from_parts(&[], &[], args, case)
    }

    /// Joins whole literals (any bytes but line feeds), whole regexes and parsed arguments by AND.
    ///
    /// Errors of a literal or regex have that text as their input.
    pub fn from_parts(
        literals: &[Vec<u8>],
        regexes: &[String],
        args: &[String],
        case: Case,
    ) -> Result<Query, QueryError> {
        let bytes: usize = literals.iter().map(Vec::len).sum::<usize>()
            + regexes.iter().chain(args).map(String::len).sum::<usize>();
        if bytes > MAX_QUERY_BYTES {
            let message = format!("the query is longer than {MAX_QUERY_BYTES} bytes");
            return Err(QueryError::new(message, 1, ""));
        }
        let mut terms = Vec::new();
        let mut parts = Vec::new();
        for literal in literals {
            let source = String::from_utf8_lossy(literal).into_owned();
            let columns: Vec<usize> = (1..=source.chars().count() + 1).collect();
            let term = case::literal(literal.clone(), source.clone(), case)
                .map_err(|fault| fault.within(&columns, &source))?;
            parse::push(&mut terms, term).map_err(|fault| fault.at(1, &source))?;
            parts.push(Expr::Term(terms.len() - 1));
        }
        for regex in regexes {
            let columns: Vec<usize> = (1..=regex.chars().count() + 1).collect();
            let term = case::regex(regex.clone(), regex.clone(), case, &terms)
                .map_err(|fault| fault.within(&columns, regex))?;
            parse::push(&mut terms, term).map_err(|fault| fault.at(1, regex))?;
            parts.push(Expr::Term(terms.len() - 1));
        }
        match parse::parse(args, case, &mut terms)? {
            Expr::All => {}
            Expr::And(more) => parts.extend(more),
            other => parts.push(other),
        }
        let query = Query { terms, expr: join(parts) };
        query.check_sections(&args.join(" "))?;
        Ok(query)
    }

    /// Adds a filter which must hold as well.
    pub fn and_filter(&mut self, filter: Filter) {
        let old = std::mem::replace(&mut self.expr, Expr::All);
        let mut parts = match old {
            Expr::All => Vec::new(),
            Expr::And(parts) => parts,
            other => vec![other],
        };
        parts.push(Expr::Filter(filter));
        self.expr = join(parts);
    }

    /// Returns the globs of the `section:` filters, all of which a hit's section must match.
    ///
    /// They speak of lines, not of jobs: [`Query::eval`] and its kin take them as true.
    pub fn sections(&self) -> Vec<&Glob> {
        let parts = match &self.expr {
            Expr::And(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        let section = |part| match part {
            &Expr::Filter(Filter {
                key: FilterKey::Section,
                value: FilterValue::Text(ref glob),
                ..
            }) => Some(glob),
            _ => None,
        };
        parts.iter().filter_map(section).collect()
    }

    /// Returns the filters of the query, in the order of writing.
    pub fn filters(&self) -> Vec<&Filter> {
        fn walk<'q>(expr: &'q Expr, found: &mut Vec<&'q Filter>) {
            match expr {
                Expr::All | Expr::Term(_) => {}
                Expr::Filter(filter) => found.push(filter),
                Expr::And(parts) | Expr::Or(parts) => {
                    parts.iter().for_each(|part| walk(part, found));
                }
                Expr::Not(part) => walk(part, found),
            }
        }
        let mut found = Vec::new();
        walk(&self.expr, &mut found);
        found
    }

    /// Returns the mask of the terms whose lines can be hits: those under no odd number of NOTs.
    pub fn positive_terms(&self) -> u64 {
        fn walk(expr: &Expr, positive: bool) -> u64 {
            match expr {
                Expr::All | Expr::Filter(_) => 0,
                Expr::Term(term) if positive => bit(*term),
                Expr::Term(_) => 0,
                Expr::And(parts) | Expr::Or(parts) => {
                    parts.iter().fold(0, |mask, part| mask | walk(part, positive))
                }
                Expr::Not(part) => walk(part, !positive),
            }
        }
        walk(&self.expr, true)
    }

    /// Tells whether the expression holds, given which terms occur and which filters hold.
    pub fn eval(
        &self,
        mut term: impl FnMut(usize) -> bool,
        mut filter: impl FnMut(&Filter) -> bool,
    ) -> bool {
        let sure = |holds| if holds { Maybe::Yes } else { Maybe::No };
        self.maybe(|index| sure(term(index)), |given| sure(filter(given))) == Maybe::Yes
    }

    /// Returns what is known of the expression, given what is known of its parts.
    pub fn maybe(
        &self,
        mut term: impl FnMut(usize) -> Maybe,
        mut filter: impl FnMut(&Filter) -> Maybe,
    ) -> Maybe {
        maybe(&self.expr, &mut term, &mut filter)
    }

    /// Returns the mask of the positive terms that help to make the expression true; 0 if it is
    /// false.
    ///
    /// A present term helps if it is in a part that holds: of `A OR B` both may help, and of
    /// `(A AND B) OR C` with B absent only C does.
    pub fn helping(
        &self,
        present: impl Fn(usize) -> bool,
        filter: impl Fn(&Filter) -> bool,
    ) -> u64 {
        helping(&self.expr, &present, &filter, true).unwrap_or(0)
    }

    /// Refuses `section:` where it could not be a property of the hit's line.
    fn check_sections(&self, input: &str) -> Result<(), QueryError> {
        fn walk(expr: &Expr, top: bool) -> Option<usize> {
            match expr {
                Expr::All | Expr::Term(_) => None,
                Expr::Filter(filter) => {
                    (filter.key == FilterKey::Section && !top).then_some(filter.column)
                }
                Expr::And(parts) => parts.iter().find_map(|part| walk(part, top)),
                Expr::Or(parts) => parts.iter().find_map(|part| walk(part, false)),
                Expr::Not(part) => walk(part, false),
            }
        }
        match walk(&self.expr, true) {
            None => Ok(()),
            Some(column) => Err(QueryError::new(
                "`section:` can only be required of the whole query, not negated or under OR",
                column,
                input,
            )),
        }
    }
}

/// Joins parts by AND; groups inside an AND are flattened so that `section:` stays on top.
fn join(parts: Vec<Expr>) -> Expr {
    let mut flat = Vec::new();
    for part in parts {
        match part {
            Expr::All => {}
            Expr::And(more) => flat.extend(more),
            other => flat.push(other),
        }
    }
    match flat.len() {
        0 => Expr::All,
        1 => flat.swap_remove(0),
        _ => Expr::And(flat),
    }
}

fn bit(term: usize) -> u64 {
    1u64.checked_shl(u32::try_from(term).unwrap_or(u32::MAX)).unwrap_or(0)
}

fn maybe(
    expr: &Expr,
    term: &mut impl FnMut(usize) -> Maybe,
    filter: &mut impl FnMut(&Filter) -> Maybe,
) -> Maybe {
    match expr {
        Expr::All => Maybe::Yes,
        Expr::Term(index) => term(*index),
        Expr::Filter(given) if given.key == FilterKey::Section => Maybe::Yes,
        Expr::Filter(given) => filter(given),
        Expr::And(parts) => {
            parts.iter().map(|part| maybe(part, term, filter)).min().unwrap_or(Maybe::Yes)
        }
        Expr::Or(parts) => {
            parts.iter().map(|part| maybe(part, term, filter)).max().unwrap_or(Maybe::No)
        }
        Expr::Not(part) => match maybe(part, term, filter) {
            Maybe::No => Maybe::Yes,
            Maybe::Maybe => Maybe::Maybe,
            Maybe::Yes => Maybe::No,
        },
    }
}

/// `None` if the part has not the truth which `want` asks for, else the positive terms in it that
/// make it so. Negations are pushed inwards, so that a double negation helps like none.
fn helping(
    expr: &Expr,
    present: &impl Fn(usize) -> bool,
    filter: &impl Fn(&Filter) -> bool,
    want: bool,
) -> Option<u64> {
    let holds = |truth: bool| (truth == want).then_some(0);
    let all = |parts: &[Expr]| {
        let mut masks = parts.iter().map(|part| helping(part, present, filter, want));
        masks.try_fold(0, |mask, part| part.map(|part| mask | part))
    };
    let any = |parts: &[Expr]| {
        let masks = parts.iter().filter_map(|part| helping(part, present, filter, want));
        masks.reduce(|mask, part| mask | part)
    };
    match expr {
        Expr::All => holds(true),
        Expr::Term(index) if want => present(*index).then(|| bit(*index)),
        Expr::Term(index) => holds(present(*index)),
        Expr::Filter(given) => holds(given.key == FilterKey::Section || filter(given)),
        Expr::And(parts) if want => all(parts),
        Expr::And(parts) => any(parts),
        Expr::Or(parts) if want => any(parts),
        Expr::Or(parts) => all(parts),
        Expr::Not(part) => helping(part, present, filter, !want),
    }
}
