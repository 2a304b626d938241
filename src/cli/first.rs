//! `first` and `last`: since when something occurs, until when, and what changed next to it.

use jiff::Timestamp;
use serde::Serialize;

use super::address::JobAddress;
use super::output::{Out, Paint};
use super::query::QueryArgs;
use super::search::{heading, json, nothing, warn_unreadable};
use super::{Context, Exit, Problem, archive, table, units};
use crate::export::{self, Style, sanitise};
use crate::model::JobId;
use crate::search::{Changes, End, History, history};
use crate::store::JobRow;

const AFTER_HELP: &str = "\
Examples:
  jobvault first 'connection reset by peer'       since when, and the last run before it
  jobvault first 'TLS handshake timeout' ref:main --json
  jobvault last 'TLS handshake timeout'           until when, and the first run after it

Exit status: 0 it occurs, 1 it does not, 2 it failed or a log could not be read.";

/// What stands under the words in front.
const INDENT: &str = "       ";
/// Commits listed on a terminal; JSON has them all.
const MAX_COMMITS: usize = 10;
/// The widest a commit's title is shown.
const MAX_TITLE: usize = 60;

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
    /// The nearest run beyond the end in which it does not occur, whatever the filters say.
    clean: Option<json::Line<'a>>,
    compare_url: Option<String>,
    changes: Option<JsonChanges<'a>>,
    since: JsonSince,
    jobs: u64,
    lines: u64,
}

/// The commits between the clean run and the end.
#[derive(Serialize)]
struct JsonChanges<'a> {
    commits: Vec<JsonCommit<'a>>,
    authors: Vec<JsonAuthor<'a>>,
    /// Archived jobs that they are known from; there may be others.
    known_from: u64,
    /// There were more than are listed.
    more: bool,
}

#[derive(Serialize)]
struct JsonCommit<'a> {
    sha: &'a str,
    author: Option<&'a str>,
    title: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonAuthor<'a> {
    name: &'a str,
    commits: usize,
}

/// Runs of the same job from the end on.
#[derive(Serialize)]
struct JsonSince {
    runs: u64,
    hits: u64,
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
    archive::find_jobs(&store, &named, args.query.page()).await?;
    let index = archive::open_index(&store).await?;
    let jobs = named.iter().map(|job| job.id).collect();
    let found = history(&store, &index, &query, jobs, end, context.now).await?;
    let unreadable = match &found {
        Ok(history) => &history.unreadable,
        Err(unreadable) => unreadable,
    };
    warn_unreadable(unreadable, context.out);
    let jobs: Vec<JobId> = named.iter().map(|job| job.id).collect();
    match &found {
        Ok(history) if args.json => context.out.json(&object(history, end))?,
        Ok(history) => print(history, end, &mut context)?,
        Err(_) if args.json => {}
        Err(_) => nothing::say(&query, &jobs, &store, &mut context).await?,
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
        changes: history.changes.as_ref().map(changes),
        since: JsonSince { runs: history.since.runs, hits: history.since.hits },
        jobs: history.jobs,
        lines: history.lines,
    }
}

fn changes(changes: &Changes) -> JsonChanges<'_> {
    let commits = changes.commits.iter().map(|commit| JsonCommit {
        sha: &commit.sha,
        author: commit.author.as_deref(),
        title: commit.title.as_deref(),
    });
    let authors = changes.authors().into_iter();
    JsonChanges {
        commits: commits.collect(),
        authors: authors.map(|(name, commits)| JsonAuthor { name, commits }).collect(),
        known_from: changes.jobs,
        more: changes.more,
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
        (None, End::First) => out.line(format!("{:6} no run without it before", "clean"))?,
        (None, End::Last) => out.line(format!("{:6} no run without it since", "clean"))?,
    }
    if let Some(url) = history.compare_url(end) {
        out.line(format!("{INDENT}{}", sanitise(&url)))?;
    }
    if let Some(changes) = &history.changes {
        commits(out, changes)?;
    }
    job(out, other, &history.other.job, now)?;
    out.line(format!("{:6} {}", "since", since(history, end)))?;
    let jobs = units::count(history.jobs, "job");
    Ok(out.line(format!("{:6} {jobs}, {}", "in all", units::count(history.lines, "line")))?)
}

fn since(history: &History, end: End) -> String {
    let job = &history.at.job;
    let what = format!("{} on {}", sanitise(&job.name), sanitise(&job.git_ref));
    let runs = units::count(history.since.runs, "run");
    match (history.since.hits, end) {
        (0, End::Last) => format!("in none of {runs} of {what}"),
        // Filters may have left out a later one.
        (hits, _) => format!("in {hits} of {runs} of {what}"),
    }
}

/// Prints what was committed between, as far as it is known.
fn commits(out: &mut Out, changes: &Changes) -> anyhow::Result<()> {
    if changes.commits.is_empty() {
        return Ok(());
    }
    let authors: Vec<String> = changes
        .authors()
        .into_iter()
        .map(|(name, commits)| match commits {
            1 => sanitise(name),
            n => format!("{} ({n})", sanitise(name)),
        })
        .collect();
    let count = units::count(changes.commits.len() as u64, "commit");
    let more = if changes.more { ", and more" } else { "" };
    let known = format!("known from {}", units::count(changes.jobs, "archived run"));
    let known = out.paint(Paint::Dim, format!("({known}{more})"));
    let by = if authors.is_empty() { String::new() } else { format!(" by {}", authors.join(", ")) };
    let word = out.paint(Paint::Bold, format!("{:6}", "commits"));
    out.line(format!("{word} {count}{by} {known}"))?;
    for commit in changes.commits.iter().take(MAX_COMMITS) {
        let sha = out.paint(Paint::Cyan, sanitise(units::short_sha(&commit.sha)));
        let author = commit.author.as_deref().map_or("?".to_owned(), sanitise);
        let title = commit.title.as_deref().map(sanitise).unwrap_or_default();
        let title = table::cut(&title, MAX_TITLE);
        out.line(format!("{INDENT}{sha}  {author}  {title}").trim_end())?;
    }
    if changes.commits.len() > MAX_COMMITS {
        out.line(format!("{INDENT}and {} more", changes.commits.len() - MAX_COMMITS))?;
    }
    Ok(())
}

/// Prints a job under a word that says what it is.
fn job(out: &mut Out, word: &str, job: &JobRow, now: Timestamp) -> anyhow::Result<()> {
    let [head, page] = heading::heading(out, job, now);
    let word = out.paint(Paint::Bold, format!("{word:6}"));
    out.line(format!("{word} {head}"))?;
    Ok(out.line(format!("{INDENT}{page}"))?)
}
