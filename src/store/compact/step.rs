//! Compaction in small steps, beside a sync that goes on for months.

use jiff::Timestamp;

use super::{CompactOptions, Compacted, compact};
use crate::store::{Store, StoreError};

/// Captured packs wait until there are so many of them...
const MIN_PACKS: usize = 64;
/// ... or so many bytes.
const MIN_BYTES: u64 = 32 * 1024 * 1024;

/// Does a bounded piece of what [`compact`] does, where enough waits for it: traces of about `max_raw_bytes` bytes.
///
/// Takes about a second for each 25 MB. What it superseded is deleted by a later step, an hour after.
///
/// # Panics
///
/// Where the store was opened for reading.
pub async fn compact_step(
    store: &Store,
    max_raw_bytes: u64,
    now: Timestamp,
) -> Result<Compacted, StoreError> {
    let live = store.catalogue.log_packs().await?;
    let captured: Vec<_> = live.iter().filter(|p| !p.compacted).collect();
    let enough = captured.len() >= MIN_PACKS
        || captured.iter().map(|p| p.bytes).sum::<u64>() >= MIN_BYTES
        // A step before this one left some behind.
        || captured.iter().any(|p| p.ledgers_moved);
    let options = CompactOptions { max_raw_bytes: Some(max_raw_bytes), ..Default::default() };
    let until = now.checked_sub(options.grace).unwrap_or(Timestamp::MIN);
    if !enough && store.catalogue.superseded(until).await?.is_empty() {
        return Ok(Compacted::default());
    }
    compact(store, options, now, |_| {}).await
}
