//! The only way to write: what is put into a batch becomes true at once, or not at all.
//!
//! A batch fills one pack. [`Batch::commit`] makes the pack durable, then writes one catalogue transaction that
//! refers to it. A batch that is dropped leaves nothing behind.

mod artifacts;
mod capture;
mod ledgers;
mod parts;
mod progress;

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::json;

use artifacts::Chunks;
pub use artifacts::NewArtifacts;
use parts::OpenTrace;
pub use parts::{Committed, Identity, NewFrame, NewState, Received};
use progress::Unnoted;

use super::catalogue::{Frame, JobState, Listing, ProjectRow, TraceRow, Walk, Writes, usual_url};
use super::filler::Filler;
use super::packs::FramePlace;
use super::packs::encoders::INGEST;
use super::packs::ledger::{self, Record, RecordKind};
use super::{MAX_LEDGER_BYTES, Store, StoreError, TraceId};
use crate::model::{JobId, PipelineId, ProjectId};

/// How much less a ledger takes in a pack than in memory. A guess.
const LEDGER_RATIO: u64 = 10;

/// Writes that become true together.
pub struct Batch {
    store: Store,
    filler: Filler,
    next_trace: u64,
    next_walk: u64,
    next_capture: u64,
    capture: Option<u64>,
    /// Path and address of each project as noted last.
    noted: HashMap<ProjectId, (String, String)>,
    ledger: Vec<u8>,
    /// Listings whose document stands in the ledger being filled.
    in_ledger: Vec<JobId>,
    chunks: Chunks,
    records: u64,
    open: Option<OpenTrace>,
    writes: Writes,
    unnoted: Unnoted,
    began: Timestamp,
}

impl Batch {
    pub(super) async fn new(store: Store, began: Timestamp) -> Result<Self, StoreError> {
        let [packs, traces, walks, captures] = store.catalogue.highest().await?;
        Ok(Self {
            filler: Filler::new(store.clone(), INGEST, false, packs + 1).await?,
            store,
            next_trace: traces + 1,
            next_walk: walks + 1,
            next_capture: captures + 1,
            capture: None,
            noted: HashMap::new(),
            ledger: Vec::new(),
            in_ledger: Vec::new(),
            chunks: Chunks::default(),
            records: 0,
            open: None,
            writes: Writes::default(),
            unnoted: Unnoted::default(),
            began,
        })
    }

    /// Puts a project's row, and its document where one was received.
    pub fn put_project(
        &mut self,
        row: ProjectRow,
        document: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(bytes) = document {
            self.record(RecordKind::Project, 0, row.id.0, bytes, now)?;
        }
        let name = (row.path.clone(), row.web_url.clone());
        if self.noted.get(&row.id) != Some(&name) {
            let note = json!({"event": "project", "path": row.path, "web_url": row.web_url});
            self.note(0, row.id.0, &note, now)?;
            self.noted.insert(row.id, name);
        }
        self.writes.projects.push(row);
        Ok(())
    }

    /// Puts a job's document and row. The job's state stays; a new job is pending.
    ///
    /// `project_url` is the address of the project's page, from which that of most jobs follows.
    pub fn put_job(
        &mut self,
        received: &Received<'_>,
        project_url: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.put_listing(RecordKind::Job, received, None, project_url, now)
    }

    /// Puts a bridge's document and row, and the pipeline that it started.
    pub fn put_bridge(
        &mut self,
        received: &Received<'_>,
        downstream: Option<(ProjectId, PipelineId)>,
        project_url: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.put_listing(RecordKind::Bridge, received, downstream, project_url, now)
    }

    fn put_listing(
        &mut self,
        kind: RecordKind,
        received: &Received<'_>,
        downstream: Option<(ProjectId, PipelineId)>,
        project_url: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (job, project) = (received.job, received.project);
        let bridge = kind == RecordKind::Bridge;
        let index = self.record(kind, job.id.0, project.0, received.document, now)?;
        let mut job = job.clone();
        let usual = usual_url(project_url, job.id);
        job.web_url = job.web_url.filter(|url| *url != usual);
        let id = job.id;
        let listing = Listing {
            job,
            project,
            artifacts: received.artifacts.clone(),
            digest: received.digest,
            doc: Some((0, index)),
            bridge,
            downstream,
            at: now,
        };
        self.writes.listings.insert(id, listing);
        self.in_ledger.push(id);
        self.close_full_ledger()
    }

