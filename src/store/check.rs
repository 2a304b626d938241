//! Checking the archive: every pack, every entry, every row, named by job where something is wrong.
//!
//! Reads only. One damaged pack never stops the walk. Memory is bounded: packs are read one after another, and what
//! is kept of them is the damage.
//!
//! That a log is the one that was stored follows from three things. Each frame decodes to the bytes of its hash. Each
//! row says of its frames what the footer says: whose they are, where in the log they stand, which is the last. And the
//! frames of one log, hashed together while they are decoded, have the hash that its row gives for the whole.

mod artifacts;
mod documents;
mod rows;
mod unlisted;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use jiff::Timestamp;

use super::catalogue::LivePack;
use super::packs::codec::Base;
use super::packs::{Entry, FormatError, Kind, PackError, PackName};
use super::{Store, StoreError, TraceId};
use crate::model::JobId;

/// Damage kept in memory; what comes after is counted with its pack as a whole.
const MAX_DAMAGED: usize = 100_000;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The job that cannot be read, `None` where no job depends on it.
    pub job: Option<JobId>,
    /// The pack, where it is one.
    pub pack: Option<PackName>,
    /// What is wrong, in words.
    pub what: String,
}

impl Damage {
    /// Names a file with the name of a pack in a folder where nobody looks for it.
    pub(super) fn of_stray(path: &Path) -> Self {
        let what = format!("{} stands in a folder where no pack is looked for", path.display());
        Self { job: None, pack: None, what }
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Traces whose every frame in the packs that were read is as it was written.
    pub checked: u64,
    /// Bytes of packs read.
    pub bytes: u64,
    /// The number of the last pack that was read, or 0 where the last pack of all was.
    pub through: u64,
    /// What is wrong, in the order in which it was found.
    pub damaged: Vec<Damage>,
    /// Packs later than all that the catalogue lists, and not of a writer at work. Nothing is wrong with them.
    pub later: Vec<Damage>,
    /// Some of it is wrong in the catalogue, which `rebuild` makes anew from the packs.
    pub in_catalogue: bool,
    /// Some of it is wrong with packs beside their logs: [`crate::store::mend`] writes anew what still reads of them.
    pub in_packs: bool,
}

impl Report {
    /// Notes what is wrong in the catalogue.
    fn note_in_catalogue(&mut self, job: Option<JobId>, what: impl Into<String>) {
        self.in_catalogue = true;
        self.damaged.push(Damage { job, pack: None, what: what.into() });
    }
}

/// How much is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Structure only: footers, and that every row refers to entries that are there. Nothing is decoded.
    pub fast: bool,
    /// Stop before the pack that would exceed this many bytes, but read one at least; `None` reads all.
    pub max_bytes: Option<u64>,
    /// Begin behind the pack of this number. A caller who keeps [`Report::through`] covers all packs in turn.
    pub after: u64,
    /// A pack later than all that the catalogue lists is told of where its file is older than this: a younger one may be
    /// of a writer at work. `None` passes over all of them.
    pub settled_before: Option<Timestamp>,
}

/// What is wrong inside the packs that were read.
#[derive(Default)]
struct Found {
    packs: BTreeSet<u64>,
    broken: HashMap<u64, String>,
    entries: HashMap<(u64, u64), String>,
    /// Ledgers that cannot be read, by pack and offset.
    ledgers: Vec<(u64, u64)>,
    /// Packs that nothing is said to refer to, which are not read.
    superseded: BTreeSet<u64>,
    /// Bases that are not where the catalogue says.
    bases: HashSet<u64>,
    /// Traces whose frames are another log than was stored.
    logs: HashSet<TraceId>,
}

impl Found {
    /// True of a pack that was read and whose footer is well.
    fn is_read(&self, pack: u64) -> bool {
        self.packs.contains(&pack) && !self.broken.contains_key(&pack)
    }
}

/// Checks everything: the hash of every pack, of every entry, and that every row's frames are there.
///
/// `progress` is called with the bytes read so far. Fails only where the catalogue or the file system does.
pub async fn verify(store: &Store, progress: impl FnMut(u64)) -> Result<Report, StoreError> {
    verify_with(store, VerifyOptions::default(), progress).await
}

