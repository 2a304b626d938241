//! The grammar: OR over AND over (negated) terms, filters and groups, by recursive descent.
//!
//! Recursion is bounded by [`MAX_DEPTH`], terms by [`MAX_TERMS`]. Errors point at a column of the
//! joined arguments.

use super::error::{Fault, QueryError};
use super::scan::{Scan, Start};
use super::{Case, Expr, Filter, FilterKey, MAX_DEPTH, MAX_TERMS, Term, case, join};

/// Parses arguments; terms are added to `terms` and referred to by index.
pub(super) fn parse(
    args: &[String],
    case: Case,
    terms: &mut Vec<Term>,
) -> Result<Expr, QueryError> {
    let scan = Scan::new(args);
    let mut parser = Parser { place: 0, nesting: 0, groups: 0, scan, case, terms };
    if parser.peek() == Start::End {
        return Ok(Expr::All);
    }
    let expr = parser.either()?;
    // Outside of groups a `)` is a word, so nothing but the end can stop `either`.
    debug_assert_eq!(parser.peek(), Start::End);
    Ok(expr)
}

/// Adds a term within the bound.
pub(super) fn push(terms: &mut Vec<Term>, term: Term) -> Result<(), Fault> {
    if terms.len() == MAX_TERMS {
        return Err(Fault::new(format!("more than {MAX_TERMS} terms")));
    }
    terms.push(term);
    Ok(())
}

struct Parser<'t> {
    scan: Scan,
    place: usize,
    /// Groups and negations around this place.
    nesting: usize,
    /// Groups around this place.
    groups: usize,
    case: Case,
    terms: &'t mut Vec<Term>,
}

