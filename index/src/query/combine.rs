//! Two queries as one. It knows nothing of what they say.

use super::{Expr, MAX_TERMS, Query, QueryError, join};

impl Query {
    /// Requires another query as well: both must hold of one log.
    ///
    /// Fails if both together have more than [`MAX_TERMS`] terms; nothing is changed then.
    pub fn and(&mut self, other: Query) -> Result<(), QueryError> {
        let before = self.terms.len();
        if before + other.terms.len() > MAX_TERMS {
            return Err(QueryError::new(format!("more than {MAX_TERMS} terms"), 1, ""));
        }
        self.terms.extend(other.terms);
        let own = std::mem::replace(&mut self.expr, Expr::All);
        self.expr = join(vec![own, moved(other.expr, before)]);
        Ok(())
    }
}

/// Returns the expression with its terms numbered from another place on.
fn moved(expr: Expr, by: usize) -> Expr {
    let all = |parts: Vec<Expr>| parts.into_iter().map(|part| moved(part, by)).collect();
    match expr {
        Expr::Term(term) => Expr::Term(term + by),
        Expr::And(parts) => Expr::And(all(parts)),
        Expr::Or(parts) => Expr::Or(all(parts)),
        Expr::Not(part) => Expr::Not(Box::new(moved(*part, by))),
        expr @ (Expr::All | Expr::Filter(_)) => expr,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;
    use crate::query::Case;

    fn query(text: &str) -> Query {
        Query::parse(&[text.to_owned()], Case::Smart).unwrap()
    }

    #[test]
    fn both_must_hold_whatever_joins_their_parts() {
        let mut both = query("a OR \"b\"");
        both.and(query("c -\"d\" section:x")).unwrap();
        assert_eq!(both.terms.len(), 4);
        let holds = |present: &[usize]| both.eval(|term| present.contains(&term), |_| true);
        assert!(holds(&[0, 2]) && holds(&[1, 2]));
        assert!(!holds(&[0, 1]) && !holds(&[2]) && !holds(&[0, 2, 3]));
        assert_eq!(both.sections().len(), 1, "a section stays a property of the line");
        let mut none = query("");
        none.and(query("a")).unwrap();
        assert_eq!(none, query("a"));
    }

    #[test]
    fn too_many_terms_are_refused() {
        let many = vec!["\"a\""; MAX_TERMS].join(" ");
        let mut full = query(&many);
        assert!(full.and(query("b")).is_err());
        assert_eq!(full, query(&many));
    }
}
