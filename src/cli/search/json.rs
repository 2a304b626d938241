//! Hits as JSON: one object a line, whose keys are a promise.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::output::{Out, OutputError};
use crate::model::JobId;
use crate::search::{Found, Hit, Summary};
use crate::store::JobRow;

/// A hit, or a job without text.
#[derive(Serialize)]
pub(in crate::cli) struct Line<'a> {
    v: u32,
    job: JobId,
    project: &'a str,
    name: &'a str,
    stage: &'a str,
    status: &'a str,
    #[serde(rename = "ref")]
    git_ref: &'a str,
    sha: &'a str,
    finished_at: Option<Timestamp>,
    web_url: &'a str,
    line: Option<u64>,
    text: Option<String>,
    ranges: Option<Vec<[usize; 2]>>,
    raw: Option<[u64; 2]>,
    section: Option<&'a str>,
    time: Option<Timestamp>,
}

#[derive(Serialize)]
struct Count {
    v: u32,
    lines: u64,
    jobs: u64,
}

#[derive(Serialize)]
struct Id {
    v: u32,
    job: JobId,
}

/// Prints each hit, or a job without text as an object whose `line` is null.
pub(super) fn print(found: &Found, out: &mut Out) -> Result<(), OutputError> {
    match found {
        Found::Hits { job, hits, .. } => {
            hits.iter().try_for_each(|hit| out.json(&line(job, Some(hit))))
        }
        Found::Job(job) => out.json(&line(job, None)),
        Found::Count { .. } => Ok(()),
    }
}

pub(super) fn count(summary: &Summary, out: &mut Out) -> Result<(), OutputError> {
    out.json(&Count { v: 1, lines: summary.lines, jobs: summary.jobs })
}

pub(super) fn id(job: JobId, out: &mut Out) -> Result<(), OutputError> {
    out.json(&Id { v: 1, job })
}

/// Returns a hit of a job, or the job alone.
pub(in crate::cli) fn line<'a>(job: &'a JobRow, hit: Option<&'a Hit>) -> Line<'a> {
    let ranges = |hit: &Hit| hit.ranges.iter().map(|range| [range.start, range.end]).collect();
    Line {
        v: 1,
        job: job.id,
        project: &job.project_path,
        name: &job.name,
        stage: &job.stage,
        status: &job.status,
        git_ref: &job.git_ref,
        sha: &job.sha,
        finished_at: job.finished_at,
        web_url: &job.web_url,
        line: hit.map(|hit| hit.line),
        text: hit.map(|hit| String::from_utf8_lossy(&hit.text).into_owned()),
        ranges: hit.map(ranges),
        raw: hit.map(|hit| [hit.raw.start, hit.raw.end]),
        section: hit.and_then(|hit| hit.section.as_deref()),
        time: hit.and_then(|hit| hit.time),
    }
}
