//! `job`: the four actions on GitLab's side. They alone change anything there, and only when called by name.

mod answer;
mod erase;

use clap::Subcommand;
use secrecy::SecretString;
use url::Url;

use super::address::{JobAddress, ProjectAddress};
use super::connect::{Server, ServerArgs, host, on_host};
use super::{Context, Exit, Problem};
use crate::config::Flags;
use crate::gitlab::{self, JobVariable, ProjectRef, Received};
use crate::model::{Job, JobId, ProjectId};
use crate::store::Store;
use crate::sync::HOST_KEY;
use crate::sync::act;
use answer::Answer;

const AFTER_HELP: &str = "\
Examples:
  jobvault job retry https://gitlab.com/group/project/-/jobs/123456
  jobvault job cancel 123456              a job that the archive knows
  jobvault job cancel 123456 --project group/project
  jobvault job play 123456 --var TARGET=staging
  jobvault job erase 123456 --dry-run

The token needs the scope api. A job that is erased is archived and verified first.
Exit status: 0 done, 1 there was nothing to do, 2 refused or failed.";

/// What to do without a token.
const NO_TOKEN: &str = "set GITLAB_TOKEN to a token with the scope api";

/// Arguments of `job`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Stop a job that waits or runs
    Cancel(Common),
    /// Run a job that has ended once more, as a new job
    Retry(Common),
    /// Erase a job's log and artifacts on GitLab, once the archive holds the log
    Erase(erase::EraseArgs),
    /// Start a manual job
    Play(PlayArgs),
}

/// What every action takes.
#[derive(Debug, clap::Args)]
struct Common {
    /// The job: its id or the address of its page
    #[arg(value_name = "JOB")]
    job: JobAddress,
    /// The job's project, where neither an address nor the archive tells: id, path, address
    #[arg(long, value_name = "PROJECT")]
    project: Option<ProjectAddress>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// Print the job as one object of JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `job play`.
#[derive(Debug, clap::Args)]
struct PlayArgs {
    #[command(flatten)]
    common: Common,
    /// A variable for the job (repeatable)
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = variable)]
    variables: Vec<Variable>,
}

/// A variable as written; its value is never printed.
type Variable = (String, SecretString);

fn variable(text: &str) -> Result<Variable, &'static str> {
    let (key, value) = text.split_once('=').ok_or("it is not KEY=VALUE")?;
    let word =
        |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    word(key).then(|| (key.to_owned(), value.into())).ok_or("KEY is made of letters, digits and _")
}

impl Args {
    fn common(&self) -> &Common {
        match &self.action {
            Action::Cancel(common) | Action::Retry(common) => common,
            Action::Erase(args) => &args.common,
            Action::Play(args) => &args.common,
        }
    }

    /// Tells whether the answer is wanted as JSON.
    pub(super) fn is_json(&self) -> bool {
        self.common().json
    }

    /// Puts our flags with the global ones.
    pub(super) fn add_to(&self, flags: &mut Flags) {
        let common = self.common();
        common.server.add_to(flags);
        let named = common.project.as_ref().and_then(|project| project.host.clone());
        flags.page_host = named.or_else(|| common.page()?.host);
    }
}

impl Common {
    /// Returns the project of a pasted address.
    fn page(&self) -> Option<ProjectAddress> {
        self.job.page.as_ref().and_then(|page| page.as_str().parse().ok())
    }
}

/// A job on its server.
struct Target {
    server: Server,
    project: ProjectId,
    /// The project's path.
    path: String,
    job: JobId,
}

impl Target {
    /// Finds the server and the project of a job.
    async fn find(common: &Common, context: &mut Context<'_>) -> anyhow::Result<Self> {
        let host = host(&context.config).await?;
        let server = Server::new(&mut context.config, host, None)?;
        context.warn_of_config();
        let job = common.job.id;
        let named = common.project.clone().or_else(|| common.page());
        let project = match named {
            Some(named) => on_host(named, &server.host)?,
            None => ProjectRef::Id(of_archive(job, &server.host, context).await?),
        };
        // By id it follows a project that was moved, which takes no change at its former path.
        let found = server.client.project(&project).await;
        let found = found.map_err(|error| server.explain(error.into(), NO_TOKEN))?.value;
        let path = found.path_with_namespace.unwrap_or_else(|| found.id.to_string());
        Ok(Self { server, project: found.id, path, job })
    }

