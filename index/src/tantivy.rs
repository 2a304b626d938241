//! The embedded engine: which documents may hold a query's terms.
//!
//! It owns the index's directory: tokens with the documents that hold them, and for each document
//! its job, trace and frame. It holds no text, so it can name candidates only; and it is derived,
//! so every failure to read it ends in an error that tells the caller to build it anew, never in
//! a wrong answer given for a right one. What the numbers mean is the caller's affair.

mod blocks;
mod candidates;
mod directory;
mod error;
mod listing;
mod merge;
mod near;
mod seen;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::tantivy::directory::MmapDirectory;
use ::tantivy::schema::{BytesOptions, FAST, Field, Schema};
use ::tantivy::{Directory, IndexMeta, IndexReader, IndexSettings, ReloadPolicy, SegmentReader};

pub use candidates::{Candidate, Candidates, Reading, TermStats};
pub use error::{Error, makes_errors_of_panics};
pub use near::{Near, Spelling};
pub use writer::{Document, Writer};

use crate::terms::{FOLDER, Flat};
use directory::{Shared, wrong_checksum};
use error::{beside, guard, wrap};

/// The version of tokens and schema. An index of another version is built anew.
const VERSION: u32 = 5;
/// The file that tells the version.
const VERSION_FILE: &str = "version";
/// The extension of the engine's dictionaries.
const DICTIONARY: &str = "term";
/// The file without which there is no index.
const META_FILE: &str = "meta.json";

/// An open index. Clones share it; it may be used from many threads.
#[derive(Clone)]
pub struct Index {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    files: MmapDirectory,
    engine: ::tantivy::Index,
    reader: IndexReader,
    terms: Field,
    pairs: Field,
    through: AtomicU64,
    /// The flat dictionaries in use, by segment; those of segments gone are dropped on reload.
    flats: Mutex<HashMap<String, Arc<Flat>>>,
    /// The segments whose dictionary has the right checksum.
    sound: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("dir", &self.inner.dir).finish()
    }
}

impl Index {
    /// Creates an empty index in a directory, which is made if need be and must hold none.
    pub fn create(dir: &Path) -> Result<Index, Error> {
        if dir.join(META_FILE).exists() {
            return Err(Error::Exists { dir: dir.to_owned() });
        }
        let io = |source| Error::Io { path: dir.to_owned(), source };
        fs::create_dir_all(dir.join(FOLDER)).map_err(io)?;
        let files = MmapDirectory::open(dir).map_err(|source| wrap(dir, source.into()))?;
        let version = format!("{VERSION}\n");
        files.atomic_write(Path::new(VERSION_FILE), version.as_bytes()).map_err(io)?;
        let settings = IndexSettings::default();
        ::tantivy::Index::create(Shared::of(files, dir), schema(), settings)
            .map_err(|source| wrap(dir, source))?;
        Index::open(dir)
    }

    /// Opens an index. The directory may be read-only.
    pub fn open(dir: &Path) -> Result<Index, Error> {
        if !dir.join(META_FILE).exists() {
            return Err(Error::Missing { dir: dir.to_owned() });
        }
        check_version(dir)?;
        guard(dir, || {
            let files = MmapDirectory::open(dir)?;
            let engine = ::tantivy::Index::open(Shared::of(files.clone(), dir))?;
            let terms = engine.schema().get_field("terms")?;
            let pairs = engine.schema().get_field("pairs")?;
            // Read before the segments are, so that what the number covers is in them.
            let meta = engine.load_metas()?;
            let reader = engine.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
            let inner = Inner {
                dir: dir.to_owned(),
                files,
                engine,
                reader,
                terms,
                pairs,
                through: AtomicU64::new(0),
                flats: Mutex::default(),
                sound: Mutex::default(),
            };
            Ok((Index { inner: Arc::new(inner) }, meta))
        })
        .and_then(|(index, meta)| {
            index.inner.through.store(index.read_through(&meta)?, Ordering::Release);
            Ok(index)
        })
    }

    /// Returns the highest trace number that the index holds, as given to [`Writer::commit`]; 0 if
    /// nothing was ever committed. All up to it are held; of a commit that happens right now some
    /// beyond it may be.
    pub fn through(&self) -> u64 {
        self.inner.through.load(Ordering::Acquire)
    }

    /// Makes what was committed since visible to [`Index::candidates`] and [`Index::through`].
    pub fn reload(&self) -> Result<(), Error> {
        let meta = guard(&self.inner.dir, || self.inner.engine.load_metas())?;
        let through = self.read_through(&meta)?;
        guard(&self.inner.dir, || self.inner.reader.reload())?;
        self.inner.through.store(through, Ordering::Release);
        let searcher = self.inner.reader.searcher();
        let live: Vec<String> = searcher.segment_readers().iter().map(segment_name).collect();
        let mut flats = self.inner.flats.lock().unwrap_or_else(PoisonError::into_inner);
        flats.retain(|segment, _| live.contains(segment));
        let mut sound = self.inner.sound.lock().unwrap_or_else(PoisonError::into_inner);
        sound.retain(|segment| live.contains(segment));
        Ok(())
    }

