//! Pruning: deleting what nothing refers to, left by a crash or superseded by compaction.
//!
//! Never runs by itself. A pack that is needed in part is rewritten without the rest; whole packs are deleted a time of
//! grace after nothing refers to them. A pack that the catalogue does not list is deleted only where all that it holds is
//! known to be elsewhere. What is not a pack by its name is never touched.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::catalogue::LivePack;
use super::check::Damage;
use super::packs::{Entry, PackInfo};
use super::unlisted::{Standing, Unlisted, standing};
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
    /// Packs that the catalogue does not list, and all of which it knows.
    pub unlisted: Vec<PackInfo>,
    /// Packs that it does not list and that stay, each with the reason: what they hold may stand nowhere else.
    pub kept: Vec<Damage>,
    /// Packs that cannot be read and that nothing refers to.
    pub unreadable: Vec<PackInfo>,
    /// Packs that nothing refers to any more, past their grace.
    pub superseded: Vec<PackInfo>,
    /// Packs needed in part: rewritten without the rest. They are deleted after their grace.
    pub rewritten: Vec<PackInfo>,
    /// Bytes in these that nothing needs.
    pub spare_bytes: u64,
    /// Packs that were to be rewritten and cannot be read.
    pub failed: Vec<Damage>,
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
    let (unlisted, kept) = unlisted(store).await?;
    let mut pruned = Pruned {
        unlisted,
        kept,
        unreadable: unreadable(store).await?,
        rewritten: rewritten.collect(),
        spare_bytes: parts.iter().map(|p| p.spare_bytes).sum(),
        ..Pruned::default()
    };
    if !options.dry_run {
        let spare: BTreeMap<_, _> = parts.iter().map(|p| (p.pack.name, p.spare_bytes)).collect();
        pruned.failed = rewrite::rewrite(store, parts, &needed, now).await?;
        let failed: BTreeSet<_> = pruned.failed.iter().filter_map(|failed| failed.pack).collect();
        pruned.rewritten.retain(|pack| !failed.contains(&pack.name));
        pruned.spare_bytes = pruned.rewritten.iter().map(|pack| spare[&pack.name]).sum();
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

/// Returns the packs that the catalogue does not list: those that are deleted, and those that stay, with the reason.
///
/// None is deleted where a pack is missing that something refers to: a crash leaves no such reference, a damaged row may,
/// and then any of them may be that pack.
async fn unlisted(store: &Store) -> Result<(Vec<PackInfo>, Vec<Damage>), StoreError> {
    let there = store.packs.list()?;
    let names: BTreeSet<_> = there.iter().map(|pack| pack.name).collect();
    let listed = store.catalogue.packs().await?;
    let found = |(id, name, _): &(u64, _, _)| names.contains(name).then_some(*id);
    let found: BTreeSet<u64> = listed.iter().filter_map(found).collect();
    let (mut unneeded, mut kept) = (Vec::new(), Vec::new());
    let stays = |info: PackInfo, what| Damage { job: None, pack: Some(info.name), what };
    for Unlisted { info, standing } in standing(store, there).await? {
        match standing {
            Standing::Unneeded => unneeded.push(info),
            Standing::Unreadable(what) | Standing::Unknown(what) | Standing::Later(what) => {
                kept.push(stays(info, what));
            }
        }
    }
    if !unneeded.is_empty() {
        let referenced = store.catalogue.referenced_packs().await?;
        if !referenced.is_some_and(|packs| packs.is_subset(&found)) {
            let what = "a pack is missing that the catalogue needs, and this may be it".to_owned();
            kept.extend(unneeded.drain(..).map(|info| stays(info, what.clone())));
        }
    }
    Ok((unneeded, kept))
}

/// Returns the packs that cannot be read and that nothing refers to: what they held is lost or was stored again. One with
/// records that still read stays until it is mended.
async fn unreadable(store: &Store) -> Result<Vec<PackInfo>, StoreError> {
    let Some(referenced) = store.catalogue.referenced_packs().await? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for pack in store.catalogue.log_packs().await? {
        if !referenced.contains(&pack.id)
            && matches!(store.packs.footer(pack.name), Err(e) if e.is_damage())
            && !has_records(store, &pack)
        {
            found.push(PackInfo { name: pack.name, bytes: pack.bytes });
        }
    }
    Ok(found)
}

fn has_records(store: &Store, pack: &LivePack) -> bool {
    // A file that cannot be read at all tells nothing.
    let found = |ledgers: Vec<Entry>| !ledgers.is_empty();
    !pack.ledgers_moved && store.packs.ledgers_beside(pack.name, &[]).is_ok_and(found)
}
