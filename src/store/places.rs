//! Where packs and bases are, in memory, for reading without the catalogue. Clones share it.
//!
//! Grows with the archive, by about a hundred bytes for each pack and base. Nothing is forgotten: a pack that was
//! deleted is missing when it is read.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, RwLock};

use super::catalogue::{BaseRow, Frame};
use super::packs::{Entry, Kind, PackName};
use super::segment::entry;

/// Names of packs, and places of bases, by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    names: HashMap<u64, PackName>,
    bases: HashMap<u64, (u64, Entry)>,
}

impl Places {
    /// Takes in packs and bases.
    pub(super) fn learn(&self, names: impl Iterator<Item = (u64, PackName)>, bases: &[BaseRow]) {
        let mut inner = self.inner.write().unwrap_or_else(|e| e.into_inner());
        inner.names.extend(names);
        inner.bases.extend(bases.iter().map(|row| {
            let base = Entry {
                offset: row.offset,
                stored_bytes: row.stored_bytes,
                ..entry(Kind::Base, row.raw_bytes, row.hash)
            };
            (row.id, (row.pack, base))
        }));
    }

    /// Returns the packs and the bases of some frames that were not taken in, each once.
    pub(super) fn unknown<'f>(
        &self,
        frames: impl Iterator<Item = &'f Frame>,
    ) -> (Vec<u64>, Vec<u64>) {
        let inner = self.inner.read().unwrap_or_else(|e| e.into_inner());
        let (mut packs, mut bases) = (BTreeSet::new(), BTreeSet::new());
        for frame in frames {
            if !inner.names.contains_key(&frame.pack) {
                packs.insert(frame.pack);
            }
            bases.extend(frame.base.filter(|id| !inner.bases.contains_key(id)));
        }
        (packs.into_iter().collect(), bases.into_iter().collect())
    }

    /// Returns the name of a pack.
    pub(super) fn name(&self, pack: u64) -> Option<PackName> {
        let inner = self.inner.read().unwrap_or_else(|e| e.into_inner());
        inner.names.get(&pack).copied()
    }

    /// Returns the number of the newest base with this content.
    pub(super) fn base_of_hash(&self, hash: &[u8; 32]) -> Option<u64> {
        let inner = self.inner.read().unwrap_or_else(|e| e.into_inner());
        inner.bases.iter().filter(|(_, (_, base))| base.hash == *hash).map(|(id, _)| *id).max()
    }

    /// Returns the number of a base's pack, and its entry there.
    pub(super) fn base(&self, id: u64) -> Option<(u64, Entry)> {
        let inner = self.inner.read().unwrap_or_else(|e| e.into_inner());
        inner.bases.get(&id).cloned()
    }
}