/// As [`verify`], with options.
pub async fn verify_with(
    store: &Store,
    options: VerifyOptions,
    progress: impl FnMut(u64),
) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let is_sound = store.catalogue().is_sound(!options.fast).await;
    if !is_sound {
        report.note_in_catalogue(None, "the file of the catalogue is damaged");
    }
    match check(store, options, progress, &mut report).await {
        // What can be read of a damaged catalogue is checked, and the rest is told of already.
        Err(StoreError::Catalogue(_)) if !is_sound => {}
        checked => checked?,
    }
    Ok(report)
}

async fn check(
    store: &Store,
    options: VerifyOptions,
    mut progress: impl FnMut(u64),
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut found = Found::default();
    // Before the rows are read: what a writer beside us adds meanwhile is not among them.
    let there = store.packs().list();
    // A superseded pack is needed by nobody: what it held was read and verified when it was written anew.
    let packs = store.catalogue().live_packs().await?;
    for pack in packs.iter().copied() {
        let LivePack { id, name, bytes, .. } = pack;
        if id <= options.after {
            continue;
        }
        let full = options.max_bytes.is_some_and(|max| report.bytes + bytes > max);
        if full && !found.packs.is_empty() {
            break;
        }
        let reader = store.clone();
        let checked = tokio::task::spawn_blocking(move || check_pack(&reader, pack, options.fast))
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
        rows::check_logs(store, &checked.logs, &mut found).await?;
        if checked.is_listed_otherwise {
            let what = format!("the catalogue says otherwise how large pack {name} is");
            report.note_in_catalogue(None, what);
        }
        note_pack(report, &mut found, pack, checked);
        report.bytes += bytes;
        report.through = id;
        progress(report.bytes);
    }
    if packs.last().is_none_or(|last| report.through == last.id) {
        report.through = 0;
    }
    rows::check(store, &mut found, report).await?;
    documents::check(store, &found, options.fast, report).await?;
    artifacts::check(store, &found, report).await?;
    // In parts, they have their turn with the last pack.
    if report.through == 0 {
        unlisted::check(store, options.settled_before, there, report).await?;
    }
    Ok(())
}

/// What a pack turned out to be.
#[derive(Default)]
struct Checked {
    /// What is wrong with it as a whole.
    broken: Option<String>,
    is_missing: bool,
    /// What is wrong with entries of it.
    entries: Vec<(Entry, String)>,
    /// The hashes of the logs in it that have several frames and are whole.
    logs: Vec<Log>,
    /// Its row gives another length or number of entries.
    is_listed_otherwise: bool,
}

/// A log whose frames were decoded: its trace and job, and the hash of all its bytes.
type Log = (TraceId, JobId, [u8; 32]);

/// Hashes the frames of one log after another. The frames of a log stand in a pack in their order.
#[derive(Default)]
struct Whole {
    open: Option<(u64, u64, u64, blake3::Hasher)>,
}

impl Whole {
    /// Takes in a frame; returns its log where it is the last of several and none of them was missing.
    fn add(&mut self, entry: &Entry, raw: &[u8]) -> Option<Log> {
        let place = &entry.place;
        if place.raw_offset == 0 {
            // The hash of an only frame is that of the log.
            let begun = (place.trace, place.job, 0, blake3::Hasher::new());
            self.open = (!place.last).then_some(begun);
        }
        let (trace, job, at, mut hasher) = self.open.take()?;
        if (trace, job, at) != (place.trace, place.job, place.raw_offset) {
            return None;
        }
        hasher.update(raw);
        if place.last {
            return Some((TraceId(trace), JobId(job), *hasher.finalize().as_bytes()));
        }
        self.open = Some((trace, job, at + entry.raw_bytes, hasher));
        None
    }
}