    /// Puts what became of a job's trace.
    pub fn put_state(
        &mut self,
        job: JobId,
        project: ProjectId,
        state: NewState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let note = state.note("state", self.capture);
        self.note(job.0, project.0, &note, now)?;
        let trace = self.writes.states.get(&job).and_then(|s| s.trace);
        self.set_state(job, state, trace, now);
        Ok(())
    }

    fn set_state(&mut self, job: JobId, new: NewState, trace: Option<TraceId>, now: Timestamp) {
        let state = JobState {
            state: new.state,
            reason: new.reason,
            at: now,
            next_at: new.next_at,
            attempts: new.attempts,
            trace,
            capture: self.capture,
            gone_at: new.gone.then_some(now),
            erased_seen_at: new.erased.then_some(now),
        };
        self.writes.postponed.remove(&job);
        self.writes.states.insert(job, state);
    }

    /// Starts a job's trace; its frames follow, then [`Batch::end_trace`].
    pub fn begin_trace(&mut self, job: JobId, project: ProjectId, at: Timestamp) -> TraceId {
        self.open = Some(OpenTrace {
            id: TraceId(self.next_trace),
            job,
            project,
            at,
            hasher: blake3::Hasher::new(),
            frames: Vec::new(),
            raw_bytes: 0,
            lines: 0,
        });
        TraceId(self.next_trace)
    }

    /// Appends a frame to the trace begun last.
    pub fn add_frame(&mut self, frame: NewFrame<'_>) -> Result<(), StoreError> {
        let mut open = self.open.take().expect("add_frame follows begin_trace");
        let place = FramePlace {
            trace: open.id.0,
            job: open.job.0,
            project: open.project.0,
            raw_offset: open.raw_bytes,
            first_line: open.lines,
            lines: frame.lines,
            continues: frame.continues,
            last: false,
        };
        let hash = self.filler.push(frame.raw, place, open.frames.len())?;
        let raw_bytes = frame.raw.len() as u64;
        open.hasher.update(frame.raw);
        // Where it stands is known when the segment it waits in is written.
        open.frames.push(Frame {
            pack: self.filler.pack_id(),
            offset: 0,
            stored_bytes: 0,
            raw_bytes,
            raw_offset: open.raw_bytes,
            first_line: open.lines,
            lines: frame.lines,
            continues: frame.continues,
            hash,
            base: None,
            open: frame.open,
        });
        open.raw_bytes += raw_bytes;
        open.lines += frame.lines;
        self.open = Some(open);
        Ok(())
    }

    /// Ends the trace begun last, which stands for its job from now on, in `state`.
    ///
    /// Fails with [`StoreError::Frames`] where the frames are not the `raw_bytes` bytes of `hash`.
    pub fn end_trace(
        &mut self,
        raw_bytes: u64,
        hash: [u8; 32],
        state: NewState,
        now: Timestamp,
    ) -> Result<TraceId, StoreError> {
        let open = self.open.take().expect("end_trace follows begin_trace");
        if open.raw_bytes != raw_bytes || *open.hasher.finalize().as_bytes() != hash {
            self.filler.forget(open.id);
            return Err(StoreError::Frames(open.job));
        }
        if !open.frames.is_empty() {
            self.filler.close_trace();
        }
        let id = open.id;
        self.next_trace += 1;
        let mut note = state.note("trace", self.capture);
        note["trace"] = json!(id.0);
        note["fetched_at"] = json!(open.at.as_microsecond());
        note["raw_bytes"] = json!(raw_bytes);
        note["lines"] = json!(open.lines);
        note["frames"] = json!(open.frames.len());
        note["blake3"] = json!(blake3::Hash::from_bytes(hash).to_hex().as_str());
        if open.frames.iter().any(|f| !f.open.is_empty()) {
            note["open"] = open.frames.iter().map(|f| json!(f.open)).collect();
        }
        self.note(open.job.0, open.project.0, &note, now)?;
        self.set_state(open.job, state, Some(id), now);
        let row =
            TraceRow { id, job: open.job, raw_bytes, lines: open.lines, hash, frames: open.frames };
        self.writes.traces.push((row, open.at));
        Ok(id)
    }

