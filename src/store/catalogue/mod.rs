//! The catalogue: the truth about the server. Which jobs it listed, what became of each, where their traces are.
//!
//! [`Catalogue`] is a concrete handle over SQLite. Knows neither the bytes of packs nor GitLab's API. All times are
//! microseconds since 1970 UTC. Writing goes through [`crate::store::Batch`] alone.

mod artifacts;
mod bases;
mod blobs;
mod capture;
mod counts;
mod coverage;
mod extent;
mod files;
mod found;
pub(crate) mod frames;
mod noted;
mod pipelines;
mod provenance;
mod query;
mod restore;
mod rows;
mod runs;
mod sound;
mod sqlite;
mod switch;
mod words;
mod write;
mod write_artifacts;
mod write_capture;
mod write_jobs;

pub use artifacts::{
    ArtifactBacklog, ArtifactCount, ArtifactRow, ArtifactToFetch, BlobRow, ChunkRow, StoredFile,
};
pub(crate) use bases::BaseRow;
pub use capture::{Backlog, Marks, PipelineRow};
pub use counts::StatusRow;
pub use coverage::{Counted, CoverageRow};
pub use extent::Extent;
pub use frames::Frame;
pub(crate) use noted::{KnownArtifacts, KnownState};
pub use provenance::Provenance;
pub use query::{Column, Condition, Order};
pub(crate) use restore::NotedTrace;
pub(crate) use rows::usual_url;
pub use rows::{JobRow, ProjectRow, TraceId, TraceRow, Walk};
pub use runs::{Run, Runs};
pub(crate) use sqlite::Access;
pub(crate) use switch::{LivePack, MovedChunk, MovedDocument, Switch};
pub(crate) use write::{Capture, JobState, Listing, PackRow, Writes};
pub(crate) use write_artifacts::{ArtifactWrite, ArtifactWrites, ListingPlace};

use std::path::PathBuf;

use sqlx::SqlitePool;

/// Why the catalogue cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// SQLite refused or the file is damaged.
    #[error("the catalogue {} cannot be {action}", path.display())]
    Sqlite {
        /// What was tried: opened, read, written.
        action: &'static str,
        /// The database file.
        path: PathBuf,
        /// SQLite's reason.
        #[source]
        source: sqlx::Error,
    },
    /// The file is damaged: rows come in another order than they must stand in.
    #[error("the catalogue {} is damaged: its rows are out of order", path.display())]
    Disorder {
        /// The database file.
        path: PathBuf,
    },
    /// Another process reads what is to be folded together.
    #[error("the catalogue {} is being read", path.display())]
    Busy {
        /// The database file.
        path: PathBuf,
    },
    /// The schema was made by a newer jobvault.
    #[error("the catalogue {} is from a newer jobvault", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
    },
    /// The schema cannot be brought up to date.
    #[error("the catalogue {} cannot be brought up to date", path.display())]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A read-only catalogue cannot be copied aside for reading.
    #[error("the catalogue {} cannot be copied for reading", path.display())]
    Copy {
        /// The database file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A row holds what no jobvault writes.
    #[error("the catalogue's row of job {job} is damaged ({what})")]
    Row {
        /// The job.
        job: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// The catalogue of one archive. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalogue {
    pool: SqlitePool,
    path: PathBuf,
    /// Keeps the copy of a catalogue that could only be read by copying it.
    _copy: Option<std::sync::Arc<tempfile::TempDir>>,
}

impl Catalogue {
    fn failed(&self, action: &'static str) -> impl Fn(sqlx::Error) -> CatalogueError + '_ {
        move |source| CatalogueError::Sqlite { action, path: self.path.clone(), source }
    }

    /// Checks that keys read page by page go on behind `after`: of a damaged file SQLite gives the same rows for ever.
    fn in_order<K: Ord>(
        &self,
        after: K,
        keys: impl Iterator<Item = K>,
    ) -> Result<(), CatalogueError> {
        match std::iter::once(after).chain(keys).is_sorted_by(|a, b| a < b) {
            true => Ok(()),
            false => Err(CatalogueError::Disorder { path: self.path.clone() }),
        }
    }

    /// Closes all connections, so that SQLite folds its write-ahead log into the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