/// Reads a whole pack.
fn check_pack(store: &Store, pack: LivePack, fast: bool) -> Result<Checked, StoreError> {
    let (packs, name) = (store.packs(), pack.name);
    let mut checked = Checked::default();
    let table = match packs.footer(name) {
        Ok(footer) => footer.entries,
        Err(e) if e.is_of_one_pack() => {
            checked.is_missing = matches!(e, PackError::Missing { .. });
            checked.broken = Some(words(&e));
            return Ok(checked);
        }
        Err(e) => return Err(e.into()),
    };
    checked.is_listed_otherwise = table.len() as u64 != pack.entries;
    if fast {
        return Ok(checked);
    }
    let mut whole = Whole::default();
    let mut bases = PackBases::new(store, name, &table);
    for entry in &table {
        let base = entry.base.map(|hash| bases.get(hash)).transpose();
        let read = base.and_then(|base| Ok(packs.read(name, entry, base.as_deref())?));
        match read {
            Ok(raw) if entry.kind == Kind::Frame => checked.logs.extend(whole.add(entry, &raw)),
            Ok(_) => {}
            Err(e) if e.is_of_one_pack() => checked.entries.push((entry.clone(), words(&e))),
            Err(e) => return Err(e),
        }
    }
    match packs.check_name(name) {
        Ok(bytes) => checked.is_listed_otherwise |= bytes != pack.bytes,
        // The entries say which of them is damaged; where none is, the bytes between them are.
        Err(e) if e.is_damage() && checked.entries.is_empty() => {
            checked.broken = Some("the pack does not match its name".to_owned());
        }
        Err(e) if e.is_of_one_pack() && checked.entries.is_empty() => {
            checked.broken = Some(words(&e));
        }
        Err(e) if e.is_of_one_pack() => {}
        Err(e) => return Err(e.into()),
    }
    Ok(checked)
}

/// The bases that a pack's entries name: by content, whatever the catalogue says of their numbers.
pub(super) struct PackBases<'a> {
    store: &'a Store,
    name: PackName,
    table: &'a [Entry],
    /// The base read last; entries of one base mostly stand together.
    read: HashMap<[u8; 32], std::sync::Arc<Base>>,
}

/// Bases kept while one pack is checked; of the largest that is 32 MiB.
const MAX_BASES: usize = 8;

impl<'a> PackBases<'a> {
    pub(super) fn new(store: &'a Store, name: PackName, table: &'a [Entry]) -> Self {
        Self { store, name, table, read: HashMap::new() }
    }

    /// Reads a base, verified.
    pub(super) fn get(&mut self, hash: [u8; 32]) -> Result<std::sync::Arc<Base>, StoreError> {
        if let Some(base) = self.read.get(&hash) {
            return Ok(base.clone());
        }
        let own = self.table.iter().find(|e| e.kind == Kind::Base && e.hash == hash);
        let base = match own {
            Some(entry) => {
                let content = self.store.packs.read(self.name, entry, None)?;
                let base = Base::new(content);
                std::sync::Arc::new(
                    base.map_err(|source| PackError::Damaged { pack: self.name, source })?,
                )
            }
            None => {
                let id = self.store.places.base_of_hash(&hash).ok_or(PackError::Damaged {
                    pack: self.name,
                    source: FormatError::Entry("the archive does not hold its base"),
                })?;
                let base = self.store.base(id)?;
                self.store.check_base(id, &base)?;
                base
            }
        };
        if self.read.len() >= MAX_BASES {
            self.read.clear();
        }
        self.read.insert(hash, base.clone());
        Ok(base)
    }
}

fn note_pack(
    report: &mut Report,
    found: &mut Found,
    LivePack { id, name, ledgers_moved, .. }: LivePack,
    checked: Checked,
) {
    found.packs.insert(id);
    if let Some(what) = checked.broken {
        report.in_packs |= !checked.is_missing;
        report.damaged.push(Damage { job: None, pack: Some(name), what: what.clone() });
        found.broken.insert(id, what);
        return;
    }
    for (entry, what) in checked.entries {
        let owner = match entry.kind {
            Kind::Frame => None,
            Kind::Base => Some("a base"),
            Kind::Ledger => Some("job documents"),
            Kind::Chunk => Some("artifacts"),
        };
        if let Some(owner) = owner {
            let is_ledger = entry.kind == Kind::Ledger;
            if is_ledger {
                found.ledgers.push((id, entry.offset));
            }
            // What records of it are still needed stands elsewhere, but for those that jobs refer to.
            if !(is_ledger && ledgers_moved) {
                report.in_packs = true;
                let what = format!("{owner}: {what}");
                report.damaged.push(Damage { job: None, pack: Some(name), what });
            }
        }
        if found.entries.len() >= MAX_DAMAGED {
            found.broken.insert(id, what);
        } else {
            found.entries.insert((id, entry.offset), what);
        }
    }
}

/// Says in one line what an error and its causes say.
pub(crate) fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
