//! Notes of how far capturing is, so that a catalogue made anew goes on from there instead of listing all again.
//!
//! They go into packs that are written anyway. A pack of its own is written only for what would cost many requests to
//! find out again: a first walk of the pipelines, bridges that were asked for, a walk that came to its end.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Batch;
use crate::model::{JobId, PipelineId, ProjectId};
use crate::store::StoreError;
use crate::store::catalogue::{Marks, PipelineRow, Walk, Writes};

/// What was written to the catalogue and not yet noted in a pack.
#[derive(Debug, Default)]
pub(super) struct Unnoted {
    projects: BTreeMap<ProjectId, Unseen>,
    walks: BTreeMap<u64, Walk>,
    ended: BTreeSet<u64>,
    pipelines: BTreeMap<PipelineId, PipelineRow>,
    urgent: bool,
}

/// The same of one project.
#[derive(Debug, Default)]
struct Unseen {
    newest_job: JobId,
    synced_at: Option<Timestamp>,
    marks: Marks,
}

impl Unnoted {
    /// Takes over what a transaction is about to write.
    fn take(&mut self, writes: &Writes) {
        for row in &writes.projects {
            let project = self.projects.entry(row.id).or_default();
            project.newest_job = project.newest_job.max(row.newest_job);
        }
        for (id, at) in &writes.synced {
            self.projects.entry(*id).or_default().synced_at = Some(*at);
        }
        for (id, marks) in &writes.marks {
            self.projects.entry(*id).or_default().marks.update(marks.clone());
        }
        for (id, walk) in &writes.walks {
            self.walks.insert(*id, walk.clone());
        }
        for id in &writes.walks_done {
            self.walks.remove(id);
            self.urgent |= self.ended.insert(*id);
        }
        for (id, row) in &writes.pipelines {
            self.urgent |= !row.to_ask;
            self.pipelines.insert(*id, row.clone());
        }
    }

    fn is_empty(&self) -> bool {
        self.projects.is_empty()
            && self.walks.is_empty()
            && self.ended.is_empty()
            && self.pipelines.is_empty()
    }

    /// Returns the note and starts over.
    fn note(&mut self) -> Value {
        let taken = std::mem::take(self);
        let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
        let project = |(id, unseen): (ProjectId, Unseen)| {
            let m = unseen.marks;
            let mut note = json!({"id": id.0});
            let facts = [
                ("newest_job", Some(json!(unseen.newest_job.0)).filter(|n| *n != 0)),
                ("synced_at", micros(unseen.synced_at).map(Value::from)),
                ("delete_after_secs", m.delete_after_secs.map(Value::from)),
                ("changes_through", micros(m.changes_through).map(Value::from)),
                ("children_at", micros(m.children_at).map(Value::from)),
            ];
            for (key, value) in facts {
                if let Some(value) = value {
                    note[key] = value;
                }
            }
            note
        };
        let walk = |w: Walk| json!([w.id, w.project.0, w.cursor, w.until.0, micros(w.reached_at)]);
        let pipeline =
            |p: PipelineRow| json!([p.id.0, p.project.0, micros(p.updated_at), p.to_ask, p.apart]);
        let mut note = json!({"event": "progress"});
        let lists = [
            ("projects", taken.projects.into_iter().map(project).collect::<Vec<_>>()),
            ("walks", taken.walks.into_values().map(walk).collect()),
            ("ended", taken.ended.into_iter().map(Value::from).collect()),
            ("pipelines", taken.pipelines.into_values().map(pipeline).collect()),
        ];
        for (key, list) in lists {
            if !list.is_empty() {
                note[key] = Value::Array(list);
            }
        }
        note
    }
}

impl Batch {
    /// Notes how far capturing is, where a pack is written anyway or has to be for it.
    pub(super) async fn note_progress(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.unnoted.take(&self.writes);
        for (project, marks) in &self.writes.marks {
            if marks.children_at.is_none() && marks.changes_through.is_none() {
                continue;
            }
            let held = self.store.catalogue.marks(*project).await?;
            self.unnoted.urgent |= held.children_at.is_none() || held.changes_through.is_none();
        }
        let is_written = self.filler.filled() != (0, 0) || !self.ledger.is_empty();
        if self.unnoted.is_empty() || !(is_written || self.unnoted.urgent) {
            return Ok(());
        }
        let note = self.unnoted.note();
        self.note(0, 0, &note, now)
    }
}
