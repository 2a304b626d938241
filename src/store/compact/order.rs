//! Which packs may be written anew without their records changing places with those of others.
//!
//! A rebuild replays packs in the order of the numbers in their footers, and the later record of a job stands. What is
//! written anew gets a higher number than all. So records keep their order if and only if none stays behind that is
//! later than one that moves: the packs that move are the newest ones, without a gap. A pack that cannot be read now may
//! be read later, when its name in the catalogue was healed or its file brought back: it and all before it stay.

use std::collections::BTreeSet;

use super::ledgers::for_each_record;
use crate::store::catalogue::LivePack;
use crate::store::mend::note;
use crate::store::{PackName, Store, StoreError};

/// The sources that may be written anew, in the order of their records.
#[derive(Debug, Default)]
pub(super) struct Movable {
    pub(super) sources: Vec<LivePack>,
    /// Packs of which a footer or a ledger cannot be read.
    pub(super) unreadable: u64,
}

impl Movable {
    /// Leaves out the sources whose records would pass others, and all where the catalogue does not tell.
    pub(super) async fn find(store: &Store, sources: Vec<LivePack>) -> Result<Self, StoreError> {
        if sources.is_empty() {
            return Ok(Self::default());
        }
        let Some(referenced) = store.catalogue.referenced_packs().await? else {
            tracing::warn!("Not compacted: the catalogue is damaged\nhint: jobvault rebuild");
            return Ok(Self::default());
        };
        let live = store.catalogue.live_packs().await?;
        let listed: BTreeSet<u64> = live.iter().map(|p| p.id).collect();
        let wanted: BTreeSet<u64> = sources.iter().map(|p| p.id).collect();
        let mut found = Self::default();
        // All up to this number stays. A pack that is referred to is on its way out by a damaged row only.
        let mut stays = referenced.difference(&listed).max().copied().unwrap_or_default();
        let mut tail = Vec::new();
        for pack in live.into_iter().filter(|p| !p.ledgers_moved) {
            match store.packs.footer(pack.name) {
                Ok(footer) => {
                    // A rebuild may list a pack under a higher number than its own, never under a lower one.
                    let is_true = footer.number <= pack.id;
                    if wanted.contains(&pack.id) && is_true {
                        tail.push((footer.number, pack));
                    } else if note::has_order(&store.packs, pack.name, &footer.entries) {
                        stays = stays.max(footer.number);
                    }
                }
                Err(e) if e.is_damage() => {
                    found.unreadable += 1;
                    warn(pack.name, &e.into());
                    stays = stays.max(pack.id);
                }
                Err(e) => return Err(e.into()),
            }
        }
        tail.sort_unstable_by_key(|(number, pack)| (*number, pack.name));
        let mut moving = Vec::new();
        for (number, pack) in tail.into_iter().rev().take_while(|(number, _)| *number > stays) {
            match for_each_record(store, pack.name, |_, _| Ok(())) {
                Ok(()) => moving.push(pack),
                Err(e) if e.is_damage() => {
                    found.unreadable += 1;
                    warn(pack.name, &e);
                    tracing::debug!(pack.number = number, "Records up to this pack stay");
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        moving.extend(sources.into_iter().filter(|p| p.ledgers_moved).rev());
        moving.reverse();
        found.sources = moving;
        Ok(found)
    }
}

fn warn(pack: PackName, e: &StoreError) {
    tracing::warn!("Not compacted, pack {pack} and those before it: {e}");
}
