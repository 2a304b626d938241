//! `show`: a job's log as people read it, as plain text, or as its very bytes.

mod printer;
mod range;

use jiff::Timestamp;
use jobvault_index::query::Glob;

use super::address::JobAddress;
use super::output::Out;
use super::{Context, Exit, Problem, archive, search, units};
use crate::export::sanitise;
use crate::model::Status;
use crate::store::{JobRow, Store, TraceRow};
use printer::{Mode, Printer};
use range::{Around, ClockTime, LineRange, Selection};

const AFTER_HELP: &str = "\
Examples:
  jobvault show 123456                                       as the job's page shows it
  jobvault show https://gitlab.com/group/project/-/jobs/123456 | grep -i error
  jobvault show 123456 --lines -30:                          the last 30 lines
  jobvault show 123456 --section step_script -n              one section, with line numbers
  jobvault show 123456 --around 14:05                        what happened then (UTC)
  jobvault show 123456 --raw > job.log                       the bytes GitLab had

Exit status: 0 shown, 1 there is no such job, log or line, 2 it failed.";

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The job: its id or the address of its page
    #[arg(value_name = "JOB")]
    job: JobAddress,
    /// Plain text, as search sees it; the default unless on a terminal
    #[arg(long, conflicts_with = "raw")]
    plain: bool,
    /// The bytes as GitLab had them
    #[arg(long)]
    raw: bool,
    /// The job as GitLab described it, JSON as received
    #[arg(long, conflicts_with_all = ["plain", "raw", "lines", "section", "around", "number", "timestamps"])]
    doc: bool,
    /// Lines from A to B: 5:9, 100:, :20, 7; negative numbers count from the end
    #[arg(long, value_name = "A:B", allow_hyphen_values = true)]
    lines: Option<LineRange>,
    /// Only lines in a section of that name (globs work)
    #[arg(long, value_name = "NAME")]
    section: Option<String>,
    /// The 20 lines around a time: RFC 3339, or HH:MM or HH:MM:SS in UTC; of a log without timestamps those where the
    /// section of that time begins
    #[arg(long, value_name = "TIME", conflicts_with = "lines")]
    around: Option<ClockTime>,
    /// Number the lines
    #[arg(short = 'n', long = "line-number", conflicts_with = "raw")]
    number: bool,
    /// Say when each line was written, where the runner noted it
    #[arg(long, conflicts_with = "raw")]
    timestamps: bool,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let store = context.open().await?;
    let job = archive::find_job(&store, &args.job).await?;
    if args.doc {
        return document(&store, &job, context.out).await;
    }
    let Some(trace) = trace(&store, &job).await? else {
        explain_missing(&job, context.now, context.out);
        return Ok(Exit::No);
    };
    say_partial(&job, context.out);
    let mode = mode(&args, context.out);
    if mode == Mode::Pretty && context.out.is_terminal() {
        let [heading, _] = search::heading::heading(context.out, &job, context.now);
        context.out.summary(heading);
    }
    let selection = Selection {
        lines: lines(&args, &store, &job, &trace, context.out)?,
        section: args.section.as_deref().map(Glob::new),
    };
    let mut printer = Printer {
        out: context.out,
        mode,
        number: args.number,
        timestamps: args.timestamps,
        shown: 0,
        sections: Default::default(),
    };
    printer.print(&store, &trace, &selection)?;
    if printer.shown > 0 || selection.is_all() {
        return Ok(Exit::Yes);
    }
    let sections = std::mem::take(&mut printer.sections);
    let note = match (&args.section, sections.is_empty()) {
        (Some(name), true) => format!("the log has no section {name}"),
        (Some(name), false) => {
            let others: Vec<String> = sections.into_iter().collect();
            format!("no such line in a section {name}; there are {}", others.join(", "))
        }
        (None, _) => format!("no such line; the log has {}", units::count(trace.lines, "line")),
    };
    context.out.note(sanitise(note));
    Ok(Exit::No)
}

fn mode(args: &Args, out: &mut Out) -> Mode {
    match (args.raw, args.plain) {
        (true, _) => {
            if out.is_terminal() {
                out.note("control bytes are made visible on a terminal; a pipe or file gets the exact bytes");
            }
            Mode::Raw
        }
        (_, true) => Mode::Plain,
        _ if out.is_terminal() || out.has_colour() => Mode::Pretty,
        _ => Mode::Plain,
    }
}

async fn document(store: &Store, job: &JobRow, out: &mut Out) -> anyhow::Result<Exit> {
    match store.document(job.id).await? {
        Some(document) if out.is_terminal() => out.line(sanitise(document))?,
        Some(document) => out.bytes(&document)?,
        None => {
            out.note(format!("the archive has no document of job {}", job.id));
            return Ok(Exit::No);
        }
    }
    Ok(Exit::Yes)
}

async fn trace(store: &Store, job: &JobRow) -> anyhow::Result<Option<TraceRow>> {
    let found = store.catalogue().trace_of(job).await?;
    // A sync beside us may have stored it after we opened the archive.
    store.load_names().await?;
    Ok(found)
}

/// Says why there is nothing to show.
fn explain_missing(job: &JobRow, now: Timestamp, out: &mut Out) {
    let since = units::age(job.state_at, now);
    let reason = match job.reason.is_empty() {
        true => job.state.to_string(),
        false => format!("{}: {}", job.state, sanitise(&job.reason)),
    };
    out.error(format!("the archive has no log of job {}: {reason} (noted {since})", job.id));
}

fn say_partial(job: &JobRow, out: &mut Out) {
    if !Status::from(job.status.as_str()).is_finished() {
        out.warn(format!(
            "partial: job {} was {} when this was archived",
            job.id,
            sanitise(&job.status)
        ));
    }
    if job.state == crate::model::TraceState::Truncated {
        out.note("the runner cut this log at its limit");
    }
}

/// Returns the lines to show, from 1, both included; `None` for all.
fn lines(
    args: &Args,
    store: &Store,
    job: &JobRow,
    trace: &TraceRow,
    out: &mut Out,
) -> anyhow::Result<Option<(u64, u64)>> {
    if let Some(range) = &args.lines {
        return Ok(Some(range.resolve(trace.lines)));
    }
    let Some(clock) = &args.around else { return Ok(None) };
    let began = job.started_at.or(job.created_at).or(job.finished_at);
    let at = clock.resolve(began).ok_or_else(|| {
        Problem::new(format!("nothing tells on which day job {} ran", job.id))
            .hint("write the time with its day, as in 2026-01-31T14:05:00Z")
    })?;
    match range::around(store, trace, at)? {
        Some(Around::Line(lines)) => Ok(Some(lines)),
        Some(Around::Section(lines)) => {
            out.note(
                "the log has no timestamps; these lines are where the section of that time begins",
            );
            Ok(Some(lines))
        }
        None => Err(Problem::new(format!("nothing in the log of job {} says when it was", job.id))
            .hint("runners write timestamps since 17, if FF_TIMESTAMPS is on")
            .exit(Exit::No)
            .into()),
    }
}
