//! Checks that every job has its document, where the packs that were read say it is.

use std::collections::{BTreeMap, BTreeSet};

use super::{Damage, Found, Report};
use crate::model::JobId;
use crate::store::packs::{Footer, Kind, ledger};
use crate::store::{Store, StoreError};

/// Jobs read from the catalogue at once; the ledgers they refer to are read once for all of them.
const JOBS_AT_ONCE: u32 = 5000;

/// Checks all documents; `fast` does not look into ledgers.
pub(super) async fn check(
    store: &Store,
    found: &Found,
    fast: bool,
    report: &mut Report,
) -> Result<(), StoreError> {
    name_those_in_damage(store, found, report).await?;
    for job in store.catalogue().jobs_without_document().await? {
        let what = "the archive holds no document of it".to_owned();
        report.damaged.push(Damage { job: Some(job), pack: None, what });
    }
    let mut after = JobId(0);
    loop {
        let places = store.catalogue().documents_after(after, JOBS_AT_ONCE).await?;
        let Some((last, _)) = places.last() else { return Ok(()) };
        after = *last;
        if !fast {
            let jobs = places.iter().map(|(job, _)| *job);
            for (job, what) in store.catalogue().unreadable_jobs(jobs).await? {
                let what = format!("the catalogue's row of it is damaged: {what}");
                report.note_in_catalogue(Some(job), what);
            }
        }
        let mut wanted: Wanted = BTreeMap::new();
        for (job, (pack, offset, index)) in places {
            let is_known = found.ledgers.contains(&(pack, offset));
            // What was not read, or is told of already, is passed over.
            let is_lost = store.name(pack).is_err() || found.superseded.contains(&pack);
            if is_lost || found.is_read(pack) && !is_known {
                wanted.entry(pack).or_default().entry(offset).or_default().push((index, job));
            }
        }
        let reader = store.clone();
        let superseded = found.superseded.clone();
        let misplaced =
            tokio::task::spawn_blocking(move || misplaced(&reader, wanted, &superseded, fast))
                .await
                .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
        for job in misplaced {
            report.note_in_catalogue(Some(job), "its document is not where the catalogue says");
        }
    }
}

/// Documents by pack, offset of their ledger, and number within it.
type Wanted = BTreeMap<u64, BTreeMap<u64, Vec<(u64, JobId)>>>;

/// Returns the jobs whose document is not at its place.
fn misplaced(
    store: &Store,
    wanted: Wanted,
    superseded: &BTreeSet<u64>,
    fast: bool,
) -> Result<Vec<JobId>, StoreError> {
    let mut misplaced = Vec::new();
    for (pack, ledgers) in wanted {
        let footer = store.name(pack).and_then(|name| Ok(store.packs.footer(name)?));
        let footer = match footer {
            Ok(footer) => Some(footer).filter(|_| !superseded.contains(&pack)),
            Err(e) if e.is_of_one_pack() => None,
            Err(e) => return Err(e),
        };
        for (offset, mut jobs) in ledgers {
            if let Some(footer) = &footer {
                retain_misplaced(store, (pack, footer), offset, &mut jobs, fast)?;
            }
            misplaced.extend(jobs.into_iter().map(|(_, job)| job));
        }
    }
    Ok(misplaced)
}

fn retain_misplaced(
    store: &Store,
    (pack, footer): (u64, &Footer),
    offset: u64,
    jobs: &mut Vec<(u64, JobId)>,
    fast: bool,
) -> Result<(), StoreError> {
    let entry = footer.entries.iter().find(|e| e.offset == offset && e.kind == Kind::Ledger);
    let Some(entry) = entry else { return Ok(()) };
    if fast {
        jobs.clear();
        return Ok(());
    }
    let ledger = match store.packs.read(store.name(pack)?, entry, None) {
        Ok(ledger) => ledger,
        // It could be read when its pack was checked: that it cannot now is no fault of a row.
        Err(e) if e.is_of_one_pack() => {
            jobs.clear();
            return Ok(());
        }
        Err(e) => return Err(e.into()),
    };
    let owners: Vec<Option<u64>> = ledger::records(&ledger)
        .map(|record| record.ok().filter(|r| r.kind.is_listing()).map(|r| r.job))
        .collect();
    jobs.retain(|(index, job)| owners.get(*index as usize) != Some(&Some(job.0)));
    Ok(())
}

/// Names the jobs whose documents, or lists of artifacts, stand where nothing can be read.
async fn name_those_in_damage(
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
        for job in store.catalogue().jobs_listed_in(pack, offset).await? {
            let what = "the list of its artifacts cannot be read".to_owned();
            report.damaged.push(Damage { job: Some(job), pack: name, what });
        }
    }
    Ok(())
}
