//! Asking the full-text index on a thread of its own, so that it answers while the catalogue is opened.
//!
//! Owns the waiting and nothing of the answer's meaning. Fails with the index's error.

use std::path::PathBuf;
use std::sync::Arc;

use jobvault_index::{Candidates, Error, Index, Matcher, Query, Reading, matcher};

use super::Options;
use tokio::task::JoinHandle;

/// A query that the index is looking up.
#[derive(Debug)]
pub struct Asked {
    task: JoinHandle<Result<Answer, Error>>,
    matcher: Result<Arc<Matcher>, matcher::Error>,
}

/// What the index knows of a query.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The highest trace that the index covers.
    pub(super) through: u64,
    /// The documents that may hold its terms, of any job.
    pub(super) candidates: Candidates,
}

impl Asked {
    /// Opens the index of an archive and looks a query up.
    pub fn open(dir: PathBuf, query: Query, options: &Options) -> Self {
        let (matcher, reading) = (query.clone(), options.reading(&query));
        Self::start(&matcher, move || answer(&Index::open(&dir)?, &query, reading))
    }

    /// Looks a query up in an open index.
    pub fn of(index: Index, query: Query, options: &Options) -> Self {
        let (matcher, reading) = (query.clone(), options.reading(&query));
        Self::start(&matcher, move || answer(&index, &query, reading))
    }

    fn start(query: &Query, work: impl FnOnce() -> Result<Answer, Error> + Send + 'static) -> Self {
        let task = tokio::task::spawn_blocking(work);
        // On this thread, which would only wait: compiling a regex takes as long as a look-up.
        let matcher = Matcher::new(query).map(Arc::new);
        Self { task, matcher }
    }

    /// Returns what finds the query's terms in lines, and what the index will answer.
    pub(super) fn parts(
        self,
    ) -> (Result<Arc<Matcher>, matcher::Error>, impl Future<Output = Result<Answer, Error>>) {
        let answer =
            async { self.task.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic())) };
        (self.matcher, answer)
    }
}

fn answer(index: &Index, query: &Query, reading: Reading) -> Result<Answer, Error> {
    // First the number, then the documents: a commit between the two may add more, but take none away.
    let through = index.through();
    Ok(Answer { through, candidates: index.find(query, reading)? })
}
