//! Each rule of the language, by example.
#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::ops::Bound;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn args(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

fn parse(list: &[&str]) -> Query {
    Query::parse(&args(list), Case::Smart).unwrap()
}

fn error(list: &[&str]) -> QueryError {
    Query::parse(&args(list), Case::Smart).unwrap_err()
}

/// The query in one canonical line: literals in quotes, groups in parentheses.
fn shape(list: &[&str]) -> String {
    fn show(query: &Query, expr: &Expr) -> String {
        let all = |parts: &[Expr], by: &str| {
            let parts: Vec<String> = parts.iter().map(|part| show(query, part)).collect();
            format!("({})", parts.join(by))
        };
        match expr {
            Expr::All => "*".to_owned(),
            Expr::Term(index) => match &query.terms[*index].pattern {
                Pattern::Literal(literal) => format!("\"{}\"", String::from_utf8_lossy(literal)),
                Pattern::Regex(regex) => format!("/{regex}/"),
            },
            Expr::Filter(filter) => format!("{}:", filter.key.name()),
            Expr::And(parts) => all(parts, " & "),
            Expr::Or(parts) => all(parts, " | "),
            Expr::Not(part) => format!("-{}", show(query, part)),
        }
    }
    let query = parse(list);
    show(&query, &query.expr)
}

