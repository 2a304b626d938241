//! What went wrong and was said already. Pure.

use std::collections::HashSet;

use crate::model::JobId;
use crate::sync::{Failure, SyncStats};

/// Failures remembered as said; beyond that they are forgotten and said again.
const MAX_SAID: usize = 20_000;

/// What went wrong and was said already.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    jobs: HashSet<(JobId, String)>,
    /// Projects that failed as a whole in the latest round.
    projects: HashSet<(String, String)>,
}

impl Complaints {
    /// Takes a round's failures and returns those that were not said before.
    ///
    /// A project that failed as a whole and is fine in a later round is news again when it fails anew.
    pub(super) fn take(&mut self, stats: &SyncStats) -> Vec<Failure> {
        let mut projects = HashSet::new();
        let mut new = Vec::new();
        for failure in &stats.failed {
            let fresh = match failure.job {
                Some(job) => self.jobs.insert((job, failure.reason.clone())),
                None => {
                    let key = (failure.project.clone(), failure.reason.clone());
                    let known = self.projects.contains(&key);
                    projects.insert(key) && !known
                }
            };
            if fresh {
                new.push(failure.clone());
            }
        }
        // A round cut short did not come to every project.
        match stats.interrupted {
            true => self.projects.extend(projects),
            false => self.projects = projects,
        }
        if self.jobs.len() > MAX_SAID {
            self.jobs.clear();
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(failed: &[(Option<u64>, &str)]) -> SyncStats {
        let failure = |(job, reason): &(Option<u64>, &str)| Failure {
            job: job.map(JobId),
            project: "group/project".to_owned(),
            reason: (*reason).to_owned(),
        };
        SyncStats { failed: failed.iter().map(failure).collect(), ..SyncStats::default() }
    }

    #[test]
    fn each_failure_is_said_once_until_it_was_over() {
        let mut complaints = Complaints::default();
        let mut said = |failed: &[(Option<u64>, &str)]| complaints.take(&round(failed)).len();
        assert_eq!(said(&[(None, "404"), (Some(1), "502")]), 2);
        assert_eq!(said(&[(None, "404"), (Some(1), "502")]), 0);
        assert_eq!(said(&[(None, "403"), (Some(1), "cut")]), 2, "another reason is news");
        assert_eq!(said(&[]), 0);
        assert_eq!(said(&[(None, "403"), (Some(1), "502")]), 1, "the project was fine meanwhile");
    }
}
