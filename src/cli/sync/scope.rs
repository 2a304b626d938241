//! What a sync is of: flags, else the configuration file, become [`Options`].
//!
//! Asks no server. Fails where something is named that cannot be, with the line of the file where it stands there.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use jobvault_index::query::{When, parse_duration};
use url::Url;

use crate::cli::Problem;
use crate::cli::address::ProjectAddress;
use crate::cli::connect::{Server, on_host};
use crate::config::{All, Config};
use crate::gitlab::{GroupRef, ProjectRef};
use crate::sync::{Everything, Options};

/// From the beginning of one round of a watch to that of the next, unless something else is asked for.
const EVERY: Duration = Duration::from_secs(60);
/// Rounds that follow each other faster are no politeness.
const MIN_EVERY: Duration = Duration::from_secs(1);

/// Which projects, and how much of them.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ScopeArgs {
    /// Projects: id, path, or the address of a page; else what the configuration file names
    #[arg(value_name = "PROJECT")]
    pub(super) projects: Vec<ProjectAddress>,
    /// Groups, those below them included (repeatable)
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// All projects that the token's user is a member of; --all=visible: all that the token sees
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "member")]
    #[arg(value_parser = all)]
    all: Option<All>,
    /// Of groups and --all only projects whose path fits (repeatable)
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Of groups and --all no projects whose path fits (repeatable)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Of groups and --all the archived projects too
    #[arg(long)]
    archived: bool,
    /// Only jobs that came to be since: 30d, 12h, 2026-01-31
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    since: Option<When>,
    /// Walk pipelines for bridges and child pipelines, also where the configuration says no; the default
    #[arg(long, overrides_with = "no_pipelines", hide = true)]
    pipelines: bool,
    /// Do not walk pipelines: no bridges, no child pipelines
    #[arg(long, overrides_with = "pipelines")]
    no_pipelines: bool,
}

fn all(text: &str) -> Result<All, &'static str> {
    match text {
        "member" => Ok(All::Member),
        "visible" => Ok(All::Visible),
        _ => Err("it is neither member nor visible"),
    }
}

/// Reads how often a watch begins a round.
pub(super) fn every(text: &str) -> Result<Duration, String> {
    let every = parse_duration(text)?;
    (every >= MIN_EVERY).then_some(every).ok_or_else(|| "it is less than a second".to_owned())
}

impl ScopeArgs {
    /// Puts flags and configuration together.
    pub(super) fn options(
        &self,
        config: &Config,
        server: &Server,
        now: Timestamp,
    ) -> anyhow::Result<Options> {
        let file = &config.scope;
        // Who names something on the command line wants that, and not what the file has besides.
        let named = !self.projects.is_empty() || !self.groups.is_empty() || self.all.is_some();
        let (groups, all) = match named {
            true => (&self.groups, self.all),
            false => (&file.groups, file.all),
        };
        let or = |flags: &Vec<String>, file: &Vec<String>| {
            if flags.is_empty() { file.clone() } else { flags.clone() }
        };
        let since = match (&self.since, &file.since) {
            (Some(when), _) => Some(*when),
            (None, Some(text)) => Some(When::parse(&text.text).map_err(|e| text.wrong(e))?),
            (None, None) => None,
        };
        Ok(Options {
            projects: self.projects(config, named, &server.host)?,
            groups: groups.iter().cloned().map(GroupRef).collect(),
            everything: all.map(|all| match all {
                All::Member => Everything::Membership,
                All::Visible => Everything::Visible,
            }),
            include: or(&self.include, &file.include),
            exclude: or(&self.exclude, &file.exclude),
            archived: self.archived || file.archived,
            since: since.map(|when| when.resolve(now)),
            pipelines: self.pipelines || (!self.no_pipelines && file.pipelines != Some(false)),
            concurrency: config.concurrency,
            ..Options::new(server.name(), Timestamp::now)
        })
    }

    fn projects(
        &self,
        config: &Config,
        named: bool,
        host: &Url,
    ) -> anyhow::Result<Vec<ProjectRef>> {
        let file = &config.scope;
        let mut wanted = self.projects.clone();
        if !named {
            for text in &file.projects {
                let read = text.parse::<ProjectAddress>();
                wanted
                    .push(read.with_context(|| format!("project {text:?} of the configuration"))?);
            }
        }
        if !named && wanted.is_empty() && file.groups.is_empty() && file.all.is_none() {
            return Err(Problem::new("no project is named")
                .hint("name projects by path, id or address, or list them as `projects` or `groups` in the configuration file")
                .into());
        }
        wanted.into_iter().map(|project| on_host(project, host)).collect()
    }
}

/// Returns how often a watch begins a round: by the flag, else by the file.
pub(super) fn interval(flag: Option<Duration>, config: &Config) -> anyhow::Result<Duration> {
    match (flag, &config.scope.every) {
        (Some(flag), _) => Ok(flag),
        (None, Some(text)) => Ok(every(&text.text).map_err(|e| text.wrong(e))?),
        (None, None) => Ok(EVERY),
    }
}
