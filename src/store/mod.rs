//! The archive on disk: packs (the truth), the catalogue (the truth about the server) and the lock of its writer.
//!
//! Knows nothing of GitLab's API. [`Batch`] is the only way to write, so that the order of writes (pack, then
//! catalogue) is held by types. Every failure is a [`StoreError`] that names the file.

mod batch;
pub mod catalogue;
pub mod check;
mod lock;
pub mod packs;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use batch::{Batch, Committed, Identity, NewFrame, NewState, Received};
use catalogue::Access;
pub use catalogue::{Catalogue, CatalogueError, Frame, JobRow, TraceId, TraceRow};
use packs::format::MAX_LEDGER_BYTES;
pub use packs::{PackError, PackName, Packs};

use crate::model::JobId;

/// The version of the archive's layout that this jobvault writes.
const FORMAT: u32 = 1;
const MARKER: &str = "jobvault.json";

/// Why an archive cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is nothing at the path.
    #[error("there is no archive at {}", path.display())]
    Missing {
        /// The directory asked for.
        path: PathBuf,
    },
    /// The directory holds something else.
    #[error("{} is not a jobvault archive", path.display())]
    NotAnArchive {
        /// The directory asked for.
        path: PathBuf,
    },
    /// The archive's layout is newer than this program.
    #[error("the archive {} has format {found}, this jobvault reads format {FORMAT}", path.display())]
    Newer {
        /// The archive.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Another process writes to the archive.
    #[error("the archive {} is being written by {holder}", path.display())]
    Locked {
        /// The archive.
        path: PathBuf,
        /// Who holds it, as it described itself.
        holder: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The catalogue failed.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A pack failed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A row refers to a pack that the catalogue does not list.
    #[error("the catalogue lists no pack {0}")]
    NoPack(u64),
    /// A trace is asked to be written in a way no trace is.
    #[error("the frames of job {0} do not make up its trace")]
    Frames(JobId),
}

/// What stands in the file that marks a directory as an archive.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: u32,
    created_by: String,
    created_at: Timestamp,
}

/// One archive. Cheap to clone; clones of a store opened for writing share its lock.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    catalogue: Catalogue,
    packs: Packs,
    names: std::sync::Arc<std::sync::RwLock<std::collections::HashMap<u64, PackName>>>,
    lock: Option<std::sync::Arc<lock::Lock>>,
}

impl Store {
    /// Opens an archive for reading. Works beside a writer and on a read-only copy.
    pub async fn open(root: &Path) -> Result<Self, StoreError> {
        check_marker(root)?;
        Self::assemble(root, Access::Read, None).await
    }

    /// Opens an archive for writing, and creates it where the directory is missing or empty.
    ///
    /// `purpose` is what another writer is told about us. Fails with [`StoreError::Locked`] beside one.
    pub async fn open_for_writing(
        root: &Path,
        purpose: &str,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        if is_new(root)? {
            create(root, now)?;
        }
        check_marker(root)?;
        let lock = lock::Lock::take(root, purpose, now)?;
        remove_leftovers(&root.join("tmp"))?;
        Self::assemble(root, Access::Write, Some(lock)).await
    }

    async fn assemble(
        root: &Path,
        access: Access,
        lock: Option<lock::Lock>,
    ) -> Result<Self, StoreError> {
        let catalogue = Catalogue::open(&root.join("catalogue.sqlite"), access).await?;
        let store = Self {
            root: root.to_owned(),
            catalogue,
            packs: Packs::new(root.join("packs"), root.join("tmp")),
            names: Default::default(),
            lock: lock.map(std::sync::Arc::new),
        };
        store.load_names().await?;
        Ok(store)
    }

    /// Reads the names of packs anew, so that traces stored since can be read.
    pub async fn load_names(&self) -> Result<(), StoreError> {
        let packs = self.catalogue.packs().await?;
        let mut names = self.names.write().unwrap_or_else(|e| e.into_inner());
        names.extend(packs.into_iter().map(|(id, name, _)| (id, name)));
        Ok(())
    }

    /// Returns the directory of the archive.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory of the full-text index, which the store neither makes nor reads.
    pub fn index_dir(&self) -> PathBuf {
        Self::index_dir_of(&self.root)
    }

    /// Returns the same of an archive that is not open yet.
    pub fn index_dir_of(root: &Path) -> PathBuf {
        root.join("index")
    }

    /// Returns the folder for temporary files, on the same file system as the packs.
    pub fn tmp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Returns the catalogue, for reading.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Returns the packs, for reading.
    pub fn packs(&self) -> &Packs {
        &self.packs
    }

