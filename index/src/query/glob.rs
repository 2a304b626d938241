//! Globs: `*` stands for any run of characters, `?` for one; everything else for itself.
//!
//! A glob matches a whole string, case-sensitively. It knows no paths: `*` crosses `/`. Matching
//! takes at most time in proportion to the product of both lengths, and never fails.

use std::fmt;

/// A pattern with `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    source: String,
}

impl Glob {
    /// Makes a glob; every text is one.
    pub fn new(source: impl Into<String>) -> Glob {
        Glob { source: source.into() }
    }

    /// Returns the glob as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the only text that the glob matches, or `None` if it holds `*` or `?`.
    pub fn exact(&self) -> Option<&str> {
        (!self.source.contains(['*', '?'])).then_some(&self.source)
    }

    /// Tells whether the whole text matches.
    ///
    /// Only the latest `*` is ever tried again: what an earlier one could take more, the later one
    /// can take as well. That is what keeps this from growing exponentially.
    pub fn matches(&self, text: &str) -> bool {
        let mut glob = self.source.chars();
        let mut text = text.chars();
        let mut retry = None;
        loop {
            let before = (glob.clone(), text.clone());
            match (glob.next(), text.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    text = before.1;
                    retry = Some((glob.clone(), text.clone()));
                }
                (Some('?'), Some(_)) => {}
                (Some(want), Some(is)) if want == is => {}
                _ => {
                    let Some((after_star, taken)) = &mut retry else {
                        return false;
                    };
                    if taken.next().is_none() {
                        return false;
                    }
                    glob = after_star.clone();
                    text = taken.clone();
                }
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_the_whole_text_only() {
        for (glob, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("main", "main", true),
            ("main", "maintenance", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("rel*", "release/1.2", true),
            ("*/1.?", "release/1.2", true),
            ("*/1.?", "release/1.22", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?", "é", true),
            ("?", "", false),
            ("**a", "bba", true),
            ("*a", "aab", false),
            ("a*?", "a", false),
            ("a*?", "ab", true),
        ] {
            assert_eq!(Glob::new(glob).matches(text), expected, "{glob} on {text}");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let glob = Glob::new("*a".repeat(200) + "b");
        assert!(!glob.matches(&"a".repeat(4000)));
    }
}
