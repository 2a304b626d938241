//! One round of a project: what changed, new jobs, walks left open by earlier runs, and the open set.
//!
//! A walk goes from the newest job down to those known already. Where a page's rows become durable its cursor does
//! too, so that a walk goes on where it was interrupted and no listed job is without a row.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Failure;
use super::artifacts::ArtifactSum;
use super::decide::{self, decide, digest};
use super::queue::Item;
use super::run::Run;
use super::writer::{Listed, Message, WalkStep};
use crate::gitlab::{Cursor, Page, Received};
use crate::model::{Job, JobId, PipelineId};
use crate::store::JobRow;
use crate::store::catalogue::{Marks, PipelineRow, ProjectRow, Walk};

/// Projects walked at once.
const WALKERS: usize = 3;
/// Jobs remembered as listed in a round. Beyond that, one met twice in a round may be fetched twice.
const MAX_SEEN: usize = 100_000;

/// What one round learns about a project as it goes.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Jobs that were listed in this round.
    pub(super) seen: HashSet<JobId>,
    /// Open jobs whose time has not come.
    pub(super) waiting: Vec<JobId>,
    /// Pipelines that changed since the last round.
    pub(super) changed: HashSet<PipelineId>,
    /// The server's time when the job list was first asked for.
    pub(super) listed_at: Option<Timestamp>,
    /// The changes seen, written down only when all that they led to was listed.
    pub(super) marks: Marks,
    pub(super) pipelines: Vec<(PipelineRow, Option<Box<str>>)>,
}

/// Where a walk goes, and why it ends.
struct Walking {
    step: WalkStep,
    cursor: Cursor,
    /// Jobs up to this one are known.
    until: JobId,
}

impl Run {
    /// Walks projects, a few at once, then asks for their bridges and sweeps them: what is not listed yet may be lost
    /// sooner than anything that is. A project where that goes wrong fails alone.
    pub(super) async fn walk_all(self: &Arc<Self>, projects: Vec<ProjectRow>) {
        let walkers = Arc::new(Semaphore::new(WALKERS));
        let mut walks = JoinSet::new();
        for project in projects {
            let (run, walkers) = (self.clone(), walkers.clone());
            walks.spawn(async move {
                let _turn = walkers.acquire().await.ok();
                let walked = run.walk_project(&project).await;
                run.projects_done.fetch_add(1, Ordering::Relaxed);
                run.or_report(&project, walked).map(|listed_at| (project, listed_at))
            });
        }
        let mut tended = JoinSet::new();
        for (project, listed_at) in walks.join_all().await.into_iter().flatten() {
            let (run, walkers) = (self.clone(), walkers.clone());
            tended.spawn(async move {
                let _turn = walkers.acquire().await.ok();
                let done = run.tend_project(&project, listed_at).await;
                run.or_report(&project, done);
            });
        }
        tended.join_all().await;
    }

    /// Names a project that failed, and stops where every other would fail alike.
    fn or_report<T>(&self, project: &ProjectRow, done: anyhow::Result<T>) -> Option<T> {
        match done {
            Ok(done) => Some(done),
            Err(e) => {
                let reason = format!("{e:#}");
                self.fail(Failure { job: None, project: project.path.clone(), reason });
                if let Ok(e) = e.downcast::<crate::gitlab::Error>() {
                    self.give_up_if_hopeless(e);
                }
                None
            }
        }
    }

    /// Returns when its job list was first asked for, by the server's clock.
    async fn walk_project(&self, project: &ProjectRow) -> anyhow::Result<Option<Timestamp>> {
        let id = project.id;
        let mut round = Round::default();
        if self.stop.is_cancelled() {
            return Ok(None);
        }
        let open: Vec<Walk> = self.store.catalogue().walks().await?;
        let moved = self.see_changes(project, &mut round).await?;
        let due = self.due(project, &mut round).await?;
        if moved || !due.is_empty() {
            let until = self.reach(project, &due).await?;
            let step = WalkStep::Head { until: project.newest_job };
            let head = Walking { step, cursor: Cursor::default(), until };
            self.walk(project, head, &mut round).await?;
        }
        for walk in open.into_iter().filter(|w| w.project == id && self.is_wanted(w)) {
            let cursor = walk.cursor.parse().context("read the place where a walk stopped")?;
            let until = walk.until;
            let rest = Walking { step: WalkStep::Resumed(walk), cursor, until };
            self.walk(project, rest, &mut round).await?;
        }
        self.visit(project, due, &mut round).await?;
        if self.stop.is_cancelled() {
            return Ok(round.listed_at);
        }
        self.send(Message::Pipelines(std::mem::take(&mut round.pipelines))).await;
        self.send(Message::Marks(id, std::mem::take(&mut round.marks))).await;
        let waiting = round.waiting.iter().filter(|job| !round.seen.contains(job)).count();
        self.tally(|s| s.pending += waiting as u64);
        self.tally(|s| s.reached += 1);
        self.send(Message::Synced(id)).await;
        Ok(round.listed_at)
    }

    /// Does what can wait until all projects are listed, and until no job is in danger.
    async fn tend_project(
        &self,
        project: &ProjectRow,
        listed_at: Option<Timestamp>,
    ) -> anyhow::Result<()> {
        if !self.aside().await {
            return Ok(());
        }
        self.see_pipelines(project, listed_at).await?;
        self.sweep(project).await
    }

