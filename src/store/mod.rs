//! The archive on disk: packs (the truth), the catalogue (the truth about the server) and the lock of its writer.
//!
//! Knows nothing of GitLab's API. [`Batch`] is the only way to write, so that the order of writes (pack, then
//! catalogue) is held by types. Every failure is a [`StoreError`] that names the file.

mod batch;
mod blob;
pub mod catalogue;
pub mod check;
pub mod compact;
mod filler;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod known;
mod lock;
mod marker;
pub mod mend;
mod moved;
pub mod packs;
mod places;
pub mod prune;
pub mod rebuild;
pub mod repair;
mod rewrite;
mod segment;
mod unlisted;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

pub use batch::{Batch, Committed, Identity, NewArtifacts, NewFrame, NewState, Received};
pub use blob::BlobReader;
use catalogue::Access;
pub use catalogue::{Catalogue, CatalogueError, Frame, JobRow, TraceId, TraceRow};
use marker::{FORMAT, PARTS, check_marker, create, is_new, remove_leftovers};
use packs::codec::Base;
use packs::format::{FormatError, MAX_LEDGER_BYTES};
pub use packs::{PackError, PackName, Packs};

use crate::model::JobId;

/// The key under which the catalogue keeps the address of the one server that the archive is of.
pub const HOST_KEY: &str = "host";

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
    /// The directory holds packs, and nothing that marks it as an archive.
    #[error("the archive {} has no jobvault.json that can be read", path.display())]
    Unmarked {
        /// The archive.
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
    /// A frame refers to a base that the catalogue does not list.
    #[error("the catalogue lists no base {0}")]
    NoBase(u64),
    /// A file refers to chunks that the catalogue does not list, or not of its length.
    #[error("the catalogue does not list all chunks of {}", blake3::Hash::from_bytes(*.0))]
    NoChunk([u8; 32]),
    /// A base that a frame needs cannot be read.
    #[error("the base {id} cannot be read")]
    Base {
        /// The catalogue's number of the base.
        id: u64,
        /// What is wrong with it.
        #[source]
        source: PackError,
    },
    /// A trace is asked to be written in a way no trace is.
    #[error("the frames of job {0} do not make up its trace")]
    Frames(JobId),
}

impl StoreError {
    /// True where stored bytes are lost or altered, false where only access to them failed.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Pack(source) | Self::Base { source, .. } => source.is_damage(),
            Self::NoPack(_) | Self::NoBase(_) | Self::NoChunk(_) => true,
            Self::Catalogue(source) => matches!(source, CatalogueError::Row { .. }),
            _ => false,
        }
    }

    /// True where one pack cannot be read, for whatever reason, and others may be: a check goes on with them.
    pub(crate) fn is_of_one_pack(&self) -> bool {
        match self {
            Self::Pack(source) | Self::Base { source, .. } => source.is_of_one_pack(),
            _ => self.is_damage(),
        }
    }
}

/// One archive. Cheap to clone; clones of a store opened for writing share its lock.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    catalogue: Catalogue,
    packs: Packs,
    places: places::Places,
    bases: packs::BaseCache,
    lock: Option<Arc<lock::Lock>>,
}

impl Store {
    /// Opens an archive for reading. Works beside a writer and on a read-only copy.
    pub async fn open(root: &Path) -> Result<Self, StoreError> {
        check_marker(root)?;
        Self::assemble(root, Access::Read, None).await
    }

