//! The command line: what there is to call, and one file for each command.
//!
//! Owns arguments, texts and exit codes; the work is done by the library. Fails with an error whose chain `main`
//! prints once, with a [`hint`] where there is one.

mod address;
mod archive;
mod artifacts;
mod bar;
mod compact;
mod completions;
mod connect;
mod coverage;
mod export;
mod filters;
mod first;
mod forecast;
pub mod hint;
mod job;
mod jobs;
mod man;
pub mod output;
mod pager;
mod problem;
mod progress;
mod prune;
mod query;
mod rebuild;
mod reindex;
mod repair;
mod saved;
mod search;
mod show;
mod status;
mod sync;
mod table;
mod triage;
mod units;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Env, Flags};
use crate::search::End;
use output::{ColourChoice, Out};
pub use problem::Problem;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It found or did what was asked for.
    Yes,
    /// It ran well and the answer is no: no hit, no such job, damage found.
    No,
    /// It could not be done.
    Failed,
    /// It was done in part.
    Partial,
    /// It was interrupted and ended on the spot.
    Killed,
}

impl Exit {
    /// Returns the exit status of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::No => 1,
            Self::Failed => 2,
            Self::Partial => 3,
            // As a shell reports a process that ended by SIGINT.
            Self::Killed => 130,
        }
    }
}

const AFTER_HELP: &str = "\
Start here:
  export GITLAB_TOKEN=glpat-...
  jobvault sync --host https://gitlab.example.com group/project
  jobvault search 'connection refused' status:failed
  jobvault show 123456

Exit status: 0 yes, 1 no (no hit, damage found), 2 failed, 3 partly done.
Settings come from flags, the environment (GITLAB_TOKEN, GITLAB_HOST, JOBVAULT_ARCHIVE,
JOBVAULT_CONFIG, JOBVAULT_LOG) and $XDG_CONFIG_HOME/jobvault/config.toml, in this order.";

/// Archive GitLab CI job logs and search them exactly
#[derive(Debug, Parser)]
#[command(name = "jobvault", version, about, after_help = AFTER_HELP, max_term_width = 110)]
#[command(disable_help_subcommand = true, infer_long_args = false)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The archive's directory [env: JOBVAULT_ARCHIVE] [default: $XDG_DATA_HOME/jobvault]
    #[arg(long, global = true, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// The configuration file [env: JOBVAULT_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Colours: auto, always or never; NO_COLOR and CLICOLOR_FORCE are respected
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    color: ColourChoice,
    /// Never show long output with a pager [env: JOBVAULT_PAGER, PAGER]
    #[arg(long, global = true)]
    no_pager: bool,
    /// Say more about what happens; twice for details
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Say nothing but errors and warnings
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Archive the jobs and logs of projects
    Sync(sync::Args),
    /// Find lines in all archived logs
    Search(search::Args),
    /// Say since when something occurs, and what the last clean run before it was
    First(first::Args),
    /// Say until when something occurred, and what the first clean run after it was
    Last(first::Args),
    /// Say which saved searches, such as known failures, match a job
    Triage(triage::Args),
    /// List or remove saved searches
    Saved(saved::Args),
    /// Print a job's log
    Show(show::Args),
    /// Put jobs and their logs into a zip file, with the hashes of everything
    Export(export::Args),
    /// List archived jobs
    Jobs(jobs::Args),
    /// Cancel, retry, erase or play a job on GitLab
    Job(job::Args),
    /// List a job's artifacts, or take them out of the archive
    Artifacts(artifacts::Args),
    /// Say what the archive holds and what is missing
    Status(status::Args),
    /// Account for every listed job: archived, without a log, missing, lost
    Coverage(coverage::Args),
    /// Check every stored byte
    Verify(verify::Args),
    /// Write anew what still reads of damaged packs; fetch again from GitLab what does not
    Repair(repair::Args),
    /// Make catalogue and index anew from the packs alone
    Rebuild(rebuild::Args),
    /// Build the full-text index anew
    Reindex(reindex::Args),
    /// Make the packs smaller, like logs beside like
    Compact(compact::Args),
    /// Delete packs that nothing refers to
    Prune(prune::Args),
    /// Print completions for a shell
    Completions(completions::Args),
    /// Print the manual page
    Man(man::Args),
}

/// What every command is given.
struct Context<'a> {
    config: Config,
    out: &'a mut Out,
    now: Timestamp,
}

