//! What people paste: job ids and addresses of GitLab's pages, projects by id, path or address.
//!
//! Pure. Which archive or server is meant is told by the caller.

use std::str::FromStr;

use url::Url;

use crate::gitlab::ProjectRef;
use crate::model::{JobId, PipelineId};

/// What stands between a project's path and its pages.
const PAGES: &str = "/-/";

/// A job as named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobAddress {
    /// The job.
    pub id: JobId,
    /// The page it was named by.
    pub page: Option<Url>,
}

/// A project as named on the command line or in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectAddress {
    /// By id or path.
    pub project: ProjectRef,
    /// The server, where an address was given.
    pub host: Option<Url>,
}

/// A text names no job or project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// It is no job.
    #[error(
        "it is neither a job's id nor the address of its page, such as https://HOST/GROUP/PROJECT/-/jobs/123"
    )]
    Job,
    /// It is no project.
    #[error("it is neither a project's id, nor its path, nor the address of its page")]
    Project,
}

impl FromStr for JobAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        if let Ok(id) = text.trim_start_matches('#').parse() {
            return Ok(Self { id, page: None });
        }
        let page = page(text).ok_or(InvalidAddress::Job)?;
        let id = job_of(&page).ok_or(InvalidAddress::Job)?;
        Ok(Self { id, page: Some(page) })
    }
}

/// Returns the job whose page an address is, or `None` if the text is none.
pub fn job_page(text: &str) -> Option<JobAddress> {
    let page = page(text.trim())?;
    Some(JobAddress { id: job_of(&page)?, page: Some(page) })
}

/// Returns the pipeline whose page an address is, or `None` if the text is none.
pub fn pipeline_page(text: &str) -> Option<PipelineAddress> {
    let page = page(text.trim())?;
    let (_, rest) = page.path().split_once("/-/pipelines/")?;
    let id = rest.split('/').next()?.parse().ok()?;
    Some(PipelineAddress { id, page: Some(page) })
}

/// A pipeline as named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineAddress {
    /// The pipeline.
    pub id: PipelineId,
    /// The page it was named by.
    pub page: Option<Url>,
}

impl PipelineAddress {
    /// Reads an id or the address of a page; `None` for anything else, a range say.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let id = text.trim_start_matches('#').parse().ok();
        id.map(|id| Self { id, page: None }).or_else(|| pipeline_page(text))
    }
}

fn job_of(page: &Url) -> Option<JobId> {
    let (_, rest) = page.path().split_once("/-/jobs/")?;
    rest.split('/').next()?.parse().ok()
}

fn page(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    // A copied clone address may hold a secret, which belongs neither in requests nor in messages.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    (matches!(url.scheme(), "http" | "https") && url.host_str().is_some()).then_some(url)
}

/// Tells whether a page is one of the server at `host`, of which it may be a folder.
pub fn is_page_of(page: &Url, host: &str) -> bool {
    Url::parse(host).is_ok_and(|host| {
        host.host_str() == page.host_str()
            && host.port_or_known_default() == page.port_or_known_default()
    })
}

impl FromStr for ProjectAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        if let Some(page) = page(text) {
            let path = page.path().split(PAGES).next().unwrap_or_default();
            let path = path.trim_matches('/').trim_end_matches(".git");
            if !path.contains('/') {
                return Err(InvalidAddress::Project);
            }
            let project = ProjectRef::Path(path.to_owned());
            let mut host = page.clone();
            host.set_path("");
            host.set_query(None);
            host.set_fragment(None);
            return Ok(Self { project, host: Some(host) });
        }
        let odd = |c: char| c.is_whitespace() || c.is_control();
        let project = ProjectRef::from(text);
        match &project {
            ProjectRef::Path(path) if !path.contains('/') || path.contains(odd) => {
                Err(InvalidAddress::Project)
            }
            _ => Ok(Self { project, host: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use super::*;
    use crate::model::ProjectId;

    #[test]
    fn a_job_is_an_id_or_its_page() {
        let id = |text: &str| text.parse::<JobAddress>().map(|job| job.id.0);
        assert_eq!(id("123"), Ok(123));
        assert_eq!(id("#123"), Ok(123));
        assert_eq!(id("https://gitlab.com/a/b/-/jobs/123"), Ok(123));
        assert_eq!(id("https://gitlab.com/a/b/-/jobs/123/raw#L4"), Ok(123));
        assert_eq!(id("http://h:8080/gl/a/b/-/jobs/7?x=1"), Ok(7));
        for wrong in ["", "x", "-1", "1e3", "https://gitlab.com/a/b/-/pipelines/1", "a/b/-/jobs/1"]
        {
            assert_eq!(id(wrong), Err(InvalidAddress::Job), "{wrong}");
        }
    }

    #[test]
    fn a_pipeline_is_an_id_or_its_page() {
        let id = |text: &str| PipelineAddress::read(text).map(|pipeline| pipeline.id.0);
        assert_eq!(id("77"), Some(77));
        assert_eq!(id("#77"), Some(77));
        assert_eq!(id("https://gitlab.com/a/b/-/pipelines/77/test_report?x=1"), Some(77));
        for wrong in ["", "1..5", ">5", "https://gitlab.com/a/b/-/jobs/1", "a/b"] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_page_of_another_server_is_told_apart() {
        let job: JobAddress = "https://gitlab.com/a/b/-/jobs/123".parse().unwrap();
        let page = job.page.unwrap();
        assert!(is_page_of(&page, "https://gitlab.com"));
        assert!(!is_page_of(&page, "https://gitlab.example.com"));
    }

    #[test]
    fn a_project_is_an_id_a_path_or_a_page() {
        let project = |text: &str| text.parse::<ProjectAddress>();
        assert_eq!(project("42").unwrap().project, ProjectRef::Id(ProjectId(42)));
        assert_eq!(project("a/b/").unwrap().project, ProjectRef::Path("a/b".to_owned()));
        let page = project("https://gitlab.example.com:8443/a/b/c/-/jobs?scope=x").unwrap();
        assert_eq!(page.project, ProjectRef::Path("a/b/c".to_owned()));
        assert_eq!(page.host.unwrap().as_str(), "https://gitlab.example.com:8443/");
        for wrong in ["", "alone", "a b/c", "https://gitlab.com/", "https://gitlab.com/a"] {
            assert_eq!(project(wrong), Err(InvalidAddress::Project), "{wrong}");
        }
    }
}
