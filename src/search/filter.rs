//! Filters of a query as conditions of the catalogue.

use std::ops::Bound;
use std::time::Duration;

use jiff::Timestamp;
use jobvault_index::query::{Bounds, FilterKey, FilterValue, When};
use jobvault_index::{Expr, Filter, Maybe, Query};

use crate::model::JobId;
use crate::store::Store;
use crate::store::catalogue::{Column, Condition};

/// Which jobs each filter of a query lets pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed {
    /// A filter and the ids it lets pass, ascending.
    sets: Vec<(Filter, Vec<u64>)>,
    /// The only jobs to look at, ascending; `None` for all.
    only: Option<Vec<u64>>,
}

impl Allowed {
    /// Asks the catalogue once for each filter.
    pub(crate) async fn of(
        store: &Store,
        query: &Query,
        only: &[JobId],
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let mut sets: Vec<(Filter, Vec<u64>)> = Vec::new();
        for filter in query.filters() {
            if filter.key == FilterKey::Section || sets.iter().any(|(f, _)| f == filter) {
                continue;
            }
            let ids = store.catalogue().job_ids(&condition(filter, now)).await?;
            sets.push((filter.clone(), ids));
        }
        let mut only: Vec<u64> = only.iter().map(|id| id.0).collect();
        only.sort_unstable();
        Ok(Self { sets, only: (!only.is_empty()).then_some(only) })
    }

    /// Tells whether a filter lets a job pass.
    pub(crate) fn filter(&self, filter: &Filter, job: u64) -> bool {
        let set = self.sets.iter().find(|(f, _)| f == filter);
        set.is_none_or(|(_, ids)| ids.binary_search(&job).is_ok())
    }

    /// Tells whether a job may meet the query, whatever its log says.
    pub(crate) fn job(&self, query: &Query, job: u64) -> bool {
        let sure = |holds| if holds { Maybe::Yes } else { Maybe::No };
        let wanted = self.only.as_ref().is_none_or(|ids| ids.binary_search(&job).is_ok());
        wanted && query.maybe(|_| Maybe::Maybe, |f| sure(self.filter(f, job))) != Maybe::No
    }
}

/// Returns the filters that every job of a query must meet, where the query is nothing but these.
pub(crate) fn first_term_free(query: &Query) -> Option<Vec<&Filter>> {
    match &query.expr {
        Expr::Filter(filter) => Some(vec![filter]),
        Expr::All => Some(Vec::new()),
        Expr::And(parts) => parts
            .iter()
            .map(|part| match part {
                Expr::Filter(filter) => Some(filter),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// Returns filters that every job must meet for the query to hold, as far as they are easily seen.
pub(super) fn required(query: &Query) -> Vec<&Filter> {
    let parts = match &query.expr {
        Expr::And(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut filters = Vec::new();
    for part in parts {
        if let Expr::Filter(filter) = part {
            filters.push(filter);
        }
    }
    filters
}

/// Joins filters by AND.
pub(crate) fn all_of(filters: &[&Filter], now: Timestamp) -> Condition {
    Condition::All(filters.iter().map(|f| condition(f, now)).collect())
}

/// Returns a filter as a condition on jobs; `section:` speaks of lines and lets every job pass.
pub fn condition(filter: &Filter, now: Timestamp) -> Condition {
    match (filter.key, &filter.value) {
        (FilterKey::Section, _) => Condition::All(Vec::new()),
        (key, FilterValue::Text(glob)) => text(key, glob.source()),
        (_, FilterValue::Number(bounds)) => number(Column::Pipeline, bounds, |n| *n),
        (_, FilterValue::Duration(bounds)) => {
            let micros = |d: &Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
            number(Column::Took, bounds, micros)
        }
        (FilterKey::Until, FilterValue::Time(when)) => {
            let end = when.resolve_end(now).as_microsecond();
            // A day ends before the next one begins; an instant is named to be reached.
            let last = if matches!(when, When::Day(_)) { end.saturating_sub(1) } else { end };
            Condition::Between(Column::Time, i64::MIN, last)
        }
        (_, FilterValue::Time(when)) => {
            Condition::Between(Column::Time, when.resolve(now).as_microsecond(), i64::MAX)
        }
    }
}

fn text(key: FilterKey, glob: &str) -> Condition {
    if key == FilterKey::Artifact {
        let is = |glob: String| Condition::Artifact(glob);
        // A file is named by its last part as well.
        return match glob.contains('/') {
            true => is(glob.to_owned()),
            false => Condition::Any(vec![is(glob.to_owned()), is(format!("*/{glob}"))]),
        };
    }
    let column = match key {
        FilterKey::Project => Column::Project,
        FilterKey::Job => Column::Name,
        FilterKey::Stage => Column::Stage,
        FilterKey::Status => Column::Status,
        FilterKey::Ref => Column::Ref,
        FilterKey::Tag => Column::Tag,
        FilterKey::Runner => Column::Runner,
        FilterKey::User => Column::User,
        FilterKey::Sha => Column::Sha,
        _ => Column::Reason,
    };
    let is = |glob: String| Condition::Glob(column, glob);
    match key {
        // A commit is named by its beginning, a project by its last part as well.
        FilterKey::Sha => is(format!("{}*", glob.trim_end_matches('*').to_ascii_lowercase())),
        // A job is named by its id as well, or by its page.
        FilterKey::Job => match job_id(glob) {
            Some(id) => {
                Condition::Any(vec![is(glob.to_owned()), Condition::Between(Column::Id, id, id)])
            }
            None => is(glob.to_owned()),
        },
        FilterKey::Project if !glob.contains('/') => {
            Condition::Any(vec![is(glob.to_owned()), is(format!("*/{glob}"))])
        }
        _ => is(glob.to_owned()),
    }
}

/// Returns the id of a job that is named by it, with or without `#`, or by the address of its page.
fn job_id(text: &str) -> Option<i64> {
    let id = match text.split_once("/-/jobs/") {
        Some((_, rest)) => rest.split(['/', '?', '#']).next()?,
        None => text.strip_prefix('#').unwrap_or(text),
    };
    id.parse().ok().filter(|id| *id > 0)
}

fn number<T>(column: Column, bounds: &Bounds<T>, value: impl Fn(&T) -> u64) -> Condition {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let low = match &bounds.from {
        Bound::Unbounded => 0,
        Bound::Included(n) => signed(value(n)),
        Bound::Excluded(n) => signed(value(n)).saturating_add(1),
    };
    let high = match &bounds.to {
        Bound::Unbounded => i64::MAX,
        Bound::Included(n) => signed(value(n)),
        Bound::Excluded(n) => signed(value(n)).saturating_sub(1),
    };
    Condition::Between(column, low, high)
}
