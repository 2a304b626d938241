//! The order of packs: by their numbers, and of one number a mended pack behind the one in whose place it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Numbered;
use super::old::Salvaged;
use crate::store::mend::note;
use crate::store::packs::{Footer, PackInfo, PackName, Packs};

/// A pack that was found, with its footer as it stands or as the old catalogue knows it.
pub(super) struct Found {
    pub(super) info: PackInfo,
    pub(super) footer: Footer,
    pub(super) salvaged: Option<Salvaged>,
}

/// Puts packs into their order. Of those of one number, as a crash or mending may leave, the last keeps it and each other
/// gets one behind all.
pub(super) fn order(packs: &Packs, found: Vec<Found>) -> Vec<Numbered> {
    let mut of_number: BTreeMap<u64, Vec<Found>> = BTreeMap::new();
    for pack in found {
        of_number.entry(pack.footer.number).or_default().push(pack);
    }
    let mut next = of_number.last_key_value().map_or(0, |(number, _)| *number) + 1;
    let mut numbered = Vec::new();
    for (number, alike) in of_number {
        let is_only = alike.len() == 1;
        let of = |pack: &Found| match is_only {
            // Few share a number: the records of the others need not be read for it.
            true => BTreeSet::new(),
            false => note::replaced(packs, (pack.info.name, number), &pack.footer.entries),
        };
        let mut alike: Vec<_> = alike.into_iter().map(|pack| (of(&pack), pack)).collect();
        // One that was mended again stands in the place of all before it.
        alike.sort_by_key(|(replaced, pack)| (replaced.len(), pack.info.name));
        let gone: BTreeSet<PackName> =
            alike.iter().flat_map(|(replaced, _)| replaced).copied().collect();
        let last = alike.len() - 1;
        for (at, (_, pack)) in alike.into_iter().enumerate() {
            let id = if at == last { number } else { next };
            next += u64::from(at != last);
            numbered.push(Numbered {
                info: pack.info,
                id,
                compacted: pack.footer.compacted,
                salvaged: pack.salvaged.map(Arc::new),
                is_replaced: gone.contains(&pack.info.name),
            });
        }
    }
    numbered
}
