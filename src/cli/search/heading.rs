//! The line above a job's hits: how it ended, what it is, when and how long it ran.

use jiff::Timestamp;

use crate::cli::output::{Out, Paint};
use crate::cli::{table, units};
use crate::export::sanitise;
use crate::store::JobRow;

/// The widest a name is shown, so that a heading stays one line.
const MAX_NAME: usize = 50;
/// What stands between the parts of a heading.
const GAP: &str = "  ";
/// Which part is the commit.
const SHA: usize = 3;
/// The mark, and a word that some commands put in front.
const MARGIN: usize = 8;

/// Sets off a text in the colour of a status.
pub(in crate::cli) fn paint_status(out: &Out, status: &str, text: &str) -> String {
    match status {
        "success" => out.paint(Paint::Green, text),
        "failed" => out.paint(Paint::Red, text),
        "canceled" | "canceling" | "skipped" => out.paint(Paint::Dim, text),
        _ => out.paint(Paint::Yellow, text),
    }
}

/// Returns a status as one character.
pub(in crate::cli) fn mark(status: &str) -> &'static str {
    match status {
        "success" => "✓",
        "failed" => "✗",
        "canceled" | "canceling" => "⊘",
        "skipped" => "»",
        "running" => "▶",
        _ => "…",
    }
}

fn short(name: &str) -> String {
    table::cut(&sanitise(name), MAX_NAME)
}

/// Returns the heading of a job: one line, and its page on a second one.
pub(in crate::cli) fn heading(out: &Out, job: &JobRow, now: Timestamp) -> [String; 2] {
    let mut parts = vec![
        (Some(Paint::Bold), short(&job.name)),
        (None, short(&job.project_path)),
        (Some(Paint::Cyan), short(&job.git_ref)),
        (Some(Paint::Dim), sanitise(units::short_sha(&job.sha))),
        (None, format!("#{}", job.id)),
    ];
    let needed = parts.len();
    let age = job.finished_at.or(job.created_at).map(|at| units::age(at, now));
    let took = job.duration.map(|seconds| format!("took {}", units::duration(seconds)));
    parts.extend([age, took].into_iter().flatten().map(|text| (Some(Paint::Dim), text)));
    // What matters least goes first where the line is short.
    let columns = if out.is_terminal() { out.columns() } else { usize::MAX };
    let width = |parts: &[(Option<Paint>, String)]| {
        MARGIN + parts.iter().map(|(_, text)| GAP.len() + table::width(text)).sum::<usize>()
    };
    while parts.len() > needed && width(&parts) > columns {
        parts.pop();
    }
    if width(&parts) > columns {
        parts.remove(SHA);
    }
    let painted = parts.iter().map(|(paint, text)| match paint {
        Some(paint) => out.paint(*paint, text),
        None => text.clone(),
    });
    let mark = paint_status(out, &job.status, mark(&job.status));
    let line: Vec<String> = std::iter::once(mark).chain(painted).collect();
    [line.join(GAP), out.paint(Paint::Dim, sanitise(&job.web_url))]
}

/// Returns a job as one line for a pipe, its columns parted by tabs.
pub(in crate::cli) fn columns(job: &JobRow) -> String {
    let tabs = |text: &str| sanitise(text).replace('\t', " ");
    let columns = [
        job.id.to_string(),
        tabs(&job.status),
        tabs(&job.project_path),
        tabs(&job.name),
        tabs(&job.git_ref),
        tabs(&job.sha),
        tabs(&job.web_url),
    ];
    columns.join("\t")
}
