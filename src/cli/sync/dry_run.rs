//! `sync --dry-run`: what a sync would fetch, as a table or as JSON. Writes nothing, and makes no archive.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Prepared, account};
use crate::cli::connect::NO_TOKEN;
use crate::cli::output::Paint;
use crate::cli::table::{self, Align};
use crate::cli::{Context, Exit, units};
use crate::export::sanitise;
use crate::store::{Store, StoreError};
use crate::sync::artifacts::ArtifactSum;
use crate::sync::{Failure, Plan, Planned, plan};

/// Rows put under each other at once; more are printed part by part, each with its own widths.
const ROWS: usize = 1000;

#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    #[serde(flatten)]
    planned: &'a Planned,
    project: &'a str,
}

#[derive(Serialize)]
struct Sum<'a> {
    v: u32,
    dry_run: bool,
    would_fetch: u64,
    /// Of those whose length is known.
    bytes: u64,
    artifacts: Option<ArtifactSum>,
    listed: u64,
    requests: u64,
    failed: &'a [Failure],
}

pub(super) async fn run(
    prepared: Prepared,
    json: bool,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    let Prepared { server, options, .. } = prepared;
    let store = open(&context.config.archive).await?;
    let plan = plan(&store, &server.client, options, CancellationToken::new()).await;
    let plan = plan.map_err(|error| server.explain(error, NO_TOKEN))?;
    match json {
        true => print_json(&plan, context)?,
        false => print(&plan, context)?,
    }
    match plan.stats.failed.is_empty() && !plan.stats.interrupted {
        true => Ok(Exit::Yes),
        false => Ok(Exit::Partial),
    }
}

/// Opens the archive for reading; one that is not there yet is as good as an empty one.
async fn open(root: &Path) -> anyhow::Result<Store> {
    let is_empty = || std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none());
    match Store::open(root).await {
        Err(StoreError::Missing { .. }) => Ok(Store::empty(root).await?),
        Err(StoreError::NotAnArchive { .. }) if is_empty() => Ok(Store::empty(root).await?),
        opened => Ok(opened?),
    }
}

fn path<'a>(plan: &'a Plan, job: &Planned) -> &'a str {
    plan.projects.get(&job.project_id).map_or("", String::as_str)
}

fn bytes(plan: &Plan) -> u64 {
    plan.jobs.iter().filter_map(|job| job.bytes).sum()
}

fn print_json(plan: &Plan, context: &mut Context<'_>) -> anyhow::Result<()> {
    for planned in &plan.jobs {
        context.out.json(&Json { v: 1, planned, project: path(plan, planned) })?;
    }
    let sum = Sum {
        v: 1,
        dry_run: true,
        would_fetch: plan.jobs.len() as u64,
        bytes: bytes(plan),
        artifacts: plan.artifacts,
        listed: plan.stats.listed,
        requests: plan.stats.requests,
        failed: &plan.stats.failed,
    };
    Ok(context.out.json(&sum)?)
}

fn print(plan: &Plan, context: &mut Context<'_>) -> anyhow::Result<()> {
    let (out, now) = (&mut *context.out, context.now);
    for (part, jobs) in plan.jobs.chunks(ROWS).enumerate() {
        let heading = part == 0 && out.is_terminal();
        let mut rows = Vec::with_capacity(jobs.len() + 1);
        if heading {
            rows.push(["JOB", "PROJECT", "SIZE", "ENDED", "LOST"].map(str::to_owned).to_vec());
        }
        rows.extend(jobs.iter().map(|job| row(plan, job, now)));
        use Align::{Left, Right};
        let lines = table::table(&rows, &[Right, Left, Right, Left, Left], |row, column, cell| {
            match (heading && row == 0, column) {
                (true, _) | (_, 3) => out.paint(Paint::Dim, cell),
                (_, 4) => out.paint(Paint::Yellow, cell),
                _ => cell.to_owned(),
            }
        });
        lines.iter().try_for_each(|line| out.line(line.trim_end()))?;
    }
    for failure in &plan.stats.failed {
        out.warn(account::named(failure));
    }
    let (logs, requests) =
        (units::count(plan.jobs.len() as u64, "log"), units::count(plan.stats.requests, "request"));
    let size = match bytes(plan) {
        0 => String::new(),
        bytes => format!(", {} as far as announced", units::size(bytes)),
    };
    let artifacts = plan.artifacts.map(|sum| {
        let archives = units::count(sum.jobs, "archive");
        format!("; something of {archives} of artifacts, {} in all", units::size(sum.bytes))
    });
    let artifacts = artifacts.unwrap_or_default();
    out.summary(format!(
        "{logs} would be fetched{size}{artifacts}; {requests} to find out, nothing written"
    ));
    Ok(())
}

fn row(plan: &Plan, job: &Planned, now: Timestamp) -> Vec<String> {
    let ahead = job.deadline.filter(|at| *at > now);
    vec![
        job.job.to_string(),
        sanitise(path(plan, job)),
        job.bytes.map(units::size).unwrap_or_default(),
        job.finished_at.map(|at| units::age(at, now)).unwrap_or_default(),
        ahead.map(|at| units::age(at, now)).unwrap_or_default(),
    ]
}
