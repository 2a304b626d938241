//! A job as GitLab answered: a line of a table, or an object of JSON.

use jiff::Timestamp;
use serde::Serialize;

use super::Target;
use crate::cli::output::Paint;
use crate::cli::table::{self, Align};
use crate::cli::{Context, search, units};
use crate::export::sanitise;
use crate::model::{Job, JobId, PipelineId, ProjectId};

/// A job as GitLab answered, and what was done to it. Its keys are those of `jobs --json` where they mean the same.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    v: u32,
    /// What was done, as a participle.
    action: &'a str,
    dry_run: bool,
    job: JobId,
    project: &'a str,
    project_id: ProjectId,
    pipeline: Option<PipelineId>,
    name: Option<&'a str>,
    stage: Option<&'a str>,
    status: Option<&'a str>,
    #[serde(rename = "ref")]
    git_ref: Option<&'a str>,
    sha: Option<&'a str>,
    created_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    duration: Option<f64>,
    erased_at: Option<Timestamp>,
    web_url: Option<&'a str>,
    /// The job that the action was asked for; another one where that was retried.
    asked: JobId,
    /// Bytes of its log in the archive, of a job that is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_bytes: Option<u64>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(action: &'a str, job: &'a Job, target: &'a Target) -> Self {
        Self {
            v: 1,
            action,
            dry_run: false,
            job: job.id,
            project: &target.path,
            project_id: target.project,
            pipeline: job.pipeline,
            name: job.name.as_deref(),
            stage: job.stage.as_deref(),
            status: job.status.as_ref().map(|status| status.as_str()),
            git_ref: job.git_ref.as_deref(),
            sha: job.sha.as_deref(),
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            duration: job.duration,
            erased_at: job.erased_at,
            web_url: job.web_url.as_deref(),
            asked: target.job,
            trace_bytes: None,
        }
    }

    /// Nothing was done yet.
    pub(super) fn rehearsed(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// Says how much of its log the archive holds.
    pub(super) fn holding(self, trace_bytes: Option<u64>) -> Self {
        Self { trace_bytes, ..self }
    }

    /// Prints it.
    pub(super) fn print(&self, json: bool, context: &mut Context<'_>) -> anyhow::Result<()> {
        let out = &mut *context.out;
        if json {
            return Ok(out.json(self)?);
        }
        let text = |text: Option<&str>| sanitise(text.unwrap_or_default());
        let at = self.finished_at.or(self.started_at).or(self.created_at);
        let mut rows = Vec::new();
        if out.is_terminal() {
            let names = ["JOB", "STATUS", "PROJECT", "STAGE", "NAME", "REF", "AGE"];
            rows.push(names.map(str::to_owned).to_vec());
        }
        let headings = rows.len();
        rows.push(vec![
            self.job.to_string(),
            text(self.status),
            sanitise(self.project),
            text(self.stage),
            text(self.name),
            text(self.git_ref),
            at.map(|at| units::age(at, context.now)).unwrap_or_default(),
        ]);
        use Align::{Left, Right};
        let align = [Right, Left, Left, Left, Left, Left, Left];
        let status = self.status.unwrap_or_default();
        let lines =
            table::table(&rows, &align, |row, column, cell| match (row < headings, column) {
                (true, _) => out.paint(Paint::Dim, cell),
                (_, 1) => search::heading::paint_status(out, status, cell),
                _ => cell.to_owned(),
            });
        Ok(lines.iter().try_for_each(|line| out.line(line))?)
    }
}
