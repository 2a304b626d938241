//! What a catalogue knows of packs whose footers cannot be read: which entries stand where.
//!
//! The entries prove themselves by their hashes when they are read, so that nothing wrong comes of a wrong row. Reads only.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::catalogue::{BaseRow, Catalogue, CatalogueError, LivePack};
use super::packs::{Entry, Kind, PackName};
use super::segment::entry;
use super::{TraceId, TraceRow};

/// Traces read at once.
const TRACES_AT_ONCE: u32 = 1000;

/// Returns the entries of some packs that rows refer to.
pub(super) async fn entries(
    catalogue: &Catalogue,
    names: &BTreeSet<PackName>,
) -> Result<Vec<(LivePack, Vec<Entry>)>, CatalogueError> {
    let mut packs = catalogue.all_packs().await?;
    packs.retain(|pack| names.contains(&pack.name));
    let mut found: BTreeMap<u64, Vec<Entry>> =
        packs.iter().map(|pack| (pack.id, Vec::new())).collect();
    let bases = catalogue.bases().await?;
    for base in &bases {
        if let Some(entries) = found.get_mut(&base.pack) {
            entries.push(base_entry(base));
        }
    }
    let bases: HashMap<u64, [u8; 32]> = bases.iter().map(|b| (b.id, b.hash)).collect();
    let projects: HashMap<TraceId, u64> = catalogue.traces_by_series().await?.into_iter().collect();
    let mut after = TraceId(0);
    loop {
        let rows = catalogue.traces_after(after, TRACES_AT_ONCE).await?;
        let Some((last, _)) = rows.last() else { break };
        after = *last;
        for trace in rows.into_iter().filter_map(|(_, row)| row.ok()) {
            let project = projects.get(&trace.id).copied().unwrap_or_default();
            add_frames(&trace, project, &bases, &mut found);
        }
    }
    for (pack, entries) in &mut found {
        let chunks = catalogue.chunks_in(*pack).await?;
        entries.extend(chunks.iter().map(|chunk| Entry {
            offset: chunk.offset,
            stored_bytes: chunk.stored_bytes,
            ..entry(Kind::Chunk, chunk.raw_bytes, chunk.hash)
        }));
    }
    let known = |pack: LivePack| (pack, found.remove(&pack.id).unwrap_or_default());
    Ok(packs.into_iter().map(known).collect())
}

/// Returns the numbers of the bases that some trace needs.
pub(super) async fn needed_bases(catalogue: &Catalogue) -> Result<BTreeSet<u64>, CatalogueError> {
    let (mut needed, mut after) = (BTreeSet::new(), TraceId(0));
    loop {
        let rows = catalogue.traces_after(after, TRACES_AT_ONCE).await?;
        let Some((last, _)) = rows.last() else { return Ok(needed) };
        after = *last;
        let rows = rows.iter().filter_map(|(_, row)| row.as_ref().ok());
        needed.extend(rows.flat_map(|row| &row.frames).filter_map(|frame| frame.base));
    }
}

fn base_entry(base: &BaseRow) -> Entry {
    Entry {
        offset: base.offset,
        stored_bytes: base.stored_bytes,
        ..entry(Kind::Base, base.raw_bytes, base.hash)
    }
}

fn add_frames(
    trace: &TraceRow,
    project: u64,
    bases: &HashMap<u64, [u8; 32]>,
    found: &mut BTreeMap<u64, Vec<Entry>>,
) {
    let count = trace.frames.len();
    for (index, frame) in trace.frames.iter().enumerate() {
        if let Some(entries) = found.get_mut(&frame.pack) {
            entries.push(Entry {
                // A base that is not listed is none that any pack has.
                base: frame.base.map(|id| bases.get(&id).copied().unwrap_or_default()),
                place: frame.place(trace.id, trace.job, project, index + 1 == count),
                ..frame.entry()
            });
        }
    }
}
