//! Checks the rows of traces and bases against the footers of the packs that were read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Damage, Found, Log, Report, words};
use crate::model::JobId;
use crate::store::catalogue::CatalogueError;
use crate::store::packs::{Entry, FramePlace, Kind, PackName};
use crate::store::{Frame, Store, StoreError, TraceId, TraceRow};

/// Traces read from the catalogue at once; the footers they refer to are read once for all of them.
const TRACES_AT_ONCE: u32 = 5000;

/// Checks that every frame of every row is there and well, where its pack was read, and that jobs have their traces.
pub(super) async fn check(
    store: &Store,
    found: &mut Found,
    report: &mut Report,
) -> Result<(), StoreError> {
    // Before any row is read: a compaction beside us refers to a new pack first, and supersedes the old one then.
    store.load_names().await?;
    let live: BTreeSet<u64> = store.catalogue().live_packs().await?.iter().map(|p| p.id).collect();
    let listed = store.catalogue().packs().await?.into_iter().map(|(id, ..)| id);
    found.superseded = listed.filter(|id| !live.contains(id)).collect();
    check_bases(store, found, report).await?;
    let mut after = TraceId(0);
    loop {
        let rows = store.catalogue().traces_after(after, TRACES_AT_ONCE).await?;
        let Some((last, _)) = rows.last() else { break };
        after = *last;
        let frames = rows.iter().filter_map(|(_, row)| row.as_ref().ok()).flat_map(|t| &t.frames);
        let packs = frames.map(|f| f.pack).filter(|pack| found.is_read(*pack)).collect();
        let tables = tables(store, packs).await?;
        for (_, trace) in &rows {
            match trace {
                Ok(trace) => check_trace(store, trace, found, &tables, report),
                Err(e) => note_row(e, report),
            }
        }
    }
    for (job, what) in store.catalogue().misplaced_traces().await? {
        report.note_in_catalogue(Some(job), what);
    }
    Ok(())
}

/// Compares the hashes of whole logs with those of their rows.
pub(super) async fn check_logs(
    store: &Store,
    logs: &[Log],
    found: &mut Found,
) -> Result<(), StoreError> {
    let hashes: HashMap<TraceId, (JobId, [u8; 32])> =
        logs.iter().map(|(trace, job, hash)| (*trace, (*job, *hash))).collect();
    let ids: Vec<TraceId> = hashes.keys().copied().collect();
    for row in store.catalogue().traces(&ids).await?.into_iter().flatten() {
        // A number may have been given to another job's trace when a catalogue was made anew.
        if hashes[&row.id].0 == row.job && row.has_hash() && hashes[&row.id].1 != row.hash {
            found.logs.insert(row.id);
        }
    }
    Ok(())
}

/// The entries of a pack by their offsets, or what is wrong with the pack.
pub(super) type Table = Result<HashMap<u64, Entry>, String>;

/// Reads the footers of some packs.
pub(super) async fn tables(
    store: &Store,
    packs: BTreeSet<u64>,
) -> Result<BTreeMap<u64, Table>, StoreError> {
    let store = store.clone();
    let read = move || {
        let mut tables = BTreeMap::new();
        for pack in packs {
            let table = match store.name(pack).and_then(|name| Ok(store.packs.footer(name)?)) {
                Ok(footer) => Ok(footer.entries.into_iter().map(|e| (e.offset, e)).collect()),
                Err(e) if e.is_of_one_pack() => Err(words(&e)),
                Err(e) => return Err(e),
            };
            tables.insert(pack, table);
        }
        Ok(tables)
    };
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
}

async fn check_bases(
    store: &Store,
    found: &mut Found,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut bases = store.catalogue().bases().await?;
    bases.sort_by_key(|base| base.pack);
    for bases in bases.chunk_by(|a, b| a.pack == b.pack) {
        let pack = bases[0].pack;
        let is_listed = store.name(pack).is_ok();
        if is_listed && !found.is_read(pack) {
            continue;
        }
        let table = match is_listed {
            true => tables(store, BTreeSet::from([pack])).await?.remove(&pack),
            false => None,
        };
        for base in bases {
            let entry = table.as_ref().and_then(|table| table.as_ref().ok()?.get(&base.offset));
            let is_it = |entry: &Entry| {
                (entry.kind, entry.hash) == (Kind::Base, base.hash)
                    && (entry.stored_bytes, entry.raw_bytes) == (base.stored_bytes, base.raw_bytes)
            };
            if !entry.is_some_and(is_it) {
                report.note_in_catalogue(
                    None,
                    format!("base {} is not where the catalogue says", base.id),
                );
                found.bases.insert(base.id);
            }
        }
    }
    Ok(())
}

