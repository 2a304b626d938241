//! The filters of a query as flags.

use jobvault_index::{Filter, QueryError};
use url::Url;

use super::address::pipeline_page;

/// What stands above the filters in a help.
pub const HEADING: &str = "Filters (globs such as 'deploy-*'; in a query as status:failed)";

/// Conditions on jobs. Text takes globs of `*` and `?`, numbers and times take ranges.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = HEADING)]
pub struct FilterArgs {
    /// The project's path, or its last part
    #[arg(long, value_name = "GLOB")]
    project: Option<String>,
    /// The job's name
    #[arg(long, value_name = "GLOB")]
    job: Option<String>,
    /// The stage
    #[arg(long, value_name = "GLOB")]
    stage: Option<String>,
    /// The status: success, failed, canceled, ...
    #[arg(long, value_name = "GLOB")]
    status: Option<String>,
    /// The branch or tag
    #[arg(long = "ref", value_name = "GLOB")]
    git_ref: Option<String>,
    /// The tag, of jobs that ran for one
    #[arg(long, value_name = "GLOB")]
    tag: Option<String>,
    /// The runner's description
    #[arg(long, value_name = "GLOB")]
    runner: Option<String>,
    /// Who started the job
    #[arg(long, value_name = "GLOB")]
    user: Option<String>,
    /// The commit, or its beginning
    #[arg(long, value_name = "SHA")]
    sha: Option<String>,
    /// The pipeline: its id, the address of its page, or a range such as 100..200
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pipeline: Option<String>,
    /// A file in the job's artifacts: its path, or the last part of that
    #[arg(long, value_name = "GLOB")]
    artifact: Option<String>,
    /// Why the job failed, such as runner_system_failure
    #[arg(long, value_name = "GLOB")]
    reason: Option<String>,
    /// Not older than: 30d, 12h, 2026-01-31, 2026-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Not newer than
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// How long it ran: '>10m', 30s..2m
    #[arg(long, value_name = "RANGE")]
    took: Option<String>,
}

impl FilterArgs {
    /// Returns what names a pipeline, if that is all that is asked for.
    pub(super) fn pipeline_alone(&self) -> Option<&str> {
        let alone =
            self.given().into_iter().all(|(key, value)| key == "pipeline" || value.is_none());
        self.pipeline.as_deref().filter(|_| alone)
    }

    /// Returns the page that a pipeline is named by, if it is.
    pub(super) fn page(&self) -> Option<Url> {
        pipeline_page(self.pipeline.as_deref()?)?.page
    }

    /// Returns the filters as words of a query.
    pub fn words(&self) -> Vec<String> {
        let given = self.given().into_iter();
        given.filter_map(|(key, value)| Some(word(key, value.as_deref()?))).collect()
    }

    /// Reads the values; the error points into the one that is wrong.
    pub fn filters(&self) -> Result<Vec<Filter>, QueryError> {
        let read = |(key, value): (&str, Option<String>)| Some(Filter::new(key, value.as_deref()?));
        self.given().into_iter().filter_map(read).collect()
    }

    fn given(&self) -> Vec<(&'static str, Option<String>)> {
        let id =
            |text: &String| pipeline_page(text).map_or_else(|| text.clone(), |p| p.id.to_string());
        let pipeline = self.pipeline.as_ref().map(id);
        let given = [
            ("project", &self.project),
            ("job", &self.job),
            ("stage", &self.stage),
            ("status", &self.status),
            ("ref", &self.git_ref),
            ("tag", &self.tag),
            ("runner", &self.runner),
            ("user", &self.user),
            ("sha", &self.sha),
            ("pipeline", &pipeline),
            ("artifact", &self.artifact),
            ("reason", &self.reason),
            ("since", &self.since),
            ("until", &self.until),
            ("took", &self.took),
        ];
        given.map(|(key, value)| (key, value.clone())).to_vec()
    }
}

/// Returns a filter as a word of a query.
pub fn word(key: &str, value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "*?-_./:<>".contains(c);
    match value.chars().all(bare) {
        true => format!("{key}:{value}"),
        false => format!("{key}:\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}
