//! Opening the SQLite file: for writing, for reading, and on media that cannot be written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::{Catalogue, CatalogueError};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/catalogue/migrations");

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a page. Three dozen tables and indexes take one each at least: 4096 cost an archive of few jobs 100 KB, more
/// than their logs, and one of half a million jobs 1 % less.
const PAGE_BYTES: u32 = 1024;
/// Readers at once beside our own writer; more wait.
const READERS: u32 = 4;
/// Readers at once where we only read. Each takes a thread and a millisecond to open, and a pool of several opens a
/// second one for what comes right after the first statement, before that one's connection is back.
const LONE_READERS: u32 = 1;

/// What the catalogue is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading, beside a writer perhaps.
    Read,
    /// Reading and writing; the caller holds the archive's lock.
    Write,
}

impl Catalogue {
    /// Opens the catalogue at `path`; for writing it is created and brought up to date.
    pub(crate) async fn open(path: &Path, access: Access) -> Result<Self, CatalogueError> {
        match access {
            Access::Write => Self::open_write(path).await,
            Access::Read => Self::open_read(path).await,
        }
    }

    /// Makes a catalogue without a row that is nowhere but in memory, for where there is no archive yet.
    pub(crate) async fn empty(path: &Path) -> Result<Self, CatalogueError> {
        let options = SqliteConnectOptions::new().in_memory(true);
        // Each connection would have a database of its own, and closing the one would lose it.
        let catalogue = connect(path, options, 1).await?;
        MIGRATIONS.run(&catalogue.pool).await.map_err(|source| migration_error(path, source))?;
        Ok(catalogue)
    }

    /// Folds the write-ahead log of the file at `path` into it, so that the file alone is whole.
    ///
    /// Closing alone does not do: of two connections that close at one moment each may leave it to the other.
    pub(crate) async fn fold(path: &Path) -> Result<(), CatalogueError> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
        let catalogue = connect(path, options, 1).await?;
        let folded = sqlx::query_as::<_, (i64, i64, i64)>("PRAGMA wal_checkpoint(TRUNCATE)");
        let (is_busy, ..) =
            folded.fetch_one(&catalogue.pool).await.map_err(catalogue.failed("written"))?;
        catalogue.close().await;
        match is_busy {
            0 => Ok(()),
            _ => Err(CatalogueError::Busy { path: path.to_owned() }),
        }
    }

    async fn open_write(path: &Path) -> Result<Self, CatalogueError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .page_size(PAGE_BYTES)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let catalogue = connect(path, options, READERS).await?;
        MIGRATIONS.run(&catalogue.pool).await.map_err(|source| migration_error(path, source))?;
        Ok(catalogue)
    }

    async fn open_read(path: &Path) -> Result<Self, CatalogueError> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
        let direct = connect(path, options.read_only(true), LONE_READERS).await;
        let opened = match direct {
            Ok(catalogue) => catalogue.version().await.ok().map(|newest| (catalogue, newest)),
            Err(_) => None,
        };
        let (catalogue, newest) = match opened {
            Some(opened) => opened,
            // SQLite cannot share memory with a writer where the directory is not writable.
            None => {
                let catalogue = open_unwritable(path).await?;
                let newest = catalogue.version().await?;
                (catalogue, newest)
            }
        };
        let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or_default();
        match newest > known {
            true => Err(CatalogueError::Newer { path: path.to_owned() }),
            false => Ok(catalogue),
        }
    }

    /// Returns whether SQLite finds nothing wrong with the file; `indexes` compares these with their tables, too. Reads
    /// all of it.
    pub async fn is_sound(&self, indexes: bool) -> bool {
        let found = sqlx::query_scalar::<_, String>(match indexes {
            true => "PRAGMA integrity_check(1)",
            false => "PRAGMA quick_check(1)",
        });
        found.fetch_one(&self.pool).await.is_ok_and(|found| found == "ok")
    }

    /// Returns the number of the newest migration that the catalogue has seen.
    async fn version(&self) -> Result<i64, CatalogueError> {
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&self.pool)
            .await
            .map_err(self.failed("read"))
    }
}

/// Reads a catalogue in a place that cannot be written: as it stands where nothing is left in its write-ahead log,
/// else from a copy.
async fn open_unwritable(path: &Path) -> Result<Catalogue, CatalogueError> {
    let wal = wal_of(path);
    if std::fs::metadata(&wal).map_or(0, |m| m.len()) == 0 {
        let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(true);
        return connect(path, options, LONE_READERS).await;
    }
    let failed = |source| CatalogueError::Copy { path: path.to_owned(), source };
    let dir = tempfile::tempdir().map_err(failed)?;
    let copy = dir.path().join("catalogue.sqlite");
    std::fs::copy(path, &copy).map_err(failed)?;
    std::fs::copy(&wal, wal_of(&copy)).map_err(failed)?;
    let mut catalogue =
        connect(&copy, SqliteConnectOptions::new().filename(&copy), LONE_READERS).await?;
    catalogue._copy = Some(Arc::new(dir));
    Ok(catalogue)
}

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

async fn connect(
    path: &Path,
    options: SqliteConnectOptions,
    connections: u32,
) -> Result<Catalogue, CatalogueError> {
    let opened = SqlitePoolOptions::new()
        .max_connections(connections)
        // A file does not go away as a server does: asking whether it is there doubles the waiting for each statement.
        .test_before_acquire(false)
        // Waiting for a connection is no fault: a busy machine makes it long, and users can do nothing about it.
        .acquire_slow_threshold(Duration::MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await;
    let pool: SqlitePool = opened.map_err(|source| CatalogueError::Sqlite {
        action: "opened",
        path: path.to_owned(),
        source,
    })?;
    Ok(Catalogue { pool, path: path.to_owned(), _copy: None })
}

fn migration_error(path: &Path, source: MigrateError) -> CatalogueError {
    match source {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
            CatalogueError::Newer { path: path.to_owned() }
        }
        source => CatalogueError::Migrate { path: path.to_owned(), source },
    }
}
