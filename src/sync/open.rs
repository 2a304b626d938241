//! The open set: jobs that are not settled, looked at again when their time has come or their pipeline changed.
//!
//! They are found the cheapest way: by walking the job list down to them, by listing their pipeline, or one by one.

use std::collections::BTreeMap;

use anyhow::Context;

use super::Failure;
use super::run::{Run, reason};
use super::walk::Round;
use super::writer::Message;
use crate::gitlab;
use crate::model::{JobId, PipelineId, Status, TraceState};
use crate::store::JobRow;
use crate::store::catalogue::ProjectRow;

/// Open jobs looked at in one round of a project, the longest overdue first; the others have their turn later.
const MAX_DUE: u32 = 2000;
/// Pages of the job list that are walked to find open jobs on them.
const MAX_PAGES_DOWN: u64 = 10;
/// Jobs on a page of the job list.
const PER_PAGE: u64 = 100;

impl Run {
    /// Returns the open jobs that are to be looked at in this round.
    pub(super) async fn due(
        &self,
        project: &ProjectRow,
        round: &mut Round,
    ) -> anyhow::Result<Vec<JobRow>> {
        let rows = self.store.catalogue().open_jobs(project.id, self.began, MAX_DUE).await?;
        let now = self.server_now();
        let is_due = |row: &JobRow| {
            let changed = row.pipeline.is_some_and(|id| round.changed.contains(&id));
            // A status nobody knows may have been a slip of the server, which no change will announce.
            let odd = matches!(Status::from(row.status.as_str()), Status::Other(_));
            changed || (odd && !self.options.patient) || row.next_at.is_some_and(|at| at <= now)
        };
        let (due, waiting): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_due);
        round.waiting = waiting.iter().map(|row| row.id).collect();
        Ok(due)
    }

    /// Returns down to which job the list is walked: to the newest known one, or to the oldest that is due where that
    /// costs less than asking for them apart.
    pub(super) async fn reach(
        &self,
        project: &ProjectRow,
        due: &[JobRow],
    ) -> anyhow::Result<JobId> {
        let Some(oldest) = due.iter().map(|row| row.id).min() else {
            return Ok(project.newest_job);
        };
        let above = self.store.catalogue().jobs_above(project.id, oldest).await?;
        let pages = above / PER_PAGE + 1;
        let apart = group(due).len() as u64;
        let down = pages <= MAX_PAGES_DOWN && pages <= apart;
        Ok(if down { oldest.min(project.newest_job) } else { project.newest_job })
    }

    /// Looks at the due jobs that stood on no page of this round.
    pub(super) async fn visit(
        &self,
        project: &ProjectRow,
        mut due: Vec<JobRow>,
        round: &mut Round,
    ) -> anyhow::Result<()> {
        due.retain(|row| !round.seen.contains(&row.id));
        for (pipeline, rows) in group(&due) {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            if let (Some(pipeline), true) = (pipeline, rows.len() > 1) {
                self.visit_pipeline(project, pipeline, round).await?;
            }
            for row in rows {
                if !round.seen.contains(&row.id) {
                    self.visit_job(project, row, round).await?;
                }
            }
        }
        Ok(())
    }

    /// Lists a pipeline's jobs, if it is still there.
    pub(super) async fn visit_pipeline(
        &self,
        project: &ProjectRow,
        pipeline: PipelineId,
        round: &mut Round,
    ) -> anyhow::Result<()> {
        match self.ask(self.client.pipeline_jobs(project.id, pipeline, &[])).await {
            None | Some(Err(gitlab::Error::NotFound { .. })) => Ok(()),
            Some(Err(e)) => Err(e).with_context(|| format!("list the jobs of pipeline {pipeline}")),
            Some(Ok(page)) => {
                self.report_bad(project, &page);
                let (listed, items) = self.decide(project, page.items, round).await?;
                self.send(Message::Jobs { project: project.clone(), listed }).await;
                self.enqueue(items);
                Ok(())
            }
        }
    }

    pub(super) async fn visit_job(
        &self,
        project: &ProjectRow,
        row: &JobRow,
        round: &mut Round,
    ) -> anyhow::Result<()> {
        match self.ask(self.client.job(project.id, row.id)).await {
            None => {}
            Some(Ok(received)) => {
                let (listed, items) = self.decide(project, vec![received], round).await?;
                self.send(Message::Jobs { project: project.clone(), listed }).await;
                self.enqueue(items);
            }
            Some(Err(gitlab::Error::NotFound { .. })) => {
                round.seen.insert(row.id);
                let (state, reason) = (row.state, row.reason.clone());
                let held = row.trace.is_some() && state == TraceState::Pending;
                let state = if held { TraceState::Archived } else { state };
                self.send(Message::Gone { job: row.id, project: row.project, state, reason }).await;
            }
            Some(Err(e)) => {
                let pending = row.state == TraceState::Pending;
                self.tally(|s| s.pending += u64::from(pending));
                let reason = reason(&e);
                self.fail(Failure { job: Some(row.id), project: project.path.clone(), reason });
                self.give_up_if_hopeless(e);
            }
        }
        Ok(())
    }
}

/// Groups jobs by pipeline; one without a pipeline is alone.
fn group(rows: &[JobRow]) -> Vec<(Option<PipelineId>, Vec<&JobRow>)> {
    let mut by_pipeline: BTreeMap<PipelineId, Vec<&JobRow>> = BTreeMap::new();
    let mut alone: Vec<(JobId, &JobRow)> = Vec::new();
    for row in rows {
        match row.pipeline {
            Some(id) => by_pipeline.entry(id).or_default().push(row),
            None => alone.push((row.id, row)),
        }
    }
    let grouped = by_pipeline.into_iter().rev().map(|(id, rows)| (Some(id), rows));
    grouped.chain(alone.into_iter().map(|(_, row)| (None, vec![row]))).collect()
}
