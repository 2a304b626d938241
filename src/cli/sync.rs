//! `sync`: from flags to a run of [`crate::sync`], with progress, signals and an account at the end.

mod account;
mod artifacts;

use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use jobvault_index::query::When;
use jobvault_index::{Error as IndexError, Index};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::address::ProjectAddress;
use super::progress::Progress;
use super::{Context, Exit, Problem, units};
use crate::config::{Flags, MAX_CONCURRENCY, Token};
use crate::gitlab::{self, Auth, Client, ClientOptions, GroupRef, ProjectRef};
use crate::store::Store;
use crate::sync::{self, Everything, HOST_KEY, Options, SyncStats};

const AFTER_HELP: &str = "\
Examples:
  GITLAB_TOKEN=glpat-... jobvault sync --host https://gitlab.example.com group/project
  jobvault sync 4711                              a project by its id
  jobvault sync https://gitlab.com/group/project  a pasted page
  jobvault sync                                   the projects of the configuration file
  jobvault sync --group ops --exclude 'ops/old-*' all projects of a group and those below it
  jobvault sync --rate 0.5 group/project          one request in two seconds
  jobvault sync --artifacts reports group/project the files of artifacts, and test reports

The token needs the scope read_api. It comes from --token-file, GITLAB_TOKEN, token_file in the
configuration, or glab's login; inside CI the job's own token is tried.
Sync only reads from GitLab. It may be stopped at any time and goes on where it was.
Exit status: 0 all archived, 2 failed, 3 stopped, or some jobs could not be archived (each is named).";

/// Arguments of `sync`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Projects: id, path, or the address of a page; else those of the configuration file
    #[arg(value_name = "PROJECT")]
    projects: Vec<ProjectAddress>,
    /// Groups, those below them included (repeatable)
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// All projects that the token's user is a member of
    #[arg(long)]
    all: bool,
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
    /// Do not walk pipelines: no bridges, no child pipelines
    #[arg(long)]
    no_pipelines: bool,
    #[command(flatten)]
    artifacts: artifacts::ArtifactArgs,
    /// The GitLab instance [env: GITLAB_HOST]
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// A file that holds the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Further certificates to trust, as PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Requests under way at once [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_CONCURRENCY as u64))]
    concurrency: Option<u64>,
    /// Requests a second at most; fractions are fine [default: no limit of our own]
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// The server moved to a new address: record that
    #[arg(long)]
    host_moved: bool,
    /// Print what was done as one object of JSON
    #[arg(long)]
    pub(super) json: bool,
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let positive = |rate: &f64| rate.is_finite() && *rate > 0.0;
    text.parse().ok().filter(positive).ok_or("it is not a positive number of requests a second")
}

impl Args {
    /// Puts our flags with the global ones.
    pub(super) fn add_to(&self, flags: &mut Flags) -> anyhow::Result<()> {
        flags.host = self.host.clone();
        flags.page_host = self.projects.iter().find_map(|project| project.host.clone());
        flags.token_file = self.token_file.clone();
        flags.ca_file = self.ca_file.clone();
        flags.rate = self.rate;
        flags.concurrency = match self.concurrency {
            Some(n) => Some(usize::try_from(n)?),
            None => None,
        };
        Ok(())
    }
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    let host = host(&context).await?;
    let projects = projects(&args, &context, &host)?;
    let token = context.config.token(&host)?;
    context.warn_of_config();
    let anonymous = token.is_none();
    let client = client(&context, host.clone(), token)?;
    let root = context.config.archive.clone();
    let store = Store::open_for_writing(&root, "jobvault sync", context.now).await?;
    let index = open_index(&store, &mut context).await?;
    let options = Options {
        projects,
        groups: args.groups.iter().cloned().map(GroupRef).collect(),
        everything: args.all.then_some(Everything::Membership),
        include: args.include.clone(),
        exclude: args.exclude.clone(),
        archived: args.archived,
        since: args.since.map(|when| when.resolve(context.now)),
        pipelines: !args.no_pipelines,
        concurrency: context.config.concurrency,
        host_moved: args.host_moved,
        ..Options::new(host.as_str().trim_end_matches('/'), Timestamp::now)
    };
    let options = args.artifacts.add_to(options, &context.config);
    let ended = watched(&store, index, &client, options, &mut context).await;
    store.close().await;
    let stats = match ended {
        Ok(Some(stats)) => stats,
        Ok(None) => return Ok(Exit::Killed),
        Err(error) => return Err(explain(error, anonymous)),
    };
    account::give(&stats, args.json, anonymous, context.out)?;
    match stats.failed.is_empty() && !stats.interrupted {
        true => Ok(Exit::Yes),
        false => Ok(Exit::Partial),
    }
}

