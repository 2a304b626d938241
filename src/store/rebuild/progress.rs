//! How far capturing was: read out of notes, and believed only where no pack is missing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::notes::time;
use crate::model::{JobId, PipelineId, ProjectId};
use crate::store::catalogue::{Marks, PipelineRow, Walk, Writes};

/// What the notes say so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    newest_jobs: BTreeMap<ProjectId, JobId>,
    synced: BTreeMap<ProjectId, Timestamp>,
    marks: BTreeMap<ProjectId, Marks>,
    walks: BTreeMap<u64, Walk>,
    pipelines: BTreeMap<PipelineId, PipelineRow>,
}

impl Progress {
    /// Takes in a note of the event `progress`.
    pub(super) fn take(&mut self, note: &Value) {
        let list = |key: &str| note[key].as_array().into_iter().flatten();
        for project in list("projects") {
            let Some(id) = project["id"].as_u64().map(ProjectId) else { continue };
            let at = |key: &str| project[key].as_i64().and_then(time);
            if let Some(newest) = project["newest_job"].as_u64().map(JobId) {
                let held = self.newest_jobs.entry(id).or_default();
                *held = newest.max(*held);
            }
            if let Some(at) = at("synced_at") {
                self.synced.insert(id, at);
            }
            self.marks.entry(id).or_default().update(Marks {
                delete_after_secs: project["delete_after_secs"].as_u64(),
                changes_through: at("changes_through"),
                children_at: at("children_at"),
                ..Marks::default()
            });
        }
        for walk in list("walks").filter_map(walk) {
            self.walks.insert(walk.id, walk);
        }
        for id in list("ended").filter_map(Value::as_u64) {
            self.walks.remove(&id);
        }
        for row in list("pipelines").filter_map(pipeline) {
            self.pipelines.insert(row.id, row);
        }
    }

    /// Forgets all of it: where a pack is missing, so may be jobs that were listed, and only listing tells.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Returns up to which job all of a project was listed.
    pub(super) fn newest_job(&self, project: ProjectId) -> JobId {
        self.newest_jobs.get(&project).copied().unwrap_or_default()
    }

    /// Adds the rest to what is written.
    pub(super) fn add_to(self, writes: &mut Writes) {
        writes.synced = self.synced;
        writes.marks = self.marks;
        writes.walks = self.walks;
        writes.pipelines = self.pipelines;
    }
}

fn walk(note: &Value) -> Option<Walk> {
    Some(Walk {
        id: note[0].as_u64()?,
        project: ProjectId(note[1].as_u64()?),
        cursor: note[2].as_str()?.to_owned(),
        until: JobId(note[3].as_u64()?),
        reached_at: note[4].as_i64().and_then(time),
    })
}

fn pipeline(note: &Value) -> Option<PipelineRow> {
    Some(PipelineRow {
        id: PipelineId(note[0].as_u64()?),
        project: ProjectId(note[1].as_u64()?),
        updated_at: note[2].as_i64().and_then(time),
        to_ask: note[3].as_bool()?,
        apart: note[4].as_bool()?,
    })
}
