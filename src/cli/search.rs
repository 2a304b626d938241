//! `search`: from arguments to a query, and its hits to a terminal, a pipe or JSON.

mod explain;
pub(super) mod heading;
pub(super) mod json;
mod lines;
pub(super) mod nothing;
mod save;
mod tally;

use std::ffi::OsString;
use std::ops::ControlFlow;

use jobvault_index::Query;

use super::address::JobAddress;
use super::output::{Out, OutputError};
use super::query::QueryArgs;
use super::{Context, Exit, archive, units};
use crate::export::sanitise;
use crate::model::JobId;
use crate::search::{self, Asked, Detail, Found, Options, Summary, Unit};
use crate::store::Store;
use lines::Printer;
use save::SaveArgs;
use tally::{Field, Tally};

/// Lines shown unless another limit is asked for.
const USUAL_LIMIT: u64 = 50;
/// Logs that cannot be read and are named one by one.
const MAX_UNREADABLE: usize = 20;

const AFTER_HELP: &str = "\
Examples:
  jobvault search 'connection refused'            lines with exactly these words, in any case
  jobvault search timeout deadline                logs that hold both, and the lines with either
  jobvault search 'timeout OR deadline -\"will retry\"' --since 7d
  jobvault search '/exit code [1-9]/ status:failed project:group/*' -C 3
  jobvault search -F '--- FAIL: TestLogin' -l     jobs whose log holds just that text
  jobvault search -e '^ERROR' --in https://gitlab.com/group/project/-/jobs/123
  jobvault search status:failed ref:main          jobs alone, without text
  jobvault search 'connection reset' --histogram  since when, and how often
  jobvault search 'connection reset' --by runner  is it one runner?
  jobvault search --save reset --save-tag known 'connection reset'

Words within one argument are one text, as in grep; quotes or the next argument begin another.
/.../ is a regular expression, key:value a filter, OR and parentheses group, - in front negates.
An upper-case letter in a text makes its case count. Begin with -- if the query begins with -.
Exit status: 0 something was found, 1 nothing was found, 2 it failed or a log could not be read.";

/// Arguments of `search`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    query: QueryArgs,
    /// All of the query must hold of one line, not of one log
    #[arg(long)]
    same_line: bool,
    /// Look in these jobs alone: id or address (repeatable)
    #[arg(long = "in", value_name = "JOB")]
    jobs: Vec<JobAddress>,
    #[command(flatten)]
    tally: TallyArgs,
    #[command(flatten)]
    save: SaveArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Counting")]
struct TallyArgs {
    /// How often over time: lines, jobs, and their share of all runs, by day, week or month
    #[arg(long, value_name = "UNIT", num_args = 0..=1, conflicts_with_all = ["by", "ids"])]
    histogram: Option<Option<String>>,
    /// What the jobs have in common: their share of the runs of each value, and how many times the usual share that is
    #[arg(long, value_name = "FIELD", value_enum, conflicts_with = "ids")]
    by: Option<Field>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Lines after each hit
    #[arg(short = 'A', long, value_name = "N")]
    after_context: Option<u64>,
    /// Lines before each hit
    #[arg(short = 'B', long, value_name = "N")]
    before_context: Option<u64>,
    /// Lines around each hit
    #[arg(short = 'C', long, value_name = "N")]
    context: Option<u64>,
    /// Hits at most [default: 50; with --count and --jobs none]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = units::at_least_one)]
    limit: Option<u64>,
    /// Every hit
    #[arg(long, conflicts_with = "limit")]
    no_limit: bool,
    /// Only count lines and jobs
    #[arg(long)]
    count: bool,
    /// Only the ids of jobs
    #[arg(short = 'l', long = "jobs", conflicts_with = "count")]
    ids: bool,
    /// The oldest job first
    #[arg(long)]
    oldest: bool,
    /// Print one object of JSON a hit
    #[arg(long)]
    json: bool,
    /// Say on standard error what the search took
    #[arg(long)]
    explain: bool,
}

impl Args {
    pub(super) fn is_json(&self) -> bool {
        self.output.json
    }

    /// Refuses a unit that is none. Behind `=` no word of the query can be meant; only `args`, as they were typed, tell
    /// that from a blank.
    pub(super) fn check(&self, args: &[OsString]) -> Result<(), String> {
        let Some(Some(word)) = &self.tally.histogram else { return Ok(()) };
        let typed = OsString::from(format!("--histogram={word}"));
        match unit(word).is_none() && args.contains(&typed) {
            true => Err(format!("'{word}' is no unit for '--histogram=': day, week, month")),
            false => Ok(()),
        }
    }

    /// Returns what to count. A word after `--histogram` that is no unit belongs to the query.
    fn tally(&mut self) -> Option<Tally> {
        if let Some(field) = self.tally.by {
            return Some(Tally::By(field));
        }
        let unit = match self.tally.histogram.take()? {
            None => None,
            Some(word) => {
                let unit = unit(&word);
                if unit.is_none() {
                    self.query.words.insert(0, word);
                }
                unit
            }
        };
        Some(Tally::Histogram(unit))
    }

    /// Returns the limit for the library: of lines, or of jobs for a query without text.
    fn limit(&self) -> Option<u64> {
        let output = &self.output;
        match (output.limit, output.count || output.ids || output.no_limit) {
            // The library counts lines; ids are counted here.
            (Some(_), _) if output.ids => None,
            (Some(limit), _) => Some(limit),
            (None, true) => None,
            (None, false) => Some(USUAL_LIMIT),
        }
    }

