//! Packs as files of a directory: `ab/<BLAKE3 of the file>.pack`.
//!
//! Durable means: temporary file, fsync, rename, fsync of the directory. Temporary files live in a folder of
//! their own and are removed when the archive is next opened for writing.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;

use super::PackError;
use super::codec::{Base, Decoder};
use super::decoders::{Decoders, Reading};
use super::disk::Disk;
use super::files::Files;
use super::format::{self, Entry, Footer, FormatError};

/// The name of a pack: the BLAKE3 hash of all its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackName(pub [u8; 32]);

impl fmt::Display for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackName({self})")
    }
}

impl FromStr for PackName {
    type Err = blake3::HexError;

    fn from_str(hex: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(hex).map(|h| Self(*h.as_bytes()))
    }
}

/// A pack that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackInfo {
    /// Its name.
    pub name: PackName,
    /// Its length.
    pub bytes: u64,
}

/// The directory of packs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Packs {
    dir: PathBuf,
    tmp: PathBuf,
    pub(in crate::store) disk: Disk,
    decoders: Decoders,
    files: Files,
}

impl Packs {
    /// Names the folders; nothing is created or read.
    pub(crate) fn new(dir: PathBuf, tmp: PathBuf) -> Self {
        Self {
            dir,
            tmp,
            disk: Disk::default(),
            decoders: Decoders::default(),
            files: Files::default(),
        }
    }

    /// Starts the pack `number` in a temporary file.
    pub(crate) fn create(&self, number: u64, compacted: bool) -> Result<PackWriter, PackError> {
        let temp = tempfile::Builder::new()
            .prefix("pack-")
            .tempfile_in(&self.tmp)
            .map_err(io("create a temporary file in", &self.tmp))?;
        let mut writer = PackWriter {
            packs: self.clone(),
            out: BufWriter::with_capacity(256 * 1024, temp),
            hasher: blake3::Hasher::new(),
            bytes: 0,
            entries: Vec::new(),
            number,
            compacted,
        };
        writer.write(format::MAGIC)?;
        Ok(writer)
    }

    /// Returns the file of a pack.
    pub fn path(&self, name: PackName) -> PathBuf {
        let hex = name.to_string();
        self.dir.join(&hex[..2]).join(format!("{hex}.pack"))
    }

    /// Reads and verifies one entry whose place the catalogue knows.
    pub(crate) fn read(
        &self,
        name: PackName,
        entry: &Entry,
        base: Option<&Base>,
    ) -> Result<Vec<u8>, PackError> {
        let mut content = Vec::new();
        self.read_into(name, entry, base, &mut content)?;
        Ok(content)
    }

    /// As [`Packs::read`], at the end of `out`, which is as before where it fails.
    pub(crate) fn read_into(
        &self,
        name: PackName,
        entry: &Entry,
        base: Option<&Base>,
        out: &mut Vec<u8>,
    ) -> Result<(), PackError> {
        self.decoding(name, entry, |reading| {
            reading.decoder.decode(entry, &reading.stored, base, out)
        })
    }

    /// Reads a base for decoding frames against it, its hash unchecked.
    pub(crate) fn read_base(&self, name: PackName, entry: &Entry) -> Result<Base, PackError> {
        self.decoding(name, entry, |reading| reading.decoder.base(entry, &reading.stored))
    }

    /// Reads the stored bytes of an entry and has them decoded.
    fn decoding<T>(
        &self,
        name: PackName,
        entry: &Entry,
        decode: impl FnOnce(&mut Reading) -> Result<T, FormatError>,
    ) -> Result<T, PackError> {
        let damaged = |source| PackError::Damaged { pack: name, source };
        let file = self.open(name)?;
        let read = self.decoders.with(|reading| {
            file.read(entry.offset, entry.stored_bytes, &mut reading.stored)?;
            decode(reading).map_err(damaged)
        });
        read.map_err(damaged)?
    }

    /// Reads the stored bytes of an entry as they are, unverified.
    pub(crate) fn stored(&self, name: PackName, entry: &Entry) -> Result<Vec<u8>, PackError> {
        let (file, mut stored) = (self.open(name)?, Vec::new());
        file.read(entry.offset, entry.stored_bytes, &mut stored)?;
        Ok(stored)
    }

