//! Pruning: deleting packs that nothing refers to, left by a crash or superseded by compaction.
//!
//! Never runs by itself. What the catalogue lists and has not superseded is never touched, nor is anything that is
//! not a pack by its name.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::packs::PackInfo;
use super::{Store, StoreError, compact};

/// How pruning is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneOptions {
    /// How long superseded packs stay.
    pub grace: SignedDuration,
    /// Tell what would be deleted, and change nothing.
    pub dry_run: bool,
}

impl Default for PruneOptions {
    /// An hour of grace, as compaction gives.
    fn default() -> Self {
        Self { grace: compact::CompactOptions::default().grace, dry_run: false }
    }
}

/// What was deleted, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Packs that the catalogue does not list.
    pub unlisted: Vec<PackInfo>,
    /// Packs that compaction superseded, past their grace.
    pub superseded: Vec<PackInfo>,
}

impl Pruned {
    /// Returns the bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.unlisted.iter().chain(&self.superseded).map(|p| p.bytes).sum()
    }
}

/// Deletes the packs that nothing refers to.
///
/// # Panics
///
/// Where the store was opened for reading, but for a dry run.
pub async fn prune(
    store: &Store,
    options: PruneOptions,
    now: Timestamp,
) -> Result<Pruned, StoreError> {
    assert!(options.dry_run || store.lock.is_some(), "pruning needs a store opened for writing");
    let until = now.checked_sub(options.grace).unwrap_or(Timestamp::MIN);
    let superseded = store.catalogue.superseded(until).await?;
    let listed: BTreeSet<_> =
        store.catalogue.packs().await?.into_iter().map(|(_, name, _)| name).collect();
    let mut unlisted = store.packs.list()?;
    unlisted.retain(|pack| !listed.contains(&pack.name));
    unlisted.sort_unstable_by_key(|pack| pack.name);
    let superseded = superseded.into_iter().map(|(_, name, bytes)| PackInfo { name, bytes });
    let pruned = Pruned { unlisted, superseded: superseded.collect() };
    if !options.dry_run {
        for pack in &pruned.unlisted {
            store.packs.remove(pack.name)?;
        }
        compact::delete_superseded(store, until).await?;
    }
    Ok(pruned)
}
