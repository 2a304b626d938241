//! `sync`: from flags to a run of [`crate::sync`], with progress, signals and an account at the end.

mod account;
pub(super) mod artifacts;
mod dry_run;
mod scope;
mod watching;

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use jobvault_index::{Error as IndexError, Index};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::connect::{NO_TOKEN, Server, ServerArgs, host};
use super::progress::Progress;
use super::{Context, Exit, units};
use crate::config::{Config, Flags, MAX_CONCURRENCY};
use crate::store::Store;
use crate::sync::coverage::{Counted, Estimate, estimate};
use crate::sync::{self, Options, SyncStats};
use scope::ScopeArgs;

const AFTER_HELP: &str = "\
Examples:
  GITLAB_TOKEN=glpat-... jobvault sync --host https://gitlab.example.com group/project
  jobvault sync 4711                              a project by its id
  jobvault sync https://gitlab.com/group/project  a pasted page
  jobvault sync                                   what the configuration file names
  jobvault sync --group ops --exclude 'ops/old-*' all projects of a group and those below it
  jobvault sync --rate 0.5 group/project          one request in two seconds
  jobvault sync --dry-run group/project           what would be fetched, soonest loss first
  jobvault sync --watch --every 2m                round after round, for months
  jobvault sync --artifacts reports group/project the files of artifacts, and test reports

The token needs the scope read_api. It comes from --token-file, GITLAB_TOKEN, token_file in the
configuration, or glab's login; inside CI the job's own token is tried.
Sync only reads from GitLab. It may be stopped at any time and goes on where it was.
A watch says what it archived and what went wrong, each thing once; it reads its configuration
again on SIGHUP and ends in order on SIGTERM and SIGINT.
Exit status: 0 all archived, 2 failed, 3 stopped early, or some jobs could not be archived (each is
named). A watch that was told to stop: 0 if nothing is missing that could still be got, else 3.";

/// Arguments of `sync`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Go on for ever: look for new jobs again and again
    #[arg(long)]
    watch: bool,
    /// With --watch, how often to look: 60s, 5m [default: 60s]
    #[arg(long, value_name = "TIME", requires = "watch", value_parser = scope::every)]
    every: Option<Duration>,
    /// List what would be fetched, soonest loss first; fetch and write nothing
    #[arg(long, conflicts_with = "watch")]
    dry_run: bool,
    #[command(flatten)]
    artifacts: artifacts::ArtifactArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Requests under way at once [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_CONCURRENCY as u64))]
    concurrency: Option<u64>,
    /// Requests a second at most; fractions are fine [default: no limit of our own]
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Stop in order after so many requests; the next sync goes on
    #[arg(long, value_name = "N", conflicts_with = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    max_requests: Option<u64>,
    /// The server moved to a new address: record that
    #[arg(long)]
    host_moved: bool,
    /// Print what was done as one object of JSON; with --watch one a round and event
    #[arg(long)]
    pub(super) json: bool,
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let positive = |rate: &f64| rate.is_finite() && *rate > 0.0;
    text.parse().ok().filter(positive).ok_or("it is not a positive number of requests a second")
}

/// What a sync works with.
struct Prepared {
    server: Server,
    options: Options,
    every: Duration,
}

impl Args {
    /// Puts our flags with the global ones.
    pub(super) fn add_to(&self, flags: &mut Flags) -> anyhow::Result<()> {
        self.server.add_to(flags);
        flags.page_host = self.scope.projects.iter().find_map(|project| project.host.clone());
        flags.rate = self.rate;
        flags.concurrency = match self.concurrency {
            Some(n) => Some(usize::try_from(n)?),
            None => None,
        };
        Ok(())
    }

    /// Makes a client and options of flags and configuration.
    async fn prepare(&self, config: &mut Config, now: Timestamp) -> anyhow::Result<Prepared> {
        let server = Server::new(config, host(config).await?, self.max_requests)?;
        let options = self.scope.options(config, &server, now)?;
        let options = Options { host_moved: self.host_moved, dry_run: self.dry_run, ..options };
        let options = self.artifacts.add_to(options, config);
        Ok(Prepared { server, options, every: scope::interval(self.every, config)? })
    }
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    let prepared = args.prepare(&mut context.config, context.now).await?;
    context.warn_of_config();
    if args.dry_run {
        return dry_run::run(prepared, args.json, &mut context).await;
    }
    let root = context.config.archive.clone();
    let store = Store::open_for_writing(&root, "jobvault sync", context.now).await?;
    let index = open_index(&store, &mut context).await?;
    if args.watch {
        let ended = watching::run(&args, prepared, &store, index, &mut context).await;
        store.close().await;
        return ended;
    }
    let Prepared { server, options, .. } = prepared;
    let ended = watched(&store, index, &server, options, &mut context).await;
    let left = match &ended {
        Ok(Some(_)) => estimate(&store, &Counted::default(), Timestamp::now()).await,
        // Nobody will be told.
        _ => Ok(Estimate::default()),
    };
    store.close().await;
    let stats = match ended {
        Ok(Some(stats)) => stats,
        Ok(None) => return Ok(Exit::Killed),
        Err(error) => return Err(server.explain(error, NO_TOKEN)),
    };
    account::give(&stats, &left?, args.json, server.anonymous, context.out)?;
    match stats.failed.is_empty() && !stats.interrupted {
        true => Ok(Exit::Yes),
        false => Ok(Exit::Partial),
    }
}

/// Opens the index. Where there is none it is begun, where it cannot be used it is built anew.
pub(super) async fn open_index(store: &Store, context: &mut Context<'_>) -> anyhow::Result<Index> {
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
    server: &Server,
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
    let run = sync::run(store, &mut index, &server.client, options, stop.clone(), on_progress);
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
