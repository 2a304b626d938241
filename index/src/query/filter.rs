//! Filters: `key:value`.
//!
//! It owns the keys and the form of their values. It does not know jobs: whoever has one compares.
//! A wrong value is a [`QueryError`] at the value.

use std::ops::Bound;
use std::time::Duration;

use super::error::{Fault, QueryError};
use super::glob::Glob;
use super::when::{Bounds, When, parse_bounds, parse_duration};

/// The property of a job (or, of `section:`, of a line) that a filter asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilterKey {
    /// The project's full path.
    Project,
    /// The job's name.
    Job,
    /// The stage.
    Stage,
    /// The job's status.
    Status,
    /// The branch or tag the job ran for.
    Ref,
    /// One of the job's tags.
    Tag,
    /// The runner.
    Runner,
    /// The user who started the job.
    User,
    /// The commit.
    Sha,
    /// The pipeline's id.
    Pipeline,
    /// The section a hit's line is in.
    Section,
    /// A file in the job's artifacts archive.
    Artifact,
    /// Why the job failed.
    Reason,
    /// The earliest time.
    Since,
    /// The latest time.
    Until,
    /// How long the job ran.
    Took,
}

impl FilterKey {
    /// All keys, with their names.
    pub const ALL: [(&'static str, FilterKey); 16] = [
        ("project", FilterKey::Project),
        ("job", FilterKey::Job),
        ("stage", FilterKey::Stage),
        ("status", FilterKey::Status),
        ("ref", FilterKey::Ref),
        ("tag", FilterKey::Tag),
        ("runner", FilterKey::Runner),
        ("user", FilterKey::User),
        ("sha", FilterKey::Sha),
        ("pipeline", FilterKey::Pipeline),
        ("section", FilterKey::Section),
        ("artifact", FilterKey::Artifact),
        ("reason", FilterKey::Reason),
        ("since", FilterKey::Since),
        ("until", FilterKey::Until),
        ("took", FilterKey::Took),
    ];

    /// Returns the key of that name, in lower case, or `None`.
    pub fn from_name(name: &str) -> Option<FilterKey> {
        let found = FilterKey::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, key)| *key)
    }

    /// Returns the key's name.
    pub fn name(self) -> &'static str {
        let found = FilterKey::ALL.iter().find(|(_, key)| *key == self);
        found.map_or("", |(name, _)| name)
    }
}

/// What a filter's property is compared with; which form it has depends on the key alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterValue {
    /// A text that the property must match.
    Text(Glob),
    /// A range of ids (`pipeline:`).
    Number(Bounds<u64>),
    /// A range of durations (`took:`).
    Duration(Bounds<Duration>),
    /// A time (`since:`, `until:`).
    Time(When),
}

/// One condition on a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The property.
    pub key: FilterKey,
    /// What it must be.
    pub value: FilterValue,
    /// Where the filter stands in the query, in characters from 1; 1 if it came as a flag.
    pub column: usize,
}

impl Filter {
    /// Makes a filter from a key's name and a value, as a command-line flag gives them.
    ///
    /// The error's input is `key:value`.
    pub fn new(key: &str, value: &str) -> Result<Filter, QueryError> {
        let input = format!("{key}:{value}");
        let Some(known) = FilterKey::from_name(key) else {
            return Err(QueryError::new(format!("unknown filter `{key}`"), 1, &input));
        };
        let column = key.chars().count() + 2;
        Filter::read(known, value, 1).map_err(|fault| fault.at(column, &input))
    }

    /// Reads the value of a known key.
    pub(super) fn read(key: FilterKey, value: &str, column: usize) -> Result<Filter, Fault> {
        if value.is_empty() {
            let message = format!("`{}:` has no value", key.name());
            let mut fault = Fault::new(message);
            fault.hint = Some("quote it to search for the text");
            return Err(fault);
        }
        let value = match key {
            FilterKey::Pipeline => {
                let number = |text: &str| text.parse::<u64>().map_err(|_| no_number(text));
                let equal = |id| Bounds { from: Bound::Included(id), to: Bound::Included(id) };
                parse_bounds(value, number, equal).map(FilterValue::Number)
            }
            FilterKey::Took => {
                let at_least = |took| Bounds { from: Bound::Included(took), to: Bound::Unbounded };
                parse_bounds(value, parse_duration, at_least).map(FilterValue::Duration)
            }
            FilterKey::Since | FilterKey::Until => When::parse(value).map(FilterValue::Time),
            _ => Ok(FilterValue::Text(Glob::new(value))),
        };
        let value = value.map_err(Fault::new)?;
        Ok(Filter { key, value, column })
    }
}

fn no_number(text: &str) -> String {
    format!("`{text}` is no pipeline id")
}
