//! `repair`: what is damaged is fetched again, where the server still has it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::connect::{self, Server, ServerArgs};
use super::sync::open_index;
use super::verify::{checked, line, settled_before};
use super::{Context, Exit, Problem, units};
use crate::config::Flags;
use crate::export::sanitise;
use crate::model::JobId;
use crate::store::check::VerifyOptions;
use crate::sync::{self, Options, Repaired};

/// Arguments of `repair`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Checks every byte first, as jobvault verify does; then each damaged log is fetched again. The same bytes\n\
        take their old place. Where the server's log is another by now, a longer one is stored beside the old.\n\
        Exit status: 0 nothing is damaged any more, 1 some of it stays damaged, 2 failed, 3 some could not be tried."
)]
pub struct Args {
    /// Ask the GitLab that the archive is of; the token comes from where sync has it
    #[arg(long)]
    from_gitlab: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// Print one object of JSON for each damaged job
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
    if !args.from_gitlab {
        return Err(Problem::new("nothing says where to repair from")
            .hint("jobvault repair --from-gitlab fetches again what the server still has")
            .into());
    }
    let store = context.open_for_writing("jobvault repair").await?;
    let host = connect::host(&context.config).await?;
    let server = Server::new(&mut context.config, host, None)?;
    context.warn_of_config();
    let total = store.catalogue().packs().await?.iter().map(|(_, _, bytes)| bytes).sum();
    let settled_before = settled_before(context.now);
    let options = VerifyOptions { settled_before, ..VerifyOptions::default() };
    let report = checked(&store, options, total, &mut context).await?;
    let jobs: BTreeSet<JobId> = report.damaged.iter().filter_map(|d| d.job).collect();
    let jobs: Vec<JobId> = jobs.into_iter().collect();
    for damage in report.damaged.iter().filter(|d| d.job.is_none()) {
        context.out.warn(line(damage));
    }
    let mut index = open_index(&store, &mut context).await?;
    let options = Options::new(server.name(), Timestamp::now);
    let done = sync::repair(&store, &mut index, &server.client, options, &jobs, |_, _| {}).await;
    store.close().await;
    let done = done?;
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
    let rest = report.damaged.iter().filter(|damage| damage.job.is_none()).count();
    if !args.json {
        summary(&done, rest, &mut context);
    }
    Ok(exit(&done, rest))
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