    /// Opens the only writer; fails with [`Error::Locked`] while another one lives.
    pub fn writer(&self) -> Result<Writer, Error> {
        Writer::new(self)
    }

    /// Returns the size of the index on disk, in bytes.
    pub fn bytes(&self) -> Result<u64, Error> {
        let mut bytes = 0;
        for folder in [self.inner.dir.clone(), self.inner.dir.join(FOLDER)] {
            let io = |source| Error::Io { path: folder.clone(), source };
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.map_err(io)?,
            };
            for entry in entries {
                // A merge may remove a file between its listing and this.
                let meta = entry.map_err(io)?.metadata();
                bytes += meta.ok().filter(fs::Metadata::is_file).map_or(0, |meta| meta.len());
            }
        }
        Ok(bytes)
    }

    /// Reads every file and returns the names of those whose checksum is wrong.
    pub fn verify(&self) -> Result<Vec<PathBuf>, Error> {
        let damaged = guard(&self.inner.dir, || self.inner.engine.validate_checksum())?;
        let mut damaged: Vec<PathBuf> = damaged.into_iter().collect();
        damaged.sort();
        Ok(damaged)
    }

    fn read_through(&self, meta: &IndexMeta) -> Result<u64, Error> {
        let Some(payload) = meta.payload.as_deref() else { return Ok(0) };
        let file = META_FILE.to_owned();
        payload.parse().map_err(|_| Error::Damaged { dir: self.inner.dir.clone(), file })
    }

    /// Does `work` and fails where the engine's dictionary of a segment is damaged: a token that is not
    /// found in it would be taken for one that no document holds. Reads all of each, once, on a thread
    /// beside the work.
    fn with_dictionaries<T>(
        &self,
        segments: &[SegmentReader],
        work: impl FnOnce() -> ::tantivy::Result<T>,
    ) -> ::tantivy::Result<T> {
        let known = || self.inner.sound.lock().unwrap_or_else(PoisonError::into_inner);
        let names = segments.iter().map(segment_name);
        let unread: Vec<String> = names.filter(|name| !known().contains(name)).collect();
        if unread.is_empty() {
            return work();
        }
        let check = || unread.iter().try_for_each(|name| self.check_dictionary(name));
        let (checked, done) = beside(check, work);
        checked?;
        done
    }

    /// Fails where the engine's dictionary of a segment is damaged. Reads all of it, once.
    fn check_dictionary(&self, segment: &str) -> ::tantivy::Result<()> {
        let known = || self.inner.sound.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(segment) {
            return Ok(());
        }
        let file = PathBuf::from(format!("{segment}.{DICTIONARY}"));
        if !self.inner.engine.directory().validate_checksum(&file)? {
            return Err(wrong_checksum(file).into());
        }
        known().insert(segment.to_owned());
        Ok(())
    }

    /// Returns the flat dictionary of a segment from memory, from its file, or from the segment.
    fn flat(&self, segment: &SegmentReader) -> ::tantivy::Result<Arc<Flat>> {
        let name = segment_name(segment);
        let known = || self.inner.flats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flat) = known().get(&name) {
            return Ok(flat.clone());
        }
        let inverted = segment.inverted_index(self.inner.terms)?;
        let tokens = inverted.terms().num_terms() as u64;
        let flat = match Flat::open(&self.inner.files, &name, tokens) {
            Some(flat) => flat,
            None => {
                // Of a damaged one the walk through all tokens need not end.
                self.check_dictionary(&name)?;
                Flat::build(inverted.terms())?
            }
        };
        let flat = Arc::new(flat);
        known().insert(name, flat.clone());
        Ok(flat)
    }
}

fn segment_name(segment: &SegmentReader) -> String {
    segment.segment_id().uuid_string()
}

fn schema() -> Schema {
    let mut schema = Schema::builder();
    for name in ["terms", "pairs"] {
        schema.add_bytes_field(name, BytesOptions::default().set_indexed());
    }
    for name in ["job", "trace", "frame"] {
        schema.add_u64_field(name, FAST);
    }
    schema.build()
}

fn check_version(dir: &Path) -> Result<(), Error> {
    let damaged = || Error::Damaged { dir: dir.to_owned(), file: VERSION_FILE.to_owned() };
    let text = fs::read_to_string(dir.join(VERSION_FILE)).map_err(|_| damaged())?;
    let found: u32 = text.trim().parse().map_err(|_| damaged())?;
    if found != VERSION {
        return Err(Error::Version { dir: dir.to_owned(), found: found.to_string() });
    }
    Ok(())
}
