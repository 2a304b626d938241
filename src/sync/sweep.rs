//! The slow sweep over archived jobs: erasures and deletions upstream, which no event announces.
//!
//! One page of the job list at a time, seldom, down to a certain age and then from the top again. It only marks: what
//! the archive holds stays.

use anyhow::Context;
use jiff::SignedDuration;

use super::run::Run;
use super::walk::Round;
use super::writer::Message;
use crate::gitlab::Cursor;
use crate::model::{Job, JobId};
use crate::store::catalogue::{Marks, ProjectRow};

/// A project is swept at most so often, by one page.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// Jobs older than this are swept no more.
const SWEEP_AGE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Jobs missing from a page that are asked for one by one, before the next page has its turn; the others are found
/// missing by the next sweep.
const MAX_MISSING: usize = 20;

impl Run {
    /// Looks at the next page, if it is time.
    pub(super) async fn sweep(&self, project: &ProjectRow) -> anyhow::Result<()> {
        let round = &mut Round::default();
        let (now, marks) = (self.server_now(), self.store.catalogue().marks(project.id).await?);
        let Some(swept_at) = marks.swept_at else {
            // All was listed just now.
            let marks = Marks { swept_at: Some(now), ..Marks::default() };
            self.send(Message::Marks(project.id, marks)).await;
            return Ok(());
        };
        if now.duration_since(swept_at) < SWEEP_EVERY || self.options.dry_run {
            return Ok(());
        }
        // A place that cannot be read any more means the top.
        let place = marks.sweep_cursor.unwrap_or_default();
        let cursor: Cursor = place.parse().unwrap_or_default();
        let Some(page) = self.ask(self.client.jobs_page(project.id, &[], &cursor)).await else {
            return Ok(());
        };
        let page = page.with_context(|| format!("list the jobs of {}", project.path))?;
        let ids: Vec<JobId> = page.items.iter().map(|r| r.value.id).collect();
        let created = |r: &Job| r.created_at.is_some_and(|at| now.duration_since(at) > SWEEP_AGE);
        let at_end = page.items.last().is_none_or(|r| created(&r.value));
        let next = page.next.filter(|_| !at_end).map(|c| c.to_string()).unwrap_or_default();
        let (listed, items) = self.decide(project, page.items, round).await?;
        self.send(Message::Jobs { project: project.clone(), listed }).await;
        self.enqueue(items);
        self.find_missing(project, &ids, round).await?;
        let marks = Marks { swept_at: Some(now), sweep_cursor: Some(next), ..Marks::default() };
        self.send(Message::Marks(project.id, marks)).await;
        Ok(())
    }

    /// Asks for the jobs that should stand on a page and do not.
    async fn find_missing(
        &self,
        project: &ProjectRow,
        ids: &[JobId],
        round: &mut Round,
    ) -> anyhow::Result<()> {
        let (Some(low), Some(high)) = (ids.iter().min(), ids.iter().max()) else {
            return Ok(());
        };
        let rows = self.store.catalogue().settled_between(project.id, *low, *high).await?;
        for row in rows.iter().filter(|row| !ids.contains(&row.id)).take(MAX_MISSING) {
            self.visit_job(project, row, round).await?;
        }
        Ok(())
    }
}
