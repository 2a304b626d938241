//! Triage: which saved searches match one job.

use std::ops::ControlFlow;

use anyhow::anyhow;
use jiff::Timestamp;
use jobvault_index::Index;

use super::{Found, Hit, Options, Saved, search};
use crate::model::JobId;
use crate::store::Store;

/// What came of one saved search.
#[derive(Debug)]
pub struct Diagnosis<'a> {
    /// The search.
    pub saved: &'a Saved,
    /// Whether it matches, and the first line that does; a search of filters alone has no line. An error is one of
    /// this search, the others go on.
    pub matches: anyhow::Result<Option<Option<Hit>>>,
}

/// Asks each saved search of a job, in order.
pub async fn triage<'a>(
    store: &Store,
    index: &Index,
    searches: impl IntoIterator<Item = &'a Saved>,
    job: JobId,
    now: Timestamp,
) -> Vec<Diagnosis<'a>> {
    let mut diagnoses = Vec::new();
    for saved in searches {
        let matches = one(store, index, saved, job, now).await;
        diagnoses.push(Diagnosis { saved, matches });
    }
    diagnoses
}

async fn one(
    store: &Store,
    index: &Index,
    saved: &Saved,
    job: JobId,
    now: Timestamp,
) -> anyhow::Result<Option<Option<Hit>>> {
    let query = saved.query(None).map_err(|e| anyhow!("query, column {}: {e}", e.column))?;
    let options = Options {
        limit: Some(1),
        jobs: vec![job],
        same_line: saved.same_line,
        ..Options::default()
    };
    let mut found = None;
    let summary = search(store, index, &query, &options, now, |one| {
        found = Some(match one {
            Found::Hits { hits, .. } => hits.into_iter().next(),
            Found::Count { .. } | Found::Job(_) => None,
        });
        ControlFlow::Break(())
    })
    .await?;
    match (found, summary.unreadable.into_iter().next()) {
        (None, Some((_, reason))) => Err(anyhow!("the log cannot be read: {reason}")),
        (found, _) => Ok(found),
    }
}
