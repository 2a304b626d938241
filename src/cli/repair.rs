//! `repair`: what still reads of damaged packs is written anew; what does not is fetched again, where the server still has
//! it.

mod packs;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::connect::{self, Server, ServerArgs};
use super::sync::open_index;
use super::verify::{checked, line, settled_before};
use super::{Context, Exit, units};
use crate::config::Flags;
use crate::export::sanitise;
use crate::model::JobId;
use crate::store::Store;
use crate::store::check::{Report, VerifyOptions};
use crate::store::mend::{MendOptions, Mended};
use crate::sync::{self, Options, Repaired};
use packs::{mend_named, rest, tell};

/// Arguments of `repair`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Checks every byte first, as jobvault verify does. Of a pack that is damaged beside its logs, by\n\
        a lost footer or lost records that the catalogue still knows, what still reads is written anew;\n\
        compact or prune delete the old pack after its grace. It can be stopped at any time; the next\n\
        run goes on. With --from-gitlab each damaged log is fetched again then. The same bytes take\n\
        their old place. Where the server's log is another by now, a longer one is stored beside the old.\n\
        Exit status: 0 nothing is damaged any more, 1 some of it stays damaged, 2 failed, 3 some could not be tried."
)]
pub struct Args {
    /// Ask the GitLab that the archive is of as well; the token comes from where sync has it
    #[arg(long)]
    from_gitlab: bool,
    /// Say what would be written anew, and change nothing
    #[arg(long, conflicts_with = "from_gitlab")]
    dry_run: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// Print one object of JSON for each damaged pack or job
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    /// Puts our flags with the global ones.
    pub(super) fn add_to(&self, flags: &mut Flags) {
        self.server.add_to(flags);
    }
}

#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    job: JobId,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    let store = context.open_for_writing("jobvault repair").await?;
    let server = match args.from_gitlab {
        true => {
            let host = connect::host(&context.config).await?;
            Some(Server::new(&mut context.config, host, None)?)
        }
        false => None,
    };
    context.warn_of_config();
    let options = MendOptions { dry_run: args.dry_run };
    let mut report = check(&store, &mut context).await?;
    let mended = mend_named(&store, &report, options, &context).await?;
    tell(&mended, options, args.json, &mut context)?;
    if !args.dry_run && !mended.packs.is_empty() {
        store.load_names().await?;
        report = check(&store, &mut context).await?;
    }
    let Some(server) = server else {
        store.close().await;
        return Ok(here_alone(&report, &mended, &args, &mut context));
    };
    let jobs: BTreeSet<JobId> = report.damaged.iter().filter_map(|d| d.job).collect();
    let jobs: Vec<JobId> = jobs.into_iter().collect();
    for damage in report.damaged.iter().filter(|d| d.job.is_none()) {
        context.out.warn(line(damage));
    }
    let mut index = open_index(&store, &mut context).await?;
    let options = Options::new(server.name(), Timestamp::now);
    let done = sync::repair(&store, &mut index, &server.client, options, &jobs, |_, _| {}).await;
    let done = done?;
    // What was fetched may have been the last that a damaged pack was needed for.
    let freed = mend_named(&store, &report, MendOptions::default(), &context).await?;
    tell(&freed, MendOptions::default(), args.json, &mut context)?;
    let rest = rest(&store, &report).await?;
    store.close().await;
    for (job, repaired) in &done {
        let (outcome, reason) = words(repaired);
        match args.json {
            true => context.out.json(&Json { v: 1, job: *job, outcome, reason })?,
            false => {
                let reason = reason.map(|r| format!(": {}", sanitise(r))).unwrap_or_default();
                context.out.line(format!("job {job}: {outcome}{reason}"))?;
            }
        }
    }
    if !args.json {
        summary(&done, rest, &mut context);
    }
    Ok(exit(&done, rest))
}

async fn check(store: &Store, context: &mut Context<'_>) -> anyhow::Result<Report> {
    let total = store.catalogue().packs().await?.iter().map(|(_, _, bytes)| bytes).sum();
    let settled_before = settled_before(context.now);
    let options = VerifyOptions { settled_before, ..VerifyOptions::default() };
    checked(store, options, total, context).await
}

/// Ends a repair that asks no server.
fn here_alone(report: &Report, mended: &Mended, args: &Args, context: &mut Context<'_>) -> Exit {
    let (damaged, packs) = (report.damaged.len() as u64, mended.packs.len() as u64);
    if !args.json {
        let packs = units::count(packs, "pack");
        context.out.summary(match (damaged, args.dry_run) {
            (0, _) if mended.packs.is_empty() => "nothing is damaged".to_owned(),
            (0, _) => format!("{packs} written anew, and nothing is damaged any more"),
            (_, true) => format!("{packs} would be written anew"),
            (damaged, false) => format!("{packs} written anew; {damaged} damaged still"),
        });
        if !args.dry_run && !mended.packs.is_empty() {
            context.out.note("jobvault prune deletes the old packs after their grace");
        }
        if damaged > 0 && report.in_catalogue {
            context.out.note("jobvault rebuild makes the catalogue anew from the packs");
        } else if report.damaged.iter().any(|d| d.job.is_some()) {
            let hint = "jobvault repair --from-gitlab fetches again what the server still has";
            context.out.note(hint);
        }
    }
    if damaged == 0 { Exit::Yes } else { Exit::No }
}

fn words(repaired: &Repaired) -> (&'static str, Option<&str>) {
    match repaired {
        Repaired::Same => ("repaired", None),
        Repaired::Newer => ("newer", Some("the server's log is another by now, and stored beside")),
        Repaired::Document => ("repaired", Some("its document was fetched again")),
        Repaired::Lost(reason) => ("lost", Some(reason)),
        Repaired::Failed(reason) => ("failed", Some(reason)),
    }
}

fn is_well(repaired: &Repaired) -> bool {
    matches!(repaired, Repaired::Same | Repaired::Newer | Repaired::Document)
}

/// Sums up; `rest` counts what is damaged beside jobs, which no server has.
fn summary(done: &[(JobId, Repaired)], rest: usize, context: &mut Context<'_>) {
    if done.is_empty() && rest == 0 {
        return context.out.summary("nothing is damaged");
    }
    let well = done.iter().filter(|(_, repaired)| is_well(repaired)).count();
    let all = units::count(done.len() as u64, "damaged job");
    if !done.is_empty() {
        context.out.summary(format!("{well} of {all} repaired"));
    }
    if well > 0 || rest > 0 {
        context
            .out
            .note("jobvault compact, then prune, delete the packs that nothing needs any more");
    }
    if rest > 0 {
        let rest = units::count(rest as u64, "place");
        context.out.note(format!(
            "damage in {rest} besides, as named above, stays for verify to find while its pack is there"
        ));
    }
}

fn exit(done: &[(JobId, Repaired)], rest: usize) -> Exit {
    if done.iter().any(|(_, repaired)| matches!(repaired, Repaired::Failed(_))) {
        return Exit::Partial;
    }
    match rest == 0 && done.iter().all(|(_, repaired)| is_well(repaired)) {
        true => Exit::Yes,
        false => Exit::No,
    }
}
