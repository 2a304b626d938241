//! Jobs and bridges: lists, single ones, and the four actions.
//!
//! Owns the routes under `jobs`. Knows neither paging nor retries.
//! Source: <https://docs.gitlab.com/api/jobs/>.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::call::Call;
use super::pages::{Cursor, Listing};
use super::projects::ProjectRef;
use super::wire::{self, Page, Received};
use super::{Client, Error};
use crate::model::{Bridge, Job, JobId, PipelineId, Status};

/// A status to list jobs of.
pub type Scope = Status;

/// A variable for a manual job.
#[derive(Debug, Clone)]
pub struct JobVariable {
    /// The name.
    pub key: String,
    /// The value, which may be a secret.
    pub value: SecretString,
}

/// What was played: a job, or a bridge, which has no more than the fields of a job.
pub type Played = Received<Job>;

/// Makes `scope=x` of one and `scope[]=x&scope[]=y` of many.
fn scope_query(scope: &[Scope]) -> Vec<(String, String)> {
    let key = if scope.len() == 1 { "scope" } else { "scope[]" };
    scope.iter().map(|status| (key.to_owned(), status.as_str().to_owned())).collect()
}

impl Client {
    /// Fetches one page of a project's jobs, newest first, retried ones included.
    ///
    /// An empty `scope` means all. The list holds no bridges.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a project, [`Error::Forbidden`] where CI is hidden.
    pub async fn jobs_page(
        &self,
        project: impl Into<ProjectRef>,
        scope: &[Scope],
        cursor: &Cursor,
    ) -> Result<Page<Job>, Error> {
        let path = format!("/projects/{}/jobs", project.into());
        self.page(&Listing::new(path, scope_query(scope)).by_keyset(), cursor).await
    }

    /// Fetches all jobs of a pipeline, retried ones included.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a pipeline.
    pub async fn pipeline_jobs(
        &self,
        project: impl Into<ProjectRef>,
        pipeline: PipelineId,
        scope: &[Scope],
    ) -> Result<Page<Job>, Error> {
        let path = format!("/projects/{}/pipelines/{pipeline}/jobs", project.into());
        let mut query = scope_query(scope);
        query.push(("include_retried".into(), "true".into()));
        self.whole(Listing::new(path, query)).await
    }

    /// Fetches the bridges of a pipeline, each in its latest attempt.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a pipeline.
    pub async fn bridges(
        &self,
        project: impl Into<ProjectRef>,
        pipeline: PipelineId,
        scope: &[Scope],
    ) -> Result<Page<Bridge>, Error> {
        let path = format!("/projects/{}/pipelines/{pipeline}/bridges", project.into());
        self.whole(Listing::new(path, scope_query(scope))).await
    }

    /// Fetches one job.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if it is gone, is a bridge, or is another project's.
    pub async fn job(
        &self,
        project: impl Into<ProjectRef>,
        job: JobId,
    ) -> Result<Received<Job>, Error> {
        let call = Call::get(&self.http, &format!("/projects/{}/jobs/{job}", project.into()))?;
        let received = self.http.json(&call, |reply| wire::object::<Job>(&reply.text)).await?;
        if received.value.id == job {
            Ok(received)
        } else {
            Err(Error::malformed(&call.place(), "it is another job"))
        }
    }

    /// Cancels a job. One that has ended stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] without the right to.
    pub async fn cancel(
        &self,
        project: impl Into<ProjectRef>,
        job: JobId,
    ) -> Result<Received<Job>, Error> {
        self.act(project.into(), job, "cancel", None).await
    }

    /// Retries a job and returns the new one.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if it cannot be retried.
    pub async fn retry(
        &self,
        project: impl Into<ProjectRef>,
        job: JobId,
    ) -> Result<Received<Job>, Error> {
        self.act(project.into(), job, "retry", None).await
    }

    /// Erases a job's log and artifacts on the server.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if it cannot be erased, for instance because it was already.
    pub async fn erase(
        &self,
        project: impl Into<ProjectRef>,
        job: JobId,
    ) -> Result<Received<Job>, Error> {
        self.act(project.into(), job, "erase", None).await
    }

    /// Starts a manual job, with variables if there are any.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 400 if it cannot be played.
    pub async fn play(
        &self,
        project: impl Into<ProjectRef>,
        job: JobId,
        variables: &[JobVariable],
    ) -> Result<Played, Error> {
        let body = (!variables.is_empty()).then(|| {
            let list: Vec<_> = variables
                .iter()
                .map(|var| json!({ "key": var.key, "value": var.value.expose_secret() }))
                .collect();
            json!({ "job_variables_attributes": list }).to_string()
        });
        self.act(project.into(), job, "play", body).await
    }

    async fn act(
        &self,
        project: ProjectRef,
        job: JobId,
        action: &str,
        body: Option<String>,
    ) -> Result<Received<Job>, Error> {
        let path = format!("/projects/{project}/jobs/{job}/{action}");
        let call = Call::post(&self.http, &path, body)?;
        self.http.json(&call, |reply| wire::object(&reply.text)).await
    }
}
