//! What a batch takes about capturing itself: marks of projects, pipelines, jobs looked at again at another time.

use jiff::Timestamp;
use serde_json::json;

use super::{Batch, Identity};
use crate::model::{JobId, PipelineId, ProjectId};
use crate::store::StoreError;
use crate::store::catalogue::{Capture, Marks, PipelineRow};
use crate::store::packs::ledger::RecordKind;

impl Batch {
    /// Records by whom all jobs that follow are captured, in this batch and those after it.
    pub fn captured_by(&mut self, identity: &Identity, now: Timestamp) -> Result<(), StoreError> {
        let id = self.next_capture;
        self.next_capture += 1;
        self.capture = Some(id);
        let note = json!({"event": "capture", "id": id, "host": identity.host, "gitlab": identity.gitlab_version,
            "user": identity.user, "jobvault": env!("CARGO_PKG_VERSION")});
        self.note(0, 0, &note, now)?;
        self.writes.captures.push(Capture {
            id,
            host: identity.host.clone(),
            gitlab_version: identity.gitlab_version.clone(),
            user: identity.user.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: now,
        });
        Ok(())
    }

    /// Records how far the capture of a project is.
    pub fn put_marks(&mut self, project: ProjectId, marks: Marks) {
        self.writes.marks.entry(project).or_default().update(marks);
    }

    /// Records that there is a pipeline; one that is known stays as it is.
    pub fn meet_pipeline(&mut self, id: PipelineId, project: ProjectId) {
        self.writes.pipelines_met.insert(id, project);
    }

    /// Puts a pipeline's row, and its document where one was received.
    pub fn put_pipeline(
        &mut self,
        row: PipelineRow,
        document: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(bytes) = document {
            self.record(RecordKind::Pipeline, 0, row.project.0, bytes, now)?;
            self.close_full_ledger()?;
        }
        self.writes.pipelines.insert(row.id, row);
        Ok(())
    }

    /// Looks at a job again at another time; its state and reason stay, and no note is written.
    pub fn postpone(&mut self, job: JobId, to: Timestamp) {
        self.writes.postponed.insert(job, to);
    }
}
