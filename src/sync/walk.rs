//! Discovery: the pages of a project's job list, walks left open by earlier runs, and the open set.
//!
//! A walk goes from the newest job down to those known already. Where a page's rows become durable its cursor does
//! too, so that a walk goes on where it was interrupted and no listed job is without a row.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::queue::{Held, Item};
use super::writer::{Listed, Message, WalkStep};
use super::{Failure, Run};
use crate::gitlab::{self, Cursor, Page, Received};
use crate::model::{Job, JobId, ProjectId, Status, TraceState};
use crate::store::catalogue::{ProjectRow, Walk};
use crate::store::{JobRow, NewState, TraceId};

/// Open jobs read from the catalogue at once.
const OPEN_AT_ONCE: u32 = 1000;
/// How soon a job that waits for a person or a time is looked at again.
const BLOCKED_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// What a listing means for a job.
#[derive(Debug)]
struct Decision {
    state: Option<NewState>,
    fetch: bool,
}

impl Run {
    /// Walks one project: new jobs, what earlier walks left, and the open set.
    pub(super) async fn walk_project(&self, project: ProjectRow) -> anyhow::Result<()> {
        let id = project.id;
        let mut seen = HashSet::new();
        let open: Vec<Walk> = self.store.catalogue().walks().await?;
        let head = WalkStep::Head { until: project.newest_job };
        self.walk(&project, head, Cursor::default(), project.newest_job, &mut seen).await?;
        for walk in open.into_iter().filter(|w| w.project == id) {
            let cursor = walk.cursor.parse().context("read the place where a walk stopped")?;
            let until = walk.until;
            self.walk(&project, WalkStep::Resumed(walk), cursor, until, &mut seen).await?;
        }
        self.visit_open(&project, &mut seen).await?;
        self.send(Message::Synced(id)).await;
        Ok(())
    }

    /// Follows the job list from `cursor` until a job at or below `until`.
    async fn walk(
        &self,
        project: &ProjectRow,
        mut step: WalkStep,
        mut cursor: Cursor,
        until: JobId,
        seen: &mut HashSet<JobId>,
    ) -> anyhow::Result<()> {
        while !self.stop.is_cancelled() {
            let asked = async {
                let _permit = self.permits.acquire().await.ok();
                self.client.jobs_page(project.id, &[], &cursor).await
            };
            let page = tokio::select! {
                page = asked => page.with_context(|| format!("list the jobs of {}", project.path))?,
                () = self.stop.cancelled() => return Ok(()),
            };
            let known = page.items.iter().any(|r| r.value.id <= until);
            let next = page.next.clone().filter(|_| !known);
            self.take_page(project, page, step, next.as_ref(), seen).await?;
            let Some(next) = next else { return Ok(()) };
            cursor = next;
            step = WalkStep::Further;
        }
        Ok(())
    }

    /// Hands a page to the writer, then its jobs to the fetchers.
    async fn take_page(
        &self,
        project: &ProjectRow,
        page: Page<Job>,
        step: WalkStep,
        next: Option<&Cursor>,
        seen: &mut HashSet<JobId>,
    ) -> anyhow::Result<()> {
        for bad in &page.bad {
            self.fail(Failure {
                job: bad.id.map(JobId),
                project: project.path.clone(),
                reason: format!("the server's document of it cannot be read: {}", bad.reason),
            });
        }
        let newest = page.items.iter().map(|r| r.value.id).max();
        let fresh: Vec<_> = page.items.into_iter().filter(|r| seen.insert(r.value.id)).collect();
        let (listed, items) = self.decide(project, fresh).await?;
        let next = next.map(ToString::to_string);
        let message = Message::Page {
            project: project.clone(),
            listed,
            step,
            next,
            newest: newest.unwrap_or_default(),
        };
        self.send(message).await;
        for item in items {
            self.queue.push(item);
        }
        Ok(())
    }

