//! Pipelines: what changed since the last round, their bridges, and what those started.
//!
//! One request a round tells of changes; one a new pipeline lists its bridges, since no list of the project does.
//! Pipelines of projects that are not synced are followed as far as the token sees, their jobs listed by pipeline.

use std::collections::HashMap;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::Failure;
use super::decide::bridge_digest;
use super::run::Run;
use super::walk::Round;
use super::writer::{Bridged, Message};
use crate::gitlab::{self, Cursor, PipelineFilter, PipelineOrder, Received};
use crate::model::{Bridge, Pipeline, PipelineId, ProjectId};
use crate::store::JobRow;
use crate::store::catalogue::{Marks, PipelineRow, ProjectRow};

/// Changes are asked for from so long before the latest one seen: one that was written late bears an earlier time.
const OVERLAP: SignedDuration = SignedDuration::from_secs(10);
/// The same for the first round, whose time is that of the server's clock.
const FIRST_OVERLAP: SignedDuration = SignedDuration::from_mins(1);
/// Child pipelines stand in a list of their own, which is asked for at most so often.
const CHILDREN_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// Pipelines read from the catalogue at once.
const TO_ASK_AT_ONCE: u32 = 1000;
/// Pages of changed pipelines in one list; beyond that the rest is left to the next round.
const MAX_PAGES: usize = 1000;

impl Run {
    /// Learns which pipelines changed. Returns whether the job list is to be looked at.
    pub(super) async fn see_changes(
        &self,
        project: &ProjectRow,
        round: &mut Round,
    ) -> anyhow::Result<bool> {
        let marks = self.store.catalogue().marks(project.id).await?;
        let Some(through) = marks.changes_through.filter(|_| self.options.pipelines) else {
            return Ok(true);
        };
        let filter = PipelineFilter {
            updated_after: Some(through - OVERLAP),
            order: PipelineOrder::LatestChange,
            ..PipelineFilter::default()
        };
        let latest = self.list_pipelines(project, &filter, round).await?;
        round.marks.changes_through = latest.filter(|latest| *latest > through);
        let now = self.server_now();
        let children = marks.children_at.filter(|at| now.duration_since(*at) >= CHILDREN_EVERY);
        if let Some(at) = children {
            let source = Some("parent_pipeline".to_owned());
            let filter =
                PipelineFilter { updated_after: Some(at - FIRST_OVERLAP), source, ..filter };
            self.list_pipelines(project, &filter, round).await?;
            round.marks.children_at = Some(now);
        }
        Ok(!round.changed.is_empty())
    }

    /// Lists pipelines, notes those that changed, and returns the time of the latest change.
    async fn list_pipelines(
        &self,
        project: &ProjectRow,
        filter: &PipelineFilter,
        round: &mut Round,
    ) -> anyhow::Result<Option<Timestamp>> {
        let (mut cursor, mut latest) = (Cursor::default(), None);
        for _ in 0..MAX_PAGES {
            let asked = self.ask(self.client.pipelines_page(project.id, filter, &cursor)).await;
            let Some(page) = asked else { return Ok(latest) };
            let page = page.with_context(|| format!("list the pipelines of {}", project.path))?;
            self.report_bad(project, &page);
            let updated = page.items.iter().filter_map(|p| p.value.updated_at).max();
            latest = latest.max(updated);
            let since = self.options.since;
            let old =
                |p: &Received<Pipeline>| p.value.created_at.is_some_and(|at| Some(at) < since);
            let over = filter.updated_after.is_none() && page.items.iter().any(old);
            self.take_pipelines(project.id, page.items, round).await?;
            match page.next.filter(|_| !over) {
                Some(next) => cursor = next,
                None => return Ok(latest),
            }
        }
        Ok(latest)
    }

    /// Notes the pipelines that are new or changed.
    async fn take_pipelines(
        &self,
        project: ProjectId,
        items: Vec<Received<Pipeline>>,
        round: &mut Round,
    ) -> anyhow::Result<()> {
        let ids: Vec<PipelineId> = items.iter().map(|p| p.value.id).collect();
        let catalogue = self.store.catalogue();
        let known: HashMap<PipelineId, PipelineRow> =
            catalogue.pipelines_by_id(&ids).await?.into_iter().map(|p| (p.id, p)).collect();
        let bridged = catalogue.with_bridges(&ids).await?;
        for received in items {
            let pipeline = &received.value;
            let old = known.get(&pipeline.id);
            // The catalogue keeps microseconds.
            let micros = |at: Option<Timestamp>| at.map(Timestamp::as_microsecond);
            if old.is_some_and(|old| micros(old.updated_at) == micros(pipeline.updated_at))
                || !round.changed.insert(pipeline.id)
            {
                continue;
            }
            let to_ask = old.is_none_or(|old| old.to_ask) || bridged.contains(&pipeline.id);
            let row = PipelineRow {
                id: pipeline.id,
                project,
                updated_at: pipeline.updated_at,
                to_ask,
                apart: false,
            };
            round.pipelines.push((row, Some(received.raw)));
        }
        Ok(())
    }

    /// After the first walk lists all pipelines; then asks for the bridges of those that are new or changed.
    pub(super) async fn see_pipelines(
        &self,
        project: &ProjectRow,
        listed_at: Option<Timestamp>,
    ) -> anyhow::Result<()> {
        if !self.options.pipelines {
            return Ok(());
        }
        let marks = self.store.catalogue().marks(project.id).await?;
        if marks.children_at.is_none() && !self.options.dry_run {
            let mut all = Round::default();
            let at = listed_at.unwrap_or_else(|| self.server_now()) - FIRST_OVERLAP;
            self.list_pipelines(project, &PipelineFilter::default(), &mut all).await?;
            if self.stop.is_cancelled() {
                return Ok(());
            }
            self.send(Message::Pipelines(all.pipelines)).await;
            let changes_through = marks.changes_through.is_none().then_some(at);
            let children_at = Some(self.server_now());
            let marks = Marks { changes_through, children_at, ..Marks::default() };
            self.send(Message::Marks(project.id, marks)).await;
        }
        self.ask_bridges(Some(project)).await
    }

