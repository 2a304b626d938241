//! Checks that every file kept of artifacts has all its chunks, where the packs that were read say they are.

use std::collections::BTreeSet;

use super::rows::tables;
use super::{Damage, Found, Report};
use crate::store::catalogue::BlobRow;
use crate::store::{Store, StoreError};

/// Files read from the catalogue at once.
const BLOBS_AT_ONCE: u32 = 100;

/// Checks all files; damage is named by the jobs whose files they are.
pub(super) async fn check(
    store: &Store,
    found: &Found,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut after = [0; 32];
    loop {
        let blobs = store.catalogue().blobs_after(after, BLOBS_AT_ONCE).await?;
        let Some(last) = blobs.last() else { return Ok(()) };
        after = last.hash;
        for blob in &blobs {
            if let Some((pack, what)) = damage(store, found, blob).await? {
                let pack = pack.and_then(|pack| store.name(pack).ok());
                let what = format!("artifacts: {what}");
                let jobs = store.catalogue().jobs_of_blob(blob.hash).await?;
                let damaged =
                    jobs.into_iter().map(|job| Damage { job: Some(job), pack, what: what.clone() });
                report.damaged.extend(damaged);
            }
        }
    }
}

async fn damage(
    store: &Store,
    found: &Found,
    blob: &BlobRow,
) -> Result<Option<(Option<u64>, String)>, StoreError> {
    let rows = store.catalogue().chunks(&blob.chunks).await?;
    if rows.len() != blob.chunks.iter().collect::<BTreeSet<_>>().len() {
        return Ok(Some((None, "the catalogue does not list all its chunks".to_owned())));
    }
    let mut bytes = blob.chunks.iter().filter_map(|hash| rows.get(hash)).map(|c| c.raw_bytes);
    if bytes.try_fold(0, u64::checked_add) != Some(blob.bytes) {
        return Ok(Some((None, "its chunks do not add up to its length".to_owned())));
    }
    let unlisted = rows.values().find(|chunk| store.name(chunk.pack).is_err());
    if let Some(chunk) = unlisted {
        let what = format!("the catalogue lists no pack {}", chunk.pack);
        return Ok(Some((None, what)));
    }
    let read: BTreeSet<u64> =
        rows.values().map(|c| c.pack).filter(|pack| found.packs.contains(pack)).collect();
    let whole = read.iter().find_map(|pack| Some((*pack, found.broken.get(pack)?.clone())));
    if let Some((pack, what)) = whole {
        return Ok(Some((Some(pack), what)));
    }
    let tables = tables(store, read).await?;
    for chunk in rows.values() {
        if let Some(what) = found.entries.get(&(chunk.pack, chunk.offset)) {
            return Ok(Some((Some(chunk.pack), what.clone())));
        }
        match tables.get(&chunk.pack) {
            Some(Err(what)) => return Ok(Some((Some(chunk.pack), what.clone()))),
            Some(Ok(table)) if table.get(&chunk.offset) != Some(&chunk.entry()) => {
                let what = "a chunk is not where the catalogue says".to_owned();
                return Ok(Some((Some(chunk.pack), what)));
            }
            _ => {}
        }
    }
    Ok(None)
}
