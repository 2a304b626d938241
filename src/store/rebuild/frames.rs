//! Rows of packs, bases and traces out of footers.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::{Numbered, Rebuilt, artifacts};
use crate::model::JobId;
use crate::store::catalogue::{BaseRow, PackRow, Writes};
use crate::store::check::{Damage, words};
use crate::store::packs::shapes::{Shapes, Sketch};
use crate::store::packs::{self, Footer, Kind};
use crate::store::{Frame, Store, StoreError, TraceId, TraceRow};

/// Puts rows of packs, bases and traces.
pub(super) async fn find_traces(
    store: &Store,
    numbered: &[Numbered],
    rebuilt: &mut Rebuilt,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut bases: HashMap<[u8; 32], u64> = HashMap::new();
    let mut spare = highest_trace(store, numbered)? + 1;
    // A base may stand in a later pack than what needs it: rewriting moves it on.
    for pack in numbered {
        let footer = pack.footer(&store.packs)?;
        let rows = base_rows(store, pack, &footer, &mut bases, rebuilt)?;
        let salvaged = pack.salvaged.as_deref();
        let row = PackRow {
            id: pack.id,
            name: pack.info.name.0,
            bytes: salvaged.map_or(pack.info.bytes, |old| old.bytes),
            entries: salvaged.map_or(footer.entries.len() as u64, |old| old.entries),
            at: now,
            compacted: pack.compacted,
        };
        store.places.learn(std::iter::once((pack.id, pack.info.name)), &rows);
        let mut writes = Writes { pack: Some(row), bases: rows, ..Writes::default() };
        writes.artifacts.chunks = artifacts::chunks(pack.id, &footer);
        store.catalogue.write(&writes).await?;
    }
    for pack in numbered {
        let footer = pack.footer(&store.packs)?;
        let traces = traces(pack, &footer, &bases);
        rebuilt.traces += traces.len() as u64;
        store.catalogue.put_found(traces, &mut spare).await?;
    }
    Ok(())
}

fn highest_trace(store: &Store, numbered: &[Numbered]) -> Result<u64, StoreError> {
    let mut highest = 0;
    for pack in numbered {
        let footer = pack.footer(&store.packs)?;
        highest = footer.entries.iter().map(|e| e.place.trace).fold(highest, u64::max);
    }
    Ok(highest)
}

fn base_rows(
    store: &Store,
    pack: &Numbered,
    footer: &Footer,
    known: &mut HashMap<[u8; 32], u64>,
    rebuilt: &mut Rebuilt,
) -> Result<Vec<BaseRow>, StoreError> {
    let mut rows = Vec::new();
    for entry in footer.entries.iter().filter(|e| e.kind == Kind::Base) {
        let sketch = match store.packs.read(pack.info.name, entry, None) {
            Ok(content) => Sketch::new(Shapes::of(&content).iter().collect()),
            Err(e) if e.is_of_one_pack() => {
                let what = format!("a base: {}", words(&e));
                rebuilt.damaged.push(Damage { job: None, pack: Some(pack.info.name), what });
                Sketch::new(Vec::new())
            }
            Err(e) => return Err(e.into()),
        };
        let id = known.len() as u64 + 1;
        // The first with a content stands for it: a later pack may be on its way out as well.
        let id = *known.entry(entry.hash).or_insert(id);
        if rows.iter().any(|row: &BaseRow| row.id == id) || store.places.base(id).is_some() {
            continue;
        }
        rows.push(BaseRow {
            id,
            hash: entry.hash,
            pack: pack.id,
            offset: entry.offset,
            stored_bytes: entry.stored_bytes,
            raw_bytes: entry.raw_bytes,
            project: project_of(footer, &entry.hash),
            sketch: sketch.encode(),
        });
    }
    Ok(rows)
}

/// Returns the project of the logs that a base was made of, whose frames stand beside it; 0 where none does.
fn project_of(footer: &Footer, base: &[u8; 32]) -> u64 {
    let frame = footer.entries.iter().find(|e| e.base.as_ref() == Some(base));
    frame.map_or(0, |frame| frame.place.project)
}

/// Puts the frames of a pack together to traces. One that is not whole is left out.
fn traces(pack: &Numbered, footer: &Footer, bases: &HashMap<[u8; 32], u64>) -> Vec<TraceRow> {
    let mut open: BTreeMap<(u64, u64), Vec<Frame>> = BTreeMap::new();
    let mut whole = Vec::new();
    for entry in footer.entries.iter().filter(|e| e.kind == Kind::Frame) {
        let place = &entry.place;
        let key = (place.trace, place.job);
        let frames = open.entry(key).or_default();
        if place.raw_offset == 0 {
            // What stands before is left of a try that failed; its number was given again.
            frames.clear();
        }
        let at: u64 = frames.iter().map(|f| f.raw_bytes).sum();
        if at != place.raw_offset {
            open.remove(&key);
            continue;
        }
        frames.push(Frame {
            pack: pack.id,
            offset: entry.offset,
            stored_bytes: entry.stored_bytes,
            raw_bytes: entry.raw_bytes,
            raw_offset: place.raw_offset,
            first_line: place.first_line,
            lines: place.lines,
            continues: place.continues,
            hash: entry.hash,
            base: entry.base.map(|hash| bases.get(&hash).copied().unwrap_or(packs::NO_BASE)),
            open: Vec::new(),
        });
        if place.last
            && let Some(frames) = open.remove(&key)
        {
            whole.push(TraceRow {
                id: TraceId(key.0),
                job: JobId(key.1),
                raw_bytes: at + entry.raw_bytes,
                lines: frames.iter().map(|f| f.lines).sum(),
                // Of several frames its note tells it.
                hash: frames[0].hash,
                frames,
            });
        }
    }
    whole
}
