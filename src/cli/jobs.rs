//! `jobs`: the jobs the archive knows, as a table or as JSON.

mod tree;

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::output::Paint;
use super::table::{self, Align};
use super::{
    Context, Exit, Problem, address::PipelineAddress, archive, filters::FilterArgs, units,
};
use crate::export::sanitise;
use crate::model::{JobId, PipelineId, TraceState};
use crate::search;
use crate::store::catalogue::{ArtifactRow, Column, Condition, Order};
use crate::store::{JobRow, Store};

/// Rows read at once; more jobs than this are printed page by page, each with its own widths.
const PAGE: u64 = 1000;
/// The widest a name is shown on a terminal.
const MAX_NAME: usize = 40;

const AFTER_HELP: &str = "\
Examples:
  jobvault jobs --status failed --since 7d
  jobvault jobs --project group/project --ref main --limit 10
  jobvault jobs --state erased            lost before they were captured
  jobvault jobs --pipeline 4711           its stages, jobs and downstream pipelines
  jobvault jobs --json --limit 1000000 | jq .job";

/// Arguments of `jobs`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Jobs at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(allow_negative_numbers = true, value_parser = units::at_least_one)]
    limit: u64,
    /// The oldest first
    #[arg(long)]
    oldest: bool,
    /// What became of the log: archived, no_log, erased, forbidden, truncated, vanished, pending
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<TraceState>,
    /// Print one object of JSON a job
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    filters: FilterArgs,
}

fn state(text: &str) -> Result<TraceState, String> {
    let names = TraceState::ALL.map(TraceState::as_str).join(", ");
    text.parse().map_err(|_| format!("it is none of {names}"))
}

#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    job: JobId,
    project: &'a str,
    pipeline: Option<PipelineId>,
    name: &'a str,
    stage: &'a str,
    status: &'a str,
    #[serde(rename = "ref")]
    git_ref: &'a str,
    sha: &'a str,
    created_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    duration: Option<f64>,
    erased_at: Option<Timestamp>,
    artifacts_expire_at: Option<Timestamp>,
    state: &'static str,
    raw_bytes: Option<u64>,
    hash: Option<String>,
    artifacts: Box<RawValue>,
    web_url: &'a str,
    reason: &'a str,
    failure_reason: Option<&'a str>,
}

impl Args {
    /// Returns the pipeline that is to be shown as a tree: where one is named and nothing else.
    fn tree(&self) -> Option<PipelineAddress> {
        let plain = self.state.is_none() && !self.oldest;
        self.filters.pipeline_alone().filter(|_| plain).and_then(PipelineAddress::read)
    }
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    if let Some(pipeline) = args.tree() {
        return tree::run(&pipeline, args.json, &mut context).await;
    }
    let filters = args.filters.filters().map_err(Problem::from)?;
    let mut conditions: Vec<Condition> =
        filters.iter().map(|filter| search::condition(filter, context.now)).collect();
    if let Some(state) = args.state {
        conditions.push(Condition::Glob(Column::State, state.as_str().to_owned()));
    }
    let store = context.open().await?;
    archive::check_page(&store, args.filters.page().as_ref()).await?;
    let mut left = args.limit;
    let mut last: Option<JobId> = None;
    while left > 0 {
        let rows = page(&store, &conditions, args.oldest, last, left.min(PAGE)).await?;
        let Some(end) = rows.last() else { break };
        let first = last.is_none();
        last = Some(end.id);
        left -= rows.len() as u64;
        match args.json {
            true => {
                let artifacts = super::artifacts::outcomes(&store, &rows).await?;
                rows.iter().try_for_each(|row| context.out.json(&json(row, &artifacts)))?;
            }
            false => print(&rows, first, &mut context)?,
        }
    }
    if last.is_none() {
        if !args.json {
            context.out.note("no such job in the archive");
        }
        return Ok(Exit::No);
    }
    if left == 0 && !args.json && more(&store, &conditions, args.oldest, last).await? {
        let shown = units::count(args.limit, "job");
        context.out.note(format!("{shown} shown; --limit N for more"));
    }
    Ok(Exit::Yes)
}

/// Reads the jobs behind the last one.
async fn page(
    store: &Store,
    conditions: &[Condition],
    oldest: bool,
    last: Option<JobId>,
    limit: u64,
) -> anyhow::Result<Vec<JobRow>> {
    let mut conditions = conditions.to_vec();
    if let Some(JobId(last)) = last {
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        conditions.push(match oldest {
            true => Condition::Between(Column::Id, last.saturating_add(1), i64::MAX),
            false => Condition::Between(Column::Id, 0, last - 1),
        });
    }
    let order = if oldest { Order::Oldest } else { Order::Newest };
    Ok(store.catalogue().jobs(&Condition::All(conditions), order, limit).await?)
}

async fn more(
    store: &Store,
    conditions: &[Condition],
    oldest: bool,
    last: Option<JobId>,
) -> anyhow::Result<bool> {
    Ok(!page(store, conditions, oldest, last, 1).await?.is_empty())
}

fn json<'a>(row: &'a JobRow, artifacts: &HashMap<JobId, ArtifactRow>) -> Json<'a> {
    let artifacts = super::artifacts::with_outcome(row, artifacts.get(&row.id));
    let none = || RawValue::from_string("[]".to_owned()).expect("an empty list is JSON");
    Json {
        v: 1,
        job: row.id,
        project: &row.project_path,
        pipeline: row.pipeline,
        name: &row.name,
        stage: &row.stage,
        status: &row.status,
        git_ref: &row.git_ref,
        sha: &row.sha,
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        duration: row.duration,
        erased_at: row.erased_at,
        artifacts_expire_at: row.artifacts_expire_at,
        state: row.state.as_str(),
        raw_bytes: row.raw_bytes,
        hash: row.hash.map(|hash| blake3::Hash::from_bytes(hash).to_hex().to_string()),
        artifacts: artifacts.unwrap_or_else(none),
        web_url: &row.web_url,
        reason: &row.reason,
        failure_reason: row.failure_reason.as_deref(),
    }
}

fn print(rows: &[JobRow], heading: bool, context: &mut Context<'_>) -> anyhow::Result<()> {
    let terminal = context.out.is_terminal();
    let mut cells = Vec::with_capacity(rows.len() + 1);
    if heading && terminal {
        let names = ["JOB", "STATUS", "PROJECT", "NAME", "REF", "LOG", "SIZE", "AGE"];
        cells.push(names.map(str::to_owned).to_vec());
    }
    let headings = cells.len();
    let short = |text: &str| match terminal {
        true => table::cut(&sanitise(text), MAX_NAME),
        false => sanitise(text),
    };
    for row in rows {
        let at = row.finished_at.or(row.created_at);
        cells.push(vec![
            row.id.to_string(),
            sanitise(&row.status),
            short(&row.project_path),
            short(&row.name),
            short(&row.git_ref),
            row.state.to_string(),
            row.raw_bytes.map(units::size).unwrap_or_default(),
            at.map(|at| units::age(at, context.now)).unwrap_or_default(),
        ]);
    }
    use Align::{Left, Right};
    let align = [Right, Left, Left, Left, Left, Left, Right, Left];
    let out = &mut *context.out;
    let lines = table::table(&cells, &align, |row, column, cell| {
        if row < headings {
            return out.paint(Paint::Dim, cell);
        }
        match column {
            1 => super::search::heading::paint_status(out, &rows[row - headings].status, cell),
            2 | 4 | 7 => out.paint(Paint::Dim, cell),
            _ => cell.to_owned(),
        }
    });
    Ok(lines.iter().try_for_each(|line| out.line(line))?)
}