    /// Decides for listed jobs what is written and what is fetched.
    async fn decide(
        &self,
        project: &ProjectRow,
        jobs: Vec<Received<Job>>,
    ) -> anyhow::Result<(Vec<Listed>, Vec<Item>)> {
        let ids: Vec<JobId> = jobs.iter().map(|r| r.value.id).collect();
        let rows = self.store.catalogue().jobs_by_id(&ids).await?;
        let rows: HashMap<JobId, JobRow> = rows.into_iter().map(|r| (r.id, r)).collect();
        let now = self.server_now();
        let (mut listed, mut items) = (Vec::new(), Vec::new());
        for received in jobs {
            let row = rows.get(&received.value.id);
            self.tally(|s| s.listed += 1);
            let decision = decide(&received.value, row, now);
            if decision.fetch {
                items.push(item(&received.value, project.id, row));
            }
            let digest = digest(&received.value);
            let changed = row.is_none_or(|r| r.digest != digest);
            if changed || decision.state.is_some() {
                listed.push(Listed { received, digest, changed, state: decision.state });
            }
        }
        Ok((listed, items))
    }

    /// Looks again at jobs that are not settled and stood on no page of this run.
    async fn visit_open(
        &self,
        project: &ProjectRow,
        seen: &mut HashSet<JobId>,
    ) -> anyhow::Result<()> {
        let mut below = JobId(u64::MAX >> 1);
        while !self.stop.is_cancelled() {
            let rows = self.store.catalogue().open_jobs(project.id, below, OPEN_AT_ONCE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            below = last.id;
            for row in rows {
                if seen.insert(row.id) && !self.stop.is_cancelled() {
                    self.visit(project, row).await?;
                }
            }
        }
        Ok(())
    }

    async fn visit(&self, project: &ProjectRow, row: JobRow) -> anyhow::Result<()> {
        let now = self.server_now();
        let failed_before = row.trace.is_none() && row.attempts > 0;
        if row.next_at.is_some_and(|at| at > now) && !failed_before {
            self.tally(|s| s.pending += u64::from(row.state == TraceState::Pending));
            return Ok(());
        }
        if row.trace.is_none()
            && Status::from(row.status.as_str()).is_finished()
            && row.attempts == 0
        {
            self.queue.push(held_item(&row));
            return Ok(());
        }
        let asked = async {
            let _permit = self.permits.acquire().await.ok();
            self.client.job(project.id, row.id).await
        };
        let received = tokio::select! {
            received = asked => received,
            () = self.stop.cancelled() => return Ok(()),
        };
        match received {
            Ok(received) => {
                let (listed, items) = self.decide(project, vec![received]).await?;
                self.send(Message::Jobs { project: project.clone(), listed }).await;
                items.into_iter().for_each(|item| self.queue.push(item));
            }
            Err(gitlab::Error::NotFound { .. }) => {
                self.send(Message::Gone {
                    job: row.id,
                    project: row.project,
                    held: row.trace.is_some(),
                })
                .await;
            }
            Err(e) => {
                let reason = super::reason(&e);
                self.fail(Failure { job: Some(row.id), project: project.path.clone(), reason });
                self.give_up_if_hopeless(e)?;
            }
        }
        Ok(())
    }
}

/// Decides what a listing of `job` means, given what is known of it.
fn decide(job: &Job, row: Option<&JobRow>, now: Timestamp) -> Decision {
    let status = job.status.clone().unwrap_or(Status::Other(String::new()));
    if status == Status::Skipped && row.is_none_or(|r| r.trace.is_none()) {
        let settled = row.is_some_and(|r| r.next_at.is_none());
        let state = (!settled).then(|| state(TraceState::NoLog, "skipped: it never ran", None, 0));
        return Decision { state, fetch: false };
    }
    if !status.is_finished() {
        let blocked = matches!(status, Status::Created | Status::Manual | Status::Scheduled);
        let next_at = if blocked { now + BLOCKED_EVERY } else { now };
        let reason = format!("not finished: {status}");
        return Decision {
            state: Some(state(TraceState::Pending, reason, Some(next_at), 0)),
            fetch: false,
        };
    }
    let Some(row) = row else {
        let waiting = state(TraceState::Pending, "finished, not fetched yet", Some(now), 0);
        return Decision { state: Some(waiting), fetch: true };
    };
    let exact = row.raw_bytes.is_some() && row.raw_bytes == job.trace_size();
    match (row.trace, row.next_at) {
        // A second look that needs no request: the announced length is the one we hold.
        (Some(_), Some(_)) if exact => {
            let kept =
                if row.state == TraceState::Truncated { row.state } else { TraceState::Archived };
            Decision { state: Some(state(kept, row.reason.clone(), None, 0)), fetch: false }
        }
        (Some(_), None) if job.erased_at.is_some() && row.erased_at.is_none() => {
            let mut erased = state(row.state, "erased upstream", None, 0);
            erased.erased = true;
            Decision { state: Some(erased), fetch: false }
        }
        (Some(_), None) => Decision { state: None, fetch: false },
        (Some(_), Some(at)) => {
            Decision { state: None, fetch: at <= now || job.trace_size().is_some() }
        }
        (None, None) => Decision {
            state: None,
            fetch: job.trace_size().is_some() && row.state == TraceState::NoLog,
        },
        (None, Some(_)) if row.state == TraceState::Pending => {
            // It ended since: what it waited for is over.
            Decision { state: None, fetch: true }
        }
        (None, Some(at)) => {
            Decision { state: None, fetch: at <= now || job.trace_size().is_some() }
        }
    }
}

fn state(
    state: TraceState,
    reason: impl Into<String>,
    next_at: Option<Timestamp>,
    attempts: u32,
) -> NewState {
    NewState { state, reason: reason.into(), next_at, attempts, gone: false, erased: false }
}

fn item(job: &Job, project: ProjectId, row: Option<&JobRow>) -> Item {
    Item {
        job: job.id,
        project,
        deadline: job.artifacts_expire_at,
        finished_at: job.finished_at,
        erased: job.erased_at.is_some(),
        announced: job.trace_size(),
        held: row.and_then(held),
        attempts: row.map_or(0, |r| r.attempts),
        tries: 0,
    }
}

fn held_item(row: &JobRow) -> Item {
    Item {
        job: row.id,
        project: row.project,
        deadline: row.artifacts_expire_at,
        finished_at: row.finished_at,
        erased: row.erased_at.is_some(),
        announced: row.trace_size,
        held: held(row),
        attempts: row.attempts,
        tries: 0,
    }
}

fn held(row: &JobRow) -> Option<Held> {
    let (trace, bytes, hash): (TraceId, u64, [u8; 32]) = (row.trace?, row.raw_bytes?, row.hash?);
    Some(Held { trace, bytes, hash })
}

/// Condenses what a job's document says for good, so that a later one is kept only if it says something new.
///
/// Left out is what changes by itself: the age of a running job, whether its runner is online now.
pub(super) fn digest(job: &Job) -> i64 {
    let running = !job.is_finished();
    let said = format!(
        "{:?}",
        (
            (
                job.id,
                job.project,
                job.pipeline,
                &job.name,
                &job.stage,
                &job.status,
                &job.git_ref,
                job.tag
            ),
            (&job.sha, job.created_at, job.started_at, job.finished_at, job.erased_at),
            (
                job.duration.filter(|_| !running),
                &job.failure_reason,
                job.allow_failure,
                &job.web_url
            ),
            (&job.user, job.runner.as_ref().map(|r| r.id), &job.artifacts, job.artifacts_expire_at),
            (&job.tag_list, job.archived, job.coverage),
        )
    );
    let hash = blake3::hash(said.as_bytes());
    i64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
}
