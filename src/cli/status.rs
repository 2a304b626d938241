//! `status`: what the archive holds, what is missing and why, and what it costs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jobvault_index::Index;
use serde::Serialize;

use super::output::{Out, OutputError, Paint};
use super::table::{self, Align};
use super::{Context, Exit, forecast, units};
use crate::export::sanitise;
use crate::model::TraceState;
use crate::store::Store;
use crate::store::catalogue::ProjectRow;
use crate::sync::HOST_KEY;
use crate::sync::coverage::{Counted, Estimate, estimate};

/// More projects than this are only counted.
const MAX_PROJECTS: usize = 20;
/// Reasons for missing logs that are named.
const MAX_REASONS: usize = 10;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Reads only the catalogue; jobvault verify reads every byte.")]
pub struct Args {
    /// Print one object of JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Status {
    v: u32,
    projects: usize,
    jobs: u64,
    states: BTreeMap<&'static str, u64>,
    raw_bytes: u64,
    pack_bytes: u64,
    index_bytes: u64,
    catalogue_bytes: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
    next_loss: Option<Timestamp>,
    host: Option<String>,
    /// Of what waits to be fetched.
    estimate: Estimate,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let store = context.open().await?;
    let projects = store.catalogue().projects().await?;
    let status = status(&store, projects.len(), context.now).await?;
    if args.json {
        context.out.json(&status)?;
        return Ok(Exit::Yes);
    }
    let missing = store.catalogue().missing().await?;
    let now = context.now;
    let out = &mut *context.out;
    field(out, "archive", &sanitise(store.root().display().to_string()))?;
    field(out, "server", &sanitise(status.host.as_deref().unwrap_or("none yet")))?;
    held(out, &status, now)?;
    size(out, &status)?;
    print_projects(out, &store, &projects).await?;
    print_missing(out, &missing)?;
    Ok(Exit::Yes)
}

async fn status(store: &Store, projects: usize, now: Timestamp) -> anyhow::Result<Status> {
    let catalogue = store.catalogue();
    let [oldest, newest, next_loss] = catalogue.span(now).await?;
    let mut status = Status { v: 1, projects, oldest, newest, next_loss, ..Status::default() };
    status.states.extend(TraceState::ALL.map(|state| (state.as_str(), 0)));
    for row in catalogue.status().await? {
        status.jobs += row.jobs;
        status.raw_bytes += row.raw_bytes;
        status.states.insert(row.state.as_str(), row.jobs);
    }
    status.pack_bytes = catalogue.packs().await?.iter().map(|(_, _, bytes)| bytes).sum();
    // An index that cannot be opened is as good as none; `search` says what is wrong with it.
    status.index_bytes = Index::open(&store.index_dir()).and_then(|i| i.bytes()).unwrap_or(0);
    let file = |suffix| store.root().join(format!("catalogue.sqlite{suffix}"));
    let bytes = |suffix| std::fs::metadata(file(suffix)).map_or(0, |meta| meta.len());
    status.catalogue_bytes = ["", "-wal", "-shm"].into_iter().map(bytes).sum();
    status.estimate = estimate(store, &Counted::default(), now).await?;
    status.next_loss = match (status.next_loss, status.estimate.next_loss) {
        (Some(expiry), Some(loss)) => Some(expiry.min(loss)),
        (expiry, loss) => expiry.or(loss),
    };
    status.host = catalogue.meta(HOST_KEY).await?;
    Ok(status)
}

fn field(out: &mut Out, name: &str, value: &str) -> Result<(), OutputError> {
    let name = out.paint(Paint::Dim, format!("{name:<10}"));
    out.line(format!("{name}{value}"))
}

fn held(out: &mut Out, status: &Status, now: Timestamp) -> Result<(), OutputError> {
    let count = |state: TraceState| status.states.get(state.as_str()).copied().unwrap_or(0);
    let words = |state: TraceState| match state {
        TraceState::NoLog => "without a log",
        TraceState::Erased => "erased before capture",
        other => other.as_str(),
    };
    let states = TraceState::ALL.into_iter().filter(|state| count(*state) > 0);
    let states: Vec<String> = states.map(|s| format!("{} {}", count(s), words(s))).collect();
    let list = match states.is_empty() {
        true => String::new(),
        false => format!(": {}", states.join(", ")),
    };
    field(out, "jobs", &format!("{}{list}", status.jobs))?;
    if let (Some(oldest), Some(newest)) = (status.oldest, status.newest) {
        let span = format!("{} to {}", units::time(oldest), units::time(newest));
        field(out, "from", &format!("{span} ({})", units::age(newest, now)))?;
    }
    if let Some(words) = forecast::words(&status.estimate, now) {
        field(out, "backlog", &words)?;
    }
    match status.next_loss {
        Some(at) => {
            let (time, ahead) = (units::time(at), units::age(at, now));
            let text = format!("{time} ({ahead}), when artifacts expire or a pipeline is deleted");
            field(out, "next loss", &text)
        }
        None => Ok(()),
    }
}

fn size(out: &mut Out, status: &Status) -> Result<(), OutputError> {
    let share = |bytes: u64| match status.raw_bytes {
        0 => String::new(),
        raw => format!(" ({:.1} % of raw)", bytes as f64 * 100.0 / raw as f64),
    };
    let part = |bytes: u64| format!("{}{}", units::size(bytes), share(bytes));
    let all = status.pack_bytes + status.index_bytes + status.catalogue_bytes;
    field(out, "raw", &units::size(status.raw_bytes))?;
    field(out, "packs", &part(status.pack_bytes))?;
    field(out, "index", &part(status.index_bytes))?;
    field(out, "catalogue", &part(status.catalogue_bytes))?;
    field(out, "on disk", &part(all))
}

async fn print_projects(
    out: &mut Out,
    store: &Store,
    projects: &[ProjectRow],
) -> anyhow::Result<()> {
    field(out, "projects", &projects.len().to_string())?;
    if projects.len() > MAX_PROJECTS {
        return Ok(());
    }
    let jobs: BTreeMap<_, _> = store.catalogue().project_jobs().await?.into_iter().collect();
    let row = |project: &ProjectRow| {
        let jobs = jobs.get(&project.id).copied().unwrap_or_default();
        vec![format!("  {jobs}"), sanitise(&project.path)]
    };
    let rows: Vec<_> = projects.iter().map(row).collect();
    let lines = table::table(&rows, &[Align::Right, Align::Left], |_, _, cell| cell.to_owned());
    Ok(lines.iter().try_for_each(|line| out.line(line))?)
}

fn print_missing(out: &mut Out, missing: &[(TraceState, String, u64)]) -> Result<(), OutputError> {
    if missing.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.line("Without a log in the archive:")?;
    let row = |(state, reason, jobs): &(TraceState, String, u64)| {
        vec![format!("  {jobs}"), state.to_string(), sanitise(reason)]
    };
    let rows: Vec<_> = missing.iter().take(MAX_REASONS).map(row).collect();
    let align = [Align::Right, Align::Left, Align::Left];
    let dim = |_: usize, column: usize, cell: &str| match column {
        2 => out.paint(Paint::Dim, cell),
        _ => cell.to_owned(),
    };
    let lines = table::table(&rows, &align, dim);
    lines.iter().try_for_each(|line| out.line(line))?;
    match missing.len().checked_sub(MAX_REASONS) {
        Some(more @ 1..) => out.line(format!("  and {} more", units::count(more as u64, "reason"))),
        _ => Ok(()),
    }
}
