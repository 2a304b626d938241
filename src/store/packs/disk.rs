//! The steps that change the directory of packs, one call each, so that tests can stop at every one of them.
//!
//! A step is durable only when the file or the folder that it touched was synced. Knows nothing of packs. Fails as
//! the operating system does.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// A step, as tests are told of it.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests look at it"))]
pub(in crate::store) enum Step<'a> {
    /// Bytes are appended to a file.
    Write(&'a Path),
    /// A file's bytes become durable.
    SyncFile(&'a Path),
    /// A folder is created.
    CreateFolder(&'a Path),
    /// A file gets its name.
    Rename { from: &'a Path, to: &'a Path },
    /// What was created, renamed or removed in a folder becomes durable.
    SyncDir(&'a Path),
    /// A file is removed.
    Remove(&'a Path),
}

/// Told of each step before (`false`) and after (`true`) it is done; an error stops there.
#[cfg(test)]
pub(in crate::store) type Probe =
    std::sync::Arc<dyn Fn(Step<'_>, bool) -> io::Result<()> + Send + Sync>;

/// The file system.
#[derive(Clone, Default)]
pub(in crate::store) struct Disk {
    #[cfg(test)]
    pub(in crate::store) probe: Option<Probe>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

impl Disk {
    fn step<T>(&self, step: Step<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.tell(step, false)?;
        let done = act()?;
        self.tell(step, true)?;
        Ok(done)
    }

    #[cfg(test)]
    fn tell(&self, step: Step<'_>, done: bool) -> io::Result<()> {
        self.probe.as_ref().map_or(Ok(()), |probe| probe(step, done))
    }

    #[cfg(not(test))]
    #[allow(clippy::unnecessary_wraps, reason = "only tests stop here")]
    fn tell(&self, _: Step<'_>, _: bool) -> io::Result<()> {
        Ok(())
    }

    /// Appends to a temporary file, through what may buffer.
    pub(in crate::store) fn write(
        &self,
        path: &Path,
        mut out: impl Write,
        bytes: &[u8],
    ) -> io::Result<()> {
        self.step(Step::Write(path), || out.write_all(bytes))
    }

    /// Makes the bytes of a temporary file durable.
    pub(in crate::store) fn sync_file(&self, path: &Path, file: &File) -> io::Result<()> {
        self.step(Step::SyncFile(path), || file.sync_all())
    }

    /// Gives a temporary file its place.
    pub(super) fn persist(&self, temp: tempfile::NamedTempFile, to: &Path) -> io::Result<()> {
        let from = temp.path().to_owned();
        let place = || temp.persist(to).map(drop).map_err(|e| e.error);
        self.step(Step::Rename { from: &from, to }, place)
    }

    /// Puts a file in the place of another.
    pub(in crate::store) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Step::Rename { from, to }, || fs::rename(from, to))
    }

    /// Creates a folder for its owner alone; one that is there is no fault.
    pub(in crate::store) fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.step(Step::CreateFolder(path), || {
            match fs::DirBuilder::new().mode(0o700).create(path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                created => created,
            }
        })
    }

    /// Makes what was created, renamed or removed in a folder durable.
    pub(in crate::store) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step(Step::SyncDir(path), || File::open(path)?.sync_all())
    }

    /// Removes a file; one that is not there is no fault.
    pub(in crate::store) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Step::Remove(path), || match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        })
    }
}
