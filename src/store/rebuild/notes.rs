//! Replaying ledgers: documents become rows of jobs, notes become what is known beside them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::progress::Progress;
use super::{Numbered, ParsedJob, Rebuilt, artifacts};
use crate::model::{JobId, ProjectId, TraceState};
use crate::store::catalogue::{
    Capture, JobState, Listing, NotedTrace, ProjectRow, Writes, usual_url,
};
use crate::store::check::{Damage, words};
use crate::store::mend::note::Mend;
use crate::store::packs::ledger::{self, Record, RecordKind};
use crate::store::packs::{Kind, PackError};
use crate::store::{HOST_KEY, Store, StoreError, TraceId};

/// Missing packs are named up to so many.
const MAX_MISSING: usize = 1000;

/// What is read out of a pack's ledgers in one go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Projects,
    Documents,
    Notes,
}

/// Replays the ledgers of packs, in their order.
pub(super) struct Replay<'a, P> {
    store: &'a Store,
    parse: P,
    now: Timestamp,
    projects: BTreeMap<ProjectId, ProjectRow>,
    moved: BTreeSet<u64>,
    /// Numbers under which mended packs were listed, which no pack has.
    passed: BTreeSet<u64>,
    has_losses: bool,
    progress: Progress,
    host: Option<String>,
    writes: Writes,
}

impl<'a, P: Fn(RecordKind, &[u8]) -> Option<ParsedJob>> Replay<'a, P> {
    pub(super) fn new(store: &'a Store, parse: P, now: Timestamp) -> Self {
        let (projects, moved, passed, has_losses) = Default::default();
        let (progress, host, writes) = Default::default();
        Self { store, parse, now, projects, moved, passed, has_losses, progress, host, writes }
    }

    /// Replays one pack: the addresses of projects first, from which those of jobs follow; then documents, since a note is
    /// about a job that has one.
    pub(super) async fn pack(
        &mut self,
        pack: &Numbered,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), StoreError> {
        let name = pack.info.name;
        self.writes = Writes { documents_in: Some(pack.id), ..Writes::default() };
        let footer = pack.footer(&self.store.packs)?;
        let ledgers: Vec<_> = footer.entries.iter().filter(|e| e.kind == Kind::Ledger).collect();
        for pass in [Pass::Projects, Pass::Documents, Pass::Notes] {
            for entry in &ledgers {
                let bytes = match self.store.packs.read(name, entry, None) {
                    Ok(bytes) => bytes,
                    Err(e) if e.is_of_one_pack() => {
                        let what = format!("job documents: {}", words(&e));
                        if pass == Pass::Notes {
                            rebuilt.damaged.push(Damage { job: None, pack: Some(name), what });
                        }
                        continue;
                    }
                    Err(e) => return Err(e.into()),
                };
                for (index, record) in ledger::records(&bytes).enumerate() {
                    let record =
                        record.map_err(|source| PackError::Damaged { pack: name, source })?;
                    match (record.kind, pass) {
                        (RecordKind::Job | RecordKind::Bridge, Pass::Documents) => {
                            rebuilt.documents += 1;
                            self.document(&record, (entry.offset, index as u64));
                        }
                        (RecordKind::ArtifactListing, Pass::Documents) => {
                            let doc = (entry.offset, index as u64);
                            artifacts::listing(&mut self.writes.artifacts, &record, doc);
                        }
                        (RecordKind::Note, Pass::Projects) => self.project(&record),
                        (RecordKind::Note, Pass::Notes) => self.note(&record).await?,
                        _ => {}
                    }
                }
            }
        }
        let writes = std::mem::take(&mut self.writes);
        Ok(self.store.catalogue.write(&writes).await?)
    }

    /// Returns the packs that are neither there nor said to stand in a later one: what they held is lost.
    pub(super) fn missing(&self, there: &BTreeSet<u64>) -> Vec<u64> {
        let highest = there.last().copied().unwrap_or_default();
        let known =
            |id: &u64| there.contains(id) || self.moved.contains(id) || self.passed.contains(id);
        // A damaged catalogue may have given a pack a number far ahead.
        (1..=highest).filter(|id| !known(id)).take(MAX_MISSING).collect()
    }

    /// Tells whether records were lost when a pack was mended.
    pub(super) fn has_losses(&self) -> bool {
        self.has_losses
    }

    /// Writes what is known only at the end. How far capturing was is believed only of an archive that is `whole`.
    pub(super) async fn finish(mut self, whole: bool) -> Result<(), StoreError> {
        if !whole {
            self.progress.forget();
        }
        for row in self.projects.values_mut() {
            row.newest_job = self.progress.newest_job(row.id);
        }
        let projects = self.projects.into_values().collect();
        let mut writes = Writes { projects, ..Writes::default() };
        self.progress.add_to(&mut writes);
        let catalogue = &self.store.catalogue;
        catalogue.write(&writes).await?;
        if let Some(host) = &self.host {
            catalogue.set_meta(HOST_KEY, host).await?;
        }
        let moved: Vec<u64> = self.moved.into_iter().collect();
        catalogue.set_ledgers_moved(&moved).await?;
        Ok(())
    }

