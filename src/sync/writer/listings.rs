//! What was listed on its way into the batch: jobs, bridges, pipelines, jobs that are gone.

use jiff::Timestamp;

use super::{Bridged, Listed, Writer};
use crate::model::{Job, JobId, ProjectId, TraceState};
use crate::store::catalogue::{PipelineRow, ProjectRow};
use crate::store::{self, NewState};

/// Why a bridge has no trace.
const BRIDGE: &str = "a bridge has no log";

fn settled(state: TraceState, reason: impl Into<String>) -> NewState {
    let reason = reason.into();
    NewState { state, reason, next_at: None, attempts: 0, gone: false, erased: false }
}

impl Writer {
    pub(super) fn put_jobs(
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
            if let Some(pipeline) = value.pipeline {
                self.batch.meet_pipeline(pipeline, project.id);
            }
            if let Some(at) = job.postponed {
                self.batch.postpone(value.id, at);
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

    pub(super) fn put_bridges(
        &mut self,
        project: &ProjectRow,
        bridges: Vec<Bridged>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        for bridge in bridges {
            let job = &bridge.received.value.job;
            let received = store::Received {
                job,
                project: project.id,
                document: bridge.received.raw.as_bytes(),
                artifacts: None,
                digest: bridge.digest,
            };
            self.batch.put_bridge(&received, bridge.downstream, &project.web_url, now)?;
            if bridge.new {
                self.run.count(TraceState::NoLog);
                let state = settled(TraceState::NoLog, BRIDGE);
                self.batch.put_state(job.id, project.id, state, now)?;
            }
        }
        Ok(())
    }

    pub(super) fn put_pipelines(
        &mut self,
        pipelines: Vec<(PipelineRow, Option<Box<str>>)>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        for (row, document) in pipelines {
            self.batch.put_pipeline(row, document.as_deref().map(str::as_bytes), now)?;
        }
        Ok(())
    }

    /// A job that is gone keeps what became of its trace; only one that was waited for has vanished.
    pub(super) fn put_gone(
        &mut self,
        job: JobId,
        project: ProjectId,
        (state, reason): (TraceState, &str),
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let (state, reason) = match state {
            TraceState::Pending => {
                self.run.count(TraceState::Vanished);
                (TraceState::Vanished, "deleted upstream before it was captured".to_owned())
            }
            TraceState::Archived => (state, "deleted upstream".to_owned()),
            state => (state, format!("{reason}; deleted upstream")),
        };
        let state = NewState { gone: true, ..settled(state, reason) };
        Ok(self.batch.put_state(job, project, state, now)?)
    }
}

/// Returns the list of a job's files as JSON, `None` where it is empty.
pub(in crate::sync) fn artifacts(job: &Job) -> Option<String> {
    let files: Vec<_> = (job.artifacts.iter())
        .map(|a| {
            serde_json::json!({"file_type": a.file_type, "size": a.size, "filename": a.filename,
                "file_format": a.file_format})
        })
        .collect();
    (!files.is_empty()).then(|| serde_json::Value::Array(files).to_string())
}
