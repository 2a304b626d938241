//! The one task that writes: pages, traces and states go into a batch, batches become true, then searchable.
//!
//! Order of writes: pack, catalogue, index. It runs on a thread of its own, because compressing and tokenising
//! take the processor.

use std::io::Read;
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use jobvault_index as index;
use tokio::sync::mpsc;

use super::judge::judge;
use super::queue::Item;
use super::spool::Spool;
use super::{Failure, Run};
use crate::gitlab::{Received, TraceHead};
use crate::model::{Job, JobId, ProjectId, TraceState};
use crate::store::catalogue::{ProjectRow, Walk};
use crate::store::{self, Batch, Identity, NewFrame, NewState, TraceId};
use crate::trace::{self, CutOptions, Cutter};

/// A pack is closed at this length.
const PACK_BYTES: u64 = 16 * 1024 * 1024;
/// A pack is closed at this many entries.
const PACK_ENTRIES: usize = 20_000;
/// A batch is committed at this age: a crash costs no more than that, as refetch.
const BATCH_AGE: Duration = Duration::from_secs(5);
/// The index is committed at this age or size; until then a search reads the frames themselves.
const INDEX_AGE: SignedDuration = SignedDuration::from_secs(20);
const INDEX_BYTES: u64 = 128 * 1024 * 1024;
/// The runner writes that it cut a log within this many bytes of its end.
const TAIL_BYTES: u64 = 4096;
/// Bytes read from a spool at once.
const READ_BYTES: usize = 128 * 1024;

/// A listed job and what is written of it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) received: Received<Job>,
    pub(super) digest: i64,
    /// The document says something new.
    pub(super) changed: bool,
    pub(super) state: Option<NewState>,
}

/// Which walk a page belongs to.
#[derive(Debug)]
pub(super) enum WalkStep {
    /// The first page of a walk that ends at `until`.
    Head { until: JobId },
    /// The first page of a walk which an earlier run began.
    Resumed(Walk),
    /// A further page of the same walk of the project.
    Further,
}

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    /// By whom all that follows is captured.
    Identity(Identity),
    /// A project's document.
    Project { row: ProjectRow, document: Box<str> },
    /// A page of a project's jobs; `next` is `None` where its walk ends.
    Page {
        project: ProjectRow,
        listed: Vec<Listed>,
        step: WalkStep,
        next: Option<String>,
        newest: JobId,
    },
    /// Jobs asked for one by one.
    Jobs { project: ProjectRow, listed: Vec<Listed> },
    /// A trace, fetched whole.
    Fetched { item: Item, spool: Spool, head: TraceHead },
    /// A job that got a state without a trace.
    State { item: Item, state: NewState },
    /// A job that the server no longer has.
    Gone { job: JobId, project: ProjectId, held: bool },
    /// A project was walked to its end.
    Synced(ProjectId),
}

/// The writer's state.
pub(super) struct Writer {
    run: std::sync::Arc<Run>,
    batch: Batch,
    index: index::Writer,
    /// The walk each project is in.
    walks: std::collections::HashMap<ProjectId, Walk>,
    indexed_at: Timestamp,
    unindexed_bytes: u64,
    through: TraceId,
    text: trace::Plain,
}

impl Writer {
    pub(super) async fn new(
        run: std::sync::Arc<Run>,
        index: index::Writer,
    ) -> anyhow::Result<Self> {
        let now = run.now();
        let batch = run.store.batch(now).await?;
        Ok(Self {
            run,
            batch,
            index,
            walks: Default::default(),
            indexed_at: now,
            unindexed_bytes: 0,
            through: TraceId(0),
            text: Default::default(),
        })
    }

