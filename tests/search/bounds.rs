//! Large queries: answered, or refused with a reason, before any log is read.

use jobvault_index::query::{MAX_DEPTH, MAX_QUERY_BYTES, MAX_TERMS};
use jobvault_index::{Case, Matcher, Query};

fn parse(text: String) -> Result<Query, String> {
    let query = Query::parse(&[text], Case::Smart).map_err(|error| error.to_string())?;
    Matcher::new(&query).map_err(|error| error.to_string())?;
    Ok(query)
}

#[test]
fn a_long_literal_and_a_thousand_alternatives_are_one_term_each() {
    let words: Vec<String> = (0..1500).map(|n| format!("word{n}")).collect();
    let literal = parse(words.join(" ")).unwrap();
    assert_eq!(literal.terms.len(), 1);
    let regex = parse(format!("/{}/", words[..1000].join("|"))).unwrap();
    assert_eq!(regex.terms.len(), 1);
    let matcher = Matcher::new(&regex).unwrap();
    assert!(matcher.is_match(0, b"a word999 b") && !matcher.is_match(0, b"a word b"));
}

#[test]
fn what_is_too_large_is_refused_with_a_reason() {
    let refused = |text: String, reason: &str| {
        let error = parse(text).unwrap_err();
        assert!(error.contains(reason), "{error}");
    };
    let bytes = MAX_QUERY_BYTES.to_string();
    refused("x".repeat(MAX_QUERY_BYTES + 1), &bytes);
    let many: Vec<String> = (0..1000).map(|n| format!("\"word{n}\"")).collect();
    refused(many.join(" OR "), &MAX_TERMS.to_string());
    let nested = MAX_DEPTH + 1;
    refused(format!("{}\"x\"{}", "(".repeat(nested), ")".repeat(nested)), "nested");
    refused("/(x{1000}){1000}/".to_owned(), "");
    refused(format!("/{}x{}/", "(".repeat(5000), ")".repeat(5000)), "");
}

#[test]
fn text_that_looks_like_much_syntax_is_read_in_one_go() {
    // Each of these would take ages if something were looked for again from each place.
    for part in
        ["(", ")", "\"", "/", "-", "a:", "status:", "\\", "OR ", "/a", "\"a\\", "x /y\\/", "-("]
    {
        let text = part.repeat(10_000 / part.len());
        let _ = Query::parse(std::slice::from_ref(&text), Case::Smart).map_err(|e| e.pointer());
    }
}
