//! Replaying ledgers: documents become rows of jobs, notes become what is known beside them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{Numbered, ParsedJob, Rebuilt, artifacts};
use crate::model::{JobId, PipelineId, ProjectId, TraceState};
use crate::store::catalogue::{
    Capture, JobState, Listing, NotedTrace, ProjectRow, Writes, usual_url,
};
use crate::store::check::{Damage, words};
use crate::store::packs::ledger::{self, Record, RecordKind};
use crate::store::packs::{Kind, PackError};
use crate::store::{Store, StoreError, TraceId};

/// Why a job is fetched again whose trace was noted but is in no pack.
const LOST: &str = "its trace is not in the archive";

/// Replays the ledgers of packs, in their order.
pub(super) struct Replay<'a, P> {
    store: &'a Store,
    parse: P,
    now: Timestamp,
    projects: BTreeMap<ProjectId, ProjectRow>,
    moved: Vec<u64>,
    writes: Writes,
}

impl<'a, P: Fn(&[u8]) -> Option<ParsedJob>> Replay<'a, P> {
    pub(super) fn new(store: &'a Store, parse: P, now: Timestamp) -> Self {
        let (projects, moved, writes) = Default::default();
        Self { store, parse, now, projects, moved, writes }
    }

    /// Replays one pack: documents first, since a note is about a job that has one.
    pub(super) async fn pack(
        &mut self,
        pack: &Numbered,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), StoreError> {
        let name = pack.info.name;
        self.writes = Writes { documents_in: Some(pack.id), ..Writes::default() };
        let footer = self.store.packs.footer(name)?;
        let ledgers: Vec<_> = footer.entries.iter().filter(|e| e.kind == Kind::Ledger).collect();
        for notes in [false, true] {
            for entry in &ledgers {
                let bytes = match self.store.packs.read(name, entry, None) {
                    Ok(bytes) => bytes,
                    Err(e) if e.is_damage() => {
                        let what = format!("job documents: {}", words(&e));
                        if notes {
                            rebuilt.damaged.push(Damage { job: None, pack: Some(name), what });
                        }
                        continue;
                    }
                    Err(e) => return Err(e.into()),
                };
                for (index, record) in ledger::records(&bytes).enumerate() {
                    let record =
                        record.map_err(|source| PackError::Damaged { pack: name, source })?;
                    match (record.kind, notes) {
                        (RecordKind::Job | RecordKind::Bridge, false) => {
                            rebuilt.documents += 1;
                            self.document(&record, (entry.offset, index as u64));
                        }
                        (RecordKind::ArtifactListing, false) => {
                            let doc = (entry.offset, index as u64);
                            artifacts::listing(&mut self.writes.artifacts, &record, doc);
                        }
                        (RecordKind::Note, true) => self.note(&record).await?,
                        _ => {}
                    }
                }
            }
        }
        let writes = std::mem::take(&mut self.writes);
        Ok(self.store.catalogue.write(&writes).await?)
    }

    /// Writes what is known only at the end.
    pub(super) async fn finish(self) -> Result<(), StoreError> {
        let writes =
            Writes { projects: self.projects.into_values().collect(), ..Writes::default() };
        self.store.catalogue.write(&writes).await?;
        self.store.catalogue.set_ledgers_moved(&self.moved).await?;
        Ok(self.store.catalogue.reopen_lost(LOST, self.now).await?)
    }

    fn document(&mut self, record: &Record<'_>, doc: (u64, u64)) {
        let Some(mut parsed) = (self.parse)(record.bytes) else { return };
        let (id, project) = (JobId(record.job), ProjectId(record.project));
        let url = self.projects.get(&project).map(|p| usual_url(&p.web_url, id));
        // A pack of the project's first jobs has the note of its address too, but behind them.
        let usual = format!("/-/jobs/{id}");
        parsed.job.web_url = parsed.job.web_url.filter(|web| match &url {
            Some(url) => web != url,
            None => !web.ends_with(&usual),
        });
        parsed.job.id = id;
        let listing = Listing {
            job: parsed.job,
            project,
            artifacts: parsed.artifacts,
            digest: parsed.digest,
            bridge: record.kind == RecordKind::Bridge,
            downstream: downstream(record),
            doc: Some(doc),
            at: time(record.at_micros as i64).unwrap_or(self.now),
        };
        self.writes.listings.insert(id, listing);
    }

    async fn note(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        let Ok(note) = serde_json::from_slice::<Value>(record.bytes) else { return Ok(()) };
        let at = time(record.at_micros as i64).unwrap_or(self.now);
        let text = |key: &str| note[key].as_str().unwrap_or_default().to_owned();
        match note["event"].as_str() {
            Some("capture") => self.writes.captures.push(Capture {
                id: note["id"].as_u64().unwrap_or_default(),
                host: text("host"),
                gitlab_version: text("gitlab"),
                user: text("user"),
                version: text("jobvault"),
                at,
            }),
            Some("project") => {
                let id = ProjectId(record.project);
                let row = ProjectRow {
                    id,
                    path: text("path"),
                    web_url: text("web_url"),
                    seen_at: at,
                    // The next sync lists all jobs again: where walks stood is not recorded.
                    newest_job: JobId(0),
                };
                self.projects.insert(id, row);
            }
            Some("compact") => {
                let packs = note["packs"].as_array().into_iter().flatten();
                self.moved.extend(packs.filter_map(Value::as_u64));
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

/// Returns the pipeline that a bridge started, where its document tells.
fn downstream(record: &Record<'_>) -> Option<(ProjectId, PipelineId)> {
    if record.kind != RecordKind::Bridge {
        return None;
    }
    let document: Value = serde_json::from_slice(record.bytes).ok()?;
    let pipeline = &document["downstream_pipeline"];
    Some((ProjectId(pipeline["project_id"].as_u64()?), PipelineId(pipeline["id"].as_u64()?)))
}

fn time(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros).ok()
}