#[test]
fn the_language() {
    for (list, expected) in [
        (vec![], "*"),
        (vec!["", " "], "*"),
        (vec!["connection refused"], r#""connection refused""#),
        (vec!["  a  b "], r#""a  b""#),
        (vec!["connection", "refused"], r#"("connection" & "refused")"#),
        (vec![r#""connection" "refused""#], r#"("connection" & "refused")"#),
        (vec![r#""a \"b\" \\ \d""#], r#""a "b" \ \d""#),
        (vec![r#""""#], r#""""#),
        (vec![r#"5" disk"#], r#""5" disk""#),
        (vec!["/usr/bin/ld: cannot"], r#""/usr/bin/ld: cannot""#),
        (vec!["/time.?out/"], "/time.?out/"),
        (vec![r"/a\/b c/ d"], r#"(/a/b c/ & "d")"#),
        (vec!["// comment"], r#""// comment""#),
        (vec!["/a", "b/"], r#"("/a" & "b/")"#),
        (vec!["a OR b c AND d"], r#"("a" | ("b c" & "d"))"#),
        (vec!["a", "OR", "b"], r#"("a" | "b")"#),
        (vec!["a or b and c"], r#""a or b and c""#),
        (vec!["(a OR b) c"], r#"(("a" | "b") & "c")"#),
        (vec!["(", "a", "OR", "b", ")", "c"], r#"(("a" | "b") & "c")"#),
        (vec!["x (a OR b)"], r#"("x" & ("a" | "b"))"#),
        (vec!["fault (core dumped)"], r#""fault (core dumped)""#),
        (vec!["main() failed"], r#""main() failed""#),
        (vec!["(main() OR f(x))"], r#"("main()" | "f(x)")"#),
        (vec![":) ok)"], r#"":) ok)""#),
        (vec!["(/a/ OR job:x)"], "(/a/ | job:)"),
        (vec!["-word"], r#"-"word""#),
        (vec!["-two words"], r#""-two words""#),
        (vec!["exited with -1"], r#""exited with -1""#),
        (vec!["--verbose"], r#""--verbose""#),
        (vec!["a - b"], r#""a - b""#),
        (vec!["error", "-warning"], r#"("error" & -"warning")"#),
        (vec![r#"error -"two words" -/x/ -job:y"#], r#"("error" & -"two words" & -/x/ & -job:)"#),
        (vec!["-(a OR b)"], r#"-("a" | "b")"#),
        (vec![r#""-Werror""#], r#""-Werror""#),
        (vec!["error job:build ref:main"], r#"("error" & job: & ref:)"#),
        (vec![r#"job:"build image" failed"#], r#"(job: & "failed")"#),
        (vec!["https://host:80/x: y"], r#""https://host:80/x: y""#),
        (vec!["Job:x"], r#""Job:x""#),
        (vec!["failed job: 12"], r#""failed job: 12""#),
        (vec!["((a))"], r#""a""#),
        (vec!["(a b) (c)"], r#"("a b" & "c")"#),
    ] {
        assert_eq!(shape(&list), expected, "{list:?}");
    }
}

#[test]
fn errors_point_at_a_column() {
    for (list, column, part) in [
        (vec!["a", "\"b"], 3, "quote is never closed"),
        (vec!["OR b"], 1, "`OR` needs"),
        (vec!["a OR"], 5, "missing at the end"),
        (vec!["a OR OR b"], 6, "`OR` needs"),
        (vec!["a AND"], 6, "missing at the end"),
        (vec!["(a OR b"], 1, "never closed"),
        (vec!["("], 1, "never closed"),
        (vec!["a", "(("], 4, "never closed"),
        (vec!["((a)"], 1, "never closed"),
        (vec!["(a OR"], 6, "missing at the end"),
        (vec!["x OR ()"], 7, "missing before `)`"),
        (vec!["é /a(/"], 5, "regex: unclosed group"),
        (vec![r"/a\/b[/"], 6, "regex: unclosed character class"),
        (vec![r"/foo\nbar/"], 5, "line feed"),
        (vec![r"/\w{2000}{100}/"], 2, "regex: compiled regex exceeds size limit"),
        (vec!["a\nb"], 2, "line feed"),
        (vec!["pipeline:x"], 10, "no pipeline id"),
        (vec!["a took:5"], 8, "no duration"),
        (vec!["since:yesterday"], 7, "no time"),
        (vec!["job:"], 5, "has no value"),
        (vec!["a OR section:b"], 6, "`section:`"),
        (vec!["-section:b"], 2, "`section:`"),
    ] {
        let error = error(&list);
        assert_eq!(error.column, column, "{list:?}: {error}");
        assert!(error.to_string().contains(part), "{list:?}: {error}");
        assert_eq!(error.input, list.join(" "));
    }
    assert_eq!(error(&["a\tb", "\"c"]).pointer(), "a b \"c\n    ^");
    assert!(error(&["a\nb"]).hint.is_some());
}

#[test]
fn bounds_hold() {
    let many: Vec<String> = (0..65).map(|n| format!("w{n}")).collect();
    assert!(Query::parse(&many, Case::Smart).is_err());
    assert_eq!(Query::parse(&many[1..], Case::Smart).unwrap().positive_terms(), u64::MAX);
    assert!(Query::parse(&["x".repeat(MAX_QUERY_BYTES + 1)], Case::Smart).is_err());
    let deep = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(shape(&[&deep(MAX_DEPTH)]), "\"a\"");
    assert!(error(&[&deep(MAX_DEPTH + 1)]).message.contains("deeper"));
}

#[test]
fn all_regexes_together_have_a_bounded_size() {
    let large: Vec<String> = (0..64).map(|n| format!("/(?i)\\w{{390}}x{n}/")).collect();
    // The first one is compiled, and the second one is told before it is.
    let error = Query::parse(&large, Case::Smart).unwrap_err();
    assert!(error.message.contains("together are too large"), "{error}");
    assert_eq!(error.column, large[0].chars().count() + 3);
    assert!(error.hint.is_some());
    let error = Query::from_parts(&[], &[large[0].clone(), large[1].clone()], &[], Case::Smart);
    assert_eq!(error.unwrap_err().column, 1);
    assert!(Query::parse(&large[..1], Case::Smart).is_ok());
    let usual: Vec<String> = (0..64).map(|n| format!("/\\w+ [^x]{{1,40}} \\d{n}.*/")).collect();
    assert!(Query::parse(&usual, Case::Smart).is_ok());
}

#[test]
fn smart_case_is_that_of_ripgrep() {
    for (regex, ignored) in [
        ("foo", true),
        ("Foo", false),
        ("fOO", false),
        ("\\pL", false),
        ("\\pLfoo", true),
        ("\\S", false),
        ("foo\\S", true),
        ("foo\\WX", false),
        ("[a-z]", true),
        ("[A-Z]", false),
        ("[a-Z]?x", false),
        ("\\x41", false),
        ("\\x61", true),
        ("\\u{c9}", false),
        ("é", true),
        ("É", false),
        ("1", true),
        ("(?i)Foo", false),
        (".", false),
        ("(?P<X>a)", true),
        ("[[:upper:]]a", true),
        ("", false),
    ] {
        let term = Query::from_parts(&[], &[regex.to_owned()], &[], Case::Smart);
        let Ok(query) = term else {
            assert_eq!(regex, "[a-Z]?x");
            continue;
        };
        assert_eq!(query.terms[0].ignore_case, ignored, "{regex}");
    }
    assert!(parse(&["foo"]).terms[0].ignore_case && !parse(&["Foo"]).terms[0].ignore_case);
    let forced = |case| Query::parse(&args(&["Foo", "/b/"]), case).unwrap();
    assert!(forced(Case::Ignore).terms.iter().all(|term| term.ignore_case));
    assert!(forced(Case::Sensitive).terms.iter().all(|term| !term.ignore_case));
}

#[test]
fn whole_literals_and_regexes_are_joined_by_and() {
    let query = Query::from_parts(
        &[b"-a \"b\xff".to_vec()],
        &["-x|y".to_owned()],
        &args(&["c OR d"]),
        Case::Smart,
    )
    .unwrap();
    assert_eq!(query.terms[0].pattern, Pattern::Literal(b"-a \"b\xff".to_vec()));
    assert_eq!(query.terms[1].pattern, Pattern::Regex("-x|y".to_owned()));
    let or = Expr::Or(vec![Expr::Term(2), Expr::Term(3)]);
    assert_eq!(query.expr, Expr::And(vec![Expr::Term(0), Expr::Term(1), or]));
    let error = Query::from_parts(&[], &["ab)".to_owned()], &[], Case::Smart).unwrap_err();
    assert_eq!((error.column, error.input.as_str()), (3, "ab)"));
    let error = Query::from_parts(&["é\nb".into()], &[], &[], Case::Smart).unwrap_err();
    assert_eq!((error.column, error.pointer().as_str()), (2, "é\u{fffd}b\n ^"));
}

#[test]
fn filters_have_globs_ranges_and_times() {
    let range = |text: &str| match Filter::new("pipeline", text).unwrap().value {
        FilterValue::Number(range) => (1..=9).filter(|n| range.contains(n)).collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    assert_eq!(range(">7"), [8, 9]);
    assert_eq!(range(">=8"), [8, 9]);
    assert_eq!(range("<2"), [1]);
    assert_eq!(range("<=2"), [1, 2]);
    assert_eq!(range("3..5"), [3, 4, 5]);
    assert_eq!(range("8.."), [8, 9]);
    assert_eq!(range("..2"), [1, 2]);
    assert_eq!(range("4"), [4]);
    for wrong in ["..", "5..3", ">", "-1", "1..x"] {
        assert!(Filter::new("pipeline", wrong).is_err(), "{wrong}");
    }
    let took = Bounds { from: Bound::Included(Duration::from_secs(5400)), to: Bound::Unbounded };
    assert_eq!(Filter::new("took", "1h30m").unwrap().value, FilterValue::Duration(took));
    assert_eq!(Filter::new("job", "*").unwrap().value, FilterValue::Text(Glob::new("*")));
    let unknown = Filter::new("nope", "x").unwrap_err();
    assert_eq!((unknown.column, unknown.input.as_str()), (1, "nope:x"));
}

#[test]
fn times_are_relative_days_or_instants() {
    let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    for (text, from, end) in [
        ("12h", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("90m", "2026-03-01T10:30:00Z", "2026-03-01T10:30:00Z"),
        ("2w", "2026-02-15T12:00:00Z", "2026-02-15T12:00:00Z"),
        ("2026-01-31", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2026-01-31T10:00:00+02:00", "2026-01-31T08:00:00Z", "2026-01-31T08:00:00Z"),
        ("2026-01-31T10:00:00", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
    ] {
        let when = When::parse(text).unwrap();
        assert_eq!(when.resolve(now), from.parse().unwrap(), "{text}");
        assert_eq!(when.resolve_end(now), end.parse().unwrap(), "{text}");
    }
    for wrong in ["", "d", "3", "3x", "2026-13-01", "99999999999999999999d", "soon"] {
        assert!(When::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(When::parse("99999999999w").unwrap().resolve(now), Timestamp::MIN);
}

#[test]
fn only_positive_terms_help_and_only_where_they_hold() {
    let helping = |list: &[&str], present: u64| {
        parse(list).helping(|term| present >> term & 1 == 1, |_| true)
    };
    assert_eq!(helping(&["a OR b"], 0b01), 0b01);
    assert_eq!(helping(&["a OR b"], 0b11), 0b11);
    assert_eq!(helping(&["(a AND b) OR c"], 0b101), 0b100);
    assert_eq!(helping(&["a", "-b"], 0b01), 0b01);
    assert_eq!(helping(&["a", "-b"], 0b11), 0);
    assert_eq!(helping(&["-(-a OR b)"], 0b01), 0b01);
    assert_eq!(parse(&["-(-a OR b) OR c"]).positive_terms(), 0b101);
    assert_eq!(parse(&["-a", "job:x"]).positive_terms(), 0);
}

#[test]
fn what_may_be_stays_open() {
    let query = parse(&["a", "-b", "job:x"]);
    let known = |a, b, job| query.maybe(|term| [a, b][term], |_| job);
    let (no, open, yes) = (Maybe::No, Maybe::Maybe, Maybe::Yes);
    assert_eq!(known(open, no, yes), open);
    assert_eq!(known(open, open, yes), open);
    assert_eq!(known(no, no, yes), no);
    assert_eq!(known(yes, no, yes), yes);
    assert_eq!(known(yes, no, no), no);
    assert_eq!(known(yes, no, open), open);
    assert!(query.eval(|term| term == 0, |_| true) && !query.eval(|_| true, |_| true));
}

#[test]
fn sections_and_flags_stand_on_top() {
    let mut query = parse(&["a OR b"]);
    query.and_filter(Filter::new("section", "build*").unwrap());
    query.and_filter(Filter::new("job", "x").unwrap());
    assert_eq!(query.sections(), [&Glob::new("build*")]);
    assert!(query.eval(|term| term == 1, |filter| filter.key == FilterKey::Job));
    assert_eq!(parse(&["(a section:x)", "c"]).sections().len(), 1);
    assert_eq!(query.filters().len(), 2);
    let mut empty = parse(&[]);
    empty.and_filter(Filter::new("job", "x").unwrap());
    assert!(matches!(empty.expr, Expr::Filter(_)));
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(list in prop::collection::vec("x \\([ab)( ]{0,4}|[-ab \"/()\\\\:]{0,8}|OR|AND|job:|-job:a|\\PC{0,5}", 0..6)) {
        match Query::parse(&list, Case::Smart) {
            Ok(query) => {
                query.eval(|_| true, |_| true);
                let all = u64::MAX >> (64 - query.terms.len().max(1));
                prop_assert_eq!(query.positive_terms() & !all, 0);
            }
            Err(error) => {
                prop_assert!(error.column <= error.input.chars().count() + 1);
                prop_assert!(error.column >= 1);
                error.pointer();
            }
        }
    }

    #[test]
    fn helping_terms_exist_just_when_the_query_holds(
        list in prop::collection::vec("a|b|c|OR|\\(|\\)|-\\(|-d", 1..9), present: u64, filter: bool
    ) {
        if let Ok(query) = Query::parse(&list, Case::Smart) {
            let present = |term: usize| present >> term & 1 == 1;
            let helping = query.helping(present, |_| filter);
            prop_assert_eq!(helping & !query.positive_terms(), 0);
            if helping != 0 {
                prop_assert!(query.eval(present, |_| filter));
                prop_assert!((0..query.terms.len()).all(|term| helping >> term & 1 == 0 || present(term)));
            }
        }
    }
}
