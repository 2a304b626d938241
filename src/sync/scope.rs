//! Which projects a sync is about, and by whom they are captured.

use anyhow::Context;
use jiff::SignedDuration;

use super::writer::Message;
use super::{Failure, Run, reason};
use crate::gitlab::{self, ProjectRef};
use crate::store::Identity;
use crate::store::catalogue::ProjectRow;

/// A project's document is read anew after this long, so that a rename is noticed.
const PROJECT_AGE: SignedDuration = SignedDuration::from_hours(1);

impl Run {
    /// Turns what was asked for into projects with ids; a project that cannot be had is a failure of its own.
    pub(super) async fn resolve_all(&self) -> anyhow::Result<Vec<ProjectRow>> {
        let known = self.store.catalogue().projects().await?;
        let mut projects: Vec<ProjectRow> = Vec::new();
        let mut refused = None;
        for wanted in &self.options.projects {
            let row = known.iter().find(|row| match wanted {
                ProjectRef::Id(id) => row.id == *id,
                ProjectRef::Path(path) => row.path == *path,
            });
            let fresh = row.filter(|r| self.now().duration_since(r.seen_at) < PROJECT_AGE);
            let resolved = match fresh {
                Some(row) => Ok(row.clone()),
                None => self.resolve(wanted, &known).await,
            };
            match resolved {
                Ok(row) if projects.iter().any(|p| p.id == row.id) => {}
                Ok(row) => projects.push(row),
                Err(e) => {
                    let project = match wanted {
                        ProjectRef::Id(id) => id.to_string(),
                        ProjectRef::Path(path) => path.clone(),
                    };
                    self.fail(Failure { job: None, project, reason: reason(&e) });
                    refused = Some(e);
                }
            }
        }
        match refused {
            Some(e) if projects.is_empty() => Err(e).context("find the project"),
            _ => {
                let mut paths = self.paths.lock().unwrap_or_else(|e| e.into_inner());
                paths.extend(projects.iter().map(|p| (p.id, p.path.clone())));
                Ok(projects)
            }
        }
    }

    async fn resolve(
        &self,
        wanted: &ProjectRef,
        known: &[ProjectRow],
    ) -> Result<ProjectRow, gitlab::Error> {
        let received = self.client.project(wanted).await?;
        let project = &received.value;
        let newest = known.iter().find(|k| k.id == project.id).map(|k| k.newest_job);
        let row = ProjectRow {
            id: project.id,
            path: project.path_with_namespace.clone().unwrap_or_else(|| project.id.to_string()),
            web_url: project.web_url.clone().unwrap_or_default(),
            seen_at: self.now(),
            newest_job: newest.unwrap_or_default(),
        };
        self.send(Message::Project { row: row.clone(), document: received.raw }).await;
        Ok(row)
    }

    /// Asks once, before the first trace, by whom jobs are captured.
    pub(super) async fn identify(&self) -> Result<(), gitlab::Error> {
        let ask = || async {
            let version = self.client.version().await?;
            let user = match self.client.whoami().await {
                Ok(user) => user.value.username.unwrap_or_default(),
                // A job token has no user that it may read.
                Err(gitlab::Error::Unauthorized { .. } | gitlab::Error::Forbidden { .. }) => {
                    String::new()
                }
                Err(e) => return Err(e),
            };
            let gitlab_version = version.and_then(|v| v.version).unwrap_or_default();
            let identity = Identity { host: self.options.host.clone(), gitlab_version, user };
            self.send(Message::Identity(identity)).await;
            Ok(())
        };
        self.identified.get_or_try_init(ask).await.copied()
    }
}
