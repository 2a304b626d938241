//! What can go wrong with the embedded engine, by what its owner can do about it.
//!
//! The engine panics on some damage. Everything that reads it goes through [`guard`], which makes
//! an error of that too.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::tantivy::TantivyError;
use ::tantivy::directory::error::{LockError, OpenReadError, OpenWriteError};

/// The index cannot be used as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no index.
    #[error("no index at {}", dir.display())]
    Missing {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// There is an index already.
    #[error("an index exists at {}", dir.display())]
    Exists {
        /// Where.
        dir: PathBuf,
    },
    /// The index cannot be read and must be built anew.
    #[error("the index at {} is damaged: {file}", dir.display())]
    Damaged {
        /// The index.
        dir: PathBuf,
        /// Its file, or what the engine says of it.
        file: String,
    },
    /// The index was written by another version of this program and must be built anew.
    #[error("the index at {} is of version {found}, not {}", dir.display(), super::VERSION)]
    Version {
        /// The index.
        dir: PathBuf,
        /// Its version.
        found: String,
    },
    /// Somebody else writes to the index.
    #[error("the index at {} is being written to", dir.display())]
    Locked {
        /// The index.
        dir: PathBuf,
    },
    /// The file system refused.
    #[error("access to {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The engine failed otherwise.
    #[error("the engine of the index at {}", dir.display())]
    Engine {
        /// The index.
        dir: PathBuf,
        /// What it says.
        source: Box<TantivyError>,
    },
}

/// Tells whether the disk is full. The engine wraps such an error, so that the number of the system is lost.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What an error of writing comes from: of the engine's thread, which ended, only that is told. Whether that was because
/// the disk is full shows where as much as a segment takes cannot be written now.
pub(super) fn of_writing(dir: &Path, error: Error, bytes: usize) -> Error {
    if !matches!(error, Error::Engine { .. }) {
        return error;
    }
    let path = dir.join("probe");
    let written = std::fs::write(&path, vec![0; bytes]);
    // It only takes space.
    let _ = std::fs::remove_file(&path);
    match written {
        Err(source) if is_full(&source) => Error::Io { path: dir.to_owned(), source },
        _ => error,
    }
}

/// Sorts the engine's errors.
pub(super) fn wrap(dir: &Path, source: TantivyError) -> Error {
    let damaged = |file: String| Error::Damaged { dir: dir.to_owned(), file };
    let io = |path: PathBuf, source: Arc<io::Error>| Error::Io {
        path: dir.join(path),
        source: io::Error::new(source.kind(), source),
    };
    match source {
        TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(path)) => {
            damaged(format!("{} is missing", path.display()))
        }
        // The engine reports what it cannot make sense of as such an error, too.
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, filepath })
            if io_error.raw_os_error().is_none() && !is_full(&io_error) =>
        {
            damaged(format!("{}: {io_error}", filepath.display()))
        }
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, filepath })
        | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, filepath }) => {
            io(filepath, io_error)
        }
        TantivyError::LockFailure(LockError::IoError(error), _) | TantivyError::IoError(error)
            if error.raw_os_error().is_some() || is_full(&error) =>
        {
            io(PathBuf::new(), error)
        }
        TantivyError::IoError(error) => damaged(error.to_string()),
        TantivyError::LockFailure(..) => Error::Locked { dir: dir.to_owned() },
        TantivyError::DataCorruption(what) => damaged(format!("{what:?}")),
        TantivyError::FieldNotFound(_)
        | TantivyError::SchemaError(_)
        | TantivyError::IncompatibleIndex(_)
        | TantivyError::OpenReadError(OpenReadError::IncompatibleIndex(_)) => {
            Error::Version { dir: dir.to_owned(), found: format!("another engine ({source})") }
        }
        source => Error::Engine { dir: dir.to_owned(), source: Box::new(source) },
    }
}

thread_local! {
    /// This thread is in the engine, whose panics become errors.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Tells whether a panic of this thread would become an error, so that a program's panic hook need
/// not speak of it.
pub fn makes_errors_of_panics() -> bool {
    GUARDED.get()
}

/// Calls the engine; its errors and panics become errors.
pub(super) fn guard<T>(dir: &Path, f: impl FnOnce() -> ::tantivy::Result<T>) -> Result<T, Error> {
    // What a panic leaves half done is dropped: reading changes nothing shared.
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    GUARDED.set(before);
    match result {
        Ok(result) => result.map_err(|source| wrap(dir, source)),
        Err(panic) => Err(Error::Damaged { dir: dir.to_owned(), file: panic_text(panic.as_ref()) }),
    }
}

/// Does two things at once, both a part of what a [`guard`] on this thread waits for: their panics go
/// on here. Where the system gives no thread, one after the other.
pub(super) fn beside<A: Send, B>(other: impl Fn() -> A + Sync, here: impl FnOnce() -> B) -> (A, B) {
    let guarded = || {
        let before = GUARDED.replace(true);
        let result = catch_unwind(AssertUnwindSafe(&other));
        GUARDED.set(before);
        result
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, guarded);
        let done = here();
        let others = match thread {
            Ok(thread) => thread.join().unwrap_or_else(Err),
            Err(_) => guarded(),
        };
        (others.unwrap_or_else(|panic| resume_unwind(panic)), done)
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the engine panicked").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_beside_becomes_an_error_as_well() {
        let (there, here) = beside(makes_errors_of_panics, || 5);
        assert!(there && here == 5);
        for broken in [|| panic!("beside"), || 7] {
            let guarded = guard(Path::new("index"), || Ok(beside(broken, || 3)));
            match guarded {
                Ok(both) => assert_eq!(both, (7, 3)),
                Err(Error::Damaged { file, .. }) => assert_eq!(file, "beside"),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_full_disk_is_no_damage() {
        let full = || Arc::new(io::Error::new(io::ErrorKind::StorageFull, "no space left"));
        let read = OpenReadError::IoError { io_error: full(), filepath: "a".into() };
        for error in [TantivyError::IoError(full()), TantivyError::OpenReadError(read)] {
            let wrapped = wrap(Path::new("index"), error);
            assert!(matches!(&wrapped, Error::Io { source, .. } if is_full(source)), "{wrapped:?}");
        }
        let broken = Arc::new(io::Error::other("bad block"));
        let wrapped = wrap(Path::new("index"), TantivyError::IoError(broken));
        assert!(matches!(wrapped, Error::Damaged { .. }));
    }
}
