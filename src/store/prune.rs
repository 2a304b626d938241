//! Pruning: deleting what nothing refers to, left by a crash or superseded by compaction.
//!
//! Never runs by itself. A pack that is needed in part is rewritten without the rest; whole packs are deleted a time of
//! grace after nothing refers to them. What is not a pack by its name is never touched.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::packs::PackInfo;
use super::{Store, StoreError, compact, rewrite};

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
    /// Packs that cannot be read and that nothing refers to.
    pub unreadable: Vec<PackInfo>,
    /// Packs that nothing refers to any more, past their grace.
    pub superseded: Vec<PackInfo>,
    /// Packs needed in part: rewritten without the rest. They are deleted after their grace.
    pub rewritten: Vec<PackInfo>,
    /// Bytes in these that nothing needs.
    pub spare_bytes: u64,
}

impl Pruned {
    /// Returns the packs that are deleted.
    pub fn deleted(&self) -> impl Iterator<Item = &PackInfo> {
        self.unlisted.iter().chain(&self.unreadable).chain(&self.superseded)
    }

    /// Returns the bytes of all that is deleted.
    pub fn bytes(&self) -> u64 {
        self.deleted().map(|p| p.bytes).sum()
    }
}

/// Deletes the packs that nothing refers to, and rewrites those of which little is needed.
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
    let (parts, needed) = rewrite::parts(store).await?;
    let rewritten = parts.iter().map(|p| PackInfo { name: p.pack.name, bytes: p.pack.bytes });
    let mut pruned = Pruned {
        unlisted: unlisted(store).await?,
        unreadable: unreadable(store).await?,
        rewritten: rewritten.collect(),
        spare_bytes: parts.iter().map(|p| p.spare_bytes).sum(),
        ..Pruned::default()
    };
    if !options.dry_run {
        rewrite::rewrite(store, parts, &needed, now).await?;
        let live = store.catalogue.log_packs().await?;
        compact::supersede(store, &live, now).await?;
        for pack in &pruned.unlisted {
            store.packs.remove(pack.name)?;
        }
        for pack in &pruned.unreadable {
            // The row first: a file without a row is found again, a row without a file is damage.
            store.catalogue.forget_named(pack.name).await?;
            store.packs.remove(pack.name)?;
        }
    }
    let superseded = compact::superseded(store, until).await?;
    let superseded = superseded.into_iter().map(|(_, name, bytes)| PackInfo { name, bytes });
    pruned.superseded = superseded.collect();
    if !options.dry_run {
        compact::delete_superseded(store, until).await?;
    }
    Ok(pruned)
}

/// Returns the packs that the catalogue does not list.
///
/// None where a pack is missing that something refers to: a crash leaves no such reference, a damaged row may, and then
/// any of them may be that pack.
async fn unlisted(store: &Store) -> Result<Vec<PackInfo>, StoreError> {
    let listed = store.catalogue.packs().await?;
    let mut unlisted = store.packs.list()?;
    let there: BTreeSet<_> = unlisted.iter().map(|pack| pack.name).collect();
    let found = |(id, name, _): &(u64, _, _)| there.contains(name).then_some(*id);
    let found: BTreeSet<u64> = listed.iter().filter_map(found).collect();
    let listed: BTreeSet<_> = listed.into_iter().map(|(_, name, _)| name).collect();
    unlisted.retain(|pack| !listed.contains(&pack.name));
    if !unlisted.is_empty() {
        let referenced = store.catalogue.referenced_packs().await?;
        if !referenced.is_some_and(|packs| packs.is_subset(&found)) {
            return Ok(Vec::new());
        }
    }
    unlisted.sort_unstable_by_key(|pack| pack.name);
    Ok(unlisted)
}

/// Returns the packs that cannot be read and that nothing refers to: what they held is lost or was stored again.
async fn unreadable(store: &Store) -> Result<Vec<PackInfo>, StoreError> {
    let Some(referenced) = store.catalogue.referenced_packs().await? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for pack in store.catalogue.log_packs().await? {
        if !referenced.contains(&pack.id)
            && matches!(store.packs.footer(pack.name), Err(e) if e.is_damage())
        {
            found.push(PackInfo { name: pack.name, bytes: pack.bytes });
        }
    }
    Ok(found)
}