    /// Reads a pack's footer, checking magic and checksum.
    pub fn footer(&self, name: PackName) -> Result<Footer, PackError> {
        let damaged = |source| PackError::Damaged { pack: name, source };
        let file = self.open(name)?;
        let bytes = file.bytes;
        let tail = format::TRAILER_BYTES as u64;
        if bytes < format::MAGIC.len() as u64 + tail {
            return Err(damaged(FormatError::NotAPack("too short")));
        }
        let read = |at, len| {
            let mut bytes = Vec::new();
            file.read(at, len, &mut bytes).map(|()| bytes)
        };
        let head = read(0, format::MAGIC.len() as u64)?;
        self.check_version(name, &head)?;
        let trailer = read(bytes - tail, tail)?;
        let len = format::footer_len(&trailer, bytes).map_err(damaged)?;
        let footer = read(bytes - tail - len, len)?;
        format::decode_footer(&footer, &trailer, bytes).map_err(damaged)
    }

    /// Checks the first bytes. A version that is none of ours is believed where the file is what its name says.
    fn check_version(&self, name: PackName, head: &[u8]) -> Result<(), PackError> {
        match format::check_magic(head) {
            Err(FormatError::Newer(version)) if self.check_name(name).is_ok() => {
                Err(PackError::Newer { pack: name, version })
            }
            checked => checked.map_err(|source| PackError::Damaged { pack: name, source }),
        }
    }

    /// Hashes the whole file and compares it with its name.
    pub fn check_name(&self, name: PackName) -> Result<u64, PackError> {
        let path = self.path(name);
        let mut file = File::open(&path).map_err(|source| not_open(name, path.clone(), source))?;
        let mut hasher = blake3::Hasher::new();
        let bytes = std::io::copy(&mut file, &mut hasher).map_err(io("read", &path))?;
        if *hasher.finalize().as_bytes() != name.0 {
            return Err(PackError::Damaged { pack: name, source: FormatError::Hash });
        }
        Ok(bytes)
    }

    /// Finds the ledgers of a pack whose footer is lost, given its other entries. Reads all of it into memory.
    pub(crate) fn ledgers_beside(
        &self,
        name: PackName,
        known: &[Entry],
    ) -> Result<Vec<Entry>, PackError> {
        let path = self.path(name);
        let bytes = fs::read(&path).map_err(|source| not_open(name, path, source))?;
        Ok(super::salvage::ledgers(&bytes, known))
    }

    /// Lists the packs that stand where they are looked for, in no order. Other files are passed over.
    pub fn list(&self) -> Result<Vec<PackInfo>, PackError> {
        let mut found = Vec::new();
        for (name, path) in self.named()? {
            if path != self.path(name) {
                continue;
            }
            match fs::metadata(&path) {
                Ok(meta) => found.push(PackInfo { name, bytes: meta.len() }),
                // Deleted since by a writer beside us.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(io("read", &path)(e)),
            }
        }
        Ok(found)
    }

    /// Lists the files with the name of a pack in folders where nobody looks for it.
    pub fn strays(&self) -> Result<Vec<PathBuf>, PackError> {
        let mut strays = self.named()?;
        strays.retain(|(name, path)| *path != self.path(*name));
        let mut strays: Vec<PathBuf> = strays.into_iter().map(|(_, path)| path).collect();
        strays.sort_unstable();
        Ok(strays)
    }

    /// Returns when the file of a pack was last written to, `None` where that cannot be told.
    pub(crate) fn changed_at(&self, name: PackName) -> Option<Timestamp> {
        let changed = fs::metadata(self.path(name)).and_then(|meta| meta.modified());
        Timestamp::try_from(changed.ok()?).ok()
    }

    /// Returns all files with the name of a pack.
    fn named(&self) -> Result<Vec<(PackName, PathBuf)>, PackError> {
        let mut named = Vec::new();
        for folder in read_dir(&self.dir)? {
            if !folder.is_dir() {
                continue;
            }
            for path in read_dir(&folder)? {
                let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
                let is_pack = path.extension().is_some_and(|e| e == "pack");
                if let (true, Ok(name)) = (is_pack, stem.parse()) {
                    named.push((name, path));
                }
            }
        }
        Ok(named)
    }

    fn open(&self, name: PackName) -> Result<OpenPack<'_>, PackError> {
        let opened = self.files.get(name, || File::open(self.path(name)));
        let (file, bytes) = opened.map_err(|source| not_open(name, self.path(name), source))?;
        Ok(OpenPack { packs: self, name, file, bytes })
    }
}

fn not_open(name: PackName, path: PathBuf, source: std::io::Error) -> PackError {
    match source.kind() {
        std::io::ErrorKind::NotFound => PackError::Missing { pack: name },
        _ => PackError::Io { action: "open", path, source },
    }
}

