//! Packs that the catalogue does not list: what each of them is.
//!
//! A crash between a pack and its transaction leaves a whole one, whose jobs are fetched again or whose logs stand
//! elsewhere. Any other is evidence: of a catalogue that was made without it, is older than it, or is damaged. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use super::check::words;
use super::mend::note;
use super::packs::ledger;
use super::packs::{Entry, Footer, Kind, PackError, PackInfo, PackName};
use super::{Store, StoreError};
use crate::model::JobId;

/// What a pack that the catalogue does not list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// All that it holds is known, and can be read elsewhere.
    Unneeded,
    /// It cannot be read, for the reason given.
    Unreadable(String),
    /// It holds what the catalogue does not know, as said.
    Unknown(String),
    /// So it does, and is later than all that the catalogue lists: it is of a writer at work, or the catalogue is a copy of
    /// an earlier time.
    Later(String),
}

/// A pack that the catalogue does not list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unlisted {
    pub(super) info: PackInfo,
    pub(super) standing: Standing,
}

/// Returns the packs among those that are there which the catalogue does not list, by name.
pub(super) async fn standing(
    store: &Store,
    mut there: Vec<PackInfo>,
) -> Result<Vec<Unlisted>, StoreError> {
    let listed = store.catalogue.packs().await?;
    let newest = listed.iter().map(|(id, ..)| *id).max().unwrap_or_default();
    let listed: BTreeSet<_> = listed.into_iter().map(|(_, name, _)| name).collect();
    there.retain(|pack| !listed.contains(&pack.name));
    there.sort_unstable_by_key(|pack| pack.name);
    let mut unlisted = Vec::with_capacity(there.len());
    let mut mended = None;
    for info in there {
        let standing = match store.packs.footer(info.name) {
            Ok(footer) => of_pack(store, &info, &footer, newest).await?,
            // A writer beside us deleted it since.
            Err(PackError::Missing { .. }) => continue,
            // What of it read stands in another pack, which says so.
            Err(e) if e.is_damage() => {
                if mended.is_none() {
                    mended = Some(mended_packs(store).await?);
                }
                match mended.as_ref().is_some_and(|mended| mended.contains(&info.name)) {
                    true => Standing::Unneeded,
                    false => Standing::Unreadable(format!("it cannot be read: {}", words(&e))),
                }
            }
            Err(e) => Standing::Unreadable(format!("it cannot be read: {}", words(&e))),
        };
        unlisted.push(Unlisted { info, standing });
    }
    Ok(unlisted)
}

/// Returns the packs in whose place others stand, and of which nothing that is known was left behind.
async fn mended_packs(store: &Store) -> Result<BTreeSet<PackName>, StoreError> {
    let live = store.catalogue.live_packs().await?;
    let reader = store.clone();
    let read = move || {
        let mut found = BTreeSet::new();
        for pack in live {
            // One that cannot be read tells nothing.
            let Ok(footer) = reader.packs.footer(pack.name) else { continue };
            let mends = note::mends(&reader.packs, pack.name, &footer.entries);
            found.extend(mends.into_iter().filter(|mend| mend.whole).filter_map(|mend| mend.of));
        }
        found
    };
    let found = tokio::task::spawn_blocking(read).await;
    Ok(found.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic())))
}

async fn of_pack(
    store: &Store,
    info: &PackInfo,
    footer: &Footer,
    newest: u64,
) -> Result<Standing, StoreError> {
    let is_later = footer.number > newest;
    let unknown = match unknown(store, info, footer).await? {
        Ok(unknown) => unknown,
        Err(e) => {
            let what = format!("its records cannot be read: {}", words(&e));
            return Ok(Standing::Unreadable(what));
        }
    };
    Ok(match unknown {
        Some(what) if is_later => Standing::Later(what),
        Some(what) => Standing::Unknown(what),
        // Notes may tell what happened since, and nothing is there to compare them with.
        None if is_later && !footer.compacted => {
            Standing::Later("what it tells may be known nowhere else".to_owned())
        }
        None => Standing::Unneeded,
    })
}

/// Says what of a pack the catalogue does not know, `None` where it knows all; or why its records cannot be read.
async fn unknown(
    store: &Store,
    info: &PackInfo,
    footer: &Footer,
) -> Result<Result<Option<String>, PackError>, StoreError> {
    let mut unknown = logs_unknown(store, &footer.entries).await?;
    for entry in footer.entries.iter().filter(|e| e.kind == Kind::Ledger) {
        match store.packs.read(info.name, entry, None) {
            Ok(ledger) => unknown.extend(jobs_unknown(store, &ledger).await?),
            Err(e) => return Ok(Err(e)),
        }
    }
    if let Some(first) = unknown.first() {
        let more = match unknown.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let what = format!("what it holds of job {first}{more} stands nowhere else");
        return Ok(Ok(Some(what)));
    }
    let chunks = footer.entries.iter().filter(|e| e.kind == Kind::Chunk).map(|e| e.hash);
    let chunks: Vec<_> = chunks.collect::<BTreeSet<_>>().into_iter().collect();
    let are_known = store.catalogue.chunks(&chunks).await?.len() == chunks.len();
    let what = "it holds parts of artifacts that stand nowhere else".to_owned();
    Ok(Ok((!are_known).then_some(what)))
}

/// Returns the jobs of whole logs of which a frame stands nowhere else or cannot be read there.
async fn logs_unknown(store: &Store, entries: &[Entry]) -> Result<BTreeSet<JobId>, StoreError> {
    let frames = || entries.iter().filter(|e| e.kind == Kind::Frame);
    let key = |e: &Entry| (e.place.trace, e.place.job);
    let whole: BTreeSet<_> = frames().filter(|e| e.place.last).map(key).collect();
    let mut held: BTreeMap<JobId, BTreeSet<[u8; 32]>> = BTreeMap::new();
    for entry in frames().filter(|e| whole.contains(&key(e))) {
        held.entry(JobId(entry.place.job)).or_default().insert(entry.hash);
    }
    let mut unknown = BTreeSet::new();
    for (job, mut hashes) in held {
        for row in store.catalogue.traces_of(job).await?.into_iter().flatten() {
            for frame in &row.frames {
                if hashes.contains(&frame.hash) && store.read_frame(frame).is_ok() {
                    hashes.remove(&frame.hash);
                }
            }
        }
        if !hashes.is_empty() {
            unknown.insert(job);
        }
    }
    Ok(unknown)
}

/// Returns the jobs of a ledger's records of which the catalogue has no row.
async fn jobs_unknown(store: &Store, ledger: &[u8]) -> Result<BTreeSet<JobId>, StoreError> {
    let records = ledger::records(ledger).filter_map(Result::ok);
    let mut jobs: BTreeSet<JobId> = records.map(|r| JobId(r.job)).filter(|j| j.0 != 0).collect();
    let ids: Vec<JobId> = jobs.iter().copied().collect();
    for row in store.catalogue.jobs_by_id(&ids).await? {
        jobs.remove(&row.id);
    }
    Ok(jobs)
}