    fn project(&self) -> ProjectRef {
        self.project.into()
    }

    /// Reads the job, `None` where the server shows none: it does not show bridges this way.
    async fn read(&self) -> anyhow::Result<Option<Received<Job>>> {
        match self.server.client.job(self.project, self.job).await {
            Ok(received) => Ok(Some(received)),
            Err(gitlab::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns the project of a job by the archive, if that is of the same server.
async fn of_archive(job: JobId, host: &Url, context: &Context<'_>) -> anyhow::Result<ProjectId> {
    let unknown = |why: String| {
        Problem::new(why)
            .hint("paste the address of the job's page, or name its project with --project")
    };
    let Ok(store) = Store::open(&context.config.archive).await else {
        return Err(unknown(format!("nothing tells of which project job {job} is")).into());
    };
    let recorded = store.catalogue().meta(HOST_KEY).await?;
    if recorded.as_deref() != Some(host.as_str().trim_end_matches('/')) {
        return Err(unknown(format!(
            "the archive is not of {host}, so that it cannot tell of job {job}"
        ))
        .into());
    }
    match store.catalogue().job(job).await? {
        Some(row) => Ok(row.project),
        None => Err(unknown(format!("the archive does not know job {job}")).into()),
    }
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    let target = Target::find(args.common(), &mut context).await?;
    match args.action {
        Action::Cancel(common) => cancel(&common, &target, &mut context).await,
        Action::Retry(common) => retry(&common, &target, &mut context).await,
        Action::Play(args) => play(args, &target, &mut context).await,
        Action::Erase(args) => erase::run(&args, &target, &mut context).await,
    }
}

/// Says what would be done, and to what.
async fn rehearse(
    common: &Common,
    target: &Target,
    done: &'static str,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    match target.read().await? {
        Some(received) => {
            let answer = Answer::new(done, &received.value, target).rehearsed();
            answer.print(common.json, context)?;
        }
        None => context.out.note("GitLab shows no such job; if it is a bridge, that says nothing"),
    }
    context.out.summary(format!("job {} would be {done}; nothing was done", target.job));
    Ok(Exit::Yes)
}

async fn cancel(
    common: &Common,
    target: &Target,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    if common.dry_run {
        return rehearse(common, target, "canceled", context).await;
    }
    // GitLab takes it for done where there was nothing to do; only a look before tells that.
    let before = target.read().await?.and_then(|job| job.value.status);
    let received = act::cancel(&target.server.client, &target.project(), target.job).await?;
    Answer::new("canceled", &received.value, target).print(common.json, context)?;
    match before {
        Some(status) if status.is_finished() => {
            let text =
                format!("job {} had ended before ({status}); nothing was canceled", target.job);
            context.out.summary(text);
            Ok(Exit::No)
        }
        _ => Ok(Exit::Yes),
    }
}

async fn retry(
    common: &Common,
    target: &Target,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    if common.dry_run {
        return rehearse(common, target, "retried", context).await;
    }
    let received = act::retry(&target.server.client, &target.project(), target.job).await?;
    Answer::new("retried", &received.value, target).print(common.json, context)?;
    context.out.summary(format!("job {} is retried as job {}", target.job, received.value.id));
    Ok(Exit::Yes)
}

async fn play(args: PlayArgs, target: &Target, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let common = args.common;
    if common.dry_run {
        return rehearse(&common, target, "played", context).await;
    }
    let variables: Vec<JobVariable> =
        args.variables.into_iter().map(|(key, value)| JobVariable { key, value }).collect();
    let client = &target.server.client;
    let received = act::play(client, &target.project(), target.job, &variables).await?;
    Answer::new("played", &received.value, target).print(common.json, context)?;
    Ok(Exit::Yes)
}