    /// Sets a value of the archive's own, such as the host it archives.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        Ok(self.catalogue.set_meta(key, value).await?)
    }

    /// Starts a batch of writes.
    ///
    /// # Panics
    ///
    /// Where the store was opened for reading.
    pub async fn batch(&self, now: Timestamp) -> Result<Batch, StoreError> {
        assert!(self.lock.is_some(), "a batch needs a store opened for writing");
        let highest = self.catalogue.highest().await?;
        Ok(Batch::new(self.clone(), highest, now))
    }

    fn name(&self, pack: u64) -> Result<PackName, StoreError> {
        let names = self.names.read().unwrap_or_else(|e| e.into_inner());
        names.get(&pack).copied().ok_or(StoreError::NoPack(pack))
    }

    fn learn_name(&self, pack: u64, name: PackName) {
        self.names.write().unwrap_or_else(|e| e.into_inner()).insert(pack, name);
    }

    /// Returns the pack that holds a frame.
    pub fn pack_of(&self, frame: &Frame) -> Result<PackName, StoreError> {
        self.name(frame.pack)
    }

    /// Reads one frame of a trace: its piece of the raw bytes, verified. Blocks.
    pub fn read_frame(&self, frame: &Frame) -> Result<Vec<u8>, StoreError> {
        Ok(self.packs.read(self.name(frame.pack)?, &frame.entry(), None)?)
    }

    /// Returns the newest document of a job as the server sent it, or `None` where the archive has none.
    pub async fn document(&self, job: JobId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((pack, offset, index)) = self.catalogue.document(job).await? else {
            return Ok(None);
        };
        let name = self.name(pack)?;
        let packs = self.packs.clone();
        let read = move || -> Result<Option<Vec<u8>>, StoreError> {
            let entries = packs.entries(name)?;
            let Some(entry) = entries.iter().find(|e| e.offset == offset) else {
                return Ok(None);
            };
            let ledger = packs.read(name, entry, None)?;
            let record = packs::ledger::records(&ledger).nth(index as usize);
            Ok(record.and_then(Result::ok).map(|r| r.bytes.to_vec()))
        };
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
    }

    /// Closes the catalogue, so that nothing is left in its write-ahead log, and releases the lock.
    pub async fn close(self) {
        self.catalogue.close().await;
    }
}

/// Tells whether `root` is missing or an empty directory.
fn is_new(root: &Path) -> Result<bool, StoreError> {
    match fs::read_dir(root) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            Err(StoreError::NotAnArchive { path: root.to_owned() })
        }
        Err(e) => Err(io("read", root)(e)),
    }
}

/// Makes the folders and, last of all, the marker.
fn create(root: &Path, now: Timestamp) -> Result<(), StoreError> {
    let private = |dir: &Path| {
        fs::DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(io("create", dir))
    };
    private(root)?;
    // An empty directory that was there before may be open to others.
    fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(io("make private", root))?;
    private(&root.join("packs"))?;
    private(&root.join("tmp"))?;
    let marker = Marker {
        format: FORMAT,
        created_by: concat!("jobvault ", env!("CARGO_PKG_VERSION")).to_owned(),
        created_at: now,
    };
    let path = root.join(MARKER);
    let text = serde_json::to_string_pretty(&marker).expect("a marker is plain JSON");
    let mut temp = tempfile::NamedTempFile::new_in(root).map_err(io("write in", root))?;
    std::io::Write::write_all(&mut temp, text.as_bytes()).map_err(io("write", &path))?;
    temp.as_file().sync_all().map_err(io("write", &path))?;
    temp.persist(&path).map_err(|e| io("write", &path)(e.error))?;
    packs::sync_dir(root)?;
    Ok(())
}

fn check_marker(root: &Path) -> Result<(), StoreError> {
    let path = root.join(MARKER);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(match is_new(root)? {
                true => StoreError::Missing { path: root.to_owned() },
                false => StoreError::NotAnArchive { path: root.to_owned() },
            });
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(StoreError::NotAnArchive { path: root.to_owned() });
        }
        Err(e) => return Err(io("read", &path)(e)),
    };
    let marker: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    match marker.get("format").and_then(serde_json::Value::as_u64) {
        Some(1) => Ok(()),
        Some(found) => Err(StoreError::Newer {
            path: root.to_owned(),
            found: u32::try_from(found).unwrap_or(u32::MAX),
        }),
        None => Err(StoreError::NotAnArchive { path: root.to_owned() }),
    }
}

/// Removes what a writer left when it was killed; nothing there was ever referred to.
fn remove_leftovers(tmp: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(tmp).map_err(io("create", tmp))?;
    for entry in fs::read_dir(tmp).map_err(io("list", tmp))? {
        let path = entry.map_err(io("list", tmp))?.path();
        fs::remove_file(&path).map_err(io("remove", &path))?;
    }
    Ok(())
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> StoreError + 'a {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
