//! The catalogue that is replaced: what it knows of packs whose footers cannot be read, and of jobs that no pack tells of.
//!
//! Only a sound one is asked. Where it says of a pack what stands where, the entries prove themselves by their hashes when
//! they are read; so nothing wrong comes of it. What it cannot tell is as if there were none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use jiff::Timestamp;

use crate::model::JobId;
use crate::store::catalogue::{
    Access, BaseRow, Catalogue, CatalogueError, LivePack, NotedTrace, ProjectRow,
};
use crate::store::packs::{Entry, Footer, Kind, PackName, Packs};
use crate::store::segment::entry;
use crate::store::{JobRow, TraceId, TraceRow};

/// Traces read at once.
const TRACES_AT_ONCE: u32 = 1000;

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
        self.entries(names).await.map_or_else(
            |_| HashMap::new(),
            |found| {
                let salvaged =
                    found.into_iter().map(|(pack, known)| (pack.name, footer(packs, &pack, known)));
                salvaged.collect()
            },
        )
    }

    /// Returns the entries of some packs that rows refer to.
    async fn entries(
        &self,
        names: &BTreeSet<PackName>,
    ) -> Result<Vec<(LivePack, Vec<Entry>)>, CatalogueError> {
        let mut packs = self.catalogue.all_packs().await?;
        packs.retain(|pack| names.contains(&pack.name));
        let mut found: BTreeMap<u64, Vec<Entry>> =
            packs.iter().map(|pack| (pack.id, Vec::new())).collect();
        let bases = self.catalogue.bases().await?;
        for base in &bases {
            if let Some(entries) = found.get_mut(&base.pack) {
                entries.push(base_entry(base));
            }
        }
        let bases: HashMap<u64, [u8; 32]> = bases.iter().map(|b| (b.id, b.hash)).collect();
        let projects: HashMap<TraceId, u64> =
            self.catalogue.traces_by_series().await?.into_iter().collect();
        let mut after = TraceId(0);
        loop {
            let rows = self.catalogue.traces_after(after, TRACES_AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for trace in rows.into_iter().filter_map(|(_, row)| row.ok()) {
                let project = projects.get(&trace.id).copied().unwrap_or_default();
                add_frames(&trace, project, &bases, &mut found);
            }
        }
        for (pack, entries) in &mut found {
            let chunks = self.catalogue.chunks_in(*pack).await?;
            entries.extend(chunks.iter().map(|chunk| Entry {
                offset: chunk.offset,
                stored_bytes: chunk.stored_bytes,
                ..entry(Kind::Chunk, chunk.raw_bytes, chunk.hash)
            }));
        }
        let known = |pack: LivePack| (pack, found.remove(&pack.id).unwrap_or_default());
        Ok(packs.into_iter().map(known).collect())
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

fn base_entry(base: &BaseRow) -> Entry {
    Entry {
        offset: base.offset,
        stored_bytes: base.stored_bytes,
        ..entry(Kind::Base, base.raw_bytes, base.hash)
    }
}

fn add_frames(
    trace: &TraceRow,
    project: u64,
    bases: &HashMap<u64, [u8; 32]>,
    found: &mut BTreeMap<u64, Vec<Entry>>,
) {
    let count = trace.frames.len();
    for (index, frame) in trace.frames.iter().enumerate() {
        if let Some(entries) = found.get_mut(&frame.pack) {
            entries.push(Entry {
                // A base that is not listed is none that any pack has.
                base: frame.base.map(|id| bases.get(&id).copied().unwrap_or_default()),
                place: frame.place(trace.id, trace.job, project, index + 1 == count),
                ..frame.entry()
            });
        }
    }
}

/// Puts together what a pack's footer said.
fn footer(packs: &Packs, pack: &LivePack, mut entries: Vec<Entry>) -> Salvaged {
    // Where the file cannot be read at all, its logs are known and its records are not.
    let ledgers = packs.ledgers_beside(pack.name, &entries).unwrap_or_default();
    entries.extend(ledgers);
    entries.sort_by_key(|entry| entry.offset);
    let footer = Footer { number: pack.id, compacted: pack.compacted, entries };
    Salvaged { footer, entries: pack.entries, bytes: pack.bytes }
}
