//! What to look for, as the commands that search take it: words, fixed texts, regexes and filters.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use jobvault_index::{Case, Filter, Query};

use super::Problem;
use super::address::{self, JobAddress};
use super::filters::{self, FilterArgs};

/// A query in its parts.
#[derive(Debug, clap::Args)]
pub(super) struct QueryArgs {
    /// What to look for; a pasted address of a job looks in that job alone
    #[arg(value_name = "QUERY")]
    words: Vec<String>,
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
        let mut words = Vec::new();
        for word in &self.words {
            match address::job_page(word) {
                Some(job) => jobs.push(job),
                None => words.push(word.clone()),
            }
        }
        let case = match (self.ignore_case, self.case_sensitive) {
            (true, _) => Case::Ignore,
            (_, true) => Case::Sensitive,
            _ => Case::Smart,
        };
        let literals: Vec<Vec<u8>> =
            self.literals.iter().map(|text| text.clone().into_vec()).collect();
        let mut query = Query::from_parts(&literals, &self.regexes, &words, case)?;
        let section = self.section.as_ref().map(|glob| Filter::new("section", glob));
        for filter in self.filters.filters()?.into_iter().chain(section.transpose()?) {
            query.and_filter(filter);
        }
        Ok(query)
    }
}
