//! Repairing: traces that cannot be read any more are stored again, out of bytes that are the very same.
//!
//! Frames keep their places in their traces and traces their numbers, so that the full-text index stays true. Knows
//! not where the bytes come from; what they are not is refused. Nothing is taken from what may be damaged: the new
//! frames need no base but their own.

use std::io::{self, Read};

use jiff::Timestamp;
use serde_json::json;

use super::catalogue::Switch;
use super::filler::Filler;
use super::packs::PackError;
use super::packs::encoders::INGEST;
use super::packs::ledger::{self, Record, RecordKind};
use super::{Store, StoreError, TraceRow};
use crate::model::{JobId, ProjectId};

/// A pack is closed at this length.
const PACK_BYTES: u64 = 16 * 1024 * 1024;

/// A repair under way. Dropped, it leaves what it did not commit as it was.
pub struct Repair {
    store: Store,
    filler: Filler,
    traces: Vec<TraceRow>,
}

impl Repair {
    /// Begins.
    ///
    /// # Panics
    ///
    /// Where the store was opened for reading.
    pub async fn new(store: &Store) -> Result<Self, StoreError> {
        assert!(store.lock.is_some(), "a repair needs a store opened for writing");
        let [packs, ..] = store.catalogue.highest().await?;
        let filler = Filler::without_bases(store.clone(), INGEST, packs + 1).await?;
        Ok(Self { store: store.clone(), filler, traces: Vec::new() })
    }

    /// Returns the traces of a job of which a frame cannot be read.
    pub async fn damaged(store: &Store, job: JobId) -> Result<Vec<TraceRow>, StoreError> {
        let rows = store.catalogue.traces_of(job).await?;
        let store = store.clone();
        let find = move || {
            let mut damaged = Vec::new();
            for row in rows.into_iter().flatten() {
                let read = |frame| store.read_frame(frame).map(drop);
                match row.frames.iter().try_for_each(read) {
                    Ok(()) => {}
                    Err(e) if e.is_of_one_pack() => damaged.push(row),
                    Err(e) => return Err(e),
                }
            }
            Ok(damaged)
        };
        tokio::task::spawn_blocking(find)
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
    }

    /// Stores a trace again. Returns false, and stores nothing, where `raw` is not what it was.
    pub async fn put(
        &mut self,
        row: &TraceRow,
        project: ProjectId,
        raw: &mut impl Read,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut frames = row.frames.clone();
        let count = frames.len();
        let mut hasher = blake3::Hasher::new();
        for (index, frame) in frames.iter_mut().enumerate() {
            let mut piece = vec![0; frame.raw_bytes as usize];
            match raw.read_exact(&mut piece) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(self.refuse(row)),
                Err(e) => return Err(read_failed(e)),
            }
            if blake3::hash(&piece).as_bytes() != &frame.hash {
                return Ok(self.refuse(row));
            }
            hasher.update(&piece);
            let place = frame.place(row.id, row.job, project.0, index + 1 == count);
            self.filler.push(&piece, place, index)?;
            frame.pack = self.filler.pack_id();
        }
        let more = raw.read(&mut [0]).map_err(read_failed)?;
        let hash = *hasher.finalize().as_bytes();
        if more > 0 || row.has_hash() && hash != row.hash {
            return Ok(self.refuse(row));
        }
        self.traces.push(TraceRow { frames, hash, ..row.clone() });
        if self.filler.filled().0 >= PACK_BYTES {
            self.commit(now).await?;
        }
        Ok(true)
    }

    fn refuse(&mut self, row: &TraceRow) -> bool {
        self.filler.forget(row.id);
        false
    }

    /// Makes what was put durable, then refers to it.
    pub async fn commit(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.traces.is_empty() {
            return Ok(());
        }
        let ids: Vec<u64> = self.traces.iter().map(|trace| trace.id.0).collect();
        let note = json!({"event": "repair", "traces": ids}).to_string();
        let at_micros = u64::try_from(now.as_microsecond()).unwrap_or_default();
        let bytes = note.as_bytes();
        let mut ledger = Vec::new();
        let record = Record { kind: RecordKind::Note, job: 0, project: 0, at_micros, bytes };
        ledger::put(&mut ledger, &record);
        self.filler.add_ledger(&ledger)?;
        let Some(filled) = self.filler.finish(now).await? else { return Ok(()) };
        let mut traces = std::mem::take(&mut self.traces);
        self.filler.place(&mut traces);
        let switch = Switch {
            pack: filled.pack,
            bases: filled.bases,
            traces,
            documents: Vec::new(),
            chunks: Vec::new(),
            moved_bases: Vec::new(),
            ledgers_moved: Vec::new(),
        };
        Ok(self.store.catalogue.switch(&switch).await?)
    }
}

fn read_failed(source: io::Error) -> StoreError {
    StoreError::Pack(PackError::Io { action: "read", path: "the fetched trace".into(), source })
}