/// A pack that is read from.
struct OpenPack<'a> {
    packs: &'a Packs,
    name: PackName,
    file: Arc<File>,
    bytes: u64,
}

impl OpenPack<'_> {
    /// Reads a part of the pack into `out`, in the place of what it held.
    fn read(&self, at: u64, len: u64, out: &mut Vec<u8>) -> Result<(), PackError> {
        if at.checked_add(len).is_none_or(|end| end > self.bytes) {
            let source = FormatError::Entry("the pack is cut off before its end");
            return Err(PackError::Damaged { pack: self.name, source });
        }
        out.resize(len as usize, 0);
        let read = self.file.read_exact_at(out, at);
        read.map_err(|source| io("read", &self.packs.path(self.name))(source))
    }
}

/// A pack being written. Dropped without [`PackWriter::finish`], it leaves nothing behind.
pub(crate) struct PackWriter {
    packs: Packs,
    out: BufWriter<tempfile::NamedTempFile>,
    hasher: blake3::Hasher,
    bytes: u64,
    entries: Vec<Entry>,
    number: u64,
    compacted: bool,
}

impl PackWriter {
    /// Appends an entry that was compressed to `stored`, and gives it its place.
    pub(crate) fn add(&mut self, stored: &[u8], entry: Entry) -> Result<Entry, PackError> {
        let entry = Entry { offset: self.bytes, stored_bytes: stored.len() as u64, ..entry };
        self.write(stored)?;
        self.entries.push(entry.clone());
        Ok(entry)
    }

    /// Reads an entry that stands alone back out of the pack being written.
    pub(crate) fn read_back(&mut self, entry: &Entry) -> Result<Vec<u8>, PackError> {
        let path = self.out.get_ref().path().to_owned();
        self.out.flush().map_err(io("write", &path))?;
        let mut stored = vec![0; entry.stored_bytes as usize];
        let file = self.out.get_ref().as_file();
        file.read_exact_at(&mut stored, entry.offset).map_err(io("read", &path))?;
        let mut content = Vec::new();
        Decoder::new()
            .and_then(|mut decoder| decoder.decode(entry, &stored, None, &mut content))
            .map_err(|source| PackError::Io {
            action: "read back",
            path,
            source: std::io::Error::other(source),
        })?;
        Ok(content)
    }

    /// Returns how many bytes the pack has so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how many bytes the pack would have if it were ended now.
    pub(crate) fn ended_bytes(&self) -> u64 {
        let footer = format::encode_footer(self.number, self.compacted, &self.entries);
        self.bytes + footer.len() as u64
    }

    /// Returns how many entries the pack has so far.
    pub(crate) fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// Gives the pack its number, which is only written at its end.
    pub(crate) fn renumber(&mut self, number: u64) {
        self.number = number;
    }

    /// Ends the pack and makes it durable.
    pub(crate) fn finish(mut self) -> Result<PackInfo, PackError> {
        let footer = format::encode_footer(self.number, self.compacted, &self.entries);
        self.write(&footer)?;
        let name = PackName(*self.hasher.finalize().as_bytes());
        let path = self.packs.path(name);
        let folder = path.parent().expect("a pack stands in a folder").to_owned();
        let temp = self.out.into_inner().map_err(|e| PackError::Io {
            action: "write",
            path: path.clone(),
            source: e.into_error(),
        })?;
        let disk = &self.packs.disk;
        disk.sync_file(temp.path(), temp.as_file()).map_err(io("write", &path))?;
        // Synced even where it was there: it may be of a writer that was killed before it could do that.
        disk.create_folder(&folder).map_err(io("create", &folder))?;
        disk.sync_dir(&self.packs.dir).map_err(io("write", &self.packs.dir))?;
        disk.persist(temp, &path).map_err(io("put in place", &path))?;
        disk.sync_dir(&folder).map_err(io("write", &folder))?;
        Ok(PackInfo { name, bytes: self.bytes })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        let path = self.out.get_ref().path().to_owned();
        self.packs.disk.write(&path, &mut self.out, bytes).map_err(io("write", &path))
    }
}

impl Packs {
    /// Removes a pack; one that is not there is no fault.
    pub(crate) fn remove(&self, name: PackName) -> Result<(), PackError> {
        let path = self.path(name);
        self.disk.remove(&path).map_err(io("remove", &path))
    }
}

fn read_dir(dir: &Path) -> Result<Vec<PathBuf>, PackError> {
    let paths = fs::read_dir(dir)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>());
    paths.map_err(io("list", dir))
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> PackError + 'a {
    move |source| PackError::Io { action, path: path.to_owned(), source }
}
