//! Making terms: their case, and whether they can be matched at all.
//!
//! Smart case follows ripgrep's `-S`, which decides on the regex's syntax tree: class members,
//! ends of ranges and `\xNN` are literals, escapes such as `\S` and `\pL` are not. Source:
//! <https://docs.rs/grep-regex/0.1.14/grep_regex/struct.RegexMatcherBuilder.html#method.case_smart>.

use std::sync::Arc;

use regex_syntax::ast::{self, Ast};

use super::error::Fault;
use super::weight::{MAX_WEIGHT, weight};
use super::{Case, Pattern, Term};
use crate::matcher::{self, Compiled, Reach};

/// Makes the term of a literal.
pub(super) fn literal(bytes: Vec<u8>, source: String, case: Case) -> Result<Term, Fault> {
    if let Some(at) = memchr::memchr(b'\n', &bytes) {
        let mut fault = Fault::new("a literal cannot hold a line feed: logs are searched by line");
        fault.offset = String::from_utf8_lossy(&bytes[..at]).chars().count();
        fault.hint = Some("give each line as a literal of its own");
        return Err(fault);
    }
    let upper = || {
        let mut chars = bytes.utf8_chunks().flat_map(|chunk| chunk.valid().chars());
        chars.any(char::is_uppercase)
    };
    let ignore_case = match case {
        Case::Smart => !bytes.is_empty() && !upper(),
        Case::Ignore => true,
        Case::Sensitive => false,
    };
    Ok(Term { pattern: Pattern::Literal(bytes), ignore_case, source, compiled: None })
}

/// Makes the term of a regex; one that does not compile is a fault at its character, one too many
/// beside the terms there are a fault at its beginning.
pub(super) fn regex(
    regex: String,
    source: String,
    case: Case,
    others: &[Term],
) -> Result<Term, Fault> {
    let ast = ast::parse::ParserBuilder::new()
        .nest_limit(matcher::NEST_LIMIT)
        .build()
        .parse(&regex)
        .map_err(|error| {
            let at = error.span().start.offset;
            syntax(&regex, at, &error.kind().to_string())
        })?;
    let ignore_case = match case {
        Case::Smart => {
            let mut found = Found::default();
            found.walk(&ast);
            found.literal && !found.upper
        }
        Case::Ignore => true,
        Case::Sensitive => false,
    };
    let mut translator = matcher::translator(ignore_case);
    let hir = translator.translate(&regex, &ast).map_err(|error| {
        let at = error.span().start.offset;
        syntax(&regex, at, &error.kind().to_string())
    })?;
    let weight = weight(&hir);
    let others = others.iter().filter_map(|term| Some(term.compiled.as_ref()?.weight));
    let others = others.fold(0, usize::saturating_add);
    // Of a single one the engine itself says that it is too large.
    if others > 0 && others.saturating_add(weight) > MAX_WEIGHT {
        let mut fault = Fault::new("regex: all regexes of the query together are too large");
        fault.hint = Some("repeat less in them, or search for one after the other");
        return Err(fault);
    }
    let compiled =
        Compiled::new(&regex, ignore_case, Reach::of(&hir), weight).map_err(|error| {
            let text = error.to_string();
            let mut fault =
                Fault::new(format!("regex: {}", text.lines().next().unwrap_or("invalid")));
            if text.contains("is not allowed in a regex") {
                fault.message =
                    "regex: a line feed cannot match: logs are searched by line".to_owned();
                let at = regex.find("\\n").or_else(|| regex.find('\n')).unwrap_or(0);
                fault.offset = regex[..at].chars().count();
            }
            fault
        })?;
    Ok(Term {
        pattern: Pattern::Regex(regex),
        ignore_case,
        source,
        compiled: Some(Arc::new(compiled)),
    })
}

fn syntax(regex: &str, at: usize, what: &str) -> Fault {
    let mut fault = Fault::new(format!("regex: {}", what.lines().next().unwrap_or(what)));
    fault.offset = regex.get(..at).map_or(0, |before| before.chars().count());
    fault
}

/// Which kinds of literals a syntax tree has.
#[derive(Default)]
struct Found {
    literal: bool,
    upper: bool,
}

impl Found {
    fn walk(&mut self, ast: &Ast) {
        match ast {
            Ast::Literal(literal) => self.literal(literal),
            Ast::ClassBracketed(class) => self.set(&class.kind),
            Ast::Repetition(repetition) => self.walk(&repetition.ast),
            Ast::Group(group) => self.walk(&group.ast),
            Ast::Alternation(parts) => parts.asts.iter().for_each(|part| self.walk(part)),
            Ast::Concat(parts) => parts.asts.iter().for_each(|part| self.walk(part)),
            Ast::Empty(_)
            | Ast::Flags(_)
            | Ast::Dot(_)
            | Ast::Assertion(_)
            | Ast::ClassUnicode(_)
            | Ast::ClassPerl(_) => {}
        }
    }

    fn set(&mut self, set: &ast::ClassSet) {
        match set {
            ast::ClassSet::Item(item) => self.item(item),
            ast::ClassSet::BinaryOp(both) => {
                self.set(&both.lhs);
                self.set(&both.rhs);
            }
        }
    }

    fn item(&mut self, item: &ast::ClassSetItem) {
        match item {
            ast::ClassSetItem::Literal(literal) => self.literal(literal),
            ast::ClassSetItem::Range(range) => {
                self.literal(&range.start);
                self.literal(&range.end);
            }
            ast::ClassSetItem::Bracketed(class) => self.set(&class.kind),
            ast::ClassSetItem::Union(union) => union.items.iter().for_each(|item| self.item(item)),
            ast::ClassSetItem::Empty(_)
            | ast::ClassSetItem::Ascii(_)
            | ast::ClassSetItem::Unicode(_)
            | ast::ClassSetItem::Perl(_) => {}
        }
    }

    fn literal(&mut self, literal: &ast::Literal) {
        self.literal = true;
        self.upper |= literal.c.is_uppercase();
    }
}
