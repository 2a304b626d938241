//! The catalogue that is replaced: what it knows of packs whose footers cannot be read, and of jobs that no pack tells of.
//!
//! Only a sound one is asked. Where it says of a pack what stands where, the entries prove themselves by their hashes when
//! they are read; so nothing wrong comes of it. What it cannot tell is as if there were none.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use jiff::Timestamp;

use crate::model::JobId;
use crate::store::JobRow;
use crate::store::catalogue::{
    Access, Catalogue, CatalogueError, LivePack, NotedTrace, ProjectRow,
};
use crate::store::known;
use crate::store::mend::note;
use crate::store::packs::{Entry, Footer, PackName, Packs};

/// What the old catalogue says of a pack.
#[derive(Debug)]
pub(super) struct Salvaged {
    /// What its footer says, but for entries that nothing refers to.
    pub(super) footer: Footer,
    /// How many entries it has.
    pub(super) entries: u64,
    /// Its length as it was written.
    pub(super) bytes: u64,
}

/// A catalogue about to be replaced.
pub(super) struct Old {
    catalogue: Catalogue,
}

impl Old {
    /// Opens the catalogue at `path`; `None` where there is none that is sound.
    pub(super) async fn open(path: &Path) -> Option<Self> {
        if !path.is_file() {
            return None;
        }
        let catalogue = Catalogue::open(path, Access::Read).await.ok()?;
        let old = Self { catalogue };
        if old.catalogue.is_sound(false).await {
            return Some(old);
        }
        old.close().await;
        None
    }

    /// Lets go of its file.
    pub(super) async fn close(self) {
        self.catalogue.close().await;
    }

    /// Returns what it knows of some packs.
    pub(super) async fn salvage(
        &self,
        packs: &Packs,
        names: &BTreeSet<PackName>,
    ) -> HashMap<PackName, Salvaged> {
        if names.is_empty() {
            return HashMap::new();
        }
        known::entries(&self.catalogue, names).await.map_or_else(
            |_| HashMap::new(),
            |found| {
                let salvaged =
                    found.into_iter().map(|(pack, known)| (pack.name, footer(packs, &pack, known)));
                salvaged.collect()
            },
        )
    }

    /// Returns its jobs, and those that have a log.
    pub(super) async fn jobs(&self) -> Result<(Vec<JobId>, Vec<JobId>), CatalogueError> {
        Ok((self.catalogue.job_numbers().await?, self.catalogue.jobs_with_log().await?))
    }

    /// Returns its projects.
    pub(super) async fn projects(&self) -> Result<Vec<ProjectRow>, CatalogueError> {
        self.catalogue.projects().await
    }

    /// Returns what it says of some jobs.
    pub(super) async fn rows(&self, jobs: &[JobId]) -> Result<Vec<Carried>, CatalogueError> {
        let fetched_at: HashMap<JobId, Option<Timestamp>> =
            self.catalogue.provenance(jobs).await?.iter().map(|p| (p.job, p.fetched_at)).collect();
        let mut carried = Vec::with_capacity(jobs.len());
        for row in self.catalogue.jobs_by_id(jobs).await? {
            let at = fetched_at.get(&row.id).copied().flatten().unwrap_or_default();
            let trace = self.catalogue.trace_of(&row).await.ok().flatten();
            let noted = trace.map(|trace| NotedTrace {
                id: trace.id,
                job: row.id,
                raw_bytes: trace.raw_bytes,
                hash: trace.hash,
                fetched_at: at.as_microsecond(),
                open: trace.frames.into_iter().map(|frame| frame.open).collect(),
            });
            carried.push(Carried { row, noted });
        }
        Ok(carried)
    }
}

/// What the old catalogue says of a job.
pub(super) struct Carried {
    pub(super) row: JobRow,
    /// Its log, as a note would tell of it.
    pub(super) noted: Option<NotedTrace>,
}

/// Puts together what a pack's footer said.
fn footer(packs: &Packs, pack: &LivePack, mut entries: Vec<Entry>) -> Salvaged {
    // Where the file cannot be read at all, its logs are known and its records are not.
    let ledgers = packs.ledgers_beside(pack.name, &entries).unwrap_or_default();
    entries.extend(ledgers);
    entries.sort_by_key(|entry| entry.offset);
    let number = note::number(packs, (pack.name, pack.id), &entries);
    let footer = Footer { number, compacted: pack.compacted, entries };
    Salvaged { footer, entries: pack.entries, bytes: pack.bytes }
}