    /// Returns whether what lies beyond a walk's end is young enough to be wanted.
    fn is_wanted(&self, walk: &Walk) -> bool {
        match (walk.reached_at, self.options.since) {
            (Some(reached), Some(since)) => reached >= since,
            _ => true,
        }
    }

    /// Follows the job list until a job at or below `until`, or one too old.
    async fn walk(
        &self,
        project: &ProjectRow,
        mut walking: Walking,
        round: &mut Round,
    ) -> anyhow::Result<()> {
        let mut lowest = JobId(crate::model::MAX_ID);
        loop {
            let asked = self.ask(self.client.jobs_page(project.id, &[], &walking.cursor)).await;
            let Some(page) = asked else { return Ok(()) };
            let mut page = page.with_context(|| format!("list the jobs of {}", project.path))?;
            round.listed_at.get_or_insert_with(|| self.server_now());
            let known = page.items.iter().any(|r| r.value.id <= walking.until);
            let old = self.cut_old(&mut page);
            // Walking by page number meets jobs again that new ones pushed down.
            page.items.retain(|r| r.value.id < lowest);
            lowest = page.items.iter().map(|r| r.value.id).min().unwrap_or(lowest).min(lowest);
            let next = match (known, old) {
                // What is too old now is walked when it is asked for: this page comes again then.
                (false, Some(_)) => Some(walking.cursor.clone()),
                (false, None) => page.next.clone(),
                (true, _) => None,
            };
            let over = known || old.is_some();
            self.take_page(project, page, walking.step, next.as_ref(), old, round).await?;
            match next {
                Some(next) if !over => walking.cursor = next,
                _ => return Ok(()),
            }
            walking.step = WalkStep::Further;
        }
    }

    /// Leaves out jobs that came to be too long ago; returns when the first of them did.
    fn cut_old(&self, page: &mut Page<Job>) -> Option<Timestamp> {
        let since = self.options.since?;
        let old = |r: &Received<Job>| r.value.created_at.is_some_and(|at| at < since);
        let first = page.items.iter().position(old)?;
        let reached = page.items[first].value.created_at;
        page.items.truncate(first);
        reached
    }

    /// Hands a page to the writer, then its jobs to the fetchers.
    async fn take_page(
        &self,
        project: &ProjectRow,
        page: Page<Job>,
        step: WalkStep,
        next: Option<&Cursor>,
        reached_at: Option<Timestamp>,
        round: &mut Round,
    ) -> anyhow::Result<()> {
        self.report_bad(project, &page);
        let newest = page.items.iter().map(|r| r.value.id).max();
        let (listed, items) = self.decide(project, page.items, round).await?;
        let message = Message::Page {
            project: project.clone(),
            listed,
            step,
            next: next.map(ToString::to_string),
            reached_at,
            newest: newest.unwrap_or_default(),
        };
        self.send(message).await;
        self.enqueue(items);
        Ok(())
    }

    pub(super) fn enqueue(&self, items: Vec<Item>) {
        let now = self.server_now();
        items.into_iter().for_each(|item| self.queue.push(item, now));
    }

    pub(super) fn report_bad<T>(&self, project: &ProjectRow, page: &Page<T>) {
        for bad in &page.bad {
            self.fail(Failure {
                job: bad.id.map(JobId),
                project: project.path.clone(),
                reason: format!("the server's document of it cannot be read: {}", bad.reason),
            });
        }
    }

    /// Decides for listed jobs what is written and what is fetched.
    pub(super) async fn decide(
        &self,
        project: &ProjectRow,
        jobs: Vec<Received<Job>>,
        round: &mut Round,
    ) -> anyhow::Result<(Vec<Listed>, Vec<Item>)> {
        let ids: Vec<JobId> = jobs.iter().map(|r| r.value.id).collect();
        let rows = self.store.catalogue().jobs_by_id(&ids).await?;
        let rows: HashMap<JobId, JobRow> = rows.into_iter().map(|r| (r.id, r)).collect();
        let (now, delete_after) = (self.server_now(), self.known(project.id).delete_after);
        let (mut listed, mut items) = (Vec::new(), Vec::new());
        for received in jobs {
            let job = &received.value;
            let row = rows.get(&job.id);
            if round.seen.len() < MAX_SEEN && !round.seen.insert(job.id) {
                continue;
            }
            self.tally(|s| s.listed += 1);
            if let (None, Some(archive), true) = (row, job.archive(), job.is_finished()) {
                let one = ArtifactSum::one(archive.size);
                self.tally(|s| s.new_artifacts = s.new_artifacts.plus(one));
            }
            let decision = decide(job, row, now);
            if decision.fetch {
                items.push(decide::item(job, project.id, row, delete_after, now));
            }
            let waits = decision.state.is_none() && decision.postponed.is_some();
            self.tally(|s| s.pending += u64::from(waits));
            let digest = digest(job);
            let changed = row.is_none_or(|r| r.digest != digest);
            if changed || decision.state.is_some() || decision.postponed.is_some() {
                let (state, postponed) = (decision.state, decision.postponed);
                listed.push(Listed { received, digest, changed, state, postponed });
            }
        }
        Ok((listed, items))
    }
}