    /// Writes what comes until all senders are gone, then commits the rest.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> anyhow::Result<()> {
        loop {
            let wait = tokio::time::timeout(BATCH_AGE, inbox.recv());
            match wait.await {
                Ok(Some(message)) => self.take(message)?,
                Ok(None) => break,
                Err(_) => {}
            }
            let (bytes, entries) = self.batch.filled();
            let age = self.run.now().duration_since(self.batch.began());
            let old = age.unsigned_abs() >= BATCH_AGE && !self.batch.is_empty();
            if bytes >= PACK_BYTES || entries >= PACK_ENTRIES || old {
                self.commit().await?;
            }
        }
        self.commit().await?;
        self.commit_index()?;
        self.index.finish().context("finish the full-text index")
    }

    async fn commit(&mut self) -> anyhow::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let now = self.run.now();
        let done = self.batch.commit(now).await.context("make the archived jobs durable")?;
        self.run.tally(|s| s.stored_bytes += done.pack_bytes);
        self.through = done.through;
        let age = now.duration_since(self.indexed_at);
        if age >= INDEX_AGE || self.unindexed_bytes >= INDEX_BYTES {
            self.commit_index()?;
        }
        Ok(())
    }

    fn commit_index(&mut self) -> anyhow::Result<()> {
        if self.unindexed_bytes > 0 {
            self.index.commit(self.through.0).context("commit the full-text index")?;
        }
        self.unindexed_bytes = 0;
        self.indexed_at = self.run.now();
        Ok(())
    }

    fn take(&mut self, message: Message) -> anyhow::Result<()> {
        let now = self.run.now();
        match message {
            Message::Identity(identity) => self.batch.captured_by(&identity, now)?,
            Message::Project { row, document } => {
                self.batch.put_project(row, Some(document.as_bytes()), now)?;
            }
            Message::Page { project, listed, step, next, newest } => {
                self.put_jobs(&project, listed, now)?;
                self.move_walk(project, step, next, newest, now)?;
            }
            Message::Jobs { project, listed } => self.put_jobs(&project, listed, now)?,
            Message::Fetched { item, spool, head } => {
                let job = item.job;
                self.put_trace(item, spool, head)
                    .with_context(|| format!("store the trace of job {job}"))?;
            }
            Message::State { item, state } => {
                self.run.count(state.state);
                self.batch.put_state(item.job, item.project, state, now)?;
            }
            Message::Gone { job, project, held } => self.put_gone(job, project, held, now)?,
            Message::Synced(project) => self.batch.synced(project, now),
        }
        Ok(())
    }

    fn put_jobs(
        &mut self,
        project: &ProjectRow,
        listed: Vec<Listed>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        for job in listed {
            let value = &job.received.value;
            if job.changed {
                let received = store::Received {
                    job: value,
                    project: project.id,
                    document: job.received.raw.as_bytes(),
                    artifacts: artifacts(value),
                    digest: job.digest,
                };
                self.batch.put_job(&received, &project.web_url, now)?;
            }
            if let Some(state) = job.state {
                let waits = state.state == TraceState::Pending && !value.is_finished();
                if waits || state.state == TraceState::NoLog {
                    self.run.count(state.state);
                }
                self.batch.put_state(value.id, project.id, state, now)?;
            }
        }
        Ok(())
    }

    fn move_walk(
        &mut self,
        project: ProjectRow,
        step: WalkStep,
        next: Option<String>,
        newest: JobId,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let id = project.id;
        match step {
            WalkStep::Head { until } => {
                if newest > project.newest_job {
                    self.batch.put_project(
                        ProjectRow { newest_job: newest, ..project },
                        None,
                        now,
                    )?;
                }
                if let Some(cursor) = next {
                    self.walks.insert(id, self.batch.new_walk(id, cursor, until));
                }
                return Ok(());
            }
            WalkStep::Resumed(walk) => drop(self.walks.insert(id, walk)),
            WalkStep::Further => {}
        }
        match (self.walks.get_mut(&id), next) {
            (Some(walk), Some(cursor)) => {
                walk.cursor = cursor;
                self.batch.put_walk(walk.clone());
            }
            (Some(walk), None) => {
                self.batch.end_walk(walk.id);
                self.walks.remove(&id);
            }
            (None, _) => {}
        }
        Ok(())
    }

    fn put_gone(
        &mut self,
        job: JobId,
        project: ProjectId,
        held: bool,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let (state, reason) = match held {
            true => (TraceState::Archived, "deleted upstream"),
            false => (TraceState::Vanished, "deleted upstream before it was captured"),
        };
        if !held {
            self.run.count(state);
        }
        let state = NewState {
            state,
            reason: reason.to_owned(),
            next_at: None,
            attempts: 0,
            gone: true,
            erased: false,
        };
        Ok(self.batch.put_state(job, project, state, now)?)
    }

    fn put_trace(&mut self, item: Item, mut spool: Spool, head: TraceHead) -> anyhow::Result<()> {
        let tail = spool.tail(TAIL_BYTES)?;
        let hash = *head.hash.as_bytes();
        let verdict =
            judge(&item, head.bytes, hash, trace::is_truncated(&tail), self.run.server_now());
        let (store, now) = (verdict.store, self.run.now());
        self.run.count(verdict.state);
        if verdict.state == TraceState::Pending {
            let project = self.run.project_path(item.project);
            self.run.fail(Failure { job: Some(item.job), project, reason: verdict.reason.clone() });
        }
        let state = verdict.into_state(&item);
        if !store {
            return Ok(self.batch.put_state(item.job, item.project, state, now)?);
        }
        let id = self.batch.begin_trace(item.job, item.project, now);
        self.put_frames(&item, id, spool)?;
        self.batch.end_trace(head.bytes, hash, state, now)?;
        self.run.tally(|s| s.raw_bytes += head.bytes);
        Ok(())
    }

    fn put_frames(&mut self, item: &Item, id: TraceId, mut spool: Spool) -> anyhow::Result<()> {
        let mut document = Document { item, id, first: 0, frames: 0, raw: Vec::new() };
        let mut cutter = Cutter::new(CutOptions::default());
        let mut failed = None;
        let input = spool.rewind()?;
        let mut chunk = vec![0; READ_BYTES];
        loop {
            let read = input.read(&mut chunk).context("read the fetched trace back")?;
            let mut out = |frame: trace::Frame| {
                if failed.is_none() {
                    failed = self.put_frame(&mut document, frame).err();
                }
            };
            match read {
                0 => cutter.finish(&mut out),
                n => {
                    cutter.push(&chunk[..n], &mut out);
                    continue_or(&mut failed)?;
                    continue;
                }
            }
            break;
        }
        continue_or(&mut failed)?;
        self.index_document(&mut document)
    }

    fn put_frame(
        &mut self,
        document: &mut Document<'_>,
        frame: trace::Frame,
    ) -> anyhow::Result<()> {
        if !frame.continues {
            self.index_document(document)?;
            document.first = document.frames;
        }
        document.frames += 1;
        document.raw.extend_from_slice(&frame.raw);
        let new = NewFrame {
            raw: &frame.raw,
            lines: frame.lines,
            continues: frame.continues,
            open: frame.open,
        };
        Ok(self.batch.add_frame(new)?)
    }

    fn index_document(&mut self, document: &mut Document<'_>) -> anyhow::Result<()> {
        if document.raw.is_empty() {
            return Ok(());
        }
        trace::plain_into(&document.raw, &mut self.text);
        self.unindexed_bytes += document.raw.len() as u64;
        document.raw.clear();
        self.index
            .add(index::Document {
                job: document.item.job.0,
                trace: document.id.0,
                frame: document.first,
                text: self.text.text(),
            })
            .context("add to the full-text index")
    }
}

/// A document of the index being put together of frames.
struct Document<'a> {
    item: &'a Item,
    id: TraceId,
    first: u32,
    frames: u32,
    raw: Vec<u8>,
}

fn continue_or(failed: &mut Option<anyhow::Error>) -> anyhow::Result<()> {
    failed.take().map_or(Ok(()), Err)
}

/// Returns the list of a job's files as JSON, `None` where it is empty.
fn artifacts(job: &Job) -> Option<String> {
    let files: Vec<_> = (job.artifacts.iter())
        .map(|a| {
            serde_json::json!({"file_type": a.file_type, "size": a.size, "filename": a.filename,
                "file_format": a.file_format})
        })
        .collect();
    (!files.is_empty()).then(|| serde_json::Value::Array(files).to_string())
}