    fn options(&self, jobs: Vec<JobId>, same_line: bool, terminal: bool) -> Options {
        let output = &self.output;
        let around = output.context.unwrap_or(0);
        // A terminal shows section and time of a hit, a pipe does not.
        let detail = match (output.count || output.ids, output.json || terminal) {
            (true, _) => Detail::Count,
            (false, true) => Detail::All,
            (false, false) => Detail::Lines,
        };
        Options {
            limit: self.limit(),
            // Whether a job has a hit is told by its first one.
            each: output.ids.then_some(1),
            oldest: output.oldest,
            same_line,
            context: match output.json {
                true => (0, 0),
                false => (
                    output.before_context.unwrap_or(around),
                    output.after_context.unwrap_or(around),
                ),
            },
            jobs,
            detail,
        }
    }
}

fn unit(word: &str) -> Option<Unit> {
    match word {
        "day" => Some(Unit::Day),
        "week" => Some(Unit::Week),
        "month" => Some(Unit::Month),
        _ => None,
    }
}

pub(super) async fn run(mut args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let tally = args.tally();
    let mut named = args.jobs.clone();
    // A mistake in the query is told before the archive is looked for.
    let (query, same_line) = save::query(&args.query, &args.save, &mut named, &context)?;
    let same_line = same_line || args.same_line;
    if args.save.save.is_some() {
        return save::save(&args.query, &args.save, same_line, &named, &mut context).await;
    }
    search::check(&query)?;
    let jobs = named.iter().map(|job| job.id).collect();
    let options = args.options(jobs, same_line, context.out.is_terminal());
    if let Some(tally) = tally {
        archive::find_jobs(&context.open().await?, &named, args.query.page()).await?;
        let shown = (args.output.json, args.output.limit);
        return tally::run(tally, &query, &options, shown, &mut context).await;
    }
    let opening = context.opening_for_search();
    // Lets it begin, so that SQLite's thread, the index's and this one work at once.
    tokio::task::yield_now().await;
    let asked = Asked::open(context.index_dir(), query.clone(), &options);
    let store = opening.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
    archive::find_jobs(&store, &named, args.query.page()).await?;
    let summary = show(&args, &query, &options, &store, asked, &mut context).await?;
    if args.output.explain {
        explain::print(&query, &summary, args.output.json, context.out);
    }
    if summary.windowed {
        context
            .out
            .note("a line over 16 MiB was matched in windows of 16 MiB that overlap by 64 KiB");
    }
    warn_unreadable(&summary.unreadable, context.out);
    let empty = summary.jobs == 0;
    if empty && !args.output.json {
        nothing::say(&query, &options.jobs, &store, &mut context).await?;
    } else if summary.limited && !empty {
        let noun = if query.positive_terms() == 0 { "job" } else { "line" };
        let shown = units::count(options.limit.unwrap_or_default(), noun);
        context.out.note(format!("{shown} shown; --limit N or --no-limit for more"));
    }
    Ok(match (summary.unreadable.is_empty(), empty) {
        (false, _) => Exit::Failed,
        (true, true) => Exit::No,
        (true, false) => Exit::Yes,
    })
}

/// Runs the search and shows what it finds as it comes.
async fn show(
    args: &Args,
    query: &Query,
    options: &Options,
    store: &Store,
    asked: Asked,
    context: &mut Context<'_>,
) -> anyhow::Result<Summary> {
    let output = &args.output;
    let ids_limit = output.limit.filter(|_| output.ids);
    let now = context.now;
    let mut printer = Printer::new(context.out, now, options.context != (0, 0));
    let mut failed: Option<OutputError> = None;
    let (mut ids, mut last_id) = (0, None);
    let sink = |found: Found| {
        let written = match found {
            _ if output.count => Ok(()),
            found if output.ids => {
                let job = job_id(&found);
                if last_id.replace(job) == Some(job) || ids_limit.is_some_and(|limit| ids >= limit)
                {
                    return ControlFlow::Continue(());
                }
                ids += 1;
                printer.id(job, output.json)
            }
            found if output.json => json::print(&found, printer.out()),
            found => printer.print(found),
        };
        match written {
            Ok(()) if ids_limit.is_some_and(|limit| ids >= limit) => ControlFlow::Break(()),
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    let summary = search::search_asked(store, asked, query, options, now, sink).await?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    printer.finish()?;
    if output.count {
        match output.json {
            true => json::count(&summary, context.out)?,
            false => context.out.line(counts(query, &summary))?,
        }
    }
    Ok(summary)
}

fn counts(query: &Query, summary: &Summary) -> String {
    let jobs = units::count(summary.jobs, "job");
    match query.positive_terms() {
        0 => jobs,
        _ => format!("{} in {jobs}", units::count(summary.lines, "line")),
    }
}

fn job_id(found: &Found) -> JobId {
    match found {
        Found::Hits { job, .. } | Found::Count { job, .. } | Found::Job(job) => job.id,
    }
}

/// Names the logs that could not be read.
pub(super) fn warn_unreadable(unreadable: &[(JobId, String)], out: &mut Out) {
    for (job, reason) in unreadable.iter().take(MAX_UNREADABLE) {
        out.warn(format!("the log of job {job} cannot be read: {}", sanitise(reason)));
    }
    if unreadable.len() > MAX_UNREADABLE {
        out.warn(format!("and {} more", unreadable.len() - MAX_UNREADABLE));
    }
    if !unreadable.is_empty() {
        out.hint("jobvault verify names every job that is damaged");
    }
}
