//! What the writer is told.

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::gitlab::{Received, TraceHead};
use crate::model::{Bridge, Job, JobId, PipelineId, ProjectId, TraceState};
use crate::store::catalogue::{Marks, PipelineRow, ProjectRow, Walk};
use crate::store::{Identity, NewState};
use crate::sync::artifacts::Fetched;
use crate::sync::queue::Item;
use crate::sync::spool::Spool;

/// A listed job and what is written of it.
#[derive(Debug)]
pub(in crate::sync) struct Listed {
    pub(in crate::sync) received: Received<Job>,
    pub(in crate::sync) digest: i64,
    /// The document says something new.
    pub(in crate::sync) changed: bool,
    pub(in crate::sync) state: Option<NewState>,
    /// It stays what it is until then.
    pub(in crate::sync) postponed: Option<Timestamp>,
}

/// A bridge whose document says something new.
#[derive(Debug)]
pub(in crate::sync) struct Bridged {
    pub(in crate::sync) received: Received<Bridge>,
    pub(in crate::sync) digest: i64,
    /// The pipeline that it started.
    pub(in crate::sync) downstream: Option<(ProjectId, PipelineId)>,
    /// It was not known before.
    pub(in crate::sync) new: bool,
}

/// Which walk a page belongs to.
#[derive(Debug)]
pub(in crate::sync) enum WalkStep {
    /// The first page of a walk that ends at `until`.
    Head { until: JobId },
    /// The first page of a walk which an earlier run began.
    Resumed(Walk),
    /// A further page of the same walk of the project.
    Further,
}

/// What the writer is told.
#[derive(Debug)]
pub(in crate::sync) enum Message {
    /// By whom all that follows is captured.
    Identity(Identity),
    /// A project's document.
    Project { row: ProjectRow, document: Box<str> },
    /// How far the capture of a project is.
    Marks(ProjectId, Marks),
    /// A page of a project's jobs; `next` is `None` where its walk ends, `reached_at` set where it pauses.
    Page {
        project: ProjectRow,
        listed: Vec<Listed>,
        step: WalkStep,
        next: Option<String>,
        reached_at: Option<Timestamp>,
        newest: JobId,
    },
    /// Jobs asked for outside a walk.
    Jobs { project: ProjectRow, listed: Vec<Listed> },
    /// Pipelines, and their documents where they were sent.
    Pipelines(Vec<(PipelineRow, Option<Box<str>>)>),
    /// A pipeline's bridges, and the pipelines concerned.
    Bridges {
        project: ProjectRow,
        bridges: Vec<Bridged>,
        pipelines: Vec<(PipelineRow, Option<Box<str>>)>,
    },
    /// A trace, fetched whole.
    Fetched { item: Item, spool: Spool, head: TraceHead },
    /// A job that got a state without a trace.
    State { item: Item, state: NewState },
    /// A job that the server no longer has, and what became of its trace before.
    Gone { job: JobId, project: ProjectId, state: TraceState, reason: String },
    /// What became of a job's artifacts.
    Artifacts(Box<Fetched>),
    /// A project was walked to its end.
    Synced(ProjectId),
    /// All so far is to be made durable, and then said so.
    Flush(oneshot::Sender<()>),
}
