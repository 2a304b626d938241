//! What to look for, as the commands that search take it: words, fixed texts, regexes and filters.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use jobvault_index::{Case, Filter, Query};
use url::Url;

use super::Problem;
use super::address::{self, JobAddress};
use super::filters::{self, FilterArgs};
use crate::search::{CaseRule, Saved};

/// A query in its parts.
#[derive(Debug, clap::Args)]
pub(super) struct QueryArgs {
    /// What to look for; a pasted address of a job looks in that job alone
    #[arg(value_name = "QUERY")]
    pub(super) words: Vec<String>,
    /// A text as it is, even if it looks like syntax (repeatable)
    #[arg(short = 'F', long = "fixed", value_name = "TEXT", allow_hyphen_values = true)]
    literals: Vec<OsString>,
    /// A regular expression (repeatable)
    #[arg(short = 'e', long = "regexp", value_name = "REGEX", allow_hyphen_values = true)]
    regexes: Vec<String>,
    /// Letters match in any case
    #[arg(short, long, conflicts_with = "case_sensitive")]
    ignore_case: bool,
    /// Letters match in their case alone
    #[arg(short = 's', long)]
    case_sensitive: bool,
    #[command(flatten)]
    filters: FilterArgs,
    /// The section of the log that a line is in
    #[arg(long, value_name = "GLOB", help_heading = filters::HEADING)]
    section: Option<String>,
}

impl QueryArgs {
    /// Puts the query together. Pasted addresses among the words go to `jobs`.
    pub(super) fn query(&self, jobs: &mut Vec<JobAddress>) -> Result<Query, Problem> {
        let words = self.without_pages(jobs);
        let literals: Vec<Vec<u8>> =
            self.literals.iter().map(|text| text.clone().into_vec()).collect();
        let case = self.case().unwrap_or_default();
        let mut query = Query::from_parts(&literals, &self.regexes, &words, case)?;
        let section = self.section.as_ref().map(|glob| Filter::new("section", glob));
        for filter in self.filters.filters()?.into_iter().chain(section.transpose()?) {
            query.and_filter(filter);
        }
        Ok(query)
    }

    /// Returns the page that a pipeline is named by, if it is.
    pub(super) fn page(&self) -> Option<Url> {
        self.filters.page()
    }

    /// Returns how case counts, where a flag says it.
    pub(super) fn case(&self) -> Option<Case> {
        match (self.ignore_case, self.case_sensitive) {
            (true, _) => Some(Case::Ignore),
            (_, true) => Some(Case::Sensitive),
            _ => None,
        }
    }

    /// Returns the query for the file of saved searches, or `None` where a text of it is not UTF-8.
    pub(super) fn saved(&self) -> Option<Saved> {
        let mut query = self.without_pages(&mut Vec::new());
        let section = self.section.iter().map(|glob| filters::word("section", glob));
        let filters: Vec<String> = self.filters.words().into_iter().chain(section).collect();
        let or = query.iter().any(|word| word.split_whitespace().any(|word| word == "OR"));
        // A flag holds for all alternatives, a word beside one of them for that alone.
        if let (true, false, Some(last)) = (or, filters.is_empty(), query.len().checked_sub(1)) {
            query[0].insert(0, '(');
            query[last].push(')');
        }
        query.extend(filters);
        let text = |text: &OsString| text.to_str().map(str::to_owned);
        Some(Saved {
            query,
            fixed: self.literals.iter().map(text).collect::<Option<_>>()?,
            regexp: self.regexes.clone(),
            case: match self.case() {
                Some(Case::Ignore) => CaseRule::Ignore,
                Some(Case::Sensitive) => CaseRule::Sensitive,
                _ => CaseRule::Smart,
            },
            ..Saved::default()
        })
    }

    /// Takes pasted addresses of jobs out of the words: an argument of its own, or a word of one without quotes.
    fn without_pages(&self, jobs: &mut Vec<JobAddress>) -> Vec<String> {
        let mut words = Vec::new();
        for argument in &self.words {
            let plain = !argument.contains('"') && !argument.starts_with('/');
            if !plain || !argument.contains("/-/jobs/") {
                words.push(argument.clone());
                continue;
            }
            // What stands on both sides of an address was not meant as one text.
            let mut rest: Vec<&str> = Vec::new();
            for word in argument.split(' ') {
                match address::job_page(word) {
                    Some(job) => {
                        jobs.push(job);
                        push(&mut words, &std::mem::take(&mut rest));
                    }
                    None => rest.push(word),
                }
            }
            push(&mut words, &rest);
        }
        words
    }
}

fn push(words: &mut Vec<String>, parts: &[&str]) {
    let text = parts.join(" ");
    if !text.trim().is_empty() {
        words.push(text);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        query: QueryArgs,
    }

    fn args(words: &[&str]) -> QueryArgs {
        Command::parse_from([&["x"], words].concat()).query
    }

    #[test]
    fn a_pasted_page_restricts_wherever_it_stands() {
        let page = "https://gitlab.example.com/a/b/-/jobs/12";
        let own = format!("refused by {page}");
        let between = format!("a  b {page} c");
        let quoted = format!("\"see {page}\"");
        let cases: [(&[&str], &[&str], usize); 5] = [
            (&["refused", page], &["refused"], 1),
            (&[&own], &["refused by"], 1),
            (&[&between], &["a  b", "c"], 1),
            (&[&quoted], &[&quoted], 0),
            (&["https://example.com/x"], &["https://example.com/x"], 0),
        ];
        for (given, words, count) in cases {
            let mut jobs = Vec::new();
            assert_eq!(args(given).without_pages(&mut jobs), words);
            assert_eq!(jobs.len(), count, "{given:?}");
        }
    }

    #[test]
    fn what_is_saved_finds_the_same_as_what_was_typed() {
        let typed = args(&[
            "a OR b",
            "-e",
            "x+",
            "-F",
            "--- y",
            "-s",
            "--job",
            "say \"hi\"",
            "--took",
            ">1m",
            "--section",
            "s*",
        ]);
        let saved = typed.saved().unwrap();
        assert_eq!(saved.query, ["(a OR b)", "job:\"say \\\"hi\\\"\"", "took:>1m", "section:s*"]);
        let (own, again) = (typed.query(&mut Vec::new()).unwrap(), saved.query(None).unwrap());
        assert_eq!(own.terms, again.terms);
        assert_eq!(own.filters().len(), again.filters().len());
        assert!(!again.eval(|term| term != 1, |_| false), "the filters hold for both");
    }
}
