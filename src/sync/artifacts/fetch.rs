//! One job's artifacts: what is wanted of them is fetched, checked and handed to the writer.

use serde_json::Value;

use super::Fetched;
use super::outcome::{Outcome, missing};
use super::part::{self, Part};
use super::source::{MemberFault, Source, SourceError, list};
use crate::artifact::{self, Checked, is_report};
use crate::gitlab::{self, RemoteArchive};
use crate::model::{ArtifactListing, ArtifactMode, ArtifactState};
use crate::store::catalogue::ArtifactToFetch;
use crate::sync::run::Run;
use crate::sync::spool::Spool;

/// An archive of a server that sends no parts is fetched whole for its list up to this length.
const MAX_FALLBACK_BYTES: u64 = 64 << 20;
/// Reports of one job kept, and their bytes together.
const MAX_REPORTS: usize = 200;
const MAX_REPORT_BYTES: u64 = 64 << 20;

/// What was got of one archive.
#[derive(Default)]
struct Got {
    listing: Option<ArtifactListing>,
    archive: Option<Spool>,
    reports: Vec<(String, Vec<u8>)>,
    /// Reports that were not got, and why the first was not.
    left_out: Vec<String>,
}

impl Run {
    /// Fetches what is wanted of a job's artifacts; `None` where the run stops.
    pub(super) async fn fetch_artifacts(&self, job: ArtifactToFetch) -> Option<Fetched> {
        let (id, project) = (job.row.job, job.project);
        let mode = self.options.artifacts;
        let mut got = Got::default();
        let outcome = if job.is_gone || !lists_archive(&job) {
            missing(&job, mode, self.server_now())
        } else {
            self.ask(self.get(&job, mode, &mut got)).await?.ok()?
        };
        let Got { listing, archive, reports, .. } = got;
        Some(Fetched { job: id, project, outcome, listing, archive, reports })
    }

    /// Gets what is wanted. Only a spent budget is an error: every other is judged.
    async fn get(
        &self,
        job: &ArtifactToFetch,
        mode: ArtifactMode,
        got: &mut Got,
    ) -> Result<Outcome, gitlab::Error> {
        let done = match self.client.archive(job.project, job.row.job, job.row.bytes) {
            Ok(mut remote) => self.get_from(&mut remote, job, mode, got).await,
            Err(error) => Err(error.into()),
        };
        let now = self.server_now();
        match done {
            Ok(outcome) => Ok(outcome),
            Err(SourceError::Server(spent @ gitlab::Error::Spent { .. })) => Err(spent),
            Err(SourceError::Server(error)) => Ok(Outcome::of_error(job, &error, mode, now)),
            Err(SourceError::Zip(error)) => Ok(Outcome::of_zip(&error, mode)),
        }
    }

    async fn get_from(
        &self,
        remote: &mut RemoteArchive,
        job: &ArtifactToFetch,
        mode: ArtifactMode,
        got: &mut Got,
    ) -> Result<Outcome, SourceError> {
        let limit = self.options.artifact_limit;
        let too_large = job.row.bytes.is_some_and(|bytes| bytes > limit);
        if mode == ArtifactMode::All && !too_large {
            return self.get_all(remote, job, limit, got).await;
        }
        let with_reports = mode >= ArtifactMode::Reports;
        let (mut source, listing) = match list(remote, with_reports).await {
            Err(SourceError::Server(gitlab::Error::NoRange { .. }))
                if job.row.bytes.is_some_and(|bytes| bytes <= MAX_FALLBACK_BYTES) =>
            {
                let mut spool = Spool::new(&self.store.tmp_dir());
                remote.download(&mut spool, MAX_FALLBACK_BYTES).await?;
                let listing = artifact::read(&mut spool)?;
                (Source::Whole(spool), listing)
            }
            listed => listed?,
        };
        if with_reports {
            self.get_reports(remote, &mut source, job, &listing, got).await?;
        }
        got.listing = Some(listing);
        let reason = left_out(&got.left_out);
        Ok(match mode {
            ArtifactMode::All => {
                let reason = format!("the archive is larger than the limit of {limit} bytes");
                Outcome::settled(ArtifactState::TooLarge, reason, mode)
            }
            ArtifactMode::Reports => Outcome::settled(ArtifactState::Reports, reason, mode),
            _ => Outcome::settled(ArtifactState::Listed, reason, mode),
        })
    }

