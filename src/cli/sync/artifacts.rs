//! The flags of `sync` about artifacts.

use crate::config::{Config, parse_size};
use crate::model::ArtifactMode;
use crate::sync::{ARTIFACT_LIMIT, Options, REPORT_LIMIT};

/// How much of artifacts is fetched.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ArtifactArgs {
    /// Artifacts: none, listing (which files), reports (test reports too), all [default: none]
    #[arg(long, value_name = "WHAT")]
    artifacts: Option<ArtifactMode>,
    /// Keep no archive of artifacts over this size: 500M, 2G [default: 1G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    artifact_limit: Option<u64>,
    /// Keep no report over this size by itself [default: 10M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    report_limit: Option<u64>,
}

fn size(text: &str) -> Result<u64, &'static str> {
    parse_size(text).ok_or("it is no size such as 500M or 1G")
}

impl ArtifactArgs {
    /// Puts flags, else the configuration, into the options.
    pub(in crate::cli) fn add_to(&self, options: Options, config: &Config) -> Options {
        Options {
            artifacts: self.artifacts.unwrap_or(config.artifacts),
            artifact_limit: self.artifact_limit.or(config.artifact_limit).unwrap_or(ARTIFACT_LIMIT),
            report_limit: self.report_limit.or(config.report_limit).unwrap_or(REPORT_LIMIT),
            ..options
        }
    }
}