    /// Looks at pipelines apart: of projects that are not walked, where a bridge led to them.
    pub(super) async fn walk_apart(&self) -> anyhow::Result<()> {
        if !self.options.pipelines || self.stop.is_cancelled() {
            return Ok(());
        }
        for id in self.store.catalogue().open_projects_apart().await? {
            if !self.is_synced(id)
                && let Some(project) = self.project_apart(id).await?
            {
                let mut round = Round::default();
                let due = self.due(&project, &mut round).await?;
                self.visit(&project, due, &mut round).await?;
            }
        }
        if let Err(e) = self.ask_bridges(None).await {
            let reason = format!("{e:#}");
            self.fail(Failure { job: None, project: "downstream pipelines".to_owned(), reason });
        }
        Ok(())
    }

    /// Asks for the bridges of all pipelines whose are yet to be asked for: of a project, or of those apart.
    async fn ask_bridges(&self, project: Option<&ProjectRow>) -> anyhow::Result<()> {
        if self.options.dry_run {
            return Ok(());
        }
        loop {
            // What this run met is in the catalogue only after this.
            self.flush().await;
            let id = project.map(|p| p.id);
            let rows = self.store.catalogue().pipelines_to_ask(id, TO_ASK_AT_ONCE).await?;
            let mut more = rows.len() >= TO_ASK_AT_ONCE as usize;
            for row in rows {
                if !self.aside().await {
                    return Ok(());
                }
                more |= self.ask_pipeline(project, row).await?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Asks for a pipeline's bridges, and its jobs where no walk finds them. Returns whether they led to others.
    async fn ask_pipeline(
        &self,
        project: Option<&ProjectRow>,
        row: PipelineRow,
    ) -> anyhow::Result<bool> {
        let id = row.id;
        let asked = PipelineRow { to_ask: false, ..row };
        let project = match project {
            Some(project) => Some(project.clone()),
            None => self.project_apart(asked.project).await?,
        };
        let Some(project) = project else {
            // Not for this token to see; the bridge keeps the link.
            self.send(Message::Pipelines(vec![(asked, None)])).await;
            return Ok(false);
        };
        if asked.apart {
            self.visit_pipeline(&project, id, &mut Round::default()).await?;
        }
        match self.ask(self.client.bridges(project.id, id, &[])).await {
            None => Ok(false),
            // Deleted, or not for this token to see: there is nothing to ask for any more.
            Some(Err(gitlab::Error::NotFound { .. } | gitlab::Error::Forbidden { .. })) => {
                self.send(Message::Pipelines(vec![(asked, None)])).await;
                Ok(false)
            }
            Some(Err(e)) => Err(e).with_context(|| format!("list the bridges of pipeline {id}")),
            Some(Ok(page)) => {
                self.report_bad(&project, &page);
                self.take_bridges(project, asked, page.items).await
            }
        }
    }

    /// Returns the project of a pipeline that a bridge led to, `None` where the token may not see it.
    async fn project_apart(&self, id: ProjectId) -> anyhow::Result<Option<ProjectRow>> {
        let known = self.store.catalogue().projects().await?;
        if let Some(row) = known.iter().find(|row| row.id == id) {
            return Ok(Some(row.clone()));
        }
        match self.ask(self.client.project(id)).await {
            None | Some(Err(gitlab::Error::NotFound { .. } | gitlab::Error::Forbidden { .. })) => {
                Ok(None)
            }
            Some(Err(e)) => Err(e).with_context(|| format!("read project {id}")),
            Some(Ok(received)) => Ok(Some(self.take_project(received, &known).await)),
        }
    }

    async fn take_bridges(
        &self,
        project: ProjectRow,
        asked: PipelineRow,
        items: Vec<Received<Bridge>>,
    ) -> anyhow::Result<bool> {
        let catalogue = self.store.catalogue();
        let ids: Vec<_> = items.iter().map(|b| b.value.job.id).collect();
        let rows = catalogue.jobs_by_id(&ids).await?;
        let rows: HashMap<_, JobRow> = rows.into_iter().map(|r| (r.id, r)).collect();
        let mut pipelines = vec![(asked, None)];
        let mut bridges = Vec::new();
        for received in items {
            let (job, downstream) = (&received.value.job, &received.value.downstream);
            self.tally(|s| s.listed += 1);
            let downstream = downstream
                .as_ref()
                .map(|pipeline| (pipeline.project.unwrap_or(project.id), pipeline.id));
            if let Some((to, id)) = downstream
                && catalogue.pipelines_by_id(&[id]).await?.is_empty()
            {
                let apart = to != project.id && !self.is_synced(to);
                let row = PipelineRow { id, project: to, updated_at: None, to_ask: true, apart };
                pipelines.push((row, None));
            }
            let digest = bridge_digest(job, downstream.map(|(_, id)| id));
            let row = rows.get(&job.id);
            if row.is_none_or(|row| row.digest != digest) {
                let new = row.is_none();
                bridges.push(Bridged { received, digest, downstream, new });
            }
        }
        let led_on = pipelines.len() > 1;
        self.send(Message::Bridges { project, bridges, pipelines }).await;
        Ok(led_on)
    }
}
