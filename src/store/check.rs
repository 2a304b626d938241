//! Checking the archive: every pack, every entry, every row, named by job where something is wrong.
//!
//! Reads only. One damaged pack never stops the walk.

use std::collections::{BTreeMap, HashMap};

use super::catalogue::CatalogueError;
use super::packs::{Entry, Kind, PackError, PackName};
use super::{Store, StoreError, TraceId, TraceRow};
use crate::model::JobId;

/// Traces read from the catalogue at once.
const TRACES_AT_ONCE: u32 = 500;

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
    /// Traces whose every byte was read and compared with its hash.
    pub checked: u64,
    /// Bytes of packs read.
    pub bytes: u64,
    /// What is wrong, in the order in which it was found.
    pub damaged: Vec<Damage>,
}

/// A pack's entries by offset, each with what is wrong with it.
type Entries = HashMap<u64, (Entry, Option<String>)>;

/// Checks everything: the hash of every pack, of every entry, and that every row's frames are there.
///
/// `progress` is called with the bytes read so far. Fails only where the catalogue or the file system does.
pub async fn verify(store: &Store, mut progress: impl FnMut(u64)) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut packs: BTreeMap<u64, Result<Entries, (PackName, String)>> = BTreeMap::new();
    for (id, name, _) in store.catalogue().packs().await? {
        let reader = store.packs().clone();
        let checked = tokio::task::spawn_blocking(move || check_pack(&reader, name))
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
        let entries = match checked {
            Ok((bytes, entries)) => {
                report.bytes += bytes;
                note_ledgers(&mut report, name, &entries);
                Ok(entries)
            }
            Err(what) => {
                report.damaged.push(Damage { job: None, pack: Some(name), what: what.clone() });
                Err((name, what))
            }
        };
        packs.insert(id, entries);
        progress(report.bytes);
    }
    let mut after = TraceId(0);
    loop {
        let traces = store.catalogue().traces_after(after, TRACES_AT_ONCE).await?;
        if traces.is_empty() {
            return Ok(report);
        }
        let mut last = after;
        for trace in &traces {
            match trace {
                Ok(trace) => {
                    last = trace.id;
                    check_trace(store, trace, &packs, &mut report);
                }
                Err(e) => note_row(e, &mut report),
            }
        }
        // A chunk of nothing but damaged rows must not be read for ever.
        after = if last == after { TraceId(after.0 + u64::from(TRACES_AT_ONCE)) } else { last };
    }
}

/// Reads a whole pack. `Err` in the inner result says what is wrong with all of it.
fn check_pack(
    packs: &super::Packs,
    name: PackName,
) -> Result<Result<(u64, Entries), String>, StoreError> {
    let table = match packs.entries(name) {
        Ok(table) => table,
        Err(e) if e.is_damage() => return Ok(Err(words(&e))),
        Err(e) => return Err(e.into()),
    };
    let mut entries = Entries::with_capacity(table.len());
    for entry in table {
        let wrong = match packs.read(name, &entry, None) {
            Ok(_) => None,
            Err(e) if e.is_damage() => Some(words(&e)),
            Err(e) => return Err(e.into()),
        };
        entries.insert(entry.offset, (entry, wrong));
    }
    match packs.check_name(name) {
        Ok(bytes) => Ok(Ok((bytes, entries))),
        // The entries say which of them is damaged; where none is, the bytes between them are.
        Err(e) if e.is_damage() && entries.values().any(|(_, wrong)| wrong.is_some()) => {
            Ok(Ok((0, entries)))
        }
        Err(e) if e.is_damage() => Ok(Err("the pack does not match its name".to_owned())),
        Err(e) => Err(e.into()),
    }
}

fn note_ledgers(report: &mut Report, name: PackName, entries: &Entries) {
    for (entry, wrong) in entries.values() {
        if let (true, Some(what)) = (entry.kind != Kind::Frame, wrong) {
            let what = format!("job documents: {what}");
            report.damaged.push(Damage { job: None, pack: Some(name), what });
        }
    }
}

fn check_trace(
    store: &Store,
    trace: &TraceRow,
    packs: &BTreeMap<u64, Result<Entries, (PackName, String)>>,
    report: &mut Report,
) {
    let mut wrong: Option<(Option<PackName>, String)> = None;
    let raw: u64 = trace.frames.iter().map(|f| f.raw_bytes).sum();
    if raw != trace.raw_bytes {
        wrong = Some((None, "its frames do not add up to its length".to_owned()));
    }
    for frame in &trace.frames {
        let found = match packs.get(&frame.pack) {
            None => Some((None, "its pack is not in the catalogue".to_owned())),
            Some(Err((name, what))) => Some((Some(*name), what.clone())),
            Some(Ok(entries)) => {
                let name = store.pack_of(frame).ok();
                match entries.get(&frame.offset) {
                    Some((entry, None)) if entry.hash == frame.hash => None,
                    Some((_, Some(what))) => Some((name, what.clone())),
                    _ => Some((name, "its frame is not where the catalogue says".to_owned())),
                }
            }
        };
        if wrong.is_none() {
            wrong = found;
        }
    }
    match wrong {
        None => report.checked += 1,
        Some((pack, what)) => report.damaged.push(Damage { job: Some(trace.job), pack, what }),
    }
}

fn note_row(error: &CatalogueError, report: &mut Report) {
    let job = match error {
        CatalogueError::Row { job, .. } => Some(JobId(*job)),
        _ => None,
    };
    report.damaged.push(Damage { job, pack: None, what: error.to_string() });
}

fn words(error: &PackError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
