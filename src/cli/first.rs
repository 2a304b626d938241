//! `first` and `last`: since when something occurs, until when, and what changed next to it.

use jiff::Timestamp;
use serde::Serialize;

use super::address::JobAddress;
use super::output::{Out, Paint};
use super::query::QueryArgs;
use super::search::{heading, json, warn_unreadable};
use super::{Context, Exit, Problem, archive, units};
use crate::export::{self, Style, sanitise};
use crate::search::{End, History, history};
use crate::store::JobRow;

const AFTER_HELP: &str = "\
Examples:
  jobvault first 'connection reset by peer'       since when, and the last run before it
  jobvault first 'TLS handshake timeout' ref:main --json
  jobvault last 'TLS handshake timeout'           until when, and the first run after it

Exit status: 0 it occurs, 1 it does not, 2 it failed or a log could not be read.";

/// What stands under the words in front.
const INDENT: &str = "       ";

/// Arguments of `first` and `last`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    query: QueryArgs,
    /// Look in these jobs alone: id or address (repeatable)
    #[arg(long = "in", value_name = "JOB")]
    jobs: Vec<JobAddress>,
    /// Print one object of JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    /// Which end `at` is; `other` is the other one.
    end: &'static str,
    at: json::Line<'a>,
    other: json::Line<'a>,
    /// The nearest run beyond the end in which it does not occur.
    clean: Option<json::Line<'a>>,
    compare_url: Option<String>,
    jobs: u64,
    lines: u64,
}

pub(super) async fn run(args: Args, end: End, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let mut named = args.jobs.clone();
    let query = args.query.query(&mut named)?;
    if query.positive_terms() == 0 {
        return Err(Problem::new("there is no text to look for")
            .hint("jobvault jobs --oldest lists jobs by filters alone")
            .into());
    }
    let store = context.open().await?;
    for job in &named {
        archive::find_job(&store, job).await?;
    }
    let index = archive::open_index(&store)?;
    let jobs = named.iter().map(|job| job.id).collect();
    let found = history(&store, &index, &query, jobs, end, context.now).await?;
    let unreadable = match &found {
        Ok(history) => &history.unreadable,
        Err(unreadable) => unreadable,
    };
    warn_unreadable(unreadable, context.out);
    match &found {
        Ok(history) if args.json => context.out.json(&object(history, end))?,
        Ok(history) => print(history, end, &mut context)?,
        Err(_) => context.out.note("nothing found"),
    }
    Ok(match (unreadable.is_empty(), found.is_ok()) {
        (false, _) => Exit::Failed,
        (true, true) => Exit::Yes,
        (true, false) => Exit::No,
    })
}

fn name(end: End) -> &'static str {
    match end {
        End::First => "first",
        End::Last => "last",
    }
}

fn object(history: &History, end: End) -> Json<'_> {
    Json {
        v: 1,
        end: name(end),
        at: json::line(&history.at.job, history.at.hit.as_ref()),
        other: json::line(&history.other.job, history.other.hit.as_ref()),
        clean: history.clean.as_ref().map(|job| json::line(job, None)),
        compare_url: history.compare_url(end),
        jobs: history.jobs,
        lines: history.lines,
    }
}

fn print(history: &History, end: End, context: &mut Context<'_>) -> anyhow::Result<()> {
    let now = context.now;
    let out = &mut *context.out;
    let other = match end {
        End::First => "last",
        End::Last => "first",
    };
    job(out, name(end), &history.at.job, now)?;
    if let Some(hit) = &history.at.hit {
        let style = Style { colour: out.has_colour(), sanitise: true };
        let text = export::highlight(&hit.text, &hit.ranges, style);
        out.line([format!("{INDENT}{}: ", hit.line).as_bytes(), &text].concat())?;
    }
    match (&history.clean, end) {
        (Some(clean), _) => job(out, "clean", clean, now)?,
        (None, End::First) => out.line(format!("{:6} no run of it before", "clean"))?,
        (None, End::Last) => out.line(format!("{:6} no run of it since", "clean"))?,
    }
    if let Some(url) = history.compare_url(end) {
        out.line(format!("{INDENT}{}", sanitise(&url)))?;
    }
    job(out, other, &history.other.job, now)?;
    let jobs = units::count(history.jobs, "job");
    Ok(out.line(format!("in {jobs}, {}", units::count(history.lines, "line")))?)
}

/// Prints a job under a word that says what it is.
fn job(out: &mut Out, word: &str, job: &JobRow, now: Timestamp) -> anyhow::Result<()> {
    let [head, page] = heading::heading(out, job, now);
    let word = out.paint(Paint::Bold, format!("{word:6}"));
    out.line(format!("{word} {head}"))?;
    Ok(out.line(format!("{INDENT}{page}"))?)
}
