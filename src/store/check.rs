//! Checking the archive: every pack, every entry, every row, named by job where something is wrong.
//!
//! Reads only. One damaged pack never stops the walk. Memory is bounded: packs are read one after another, and what
//! is kept of them is the damage.

mod artifacts;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::catalogue::{CatalogueError, LivePack};
use super::packs::codec::Base;
use super::packs::{Entry, FormatError, Kind, PackError, PackName};
use super::{Frame, Store, StoreError, TraceId, TraceRow};
use crate::model::JobId;

/// Traces read from the catalogue at once; the footers they refer to are read once for all of them.
const TRACES_AT_ONCE: u32 = 5000;
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
}

/// What is wrong inside the packs that were read.
#[derive(Default)]
struct Found {
    packs: BTreeSet<u64>,
    broken: HashMap<u64, String>,
    entries: HashMap<(u64, u64), String>,
    /// Ledgers that cannot be read, by pack and offset.
    ledgers: Vec<(u64, u64)>,
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
    mut progress: impl FnMut(u64),
) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut found = Found::default();
    // A superseded pack is needed by nobody: what it held was read and verified when it was written anew.
    let packs = store.catalogue().live_packs().await?;
    for LivePack { id, name, bytes, .. } in packs.iter().copied() {
        if id <= options.after {
            continue;
        }
        let full = options.max_bytes.is_some_and(|max| report.bytes + bytes > max);
        if full && !found.packs.is_empty() {
            break;
        }
        let reader = store.clone();
        let checked = tokio::task::spawn_blocking(move || check_pack(&reader, name, options.fast))
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
        note_pack(&mut report, &mut found, (id, name), checked);
        report.bytes += bytes;
        report.through = id;
        progress(report.bytes);
    }
    if packs.last().is_none_or(|last| report.through == last.id) {
        report.through = 0;
    }
    check_rows(store, &found, &mut report).await?;
    name_documents(store, &found, &mut report).await?;
    artifacts::check(store, &found, &mut report).await?;
    Ok(report)
}

/// What is wrong with a pack as a whole, or with entries of it.
enum Checked {
    Broken(String),
    Entries(Vec<(Entry, String)>),
}

/// Reads a whole pack.
fn check_pack(store: &Store, name: PackName, fast: bool) -> Result<Checked, StoreError> {
    let packs = store.packs();
    let table = match packs.footer(name) {
        Ok(footer) => footer.entries,
        Err(e) if e.is_damage() => return Ok(Checked::Broken(words(&e))),
        Err(e) => return Err(e.into()),
    };
    if fast {
        return Ok(Checked::Entries(Vec::new()));
    }
    let mut wrong = Vec::new();
    let mut bases = PackBases { store, name, table: &table, read: HashMap::new() };
    for entry in &table {
        let base = entry.base.map(|hash| bases.get(hash)).transpose();
        let read = base.and_then(|base| Ok(packs.read(name, entry, base.as_deref())?));
        match read {
            Ok(_) => {}
            Err(e) if e.is_damage() => wrong.push((entry.clone(), words(&e))),
            Err(e) => return Err(e),
        }
    }
    match packs.check_name(name) {
        Ok(_) => Ok(Checked::Entries(wrong)),
        // The entries say which of them is damaged; where none is, the bytes between them are.
        Err(e) if e.is_damage() && wrong.is_empty() => {
            Ok(Checked::Broken("the pack does not match its name".to_owned()))
        }
        Err(e) if e.is_damage() => Ok(Checked::Entries(wrong)),
        Err(e) => Err(e.into()),
    }
}

/// The bases that a pack's entries name: by content, whatever the catalogue says of their numbers.
struct PackBases<'a> {
    store: &'a Store,
    name: PackName,
    table: &'a [Entry],
    /// The base read last; entries of one base mostly stand together.
    read: HashMap<[u8; 32], std::sync::Arc<Base>>,
}

/// Bases kept while one pack is checked; of the largest that is 32 MiB.
const MAX_BASES: usize = 8;

impl PackBases<'_> {
    fn get(&mut self, hash: [u8; 32]) -> Result<std::sync::Arc<Base>, StoreError> {
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
    (id, name): (u64, PackName),
    checked: Checked,
) {
    found.packs.insert(id);
    let entries = match checked {
        Checked::Broken(what) => {
            report.damaged.push(Damage { job: None, pack: Some(name), what: what.clone() });
            found.broken.insert(id, what);
            return;
        }
        Checked::Entries(entries) => entries,
    };
    for (entry, what) in entries {
        let owner = match entry.kind {
            Kind::Frame => None,
            Kind::Base => Some("a base"),
            Kind::Ledger => Some("job documents"),
            Kind::Chunk => Some("artifacts"),
        };
        if let Some(owner) = owner {
            if entry.kind == Kind::Ledger {
                found.ledgers.push((id, entry.offset));
            }
            let what = format!("{owner}: {what}");
            report.damaged.push(Damage { job: None, pack: Some(name), what });
        }
        if found.entries.len() >= MAX_DAMAGED {
            found.broken.insert(id, what);
        } else {
            found.entries.insert((id, entry.offset), what);
        }
    }
}

