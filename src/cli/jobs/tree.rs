//! A pipeline as a tree: stages, jobs, retried ones marked, and under each bridge what it started.

mod family;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use super::Json;
use crate::cli::address::PipelineAddress;
use crate::cli::archive::check_page;
use crate::cli::output::{Out, Paint};
use crate::cli::search::heading::{mark, paint_status};
use crate::cli::table::{self, Align};
use crate::cli::{Context, Exit, Problem, artifacts, units};
use crate::export::sanitise;
use crate::model::{JobId, PipelineId, ProjectId};
use crate::store::catalogue::ArtifactRow;
use crate::store::{JobRow, Store};
use family::{Entry, Family, JobEntry};

/// The widest a name is shown on a terminal.
const MAX_NAME: usize = 50;

/// A job and its place in the tree.
#[derive(Serialize)]
struct Placed<'a> {
    #[serde(flatten)]
    job: Json<'a>,
    bridge: bool,
    retried_as: Option<JobId>,
    downstream_project: Option<ProjectId>,
    downstream_pipeline: Option<PipelineId>,
    /// The bridge that started the job's pipeline, of all pipelines but the first.
    started_by: Option<JobId>,
    depth: usize,
}

pub(super) async fn run(
    pipeline: &PipelineAddress,
    json: bool,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    let store = context.open().await?;
    check_page(&store, pipeline.page.as_ref()).await?;
    let family = Family::read(&store, pipeline.id).await?;
    if family.is_empty() {
        return Err(Problem::new(format!("the archive knows no job of pipeline {}", pipeline.id))
            .hint("jobvault jobs lists those it knows; jobvault sync PROJECT fetches new ones")
            .exit(Exit::No)
            .into());
    }
    let entries = family.entries();
    if json {
        let rows: Vec<_> = entries.iter().filter_map(Entry::job).map(|e| e.row.clone()).collect();
        let artifacts = artifacts::outcomes(&store, &rows).await?;
        for entry in entries.iter().filter_map(Entry::job) {
            context.out.json(&placed(entry, &artifacts))?;
        }
    } else {
        print(&store, pipeline.id, &entries, context).await?;
    }
    if family.is_cut() {
        context.out.warn("the tree is larger than is shown");
    }
    Ok(Exit::Yes)
}

fn placed<'a>(entry: &JobEntry<'a>, artifacts: &HashMap<JobId, ArtifactRow>) -> Placed<'a> {
    Placed {
        job: super::json(entry.row, artifacts),
        bridge: entry.row.bridge,
        retried_as: entry.retried_as,
        downstream_project: entry.row.downstream.map(|(project, _)| project),
        downstream_pipeline: entry.row.downstream.map(|(_, pipeline)| pipeline),
        started_by: entry.started_by,
        depth: entry.depth,
    }
}

async fn print(
    store: &Store,
    pipeline: PipelineId,
    entries: &[Entry<'_>],
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let now = context.now;
    let out = &mut *context.out;
    if let Some(bridge) = store.catalogue().bridge_to(pipeline).await? {
        let from = bridge.pipeline.map(|id| format!(" of pipeline {id}")).unwrap_or_default();
        let path = sanitise(&bridge.project_path);
        out.line(out.paint(Paint::Dim, format!("started by job {}{from} in {path}", bridge.id)))?;
    }
    let jobs: Vec<&JobEntry<'_>> = entries.iter().filter_map(Entry::job).collect();
    let rows: Vec<Vec<String>> = jobs.iter().map(|job| row(job, out.is_terminal())).collect();
    let align = [Align::Left, Align::Left, Align::Right, Align::Left, Align::Right, Align::Left];
    let mut lines = table::table(&rows, &align, |row, column, cell| match column {
        0 if jobs[row].retried_as.is_none() => paint_status(out, &jobs[row].row.status, cell),
        0 | 2 | 5 => out.paint(Paint::Dim, cell),
        _ => cell.to_owned(),
    })
    .into_iter();
    for entry in entries {
        let line = match entry {
            Entry::Job(_) => lines.next().unwrap_or_default().trim_end().to_owned(),
            Entry::Pipeline { depth, id, jobs } => heading(out, *depth, *id, jobs, now),
            Entry::Stage { depth, name, jobs } => {
                let took = span(jobs).map(|took| out.paint(Paint::Dim, format!("  {took}")));
                let name = out.paint(Paint::Bold, sanitise(name));
                format!("{}{name}{}", indent(*depth), took.unwrap_or_default())
            }
            Entry::Absent { depth, project, pipeline } => {
                let text =
                    format!("pipeline {pipeline} of project {project} is not in the archive");
                format!("{}{}", indent(*depth), out.paint(Paint::Dim, text))
            }
        };
        out.line(line)?;
    }
    Ok(())
}

/// Each pipeline stands two steps deeper than the bridge's stage above it.
fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

fn heading(out: &Out, depth: usize, id: PipelineId, jobs: &[&JobRow], now: Timestamp) -> String {
    let mut parts = vec![out.paint(Paint::Bold, format!("pipeline {id}"))];
    if let Some(first) = jobs.first() {
        parts.push(sanitise(&first.project_path));
        parts.push(out.paint(Paint::Cyan, sanitise(&first.git_ref)));
        parts.push(out.paint(Paint::Dim, sanitise(units::short_sha(&first.sha))));
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for job in jobs {
        *counts.entry(job.status.as_str()).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(status, n)| paint_status(out, status, &format!("{n} {}", sanitise(status))))
        .collect();
    parts.push(counts.join(", "));
    if let Some(at) = jobs.iter().filter_map(|job| job.created_at).min() {
        parts.push(out.paint(Paint::Dim, units::age(at, now)));
    }
    if let Some(took) = span(jobs) {
        parts.push(out.paint(Paint::Dim, format!("took {took}")));
    }
    format!("{}{}", indent(depth), parts.join("  "))
}

/// Returns the time from the first job's beginning to the last one's end, `None` where that is not over.
fn span(jobs: &[&JobRow]) -> Option<String> {
    let began = jobs.iter().filter_map(|job| job.started_at).min()?;
    let ended = jobs.iter().filter_map(|job| job.finished_at).max()?;
    let runs = jobs.iter().any(|job| job.started_at.is_some() && job.finished_at.is_none());
    let seconds = ended.duration_since(began).as_secs_f64();
    (!runs && seconds >= 0.0).then(|| units::duration(seconds))
}

fn row(entry: &JobEntry<'_>, terminal: bool) -> Vec<String> {
    let job = entry.row;
    let name = sanitise(&job.name);
    let note = match (entry.retried_as, job.downstream) {
        (Some(id), _) => format!("retried as {id}"),
        (None, Some((_, pipeline))) => format!("-> pipeline {pipeline}"),
        (None, None) if job.bridge => "-> started nothing that the token sees".to_owned(),
        (None, None) => sanitise(job.failure_reason.as_deref().unwrap_or_default()),
    };
    let sign = if job.bridge { "→" } else { mark(&job.status) };
    vec![
        format!("{}{sign} {}", indent(entry.depth), job.id),
        if terminal { table::cut(&name, MAX_NAME) } else { name },
        job.duration.map(units::duration).unwrap_or_default(),
        if job.bridge { sanitise(&job.status) } else { job.state.to_string() },
        job.raw_bytes.map(units::size).unwrap_or_default(),
        note,
    ]
}
