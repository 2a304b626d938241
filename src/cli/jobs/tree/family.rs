//! A pipeline, what its bridges started, and so on, put into the order in which they are shown.
//!
//! Reading asks the catalogue; the order is pure. Bounded in depth and number: bridges may lead in circles.

use std::collections::{HashMap, HashSet};

use crate::model::{JobId, PipelineId, ProjectId};
use crate::store::catalogue::CatalogueError;
use crate::store::{JobRow, Store};

/// Pipelines of one tree; what lies beyond is left out, and that is said.
const MAX_PIPELINES: usize = 500;
/// Jobs read of one pipeline; GitLab allows fewer by default.
const MAX_JOBS: u32 = 10_000;
/// Bridges below each other. GitLab allows two generations of children; other projects' pipelines may go on.
const MAX_DEPTH: usize = 10;

/// A pipeline and what came of it.
#[derive(Debug, Default)]
pub(super) struct Family {
    root: PipelineId,
    pipelines: HashMap<PipelineId, Vec<JobRow>>,
    cut: bool,
}

/// A job in its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct JobEntry<'a> {
    pub(super) depth: usize,
    pub(super) row: &'a JobRow,
    /// The job that took its place.
    pub(super) retried_as: Option<JobId>,
    /// The bridge that started its pipeline, if that is not the first.
    pub(super) started_by: Option<JobId>,
}

/// A line of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry<'a> {
    /// A pipeline begins.
    Pipeline { depth: usize, id: PipelineId, jobs: Vec<&'a JobRow> },
    /// A stage of it begins.
    Stage { depth: usize, name: &'a str, jobs: Vec<&'a JobRow> },
    /// A job of the stage.
    Job(JobEntry<'a>),
    /// A pipeline that was started and is not in the archive.
    Absent { depth: usize, project: ProjectId, pipeline: PipelineId },
}

impl<'a> Entry<'a> {
    /// Returns the job that a line is of.
    pub(super) fn job(&self) -> Option<&JobEntry<'a>> {
        match self {
            Self::Job(job) => Some(job),
            _ => None,
        }
    }
}

impl Family {
    /// Reads a pipeline and all that its bridges lead to.
    pub(super) async fn read(store: &Store, root: PipelineId) -> Result<Self, CatalogueError> {
        let mut family = Self { root, ..Self::default() };
        let mut next = vec![root];
        for _ in 0..MAX_DEPTH {
            let mut further = Vec::new();
            for id in next {
                if family.pipelines.contains_key(&id) {
                    continue;
                }
                if family.pipelines.len() >= MAX_PIPELINES {
                    family.cut = true;
                    break;
                }
                let jobs = store.catalogue().jobs_of_pipeline(id, MAX_JOBS).await?;
                family.cut |= jobs.len() >= MAX_JOBS as usize;
                further.extend(jobs.iter().filter_map(|job| job.downstream).map(|(_, id)| id));
                family.pipelines.insert(id, jobs);
            }
            next = further;
        }
        family.cut |= next.iter().any(|id| !family.pipelines.contains_key(id));
        Ok(family)
    }

    /// Tells whether nothing is known of the pipeline.
    pub(super) fn is_empty(&self) -> bool {
        self.pipelines.get(&self.root).is_none_or(Vec::is_empty)
    }

    /// Tells whether something was left out.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Returns the lines of the tree, in order.
    pub(super) fn entries(&self) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        self.add(self.root, 0, None, &mut HashSet::new(), &mut entries);
        entries
    }

    fn add<'a>(
        &'a self,
        id: PipelineId,
        depth: usize,
        started_by: Option<JobId>,
        shown: &mut HashSet<PipelineId>,
        entries: &mut Vec<Entry<'a>>,
    ) {
        let Some(jobs) = self.pipelines.get(&id).filter(|jobs| !jobs.is_empty()) else { return };
        if !shown.insert(id) {
            return;
        }
        let latest = latest(jobs);
        entries.push(Entry::Pipeline { depth, id, jobs: latest.values().copied().collect() });
        for (name, jobs) in stages(jobs) {
            entries.push(Entry::Stage { depth: depth + 1, name, jobs: jobs.clone() });
            for row in jobs {
                let newest = latest.get(row.name.as_str()).map(|newest| newest.id);
                let retried_as = newest.filter(|newest| *newest != row.id);
                entries.push(Entry::Job(JobEntry {
                    depth: depth + 2,
                    row,
                    retried_as,
                    started_by,
                }));
                let Some((project, pipeline)) = row.downstream else { continue };
                let known = self.pipelines.get(&pipeline).is_some_and(|jobs| !jobs.is_empty());
                match known {
                    true => self.add(pipeline, depth + 3, Some(row.id), shown, entries),
                    false => entries.push(Entry::Absent { depth: depth + 3, project, pipeline }),
                }
            }
        }
    }
}

/// Returns the newest job of each name: a retry makes a new job of the same name in the same pipeline.
fn latest(jobs: &[JobRow]) -> HashMap<&str, &JobRow> {
    // They come lowest id first.
    jobs.iter().map(|job| (job.name.as_str(), job)).collect()
}

/// Returns the stages in the order in which GitLab made their first jobs, each with its jobs: those of one name, which
/// are tries of the same, beside each other.
fn stages(jobs: &[JobRow]) -> Vec<(&str, Vec<&JobRow>)> {
    let mut stages: Vec<(&str, Vec<&JobRow>)> = Vec::new();
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut first: HashMap<&str, JobId> = HashMap::new();
    for job in jobs {
        let at = *place.entry(&job.stage).or_insert_with(|| {
            stages.push((&job.stage, Vec::new()));
            stages.len() - 1
        });
        first.entry(&job.name).or_insert(job.id);
        stages[at].1.push(job);
    }
    // GitLab runs these first and last, whatever the configuration says
    // (<https://docs.gitlab.com/ci/yaml/#stage-pre>).
    stages.sort_by_key(|(name, _)| match *name {
        ".pre" => 0,
        ".post" => 2,
        _ => 1,
    });
    for (_, jobs) in &mut stages {
        jobs.sort_by_key(|job| (first.get(job.name.as_str()).copied(), job.id));
    }
    stages
}

#[cfg(test)]
mod tests;