impl Parser<'_> {
    /// Skips blanks and tells what begins.
    fn peek(&mut self) -> Start {
        self.place = self.scan.skip_blanks(self.place).0;
        self.scan.start(self.place, self.groups, false)
    }

    fn error<T>(&self, message: impl Into<String>, place: usize) -> Result<T, QueryError> {
        let input: String = self.scan.chars.iter().collect();
        Err(QueryError::new(message, place + 1, &input))
    }

    fn place_fault(&self, fault: Fault, columns: &[usize]) -> QueryError {
        let input: String = self.scan.chars.iter().collect();
        fault.within(columns, &input)
    }

    fn either(&mut self) -> Result<Expr, QueryError> {
        let mut parts = vec![self.both()?];
        while self.peek() == Start::Or {
            self.place += 2;
            parts.push(self.both()?);
        }
        Ok(match parts.len() {
            1 => parts.swap_remove(0),
            _ => Expr::Or(parts),
        })
    }

    fn both(&mut self) -> Result<Expr, QueryError> {
        let mut parts = vec![self.one()?];
        loop {
            match self.peek() {
                Start::End | Start::Or | Start::Close => return Ok(join(parts)),
                Start::And => self.place += 3,
                _ => {}
            }
            parts.push(self.one()?);
        }
    }

    fn one(&mut self) -> Result<Expr, QueryError> {
        let start = self.peek();
        let at = self.place;
        match start {
            Start::End => self.error("a term is missing at the end", at),
            Start::Or | Start::And => {
                let word = if start == Start::Or { "OR" } else { "AND" };
                self.error(format!("`{word}` needs a term on both sides"), at)
            }
            Start::Close => self.error("a term is missing before `)`", at),
            Start::Open => self.group(),
            Start::Negate => {
                self.place += 1;
                self.deeper(at)?;
                let part = self.one()?;
                self.nesting -= 1;
                Ok(Expr::Not(Box::new(part)))
            }
            Start::Quote => self.quote(),
            Start::Regex(end) => self.regex(end),
            Start::Filter(key, value) => self.filter(key, value),
            Start::Word => self.words(),
        }
    }

    fn deeper(&mut self, at: usize) -> Result<(), QueryError> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH {
            return self.error(format!("nested deeper than {MAX_DEPTH}"), at);
        }
        Ok(())
    }

    fn group(&mut self) -> Result<Expr, QueryError> {
        let open = self.place;
        self.place += 1;
        self.deeper(open)?;
        self.groups += 1;
        let expr = match self.peek() {
            Start::End => None,
            _ => Some(self.either()?),
        };
        let (Some(expr), Start::Close) = (expr, self.peek()) else {
            return self.error("`(` is never closed", open);
        };
        self.place += 1;
        self.groups -= 1;
        self.nesting -= 1;
        Ok(expr)
    }

    /// Reads the quoted text at this place; returns it with the column of each character.
    fn quoted(&mut self) -> Result<(String, Vec<usize>), QueryError> {
        let open = self.place;
        let Some(end) = self.scan.quote_end(open) else {
            return self.error("the quote is never closed", open);
        };
        self.place = end + 1;
        Ok(self.unescape(open + 1, end, &['"', '\\']))
    }

    /// Drops the backslash before each of the given characters.
    fn unescape(&self, from: usize, to: usize, known: &[char]) -> (String, Vec<usize>) {
        let mut text = String::new();
        let mut columns = Vec::new();
        let mut place = from;
        while place < to {
            let mut c = self.scan.chars[place];
            columns.push(place + 1);
            if c == '\\' && place + 1 < to {
                let next = self.scan.chars[place + 1];
                if known.contains(&next) {
                    c = next;
                } else {
                    // The pair is kept whole, so that `\\/` is a backslash and not an escape.
                    text.push(c);
                    columns.push(place + 2);
                    c = next;
                }
                place += 1;
            }
            text.push(c);
            place += 1;
        }
        columns.push(to + 1);
        (text, columns)
    }

    fn quote(&mut self) -> Result<Expr, QueryError> {
        let open = self.place;
        let (text, columns) = self.quoted()?;
        let source = self.scan.text(open, self.place);
        self.literal(text, source, &columns)
    }

    fn regex(&mut self, end: usize) -> Result<Expr, QueryError> {
        let open = self.place;
        self.place = end + 1;
        let (regex, columns) = self.unescape(open + 1, end, &['/']);
        let source = self.scan.text(open, end + 1);
        let term = case::regex(regex, source, self.case, self.terms);
        match term.and_then(|term| push(self.terms, term)) {
            Ok(()) => Ok(Expr::Term(self.terms.len() - 1)),
            Err(fault) => Err(self.place_fault(fault, &columns)),
        }
    }

    fn filter(&mut self, key: FilterKey, value: usize) -> Result<Expr, QueryError> {
        let column = self.place + 1;
        self.place = value;
        let (text, columns) = match self.scan.at(value) {
            Some('"') => self.quoted()?,
            _ => {
                let end = self.scan.word_end(value, self.groups);
                self.place = end;
                (self.scan.text(value, end), vec![value + 1])
            }
        };
        match Filter::read(key, &text, column) {
            Ok(filter) => Ok(Expr::Filter(filter)),
            Err(fault) => Err(self.place_fault(fault, &columns)),
        }
    }

    /// Reads a run of bare words as one literal.
    fn words(&mut self) -> Result<Expr, QueryError> {
        let from = self.place;
        let mut end = self.scan.word_end(from, self.groups);
        loop {
            let (next, seam) = self.scan.skip_blanks(end);
            if seam || self.scan.start(next, self.groups, true) != Start::Word {
                break;
            }
            // Without a blank between, what follows is what the word left to a group.
            if next == end {
                break;
            }
            end = self.scan.word_end(next, self.groups);
        }
        self.place = end;
        let text = self.scan.text(from, end);
        let columns: Vec<usize> = (from + 1..=end + 1).collect();
        self.literal(text.clone(), text, &columns)
    }

    fn literal(
        &mut self,
        text: String,
        source: String,
        columns: &[usize],
    ) -> Result<Expr, QueryError> {
        let term = case::literal(text.into_bytes(), source, self.case);
        match term.and_then(|term| push(self.terms, term)) {
            Ok(()) => Ok(Expr::Term(self.terms.len() - 1)),
            Err(fault) => Err(self.place_fault(fault, columns)),
        }
    }
}
