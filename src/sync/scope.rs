//! Which projects a sync is of: named ones, those of groups, all.
//!
//! A project is known by its id, so that one renamed or moved keeps its jobs; its path is read anew now and then.
//! A project that cannot be had is a failure of its own; only if none can, the sync fails.

use std::collections::HashSet;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::run::{Known, Run, reason};
use super::writer::Message;
use super::{Everything, Failure};
use crate::gitlab::{self, Cursor, ProjectFilter, ProjectRef, Received};
use crate::model::{Project, ProjectId};
use crate::store::catalogue::{Marks, ProjectRow};

/// A project's document is read anew after this long, so that a rename is noticed.
const PROJECT_AGE: SignedDuration = SignedDuration::from_hours(1);
/// A watch lists groups anew after this long, so that new projects are noticed.
const LIST_AGE: SignedDuration = SignedDuration::from_mins(10);

/// The projects that an earlier round of the same watch found in groups.
#[derive(Debug, Default)]
pub(super) struct Listed {
    found: Vec<ProjectId>,
    at: Option<Timestamp>,
}

impl Run {
    /// Turns what was asked for into projects with ids. Stops early where the run stops.
    pub(super) async fn resolve_all(&self, listed: &mut Listed) -> anyhow::Result<Vec<ProjectRow>> {
        let known = self.store.catalogue().projects().await?;
        let mut projects: Vec<ProjectRow> = Vec::new();
        let mut refused = None;
        for wanted in &self.options.projects {
            match self.resolve(wanted, &known).await {
                None => break,
                Some(Ok(row)) => projects.push(row),
                Some(Err(e)) => {
                    let project = match wanted {
                        ProjectRef::Id(id) => id.to_string(),
                        ProjectRef::Path(path) => path.clone(),
                    };
                    self.fail(Failure { job: None, project, reason: reason(&e) });
                    refused = Some(e);
                }
            }
        }
        if let Err(e) = self.list_groups(&known, listed, &mut projects).await {
            refused = Some(e);
        }
        let mut seen = HashSet::new();
        projects.retain(|project| seen.insert(project.id));
        for project in &projects {
            let delete_after = self.store.catalogue().marks(project.id).await?.delete_after_secs;
            let known = Known { path: project.path.clone(), ..self.known(project.id) };
            let delete_after = known.delete_after.or(delete_after);
            self.know(project.id, Known { delete_after, ..known });
        }
        match refused {
            Some(e) if projects.is_empty() => Err(e).context("find the project"),
            _ => Ok(projects),
        }
    }

    async fn resolve(
        &self,
        wanted: &ProjectRef,
        known: &[ProjectRow],
    ) -> Option<Result<ProjectRow, gitlab::Error>> {
        // Of two that bore a path one after the other, the one seen last bears it now.
        let row = known.iter().filter(|row| match wanted {
            ProjectRef::Id(id) => row.id == *id,
            ProjectRef::Path(path) => row.path == *path,
        });
        if let Some(row) = row.max_by_key(|row| row.seen_at)
            && self.is_recent(row)
        {
            return Some(Ok(row.clone()));
        }
        match self.ask(self.client.project(wanted)).await? {
            Ok(received) => Some(Ok(self.take_project(received, known).await)),
            Err(e) => Some(Err(e)),
        }
    }

    fn is_recent(&self, row: &ProjectRow) -> bool {
        self.now().duration_since(row.seen_at) < PROJECT_AGE
    }

    /// Makes a row of a project's document and writes both where they are new or old.
    pub(super) async fn take_project(
        &self,
        received: Received<Project>,
        known: &[ProjectRow],
    ) -> ProjectRow {
        let project = &received.value;
        let old = known.iter().find(|k| k.id == project.id);
        let row = ProjectRow {
            id: project.id,
            path: project.path_with_namespace.clone().unwrap_or_else(|| project.id.to_string()),
            web_url: project.web_url.clone().unwrap_or_default(),
            seen_at: self.now(),
            newest_job: old.map(|k| k.newest_job).unwrap_or_default(),
        };
        let delete_after = project.ci_delete_pipelines_in_seconds;
        self.know(project.id, Known { path: row.path.clone(), delete_after });
        if old.is_none_or(|old| old.path != row.path || !self.is_recent(old)) {
            self.send(Message::Project { row: row.clone(), document: received.raw }).await;
            let marks =
                Marks { delete_after_secs: Some(delete_after.unwrap_or(0)), ..Marks::default() };
            self.send(Message::Marks(row.id, marks)).await;
        }
        row
    }

    /// Adds the projects of groups, and all, as far as they are wanted.
    async fn list_groups(
        &self,
        known: &[ProjectRow],
        listed: &mut Listed,
        projects: &mut Vec<ProjectRow>,
    ) -> Result<(), gitlab::Error> {
        if self.options.groups.is_empty() && self.options.everything.is_none() {
            return Ok(());
        }
        if listed.at.is_some_and(|at| self.now().duration_since(at) < LIST_AGE) {
            let found = known.iter().filter(|row| listed.found.contains(&row.id));
            projects.extend(found.cloned());
            return Ok(());
        }
        let mut found = Vec::new();
        let archived = (!self.options.archived).then_some(false);
        let filter = ProjectFilter { archived, ..ProjectFilter::default() };
        let mut refused = Ok(());
        for group in &self.options.groups {
            match self.ask(self.client.group_projects(group, &filter)).await {
                None => return Ok(()),
                Some(Ok(page)) => self.take_wanted(page.items, known, &mut found).await,
                Some(Err(e)) => {
                    let project = format!("{}/*", group.0);
                    self.fail(Failure { job: None, project, reason: reason(&e) });
                    refused = Err(e);
                }
            }
        }
        if let Some(everything) = self.options.everything {
            let membership = everything == Everything::Membership;
            let filter = ProjectFilter { membership, ..filter };
            if let Err(e) = self.list_everything(&filter, known, &mut found).await {
                self.fail(Failure { job: None, project: "*".to_owned(), reason: reason(&e) });
                refused = Err(e);
            }
        }
        if refused.is_ok() && !self.stop.is_cancelled() {
            listed.at = Some(self.now());
            listed.found = found.iter().map(|row| row.id).collect();
        }
        projects.extend(found);
        refused
    }

    async fn list_everything(
        &self,
        filter: &ProjectFilter,
        known: &[ProjectRow],
        found: &mut Vec<ProjectRow>,
    ) -> Result<(), gitlab::Error> {
        let mut cursor = Cursor::default();
        while let Some(page) = self.ask(self.client.projects_page(filter, &cursor)).await {
            let page = page?;
            self.take_wanted(page.items, known, found).await;
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        Ok(())
    }

    async fn take_wanted(
        &self,
        items: Vec<Received<Project>>,
        known: &[ProjectRow],
        found: &mut Vec<ProjectRow>,
    ) {
        for received in items {
            let project = &received.value;
            let path = project.path_with_namespace.as_deref().unwrap_or_default();
            // Without CI there is no job, and asking for one is forbidden.
            let has_ci = project.jobs_enabled != Some(false)
                && project.builds_access_level.as_deref() != Some("disabled");
            if has_ci && self.options.wants(path, project.archived.unwrap_or(false)) {
                found.push(self.take_project(received, known).await);
            }
        }
    }
}
