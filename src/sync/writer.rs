//! The one task that writes: pages, traces and states go into a batch, batches become true, then searchable.
//!
//! Order of writes: pack, catalogue, index. It runs on a thread of its own, because compressing and tokenising
//! take the processor.

mod artifacts;
mod listings;
mod message;
mod traces;

use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use jobvault_index as index;
use tokio::sync::mpsc;

pub(super) use listings::artifacts;
pub(super) use message::{Bridged, Listed, Message, WalkStep};

use super::run::Run;
use crate::model::{JobId, ProjectId};
use crate::store::catalogue::{ProjectRow, Walk};
use crate::store::{Batch, TraceId};
use crate::trace;

/// A pack is closed at this length.
const PACK_BYTES: u64 = 16 * 1024 * 1024;
/// A pack is closed at this many entries.
const PACK_ENTRIES: usize = 20_000;
/// A batch is committed at this age: a crash costs no more than that, as refetch.
const BATCH_AGE: Duration = Duration::from_secs(5);
/// The index is committed at this age or size; until then a search reads the frames themselves.
const INDEX_AGE: SignedDuration = SignedDuration::from_secs(20);
const INDEX_BYTES: u64 = 128 * 1024 * 1024;
/// A batch is committed at this many listed jobs, each with its document in memory.
const MAX_LISTED: usize = 2000;

/// For so long after it is told to stop, traces that were fetched are still written; those left are fetched again by the
/// next sync. A few of them may be large, and whoever stops a sync waits for a second at most.
const LAST_WRITES: SignedDuration = SignedDuration::from_millis(400);

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
    /// Jobs listed since the last commit.
    listed: usize,
    /// When it was noticed that the sync stops.
    stopped_at: Option<Timestamp>,
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
            listed: 0,
            stopped_at: None,
        })
    }

    /// Writes what comes until all senders are gone, then commits the rest.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> anyhow::Result<()> {
        loop {
            let wait = tokio::time::timeout(BATCH_AGE, inbox.recv());
            match wait.await {
                Ok(Some(message)) => self.take(message).await?,
                Ok(None) => break,
                Err(_) => {}
            }
            let (bytes, entries) = self.batch.filled();
            let age = self.run.now().duration_since(self.batch.began());
            let old = age.unsigned_abs() >= BATCH_AGE && !self.batch.is_empty();
            let full = bytes >= PACK_BYTES || entries >= PACK_ENTRIES || self.listed >= MAX_LISTED;
            if full || old {
                self.commit().await?;
            }
        }
        self.commit().await?;
        self.commit_index()?;
        if self.run.stop.is_cancelled() {
            // Merges only save time, and whoever stops a sync does not wait for them.
            return Ok(());
        }
        self.index.finish().context("finish the full-text index")
    }

    /// Tells whether the sync was told to stop too long ago to write more traces.
    fn is_late(&mut self, now: Timestamp) -> bool {
        // What a budget of requests paid for is written, and so is what came before the server went away.
        if !self.run.stop.is_cancelled() || self.run.is_spent() || self.run.is_given_up() {
            return false;
        }
        let stopped_at = *self.stopped_at.get_or_insert(now);
        now.duration_since(stopped_at) >= LAST_WRITES
    }

    async fn commit(&mut self) -> anyhow::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let now = self.run.now();
        self.listed = 0;
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

    async fn take(&mut self, message: Message) -> anyhow::Result<()> {
        let now = self.run.now();
        match message {
            Message::Identity(identity) => self.batch.captured_by(&identity, now)?,
            Message::Project { row, document } => {
                self.batch.put_project(row, Some(document.as_bytes()), now)?;
            }
            Message::Marks(project, marks) => self.batch.put_marks(project, marks),
            Message::Page { project, listed, step, next, reached_at, newest } => {
                self.listed += listed.len();
                self.put_jobs(&project, listed, now)?;
                self.move_walk(project, step, (next, reached_at), newest, now)?;
            }
            Message::Jobs { project, listed } => {
                self.listed += listed.len();
                self.put_jobs(&project, listed, now)?;
            }
            Message::Pipelines(pipelines) => self.put_pipelines(pipelines, now)?,
            Message::Bridges { project, bridges, pipelines } => {
                self.listed += bridges.len();
                self.put_bridges(&project, bridges, now)?;
                self.put_pipelines(pipelines, now)?;
            }
            Message::Fetched { item, .. } if self.is_late(now) => {
                tracing::debug!(job = %item.job, "Left to the next sync");
                self.run.tally(|s| s.pending += 1);
            }
            Message::Fetched { item, spool, head } => {
                let job = item.job;
                self.put_trace(item, spool, head)
                    .with_context(|| format!("store the trace of job {job}"))?;
            }
            Message::State { item, state } => {
                self.run.count(state.state);
                self.batch.put_state(item.job, item.project, state, now)?;
            }
            Message::Gone { job, project, state, reason } => {
                self.put_gone(job, project, (state, &reason), now)?;
            }
            Message::Artifacts(fetched) => {
                let job = fetched.job;
                self.put_artifacts(*fetched, now)
                    .await
                    .with_context(|| format!("store the artifacts of job {job}"))?;
            }
            Message::Synced(project) => self.batch.synced(project, now),
            Message::Flush(done) => {
                self.commit().await?;
                // Whoever asked may have gone since.
                let _ = done.send(());
            }
        }
        Ok(())
    }

    fn move_walk(
        &mut self,
        project: ProjectRow,
        step: WalkStep,
        (next, reached_at): (Option<String>, Option<Timestamp>),
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
                    let walk = self.batch.new_walk(id, cursor, until);
                    let walk = Walk { reached_at, ..walk };
                    self.batch.put_walk(walk.clone());
                    self.walks.insert(id, walk);
                }
                return Ok(());
            }
            WalkStep::Resumed(walk) => drop(self.walks.insert(id, walk)),
            WalkStep::Further => {}
        }
        match (self.walks.get_mut(&id), next) {
            (Some(walk), Some(cursor)) => {
                walk.cursor = cursor;
                walk.reached_at = reached_at;
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
}