/// Returns the server: the one configured, else the one the archive is of.
async fn host(context: &Context<'_>) -> anyhow::Result<Url> {
    if let Some(host) = &context.config.host {
        return Ok(host.clone());
    }
    let recorded = match Store::open(&context.config.archive).await {
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

fn projects(args: &Args, context: &Context<'_>, host: &Url) -> anyhow::Result<Vec<ProjectRef>> {
    let mut wanted = args.projects.clone();
    let others = args.all || !args.groups.is_empty();
    if wanted.is_empty() && !others {
        for text in &context.config.projects {
            let read = text.parse::<ProjectAddress>();
            wanted.push(read.with_context(|| format!("project {text:?} of the configuration"))?);
        }
    }
    if wanted.is_empty() && !others {
        return Err(Problem::new("no project is named")
            .hint("name projects by path, id or address, or list them as `projects` in the configuration file")
            .into());
    }
    wanted.into_iter().map(|project| on_host(project, host)).collect()
}

/// Returns the project as the server knows it; one of another server is refused, for the token is not for that.
fn on_host(project: ProjectAddress, host: &Url) -> anyhow::Result<ProjectRef> {
    let Some(page) = project.host else { return Ok(project.project) };
    if page.origin() != host.origin() {
        let (page, host) =
            (page.origin().ascii_serialization(), host.origin().ascii_serialization());
        return Err(Problem::new(format!(
            "the project {} is on {page}, not on {host}",
            project.project
        ))
        .hint("sync one server at a time, each into an archive of its own; --host names it")
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

fn client(context: &Context<'_>, host: Url, token: Option<Token>) -> anyhow::Result<Client> {
    let auth = match token {
        None => Auth::Anonymous,
        Some(Token::Private(secret)) => Auth::PrivateToken(secret),
        Some(Token::Bearer(secret)) => Auth::Bearer(secret),
        Some(Token::Job(secret)) => Auth::JobToken(secret),
    };
    let mut options = ClientOptions::new(host, auth);
    options.rate = context.config.rate;
    options.ca_pem = context.config.ca_pem()?;
    Ok(Client::new(options)?)
}

/// Opens the index. Where there is none it is begun, where it cannot be used it is built anew.
async fn open_index(store: &Store, context: &mut Context<'_>) -> anyhow::Result<Index> {
    let dir = store.index_dir();
    match Index::open(&dir) {
        Ok(index) => Ok(index),
        Err(IndexError::Missing { .. }) => Ok(Index::create(&dir)?),
        Err(error @ (IndexError::Version { .. } | IndexError::Damaged { .. })) => {
            context.out.note(format!("{error}; it is built anew"));
            Ok(sync::reindex(store, |_, _| {}).await?.0)
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs to the end, or to the second signal: `None`.
async fn watched(
    store: &Store,
    mut index: Index,
    client: &Client,
    options: Options,
    context: &mut Context<'_>,
) -> anyhow::Result<Option<SyncStats>> {
    let template = "{spinner} {bar:24} {human_pos} of {human_len} jobs  {msg}";
    let progress = Progress::new(context.out, 0, template);
    let shown = progress.clone();
    let began = std::time::Instant::now();
    let on_progress = move |p: sync::Progress| {
        let rate = p.raw_bytes as f64 / began.elapsed().as_secs_f64().max(0.001);
        let (size, rate) = (units::size(p.raw_bytes), units::size(rate as u64));
        let message = format!("{size}  {rate}/s  {} waiting", p.waiting);
        // Of a walk begun earlier, jobs wait that were not listed again.
        shown.set(p.done, p.listed.max(p.done + p.waiting), message);
    };
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("watch for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("watch for signals")?;
    let run = sync::run(store, &mut index, client, options, stop.clone(), on_progress);
    tokio::pin!(run);
    let ended = loop {
        tokio::select! {
            ended = &mut run => break ended.map(Some),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if stop.is_cancelled() {
            break Ok(None);
        }
        stop.cancel();
        let message = "stopping: what was fetched is being made durable";
        progress.pause(|| context.out.summary(message));
    };
    progress.finish();
    ended
}

/// Says that there was no token, where that is the likely reason.
fn explain(error: anyhow::Error, anonymous: bool) -> anyhow::Error {
    let refusal = |e: &gitlab::Error| matches!(e.status(), Some(401 | 403 | 404));
    let refused = error.chain().filter_map(|e| e.downcast_ref()).any(refusal);
    match anonymous && refused {
        true => {
            let hint = account::NO_TOKEN;
            error
                .context(Problem::new("no token is set, and without one GitLab refuses").hint(hint))
        }
        false => error,
    }
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