fn check_trace(
    store: &Store,
    trace: &TraceRow,
    found: &Found,
    tables: &BTreeMap<u64, Table>,
    report: &mut Report,
) {
    let raw: u64 = trace.frames.iter().map(|f| f.raw_bytes).sum();
    let lines: u64 = trace.frames.iter().map(|f| f.lines).sum();
    let mut wrong = None;
    if (raw, lines) != (trace.raw_bytes, trace.lines) {
        wrong = Some(Wrong::Row("its frames do not add up to its length".to_owned()));
    } else if found.logs.contains(&trace.id) {
        wrong = Some(Wrong::Row("its frames are not the log that was stored".to_owned()));
    }
    let mut is_covered = trace.frames.is_empty();
    let mut readable = 0;
    for (index, frame) in trace.frames.iter().enumerate() {
        let what = match (store.pack_of(frame), found.packs.contains(&frame.pack)) {
            (Ok(name), true) => {
                is_covered = true;
                let place = frame.place(trace.id, trace.job, 0, index + 1 == trace.frames.len());
                frame_damage(store, (frame, place), name, found, tables)
            }
            // A pack that no row of the catalogue names is not among those that were read.
            (Err(e), _) => Some(Wrong::Row(e.to_string())),
            (Ok(_), false) if found.superseded.contains(&frame.pack) => Some(Wrong::Row(format!(
                "the catalogue says that nobody needs pack {}",
                frame.pack
            ))),
            (Ok(_), false) => None,
        };
        readable += if what.is_none() { frame.lines } else { 0 };
        wrong = wrong.or(what);
    }
    let Some(wrong) = wrong else {
        report.checked += u64::from(is_covered);
        return;
    };
    let say = |what: String| match readable {
        0 => what,
        lines => format!("{what}; {lines} of {} lines can still be read", trace.lines),
    };
    match wrong {
        Wrong::Row(what) => report.note_in_catalogue(Some(trace.job), what),
        Wrong::Pack(pack, what) => {
            report.damaged.push(Damage { job: Some(trace.job), pack: Some(pack), what: say(what) });
        }
    }
}

/// What is wrong with a trace, and where.
enum Wrong {
    Row(String),
    Pack(PackName, String),
}

fn frame_damage(
    store: &Store,
    (frame, place): (&Frame, FramePlace),
    pack: PackName,
    found: &Found,
    tables: &BTreeMap<u64, Table>,
) -> Option<Wrong> {
    let whole = found.broken.get(&frame.pack);
    if let Some(what) = whole.or_else(|| found.entries.get(&(frame.pack, frame.offset))) {
        return Some(Wrong::Pack(pack, what.clone()));
    }
    let entry = match tables.get(&frame.pack)? {
        Err(what) => return Some(Wrong::Pack(pack, what.clone())),
        Ok(table) => table.get(&frame.offset),
    };
    match entry.is_some_and(|entry| is_frame(store, entry, frame, place)) {
        true if frame.base.is_some_and(|id| found.bases.contains(&id)) => {
            Some(Wrong::Row("its base is not where the catalogue says".to_owned()))
        }
        true => None,
        false => Some(Wrong::Row("its frame is not where the catalogue says".to_owned())),
    }
}

/// Tells whether an entry is the frame that a row says it is. The number of its trace may be another, in a catalogue that
/// was made anew.
fn is_frame(store: &Store, entry: &Entry, frame: &Frame, place: FramePlace) -> bool {
    let FramePlace { trace, project, .. } = entry.place;
    let base = frame.base.map(|id| store.places.base(id).map(|(_, base)| base.hash));
    entry.place == FramePlace { trace, project, ..place }
        && Entry { base: None, place: FramePlace::default(), ..entry.clone() } == frame.entry()
        && base == entry.base.map(Some)
}

fn note_row(error: &CatalogueError, report: &mut Report) {
    let job = match error {
        CatalogueError::Row { job, .. } => Some(JobId(*job)),
        _ => None,
    };
    report.note_in_catalogue(job, error.to_string());
}
