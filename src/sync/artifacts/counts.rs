//! Counting what became of artifacts, for people.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{ArtifactState, ProjectId};
use crate::store::Store;
use crate::store::catalogue::{CatalogueError, Counted};
use crate::sync::coverage::{Standing, without_numbers};

/// Artifacts of a project that are in a state for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactLine {
    /// The project.
    pub project_id: ProjectId,
    /// Its path when it was last seen.
    pub project: String,
    /// The state's name.
    pub state: &'static str,
    /// What that means, where artifacts are wanted.
    #[serde(skip)]
    pub standing: Standing,
    /// Why, in words; a number in it that differs from job to job is `#`.
    pub reason: String,
    /// How many jobs.
    pub jobs: u64,
    /// Bytes of their archives, as announced.
    pub bytes: u64,
}

fn standing(state: ArtifactState) -> Standing {
    use ArtifactState::{
        Damaged, Expired, Forbidden, Gone, Kept, Listed, NoRange, Pending, Reports, TooLarge,
    };
    match state {
        // What is too large for what was wanted is settled, with its list as a rule.
        Listed | Reports | Kept | Damaged | TooLarge | NoRange => Standing::Held,
        Pending | Forbidden => Standing::Obtainable,
        Expired | Gone => Standing::Lost,
    }
}

/// Counts the artifacts of the jobs that are `counted`; empty where no job lists any.
///
/// # Errors
///
/// As every reading of the catalogue.
pub async fn artifact_lines(
    store: &Store,
    counted: &Counted,
) -> Result<Vec<ArtifactLine>, CatalogueError> {
    let projects = counted.projects.as_deref();
    let rows = store.catalogue().artifact_counts(projects, counted.since).await?;
    let mut lines: BTreeMap<(String, ProjectId, ArtifactState, String), (u64, u64)> =
        BTreeMap::new();
    for row in rows {
        let key = (row.path, row.project, row.state, without_numbers(&row.reason));
        let sums = lines.entry(key).or_default();
        sums.0 += row.jobs;
        sums.1 += row.bytes;
    }
    let line = |((project, project_id, state, reason), (jobs, bytes))| ArtifactLine {
        project_id,
        project,
        state: ArtifactState::as_str(state),
        standing: standing(state),
        reason,
        jobs,
        bytes,
    };
    Ok(lines.into_iter().map(line).collect())
}
