//! `coverage`: the ledger of every listed job, what could still be got and what is lost.

use jobvault_index::query::When;
use serde::Serialize;

use super::output::Paint;
use super::table::{self, Align};
use super::{Context, Exit, Problem, forecast, units};
use crate::export::sanitise;
use crate::model::{ArtifactMode, ProjectId};
use crate::store::Store;
use crate::sync::artifacts::{ArtifactLine, artifact_lines};
use crate::sync::coverage::{Counted, Coverage, Line, Standing, coverage};

/// Arguments of `coverage`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 nothing is missing, 1 something is lost for good, 3 something is missing that could still be got.\n\
        Artifacts count where the configuration wants them (artifacts = \"listing\", \"reports\" or \"all\")."
)]
pub struct Args {
    /// Only this project: its id, path, or the last part of that
    #[arg(value_name = "PROJECT")]
    project: Option<String>,
    /// Only jobs that came to be since: 30d, 12h, 2026-01-31
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    since: Option<When>,
    /// Print objects of JSON: one a line of the ledger, the sums last
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    v: u32,
    #[serde(flatten)]
    line: &'a Line,
}

#[derive(Serialize)]
struct JsonArtifacts<'a> {
    v: u32,
    artifacts: &'a ArtifactLine,
}

#[derive(Serialize)]
struct JsonSum<'a> {
    v: u32,
    listed: u64,
    archived: u64,
    obtainable: u64,
    lost: u64,
    waiting: u64,
    estimate: &'a crate::sync::coverage::Estimate,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let store = context.open().await?;
    let counted = Counted {
        projects: match &args.project {
            Some(name) => Some(vec![project(&store, name).await?]),
            None => None,
        },
        since: args.since.map(|when| when.resolve(context.now)),
    };
    let ledger = coverage(&store, &counted, context.now).await?;
    let artifacts = artifact_lines(&store, &counted).await?;
    match args.json {
        true => json(&ledger, &artifacts, &mut context)?,
        false => {
            print(&ledger, &mut context)?;
            super::artifacts::print_counts(&artifacts, context.out)?;
        }
    }
    let wanted = context.config.artifacts != ArtifactMode::None;
    let is_any = |standing| {
        let artifact = |line: &ArtifactLine| line.standing == standing;
        ledger.jobs(standing) > 0 || wanted && artifacts.iter().any(artifact)
    };
    Ok(match (is_any(Standing::Obtainable), is_any(Standing::Lost)) {
        (false, false) => Exit::Yes,
        (false, true) => Exit::No,
        (true, _) => Exit::Partial,
    })
}

async fn project(store: &Store, name: &str) -> anyhow::Result<ProjectId> {
    let projects = store.catalogue().projects().await?;
    let tail = format!("/{name}");
    let mut found = projects.iter().filter(|project| {
        project.id.to_string() == name || project.path == name || project.path.ends_with(&tail)
    });
    match (found.next(), found.next()) {
        (Some(project), None) => Ok(project.id),
        (Some(_), Some(_)) => Err(Problem::new(format!("there is more than one project {name}"))
            .hint("write its full path")
            .into()),
        (None, _) => Err(Problem::new(format!("the archive knows no project {name}"))
            .hint("jobvault status lists those it knows")
            .exit(Exit::No)
            .into()),
    }
}

fn json(
    ledger: &Coverage,
    artifacts: &[ArtifactLine],
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    for line in &ledger.lines {
        context.out.json(&JsonLine { v: 1, line })?;
    }
    for artifacts in artifacts {
        context.out.json(&JsonArtifacts { v: 1, artifacts })?;
    }
    let sum = JsonSum {
        v: 1,
        listed: ledger.listed(),
        archived: ledger.jobs(Standing::Held),
        obtainable: ledger.jobs(Standing::Obtainable),
        lost: ledger.jobs(Standing::Lost),
        waiting: ledger.jobs(Standing::Waiting),
        estimate: &ledger.estimate,
    };
    Ok(context.out.json(&sum)?)
}

fn print(ledger: &Coverage, context: &mut Context<'_>) -> anyhow::Result<()> {
    let mut rows = vec![["PROJECT", "LOG", "JOBS", "WHY"].map(str::to_owned).to_vec()];
    for line in &ledger.lines {
        let jobs = line.jobs.to_string();
        let state = line.state.to_owned();
        rows.push(vec![sanitise(&line.project), state, jobs, sanitise(&line.reason)]);
    }
    let out = &mut *context.out;
    let align = [Align::Left, Align::Left, Align::Right, Align::Left];
    let lines = table::table(&rows, &align, |row, column, cell| {
        let standing = row.checked_sub(1).map(|row| ledger.lines[row].standing);
        match (standing, column) {
            (None, _) => out.paint(Paint::Dim, cell),
            (Some(Standing::Held), 1) => out.paint(Paint::Green, cell),
            (Some(Standing::Lost), 1) => out.paint(Paint::Red, cell),
            (Some(Standing::Obtainable), 1) => out.paint(Paint::Yellow, cell),
            _ => cell.to_owned(),
        }
    });
    lines.iter().try_for_each(|line| out.line(line))?;
    let jobs = |standing| ledger.jobs(standing);
    let mut sum = format!(
        "{} listed: {} archived, {} without a log, {} not finished",
        units::count(ledger.listed(), "job"),
        jobs(Standing::Held),
        jobs(Standing::Nothing),
        jobs(Standing::Waiting),
    );
    for (standing, words) in [
        (Standing::Obtainable, "missing that could still be got"),
        (Standing::Lost, "lost for good"),
    ] {
        if jobs(standing) > 0 {
            sum.push_str(&format!(", {} {words}", jobs(standing)));
        }
    }
    context.out.summary(sum);
    if let Some(words) = forecast::words(&ledger.estimate, context.now) {
        context.out.summary(words);
    }
    Ok(())
}
