//! Which server a command talks to, with which token, and as whom it says that it comes.
//!
//! Fails with a hint where no server is named, or a pasted address is of another one than the token.

use std::path::PathBuf;

use url::Url;

use super::Problem;
use super::address::ProjectAddress;
use crate::config::{Config, Flags, NO_CONTACT, Token, is_contact};
use crate::gitlab::{self, Auth, Client, ClientOptions, ProjectRef, VERSION_USER_AGENT};
use crate::store::Store;
use crate::sync::HOST_KEY;

/// What to do without a token.
pub(super) const NO_TOKEN: &str = "set GITLAB_TOKEN to a token with the scope read_api";

/// Where the server is and who asks.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct ServerArgs {
    /// The GitLab instance [env: GITLAB_HOST]
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// A file that holds the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Further certificates to trust, as PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// An address that every request names, for the server's people: https://example.com/bots
    #[arg(long, value_name = "URL", value_parser = contact)]
    contact: Option<String>,
}

fn contact(text: &str) -> Result<String, &'static str> {
    is_contact(text).then(|| text.to_owned()).ok_or(NO_CONTACT)
}

impl ServerArgs {
    /// Puts our flags with the global ones.
    pub(super) fn add_to(&self, flags: &mut Flags) {
        flags.host = self.host.clone();
        flags.token_file = self.token_file.clone();
        flags.ca_file = self.ca_file.clone();
        flags.contact = self.contact.clone();
    }
}

/// A server that can be asked.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) host: Url,
    pub(super) client: Client,
    /// There is no token.
    pub(super) anonymous: bool,
}

impl Server {
    /// Makes a client for the server at `host`, by what was configured; reads the token.
    pub(super) fn new(
        config: &mut Config,
        host: Url,
        max_requests: Option<u64>,
    ) -> anyhow::Result<Self> {
        let token = config.token(&host)?;
        let anonymous = token.is_none();
        let auth = match token {
            None => Auth::Anonymous,
            Some(Token::Private(secret)) => Auth::PrivateToken(secret),
            Some(Token::Bearer(secret)) => Auth::Bearer(secret),
            Some(Token::Job(secret)) => Auth::JobToken(secret),
        };
        let mut options = ClientOptions::new(host.clone(), auth);
        options.rate = config.rate;
        options.max_requests = max_requests;
        options.ca_pem = config.ca_pem()?;
        if let Some(contact) = &config.contact {
            options.user_agent = format!("{VERSION_USER_AGENT} (+{contact})");
        }
        Ok(Self { host, client: Client::new(options)?, anonymous })
    }

    /// Returns the address as the archive records it.
    pub(super) fn name(&self) -> &str {
        self.host.as_str().trim_end_matches('/')
    }

    /// Says that there was no token, where that is the likely reason of an error, with a hint such as [`NO_TOKEN`].
    pub(super) fn explain(&self, error: anyhow::Error, hint: &str) -> anyhow::Error {
        let refusal = |e: &gitlab::Error| matches!(e.status(), Some(401 | 403 | 404));
        let refused = error.chain().filter_map(|e| e.downcast_ref()).any(refusal);
        match self.anonymous && refused {
            true => error.context(
                Problem::new("no token is set, and without one GitLab refuses").hint(hint),
            ),
            false => error,
        }
    }
}

/// Returns the server: the one configured, else the one the archive is of.
pub(super) async fn host(config: &Config) -> anyhow::Result<Url> {
    if let Some(host) = &config.host {
        return Ok(host.clone());
    }
    let recorded = match Store::open(&config.archive).await {
        Ok(store) => store.catalogue().meta(HOST_KEY).await?,
        // What is wrong with the archive is said when it is opened for writing.
        Err(_) => None,
    };
    match recorded {
        Some(host) => Ok(crate::config::parse_host(&host, "the archive's host")?),
        None => Err(Problem::new("no GitLab is named")
            .hint("name it with --host https://gitlab.example.com or GITLAB_HOST, or paste a project's address")
            .into()),
    }
}

/// Returns the project as the server knows it; one of another server is refused, for the token is not for that.
pub(super) fn on_host(project: ProjectAddress, host: &Url) -> anyhow::Result<ProjectRef> {
    let Some(page) = project.host else { return Ok(project.project) };
    if page.origin() != host.origin() {
        let (page, host) =
            (page.origin().ascii_serialization(), host.origin().ascii_serialization());
        return Err(Problem::new(format!(
            "the project {} is on {page}, not on {host}",
            project.project
        ))
        .hint("one server at a time, each with an archive of its own; --host names it")
        .into());
    }
    let root = host.path().trim_matches('/');
    Ok(match project.project {
        ProjectRef::Path(path) if !root.is_empty() => {
            let inner = path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
            ProjectRef::Path(inner.unwrap_or(&path).to_owned())
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use super::*;

    fn on(host: &str, project: &str) -> Option<String> {
        let host = crate::config::parse_host(host, "--host").unwrap();
        on_host(project.parse().unwrap(), &host).ok().map(|project| match project {
            ProjectRef::Id(id) => id.to_string(),
            ProjectRef::Path(path) => path,
        })
    }

    #[test]
    fn a_pasted_page_is_a_path_on_its_own_server_alone() {
        let same = on("gitlab.com", "https://gitlab.com/a/b/-/pipelines");
        assert_eq!(same.as_deref(), Some("a/b"));
        assert_eq!(on("gitlab.com", "https://gitlab.example.com/a/b"), None);
        assert_eq!(on("http://gitlab.com", "https://gitlab.com/a/b"), None);
        assert_eq!(on("gitlab.com", "17").as_deref(), Some("17"));
    }

    #[test]
    fn the_folder_a_gitlab_lives_in_is_no_group() {
        let inside = on("https://h/gl", "https://h/gl/a/b");
        assert_eq!(inside.as_deref(), Some("a/b"));
    }
}
