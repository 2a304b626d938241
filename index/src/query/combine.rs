//! Queries made of queries: two as one, and one without what it says of jobs.

use super::{Expr, FilterKey, MAX_TERMS, Query, QueryError, join};

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

    /// Returns the query without its conditions on jobs: it finds something in each log in which
    /// this one would, were the log that of a suitable job.
    ///
    /// So where it finds nothing, the text does not occur. It has positive terms if this one has.
    pub fn of_any_job(&self) -> Query {
        let text = text(&self.expr, true).unwrap_or(Expr::All);
        let mut query = Query { terms: self.terms.clone(), expr: text };
        let lines = self.positive_terms();
        if query.positive_terms() == 0 && lines != 0 {
            // What is left says nothing of the lines that are found.
            let terms = (0..self.terms.len()).filter(|term| lines >> term & 1 == 1);
            let lines = Expr::Or(terms.map(Expr::Term).collect());
            query.expr = join(vec![lines, query.expr]);
        }
        query
    }
}

/// Returns what an expression asks of a log, as little as it may be for some job; `None` where that
/// is nothing. Under an odd number of NOTs it is as much as it may be.
fn text(expr: &Expr, positive: bool) -> Option<Expr> {
    let each = |parts: &[Expr]| parts.iter().map(|part| text(part, positive)).collect::<Vec<_>>();
    // For some job the parts that ask for nothing hold, or under a NOT do not.
    let rest = |parts: Vec<Option<Expr>>| -> Vec<Expr> { parts.into_iter().flatten().collect() };
    let all = |parts: Vec<Option<Expr>>| parts.into_iter().collect::<Option<Vec<Expr>>>();
    match expr {
        Expr::All => None,
        Expr::Filter(filter) => (filter.key == FilterKey::Section).then(|| expr.clone()),
        Expr::Term(_) => Some(expr.clone()),
        Expr::And(parts) if positive => {
            Some(rest(each(parts))).filter(|parts| !parts.is_empty()).map(join)
        }
        Expr::And(parts) => all(each(parts)).map(join),
        Expr::Or(parts) if positive => all(each(parts)).map(Expr::Or),
        Expr::Or(parts) => match rest(each(parts)) {
            mut parts if parts.len() < 2 => parts.pop(),
            parts => Some(Expr::Or(parts)),
        },
        Expr::Not(part) => text(part, !positive).map(|part| Expr::Not(Box::new(part))),
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
    fn without_conditions_on_jobs_no_log_is_lost() {
        for (given, left) in [
            ("a", "a"),
            ("a job:x", "a"),
            ("a -job:x section:s", "a section:s"),
            ("a job:x OR b ref:y", "a OR b"),
            ("\"a\" \"b\" (status:failed OR status:success)", "\"a\" \"b\""),
            // A log with both terms is found where the job did not fail.
            ("a -(\"b\" status:failed)", "a"),
            ("a -(\"b\" OR status:failed)", "a -(\"b\")"),
            ("a (\"b\" OR job:x)", "a"),
            ("a -job:x -\"c\"", "a -\"c\""),
        ] {
            // Without the numbers of terms and columns, which are those of other queries.
            let shape = |query: Query| {
                format!("{:?}", query.expr).replace(|c: char| c.is_ascii_digit(), "")
            };
            assert_eq!(shape(query(given).of_any_job()), shape(query(left)), "{given}");
        }
        // Its lines are those with a, or with c where b is missing; of a job x that is any log with either.
        let open = query("(\"a\" OR job:x) -\"b\"").of_any_job();
        let holds = |present: &[usize]| open.eval(|term| present.contains(&term), |_| false);
        assert!(holds(&[0]) && !holds(&[]) && !holds(&[0, 1]));
        assert_eq!(query("job:x").of_any_job().expr, Expr::All);
    }

    #[test]
    fn too_many_terms_are_refused() {
        let many = vec!["\"a\""; MAX_TERMS].join(" ");
        let mut full = query(&many);
        assert!(full.and(query("b")).is_err());
        assert_eq!(full, query(&many));
    }
}