    /// Starts a walk of a project's job list and returns it for [`Batch::put_walk`].
    pub fn new_walk(&mut self, project: ProjectId, cursor: String, until: JobId) -> Walk {
        let walk = Walk { id: self.next_walk, project, cursor, until, reached_at: None };
        self.next_walk += 1;
        self.put_walk(walk.clone());
        walk
    }

    /// Records where a walk goes on.
    pub fn put_walk(&mut self, walk: Walk) {
        self.writes.walks.insert(walk.id, walk);
    }

    /// Records that a walk came to its end.
    pub fn end_walk(&mut self, walk: u64) {
        self.writes.walks.remove(&walk);
        self.writes.walks_done.push(walk);
    }

    /// Records that a project was seen to its end.
    pub fn synced(&mut self, project: ProjectId, now: Timestamp) {
        self.writes.synced.insert(project, now);
    }

    /// Returns when the batch began.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// Returns how many bytes and entries the pack has so far.
    pub fn filled(&self) -> (u64, usize) {
        let (bytes, entries) = self.filler.filled();
        (bytes + self.ledger.len() as u64 / LEDGER_RATIO, entries)
    }

    /// Returns whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        let w = &self.writes;
        self.filler.filled() == (0, 0)
            && self.ledger.is_empty()
            && w.projects.is_empty()
            && w.walks.is_empty()
            && w.walks_done.is_empty()
            && w.synced.is_empty()
            && w.marks.is_empty()
            && w.pipelines_met.is_empty()
            && w.pipelines.is_empty()
            && w.postponed.is_empty()
    }

    /// Makes the pack durable, then the catalogue, and starts over with an empty batch.
    pub async fn commit(&mut self, now: Timestamp) -> Result<Committed, StoreError> {
        self.note_progress(now).await?;
        self.close_ledger()?;
        let mut pack_bytes = self.finish_chunks(now).await?;
        if let Some(filled) = self.filler.finish(now).await? {
            pack_bytes += filled.pack.bytes;
            self.writes.pack = Some(filled.pack);
            self.writes.bases = filled.bases;
        }
        self.skip_chunk_packs();
        self.place_frames();
        self.store.catalogue.write(&self.writes).await?;
        self.writes = Writes::default();
        self.began = now;
        Ok(Committed { pack_bytes, through: TraceId(self.next_trace - 1) })
    }

    /// Tells the traces where their frames stand.
    fn place_frames(&mut self) {
        let Some(first) = self.writes.traces.first().map(|(row, _)| row.id.0) else { return };
        for written in self.filler.take_written() {
            let at = written.trace.0.checked_sub(first).map(|at| at as usize);
            let row = at.and_then(|at| self.writes.traces.get_mut(at));
            if let Some(frame) = row.and_then(|(row, _)| row.frames.get_mut(written.index)) {
                frame.offset = written.entry.offset;
                frame.stored_bytes = written.entry.stored_bytes;
                frame.base = written.base;
            }
        }
    }

    fn note(
        &mut self,
        job: u64,
        project: u64,
        note: &serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.record(RecordKind::Note, job, project, note.to_string().as_bytes(), now)?;
        self.close_full_ledger()
    }

    /// Appends a record and returns its number within the ledger.
    fn record(
        &mut self,
        kind: RecordKind,
        job: u64,
        project: u64,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        if self.ledger.len() as u64 + bytes.len() as u64 + 64 > MAX_LEDGER_BYTES {
            self.close_ledger()?;
        }
        let at_micros = u64::try_from(now.as_microsecond()).unwrap_or_default();
        ledger::put(&mut self.ledger, &Record { kind, job, project, at_micros, bytes });
        self.records += 1;
        Ok(self.records - 1)
    }
}