    fn document(&mut self, record: &Record<'_>, doc: (u64, u64)) {
        let Some(mut parsed) = (self.parse)(record.kind, record.bytes) else { return };
        let (id, project) = (JobId(record.job), ProjectId(record.project));
        let url = self.projects.get(&project).map(|p| usual_url(&p.web_url, id));
        parsed.job.web_url = parsed.job.web_url.filter(|web| Some(web) != url.as_ref());
        parsed.job.id = id;
        if let Some(pipeline) = parsed.job.pipeline
            && record.kind == RecordKind::Job
        {
            self.writes.pipelines_met.insert(pipeline, project);
        }
        let at = time(record.at_micros as i64).unwrap_or(self.now);
        let first = self.writes.listings.get(&id).map_or(at, |earlier| earlier.at);
        let listing = Listing {
            job: parsed.job,
            project,
            artifacts: parsed.artifacts,
            digest: parsed.digest,
            bridge: record.kind == RecordKind::Bridge,
            downstream: parsed.downstream.map(|(to, id)| (to.unwrap_or(project), id)),
            doc: Some(doc),
            at: first,
        };
        self.writes.listings.insert(id, listing);
    }

    fn project(&mut self, record: &Record<'_>) {
        // Few notes are of this kind: the others need not be read for it.
        if memchr::memmem::find(record.bytes, b"\"project\"").is_none() {
            return;
        }
        let Ok(note) = serde_json::from_slice::<Value>(record.bytes) else { return };
        if note["event"] != "project" {
            return;
        }
        let text = |key: &str| note[key].as_str().unwrap_or_default().to_owned();
        let id = ProjectId(record.project);
        let row = ProjectRow {
            id,
            path: text("path"),
            web_url: text("web_url"),
            seen_at: time(record.at_micros as i64).unwrap_or(self.now),
            // Notes of progress tell it.
            newest_job: JobId(0),
        };
        self.projects.insert(id, row);
    }

    async fn note(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        let Ok(note) = serde_json::from_slice::<Value>(record.bytes) else { return Ok(()) };
        let at = time(record.at_micros as i64).unwrap_or(self.now);
        let text = |key: &str| note[key].as_str().unwrap_or_default().to_owned();
        match note["event"].as_str() {
            Some("capture") => {
                self.host = note["host"].as_str().map(str::to_owned);
                self.writes.captures.push(Capture {
                    id: note["id"].as_u64().unwrap_or_default(),
                    host: text("host"),
                    gitlab_version: text("gitlab"),
                    user: text("user"),
                    version: text("jobvault"),
                    at,
                });
            }
            Some("progress") => self.progress.take(&note),
            Some("compact") => {
                let packs = note["packs"].as_array().into_iter().flatten();
                self.moved.extend(packs.filter_map(Value::as_u64));
            }
            Some("mend") => {
                if let Some(mend) = Mend::of(&note) {
                    self.passed.insert(mend.pack);
                    self.has_losses |= mend.lost;
                }
            }
            Some("blob") => artifacts::blob(&mut self.writes.artifacts, &note),
            Some("artifacts") => {
                artifacts::state(&mut self.writes.artifacts, JobId(record.job), &note, at);
            }
            Some("state") => self.state(JobId(record.job), &note, None, at),
            Some("trace") => {
                let job = JobId(record.job);
                let trace = self.trace(job, &note).await?;
                self.state(job, &note, trace, at);
            }
            _ => {}
        }
        Ok(())
    }

    /// Completes the row of a noted trace, `None` where there is none to complete.
    async fn trace(&self, job: JobId, note: &Value) -> Result<Option<TraceId>, StoreError> {
        let hash = note["blake3"].as_str().and_then(|hex| blake3::Hash::from_hex(hex).ok());
        let numbers = (note["trace"].as_u64(), note["raw_bytes"].as_u64());
        let (Some(hash), (Some(id), Some(raw_bytes))) = (hash, numbers) else { return Ok(None) };
        let open = serde_json::from_value(note["open"].clone()).unwrap_or_default();
        let fetched_at = note["fetched_at"].as_i64().unwrap_or_default();
        let id = TraceId(id);
        let noted = NotedTrace { id, job, raw_bytes, hash: *hash.as_bytes(), fetched_at, open };
        if raw_bytes == 0 {
            self.store.catalogue.put_empty(&noted).await?;
            return Ok(Some(id));
        }
        Ok(self.store.catalogue.put_noted(&noted).await?)
    }

    fn state(&mut self, job: JobId, note: &Value, trace: Option<TraceId>, at: Timestamp) {
        let before = self.writes.states.get(&job);
        let is = |key: &str| note[key].as_bool().unwrap_or_default().then_some(at);
        let state = JobState {
            state: note["state"]
                .as_str()
                .and_then(|s| s.parse().ok())
                .unwrap_or(TraceState::Pending),
            reason: note["reason"].as_str().unwrap_or_default().to_owned(),
            at,
            next_at: note["next_at"].as_i64().and_then(time),
            attempts: note["attempts"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or_default(),
            trace: trace.or(before.and_then(|b| b.trace)),
            capture: note["capture"].as_u64().or(before.and_then(|b| b.capture)),
            gone_at: before.and_then(|b| b.gone_at).or(is("gone")),
            erased_seen_at: before.and_then(|b| b.erased_seen_at).or(is("erased")),
        };
        self.writes.states.insert(job, state);
    }
}

pub(super) fn time(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros).ok()
}
