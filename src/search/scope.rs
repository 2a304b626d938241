//! What there is to search under a query's filters, and what would have been found: for who found nothing.

use jiff::Timestamp;
use jobvault_index::{Index, Near, Query};

use super::filter::{self, Allowed};
use crate::model::JobId;
use crate::store::Store;
use crate::store::catalogue::{Column, Runs};

/// The logs that a query was asked of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// How many.
    pub logs: u64,
    /// Their bytes before compression.
    pub raw_bytes: u64,
    /// When the first and the last of them came to be.
    pub period: Option<(Timestamp, Timestamp)>,
    /// Filters left out others.
    pub filtered: bool,
}

/// Returns what a query was asked of.
pub async fn scope(
    store: &Store,
    query: &Query,
    jobs: &[JobId],
    now: Timestamp,
) -> anyhow::Result<Scope> {
    if query.filters().is_empty() && jobs.is_empty() {
        let all = store.catalogue().extent().await?;
        let (logs, raw_bytes, period) = (all.logs, all.raw_bytes, all.period);
        return Ok(Scope { logs, raw_bytes, period, filtered: false });
    }
    let runs = runs(store, query, jobs, Column::Name, now).await?.list;
    let times = || runs.iter().filter_map(|run| run.time);
    Ok(Scope {
        logs: runs.len() as u64,
        raw_bytes: runs.iter().map(|run| run.raw_bytes).sum(),
        period: times().min().zip(times().max()),
        filtered: true,
    })
}

/// Returns the words of a query that occur in no log, and what is spelt nearly like them.
pub fn near(index: &Index, query: &Query) -> anyhow::Result<Vec<Near>> {
    Ok(index.near(query)?)
}

/// Returns the jobs with a log that may meet a query, whatever their logs say, and what `column` says of each.
pub(super) async fn runs(
    store: &Store,
    query: &Query,
    jobs: &[JobId],
    column: Column,
    now: Timestamp,
) -> anyhow::Result<Runs> {
    let allowed = Allowed::of(store, query, jobs, now).await?;
    let narrow = filter::all_of(&filter::required(query), now);
    let mut runs = store.catalogue().runs(&narrow, column).await?;
    runs.list.retain(|run| allowed.job(query, run.id));
    Ok(runs)
}