    /// Opens an archive for reading traces that [`Store::learn_places`] was told of, and no others.
    ///
    /// Takes a time that does not grow with the archive.
    pub async fn open_for_search(root: &Path) -> Result<Self, StoreError> {
        check_marker(root)?;
        Self::connect(root, Access::Read, None).await
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
            create(&packs::disk::Disk::default(), root, now)?;
        }
        check_marker(root)?;
        let lock = lock::Lock::take(root, purpose, now)?;
        remove_leftovers(&root.join("tmp"), now)?;
        Self::assemble(root, Access::Write, Some(lock)).await
    }

    /// Returns an archive without a job for reading, where there is none at `root` yet. Touches no disk.
    pub async fn empty(root: &Path) -> Result<Self, StoreError> {
        let catalogue = Catalogue::empty(&root.join("catalogue.sqlite")).await?;
        Ok(Self::of(root, catalogue, None))
    }

    async fn assemble(
        root: &Path,
        access: Access,
        lock: Option<lock::Lock>,
    ) -> Result<Self, StoreError> {
        let store = Self::connect(root, access, lock).await?;
        store.load_names().await?;
        Ok(store)
    }

    async fn connect(
        root: &Path,
        access: Access,
        lock: Option<lock::Lock>,
    ) -> Result<Self, StoreError> {
        let catalogue = Catalogue::open(&root.join("catalogue.sqlite"), access).await?;
        Ok(Self::of(root, catalogue, lock))
    }

    fn of(root: &Path, catalogue: Catalogue, lock: Option<lock::Lock>) -> Self {
        Self {
            root: root.to_owned(),
            catalogue,
            packs: Packs::new(root.join("packs"), root.join("tmp")),
            places: Default::default(),
            bases: Default::default(),
            lock: lock.map(Arc::new),
        }
    }

    /// Reads anew where packs and bases are, so that traces stored since can be read.
    pub async fn load_names(&self) -> Result<(), StoreError> {
        let packs = self.catalogue.packs().await?;
        let bases = self.catalogue.bases().await?;
        self.places.learn(packs.into_iter().map(|(id, name, _)| (id, name)), &bases);
        Ok(())
    }

    /// Reads where the packs and bases of some traces are, as far as it is not known.
    pub async fn learn_places<'t>(
        &self,
        traces: impl Iterator<Item = &'t TraceRow>,
    ) -> Result<(), StoreError> {
        let (packs, bases) = self.places.unknown(traces.flat_map(|t| &t.frames));
        if !packs.is_empty() || !bases.is_empty() {
            let (names, bases) = self.catalogue.places(&packs, &bases).await?;
            self.places.learn(names.into_iter(), &bases);
        }
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

    /// Returns the folder for downloads that the next writer goes on with. It may be missing.
    pub fn parts_dir(&self) -> PathBuf {
        self.tmp_dir().join(PARTS)
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
        Batch::new(self.clone(), now).await
    }

    /// Returns the pack that holds a frame.
    pub fn pack_of(&self, frame: &Frame) -> Result<PackName, StoreError> {
        self.name(frame.pack)
    }

    /// Reads one frame of a trace: its piece of the raw bytes, verified. Blocks.
    pub fn read_frame(&self, frame: &Frame) -> Result<Vec<u8>, StoreError> {
        let mut piece = Vec::new();
        self.append_frame(frame, &mut piece)?;
        Ok(piece)
    }

    /// As [`Store::read_frame`], at the end of `out`, which is as before where it fails. Blocks.
    pub fn append_frame(&self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let name = self.name(frame.pack)?;
        let base = frame.base.map(|id| Ok::<_, StoreError>((id, self.base(id)?))).transpose()?;
        let read =
            self.packs.read_into(name, &frame.entry(), base.as_ref().map(|(_, b)| &**b), out);
        match (read, base) {
            (Err(e), Some((id, base))) if e.is_damage() => {
                // The base was taken on trust: perhaps it is what is damaged.
                self.check_base(id, &base)?;
                Err(e.into())
            }
            (read, _) => Ok(read?),
        }
    }

    /// Returns a base ready for decoding, its hash unchecked: a frame that comes out right was given the right base.
    fn base(&self, id: u64) -> Result<Arc<Base>, StoreError> {
        self.bases.get(id, || {
            let (pack, entry) = self.places.base(id).ok_or(StoreError::NoBase(id))?;
            let base = self.packs.read_base(self.name(pack)?, &entry);
            base.map_err(|source| StoreError::Base { id, source })
        })
    }

    /// Fails where a base that was read is not the one that was stored.
    fn check_base(&self, id: u64, base: &Base) -> Result<(), StoreError> {
        let (pack, entry) = self.places.base(id).ok_or(StoreError::NoBase(id))?;
        if base.has_hash(&entry.hash) {
            return Ok(());
        }
        self.bases.forget(id);
        let source = PackError::Damaged { pack: self.name(pack)?, source: FormatError::Hash };
        Err(StoreError::Base { id, source })
    }

    /// Reads the bytes of a base, verified, and names its pack. Blocks.
    fn base_content(&self, id: u64) -> Result<(PackName, Vec<u8>), StoreError> {
        let (pack, entry) = self.places.base(id).ok_or(StoreError::NoBase(id))?;
        let name = self.name(pack)?;
        let content = self.packs.read(name, &entry, None);
        Ok((name, content.map_err(|source| StoreError::Base { id, source })?))
    }

    fn name(&self, pack: u64) -> Result<PackName, StoreError> {
        self.places.name(pack).ok_or(StoreError::NoPack(pack))
    }

    /// Closes the catalogue, so that nothing is left in its write-ahead log, and releases the lock.
    /// Clones of the store can write no more.
    pub async fn close(self) {
        self.catalogue.close().await;
        if let Some(lock) = &self.lock {
            lock.release();
        }
    }
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> StoreError + 'a {
    move |source| StoreError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