    /// Fetches the archive and checks it.
    async fn get_all(
        &self,
        remote: &mut RemoteArchive,
        job: &ArtifactToFetch,
        limit: u64,
        got: &mut Got,
    ) -> Result<Outcome, SourceError> {
        let mode = ArtifactMode::All;
        let mut spool = match job.row.bytes {
            Some(bytes) if bytes >= part::MIN_BYTES => {
                self.download_large(remote, job, limit).await?
            }
            _ => {
                let mut spool = Spool::new(&self.store.tmp_dir());
                remote.download(&mut spool, limit).await?;
                spool
            }
        };
        let checking = tokio::task::spawn_blocking(move || {
            let listing = artifact::read(&mut spool).map(|mut listing| {
                let checked = artifact::check(&mut spool, &mut listing);
                (listing, checked)
            });
            (spool, listing)
        });
        let (spool, listing) =
            checking.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        // Kept whatever it is: these are the bytes that the server had.
        got.archive = Some(spool);
        let (listing, checked) = match listing {
            Ok(listing) => listing,
            Err(error) => return Ok(Outcome::of_zip(&error, mode)),
        };
        got.listing = Some(listing);
        Ok(match checked {
            Checked { bad: 0, unchecked: 0, .. } => Outcome::settled(ArtifactState::Kept, "", mode),
            Checked { bad: 0, unchecked, .. } => {
                let reason = format!("{unchecked} entries could not be checked");
                Outcome::settled(ArtifactState::Kept, reason, mode)
            }
            Checked { bad, first, .. } => {
                let reason = format!("{bad} damaged: {}", first.unwrap_or_default());
                Outcome::settled(ArtifactState::Damaged, reason, mode)
            }
        })
    }

    /// Fetches an archive into a file that the next run goes on with, should this one not come to its end.
    async fn download_large(
        &self,
        remote: &mut RemoteArchive,
        job: &ArtifactToFetch,
        limit: u64,
    ) -> Result<Spool, gitlab::Error> {
        let (dir, project, id) = (self.store.parts_dir(), job.project, job.row.job);
        let opening = tokio::task::spawn_blocking(move || Part::open(&dir, project, id));
        let opened = opening.await.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        let mut part = opened.map_err(gitlab::Error::Io)?;
        match remote.download(&mut part, limit).await {
            Ok(_) => Ok(part.into_spool()),
            Err(error) => {
                use gitlab::Error::{Spent, Unauthorized};
                let may_go_on =
                    error.is_transient() || matches!(error, Spent { .. } | Unauthorized { .. });
                if !may_go_on {
                    part.remove();
                }
                Err(error)
            }
        }
    }

    /// Reads the reports out of an archive; those that are no good are left out and named.
    async fn get_reports(
        &self,
        remote: &mut RemoteArchive,
        source: &mut Source,
        job: &ArtifactToFetch,
        listing: &ArtifactListing,
        got: &mut Got,
    ) -> Result<(), SourceError> {
        let types = file_types(job);
        let mut left = MAX_REPORT_BYTES;
        for entry in listing.entries.iter().filter(|e| is_report(&e.path, &types)) {
            if got.reports.len() >= MAX_REPORTS || entry.size > left {
                got.left_out.push(format!("{}: too many reports", entry.path));
                continue;
            }
            let limit = self.options.report_limit;
            match source.member(remote, entry, listing.bytes, limit).await {
                Ok(content) => {
                    left -= entry.size;
                    got.reports.push((entry.path.clone(), content));
                }
                Err(MemberFault::Server(error)) => return Err(error.into()),
                Err(MemberFault::Member(error)) => {
                    got.left_out.push(format!("{}: {error}", entry.path));
                }
            }
        }
        Ok(())
    }
}

fn left_out(left_out: &[String]) -> String {
    match left_out.first() {
        None => String::new(),
        Some(first) => format!("{} reports left out: {first}", left_out.len()),
    }
}

fn files(job: &ArtifactToFetch) -> Vec<Value> {
    let listed = job.listed.as_deref().and_then(|text| serde_json::from_str(text).ok());
    listed.unwrap_or_default()
}

/// Returns whether the server still listed the archive when it was last asked.
fn lists_archive(job: &ArtifactToFetch) -> bool {
    files(job).iter().any(|file| file["file_type"] == "archive")
}

fn file_types(job: &ArtifactToFetch) -> Vec<String> {
    let types = files(job).into_iter();
    types.filter_map(|file| Some(file["file_type"].as_str()?.to_owned())).collect()
}