impl Cli {
    /// Reads the arguments, of which the first is the program's name.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let args: Vec<OsString> = args.into_iter().collect();
        let cli = Self::try_parse_from(&args)?;
        if let Command::Search(search) = &cli.command {
            let wrong = |message| Self::command().error(ErrorKind::InvalidValue, message);
            search.check(&args).map_err(wrong)?;
        }
        Ok(cli)
    }

    /// Tells whether errors are wanted as JSON.
    pub fn is_json(&self) -> bool {
        match &self.command {
            Command::Sync(args) => args.json,
            Command::Search(args) => args.is_json(),
            Command::First(args) | Command::Last(args) => args.json,
            Command::Triage(args) => args.json,
            Command::Saved(args) => args.json,
            Command::Export(args) => args.json,
            Command::Jobs(args) => args.json,
            Command::Job(args) => args.is_json(),
            Command::Artifacts(args) => args.json,
            Command::Status(args) => args.json,
            Command::Coverage(args) => args.json,
            Command::Verify(args) => args.json,
            Command::Repair(args) => args.json,
            Command::Rebuild(args) => args.json,
            Command::Compact(args) => args.json,
            Command::Prune(args) => args.json,
            Command::Show(_) | Command::Reindex(_) | Command::Completions(_) | Command::Man(_) => {
                false
            }
        }
    }

    /// Tells whether the command only reads the archive, and so waits for one thing at a time.
    pub fn is_light(&self) -> bool {
        !matches!(
            &self.command,
            Command::Sync(_)
                | Command::Job(_)
                | Command::Repair(_)
                | Command::Rebuild(_)
                | Command::Reindex(_)
        )
    }

    /// Returns what to log: the flags' wish, or `None` where they say nothing.
    pub fn log_level(&self) -> Option<&'static str> {
        match (self.global.quiet, self.global.verbose) {
            (true, _) => Some("error"),
            (false, 0) => None,
            (false, 1) => Some("warn,jobvault=info"),
            (false, 2) => Some("info,jobvault=debug"),
            (false, _) => Some("debug,jobvault=trace"),
        }
    }

    /// Returns where output goes.
    pub fn out(&self, env: &Env) -> Out {
        Out::new(self.global.color, self.global.quiet, env)
    }

    /// Tells whether the command's output may be long and is for reading.
    fn is_paged(&self) -> bool {
        let read = matches!(
            &self.command,
            Command::Search(_) | Command::Show(_) | Command::Jobs(_) | Command::Saved(_)
        );
        read && !self.global.no_pager && !self.is_json()
    }

    /// Runs the command.
    pub async fn run(self, env: &Env, out: &mut Out, now: Timestamp) -> anyhow::Result<Exit> {
        if let Some(pager) = env.pager().filter(|_| self.is_paged()) {
            out.page_with(pager);
        }
        if !out.may_page() {
            return self.execute(env, out, now).await;
        }
        // A pager takes the interrupt key for itself: it must not be left alone with the terminal.
        let mut interrupts = signal(SignalKind::interrupt()).context("watch for interrupts")?;
        tokio::select! {
            ended = self.execute(env, out, now) => return ended,
            _ = interrupts.recv() => {}
        }
        out.finish()?;
        Ok(Exit::Killed)
    }

    async fn execute(self, env: &Env, out: &mut Out, now: Timestamp) -> anyhow::Result<Exit> {
        match self.command {
            Command::Completions(args) => return completions::run(&args, out),
            Command::Man(args) => return man::run(&args, out),
            _ => {}
        }
        let mut flags =
            Flags { archive: self.global.archive, config: self.global.config, ..Flags::default() };
        match &self.command {
            Command::Sync(args) => args.add_to(&mut flags)?,
            Command::Repair(args) => args.add_to(&mut flags),
            Command::Job(args) => args.add_to(&mut flags),
            _ => {}
        }
        let config = Config::load(flags, env)?;
        let context = Context { config, out, now };
        let exit = match self.command {
            Command::Sync(args) => sync::run(args, context).await?,
            Command::Search(args) => search::run(args, context).await?,
            Command::First(args) => first::run(args, End::First, context).await?,
            Command::Last(args) => first::run(args, End::Last, context).await?,
            Command::Triage(args) => triage::run(args, context).await?,
            Command::Saved(args) => saved::run(args, context)?,
            Command::Show(args) => show::run(args, context).await?,
            Command::Export(args) => export::run(args, context).await?,
            Command::Jobs(args) => jobs::run(args, context).await?,
            Command::Job(args) => job::run(args, context).await?,
            Command::Artifacts(args) => artifacts::run(args, context).await?,
            Command::Status(args) => status::run(args, context).await?,
            Command::Coverage(args) => coverage::run(args, context).await?,
            Command::Verify(args) => verify::run(args, context).await?,
            Command::Repair(args) => repair::run(args, context).await?,
            Command::Rebuild(args) => rebuild::run(args, context).await?,
            Command::Reindex(args) => reindex::run(args, context).await?,
            Command::Compact(args) => compact::run(args, context).await?,
            Command::Prune(args) => prune::run(args, context).await?,
            Command::Completions(_) | Command::Man(_) => Exit::Yes,
        };
        out.finish()?;
        Ok(exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }
}