/// Checks that every frame of every row is there and well, where its pack was read.
async fn check_rows(store: &Store, found: &Found, report: &mut Report) -> Result<(), StoreError> {
    let mut after = TraceId(0);
    loop {
        let traces = store.catalogue().traces_after(after, TRACES_AT_ONCE).await?;
        if traces.is_empty() {
            return Ok(());
        }
        let last = traces.iter().flatten().map(|t| t.id).max();
        // A chunk of nothing but damaged rows must not be read for ever.
        after = last.unwrap_or(TraceId(after.0 + u64::from(TRACES_AT_ONCE)));
        let (store, rows) = (store.clone(), traces);
        let frames = rows.iter().flatten().flat_map(|t| &t.frames);
        let is_read = |pack: &u64| found.packs.contains(pack) && !found.broken.contains_key(pack);
        let packs: BTreeSet<u64> = frames.map(|f| f.pack).filter(is_read).collect();
        let reader = store.clone();
        let tables = tokio::task::spawn_blocking(move || tables(&reader, packs))
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
        for trace in &rows {
            match trace {
                Ok(trace) => check_trace(&store, trace, found, &tables, report),
                Err(e) => note_row(e, report),
            }
        }
    }
}

/// The frames of a pack by their offsets, or what is wrong with the pack.
type Table = Result<HashMap<u64, [u8; 32]>, String>;

fn tables(store: &Store, packs: BTreeSet<u64>) -> Result<BTreeMap<u64, Table>, StoreError> {
    let mut tables = BTreeMap::new();
    for pack in packs {
        let table = match store.name(pack).and_then(|name| Ok(store.packs.footer(name)?)) {
            Ok(footer) => Ok(footer.entries.iter().map(|e| (e.offset, e.hash)).collect()),
            Err(e) if e.is_damage() => Err(words(&e)),
            Err(e) => return Err(e),
        };
        tables.insert(pack, table);
    }
    Ok(tables)
}

fn check_trace(
    store: &Store,
    trace: &TraceRow,
    found: &Found,
    tables: &BTreeMap<u64, Table>,
    report: &mut Report,
) {
    let raw: u64 = trace.frames.iter().map(|f| f.raw_bytes).sum();
    let mut wrong = None;
    if raw != trace.raw_bytes {
        wrong = Some((None, "its frames do not add up to its length".to_owned()));
    }
    let mut is_covered = trace.frames.is_empty();
    let mut readable = 0;
    for frame in &trace.frames {
        let name = store.pack_of(frame).ok();
        let what = match (name, found.packs.contains(&frame.pack)) {
            (Some(_), true) => frame_damage(frame, found, tables),
            // A pack that no row of the catalogue names is not among those that were read.
            (None, _) => Some(format!("the catalogue lists no pack {}", frame.pack)),
            (Some(_), false) => {
                readable += frame.lines;
                continue;
            }
        };
        is_covered = true;
        readable += if what.is_none() { frame.lines } else { 0 };
        wrong = wrong.or_else(|| what.map(|what| (name, what)));
    }
    match wrong {
        None => report.checked += u64::from(is_covered),
        Some((pack, what)) => {
            let what = match readable {
                0 => what,
                lines => format!("{what}; {lines} of {} lines can still be read", trace.lines),
            };
            report.damaged.push(Damage { job: Some(trace.job), pack, what });
        }
    }
}

/// Names the jobs whose documents stand where nothing can be read.
async fn name_documents(
    store: &Store,
    found: &Found,
    report: &mut Report,
) -> Result<(), StoreError> {
    let broken = found.broken.keys().map(|pack| (*pack, None));
    let ledgers = found.ledgers.iter().map(|(pack, offset)| (*pack, Some(*offset)));
    for (pack, offset) in broken.chain(ledgers) {
        let name = store.name(pack).ok();
        for job in store.catalogue().jobs_documented_in(pack, offset).await? {
            let what = "its document cannot be read".to_owned();
            report.damaged.push(Damage { job: Some(job), pack: name, what });
        }
    }
    Ok(())
}

fn frame_damage(frame: &Frame, found: &Found, tables: &BTreeMap<u64, Table>) -> Option<String> {
    let whole = found.broken.get(&frame.pack);
    if let Some(what) = whole.or_else(|| found.entries.get(&(frame.pack, frame.offset))) {
        return Some(what.clone());
    }
    match tables.get(&frame.pack) {
        Some(Err(what)) => Some(what.clone()),
        Some(Ok(table)) if table.get(&frame.offset) == Some(&frame.hash) => None,
        _ => Some("its frame is not where the catalogue says".to_owned()),
    }
}

fn note_row(error: &CatalogueError, report: &mut Report) {
    let job = match error {
        CatalogueError::Row { job, .. } => Some(JobId(*job)),
        _ => None,
    };
    report.damaged.push(Damage { job, pack: None, what: error.to_string() });
}

pub(super) fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
