//! Projects, groups, pipelines, and who and what answers.
//!
//! Owns the routes outside `jobs` and the encoding of a project's path. Knows neither paging nor
//! retries. Source: <https://docs.gitlab.com/api/projects/>,
//! <https://docs.gitlab.com/api/pipelines/>.

use std::fmt::{self, Write};

use jiff::Timestamp;

use super::call::Call;
use super::pages::{Cursor, Listing};
use super::wire::{self, Page, Received};
use super::{Client, Error};
use crate::model::{Pipeline, PipelineId, Project, ProjectId, User, Version};

/// A project by its id or its full path. Displayed as it stands in an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProjectRef {
    /// By id, which survives moves.
    Id(ProjectId),
    /// By full path, `group/subgroup/project`.
    Path(String),
}

impl From<ProjectId> for ProjectRef {
    fn from(id: ProjectId) -> Self {
        Self::Id(id)
    }
}

impl From<&ProjectRef> for ProjectRef {
    fn from(project: &ProjectRef) -> Self {
        project.clone()
    }
}

impl From<&str> for ProjectRef {
    /// Takes digits for an id, as GitLab does.
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Path(text.trim_matches('/').to_owned()), Self::Id)
    }
}

impl fmt::Display for ProjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Path(path) => encode(path, f),
        }
    }
}

/// A group by its id or its full path. Displayed as it stands in an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupRef(pub String);

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        encode(self.0.trim_matches('/'), f)
    }
}

/// Encodes all that is not plain, dots included: `..` must not become a step up, and older
/// servers took what follows a dot for a format.
fn encode(path: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    path.bytes().try_for_each(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => f.write_char(byte.into()),
        _ => write!(f, "%{byte:02X}"),
    })
}

/// Which projects to list.
#[derive(Debug, Clone, Default)]
pub struct ProjectFilter {
    /// Only those the token's user is a member of.
    pub membership: bool,
    /// Only archived ones, or only others; `None` for both.
    pub archived: Option<bool>,
    /// Few fields only.
    pub simple: bool,
}

impl ProjectFilter {
    fn query(&self) -> Vec<(String, String)> {
        let mut query = Vec::new();
        if self.membership {
            query.push(("membership".into(), "true".into()));
        }
        if let Some(archived) = self.archived {
            query.push(("archived".into(), archived.to_string()));
        }
        if self.simple {
            query.push(("simple".into(), "true".into()));
        }
        query
    }
}

/// The order of a list of pipelines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PipelineOrder {
    /// Newest first.
    #[default]
    NewestFirst,
    /// Latest changed first.
    LatestChange,
    /// Longest unchanged first, to follow changes as they come.
    OldestChange,
}

/// Which pipelines to list.
#[derive(Debug, Clone, Default)]
pub struct PipelineFilter {
    /// Only those changed after this time.
    pub updated_after: Option<Timestamp>,
    /// Only those begun by this; `parent_pipeline` lists the child pipelines, which are
    /// otherwise left out.
    pub source: Option<String>,
    /// The order.
    pub order: PipelineOrder,
}

impl PipelineFilter {
    fn query(&self) -> Vec<(String, String)> {
        let mut query = Vec::new();
        let mut add = |key: &str, value: &str| query.push((key.to_owned(), value.to_owned()));
        if let Some(after) = self.updated_after {
            add("updated_after", &after.to_string());
        }
        if let Some(source) = &self.source {
            add("source", source);
        }
        match self.order {
            PipelineOrder::NewestFirst => {}
            PipelineOrder::LatestChange => add("order_by", "updated_at"),
            PipelineOrder::OldestChange => {
                add("order_by", "updated_at");
                add("sort", "asc");
            }
        }
        query
    }
}

impl Client {
    /// Fetches a project. A former path works as long as the server redirects it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is none or the token may not see it.
    pub async fn project(
        &self,
        project: impl Into<ProjectRef>,
    ) -> Result<Received<Project>, Error> {
        let call = Call::get(&self.http, &format!("/projects/{}", project.into()))?;
        self.http.json(&call, |reply| wire::object(&reply.text)).await
    }

    /// Fetches one page of projects, by falling id.
    ///
    /// # Errors
    ///
    /// As every request.
    pub async fn projects_page(
        &self,
        filter: &ProjectFilter,
        cursor: &Cursor,
    ) -> Result<Page<Project>, Error> {
        let mut query = filter.query();
        query.push(("order_by".into(), "id".into()));
        self.page(&Listing::new("/projects".into(), query).by_keyset(), cursor).await
    }

    /// Fetches all projects.
    ///
    /// # Errors
    ///
    /// As every request.
    pub async fn projects(&self, filter: &ProjectFilter) -> Result<Page<Project>, Error> {
        let mut query = filter.query();
        query.push(("order_by".into(), "id".into()));
        self.whole(Listing::new("/projects".into(), query).by_keyset()).await
    }

    /// Fetches all projects of a group and its subgroups.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a group.
    pub async fn group_projects(
        &self,
        group: &GroupRef,
        filter: &ProjectFilter,
    ) -> Result<Page<Project>, Error> {
        let mut query = filter.query();
        query.push(("include_subgroups".into(), "true".into()));
        self.whole(Listing::new(format!("/groups/{group}/projects"), query)).await
    }

    /// Fetches one page of a project's pipelines.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a project, [`Error::Forbidden`] where CI is hidden.
    pub async fn pipelines_page(
        &self,
        project: impl Into<ProjectRef>,
        filter: &PipelineFilter,
        cursor: &Cursor,
    ) -> Result<Page<Pipeline>, Error> {
        let path = format!("/projects/{}/pipelines", project.into());
        self.page(&Listing::new(path, filter.query()), cursor).await
    }

    /// Fetches one pipeline.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if it is gone.
    pub async fn pipeline(
        &self,
        project: impl Into<ProjectRef>,
        pipeline: PipelineId,
    ) -> Result<Received<Pipeline>, Error> {
        let path = format!("/projects/{}/pipelines/{pipeline}", project.into());
        let call = Call::get(&self.http, &path)?;
        self.http.json(&call, |reply| wire::object(&reply.text)).await
    }

    /// Fetches the server's version, or `None` where the token may not know it.
    ///
    /// # Errors
    ///
    /// As every request, but not for 401, 403 and 404.
    pub async fn version(&self) -> Result<Option<Version>, Error> {
        let call = Call::get(&self.http, "/version")?;
        match self.http.json(&call, |reply| wire::object::<Version>(&reply.text)).await {
            Ok(received) => Ok(Some(received.value)),
            Err(Error::Unauthorized { .. } | Error::Forbidden { .. } | Error::NotFound { .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches the user a token belongs to.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`] if the token is not good.
    pub async fn whoami(&self) -> Result<Received<User>, Error> {
        let call = Call::whoami(&self.http)?;
        self.http.json(&call, |reply| wire::object(&reply.text)).await
    }
}
