//! The line above a job's hits: how it ended, what it is, when and how long it ran.

use jiff::Timestamp;

use crate::cli::output::{Out, Paint};
use crate::cli::{table, units};
use crate::export::sanitise;
use crate::store::JobRow;

/// The widest a name is shown, so that a heading stays one line.
const MAX_NAME: usize = 50;

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
        paint_status(out, &job.status, mark(&job.status)),
        out.paint(Paint::Bold, short(&job.name)),
        short(&job.project_path),
        out.paint(Paint::Cyan, short(&job.git_ref)),
        out.paint(Paint::Dim, sanitise(units::short_sha(&job.sha))),
        format!("#{}", job.id),
    ];
    if let Some(at) = job.finished_at.or(job.created_at) {
        parts.push(out.paint(Paint::Dim, units::age(at, now)));
    }
    if let Some(seconds) = job.duration {
        parts.push(out.paint(Paint::Dim, format!("took {}", units::duration(seconds))));
    }
    [parts.join("  "), out.paint(Paint::Dim, sanitise(&job.web_url))]
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
