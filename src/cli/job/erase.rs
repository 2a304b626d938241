//! `job erase`: archive, verify, show, ask, and only then erase.

use std::io::IsTerminal;

use jiff::Timestamp;

use super::{Answer, Common, Target};
use crate::cli::sync::artifacts::ArtifactArgs;
use crate::cli::{Context, Exit, Problem, sync, units};
use crate::export::sanitise;
use crate::model::{Artifact, Job};
use crate::store::Store;
use crate::sync::Options;
use crate::sync::act::{self, Artifacts, Erasure};

/// Arguments of `job erase`.
#[derive(Debug, clap::Args)]
pub(super) struct EraseArgs {
    #[command(flatten)]
    pub(super) common: Common,
    /// Erase without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    artifacts: ArtifactArgs,
    /// Erase artifacts too that the archive does not hold
    #[arg(long)]
    lose_artifacts: bool,
}

pub(super) async fn run(
    args: &EraseArgs,
    target: &Target,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    if args.common.dry_run {
        return rehearse(args, target, context).await;
    }
    if !args.yes && !std::io::stdin().is_terminal() {
        return Err(Problem::new(format!(
            "there is nobody to ask whether to erase job {}",
            target.job
        ))
        .hint("say --yes to erase it, --dry-run to see what would go")
        .into());
    }
    let root = context.config.archive.clone();
    let store = Store::open_for_writing(&root, "jobvault job erase", context.now).await?;
    let ended = archived_and_erased(args, target, &store, context).await;
    store.close().await;
    ended
}

async fn archived_and_erased(
    args: &EraseArgs,
    target: &Target,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    let mut index = sync::open_index(store, context).await?;
    let (client, project) = (&target.server.client, target.project());
    let options = Options::new(target.server.name(), Timestamp::now);
    let options = args.artifacts.add_to(options, &context.config);
    let ready =
        act::prepare_erase(store, &mut index, client, options.clone(), &project, target.job)
            .await?;
    let held = ready.trace_bytes();
    show(&ready, target, context);
    let policy = if args.lose_artifacts { Artifacts::Give } else { Artifacts::Keep };
    let refused = policy == Artifacts::Keep && ready.unheld().next().is_some();
    // What will be refused need not be asked for.
    if !refused && !args.yes && !context.confirms("Erase? It cannot be undone on GitLab.")? {
        context.out.summary("nothing was erased");
        return Ok(Exit::No);
    }
    let received = act::erase(client, ready, policy).await?;
    let job = received.value.clone();
    act::record(store, &mut index, client, options, received).await?;
    Answer::new("erased", &job, target).holding(held).print(args.common.json, context)?;
    context.out.summary(format!("job {} is erased on GitLab; the archive keeps it", target.job));
    Ok(Exit::Yes)
}

/// Says what is safe and what will go.
fn show(ready: &Erasure, target: &Target, context: &mut Context<'_>) {
    let (job, out) = (target.job, &mut *context.out);
    match ready.trace_bytes() {
        Some(bytes) => {
            let size = units::size(bytes);
            out.summary(format!("the archive holds the log of job {job}: {size}, verified"));
        }
        None => out.summary(format!("job {job} has no log")),
    }
    if let Some(bytes) = ready.archive_bytes() {
        let size = units::size(bytes);
        out.summary(format!("and its artifacts archive: {size}, verified"));
    }
    let files: Vec<&Artifact> = ready.job().files().collect();
    going(ready.job(), &files, context);
}

fn going(job: &Job, files: &[&Artifact], context: &mut Context<'_>) {
    let name = sanitise(job.name.as_deref().unwrap_or_default());
    let mut what = vec!["its log".to_owned()];
    what.extend(files.iter().map(|file| {
        let kind = file.filename.as_deref().or(file.file_type.as_deref()).unwrap_or("a file");
        let size = file.size.map(|bytes| format!(" ({})", units::size(bytes))).unwrap_or_default();
        format!("{}{size}", sanitise(kind))
    }));
    context.out.summary(format!(
        "to be erased on GitLab of job {} {name}: {}",
        job.id,
        what.join(", ")
    ));
}

/// Says what would be erased and what the archive holds of it; archives and erases nothing.
async fn rehearse(
    args: &EraseArgs,
    target: &Target,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    let Some(received) = target.read().await? else {
        return Err(
            Problem::new(format!("GitLab shows no job {} in {}", target.job, target.path)).into()
        );
    };
    let job = &received.value;
    let held = match Store::open(&context.config.archive).await {
        Ok(store) => store.catalogue().job(target.job).await?.and_then(|row| row.raw_bytes),
        Err(_) => None,
    };
    Answer::new("erased", job, target)
        .rehearsed()
        .holding(held)
        .print(args.common.json, context)?;
    let files: Vec<&Artifact> = job.files().collect();
    going(job, &files, context);
    let held = match held {
        Some(bytes) => format!("the archive holds its log ({})", units::size(bytes)),
        None => "its log would be archived first".to_owned(),
    };
    context.out.summary(format!("{held}; nothing was done"));
    Ok(Exit::Yes)
}
