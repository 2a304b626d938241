//! Notes written anew: what the catalogue knows of and no note that can be read tells.
//!
//! They stand in a pack of their own, behind all: a note is about a job that has a document, and that may have come again
//! since. They say what is so now, so that nothing before them is contradicted.
//!
//! Documents are as the server sent them, and none is made up. How far capturing is, is not noted again: where records
//! were lost, a rebuild believes none of it and the next sync lists again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::note::put;
use super::plan::salvaged;
use super::{add_ledgers, finish};
use crate::model::{JobId, ProjectId};
use crate::store::catalogue::{KnownArtifacts, KnownState, LivePack, Writes};
use crate::store::packs::ledger::{self, LEDGER_BYTES, RecordKind};
use crate::store::packs::{Entry, Kind, PackName};
use crate::store::{Store, StoreError, TraceId, TraceRow};

/// Rows read from the catalogue at once.
const ROWS_AT_ONCE: u32 = 1000;

/// What the notes that can be read tell of.
#[derive(Default)]
struct Told {
    captures: BTreeSet<u64>,
    projects: BTreeSet<u64>,
    traces: BTreeSet<u64>,
    /// Jobs and times.
    states: BTreeSet<(u64, u64)>,
    artifacts: BTreeSet<(u64, u64)>,
    blobs: BTreeSet<String>,
    /// Numbers of packs whose records stand in others.
    moved: BTreeSet<u64>,
    /// Numbers of the packs that are there.
    numbers: BTreeSet<u64>,
    /// The number of some pack that is there cannot be read.
    is_unsure: bool,
}

impl Told {
    fn take(&mut self, store: &Store, name: PackName, entries: &[Entry]) {
        for entry in entries.iter().filter(|entry| entry.kind == Kind::Ledger) {
            // What cannot be read tells nothing.
            let Ok(ledger) = store.packs().read(name, entry, None) else { continue };
            for record in ledger::records(&ledger).filter_map(Result::ok) {
                if record.kind == RecordKind::Note
                    && let Ok(note) = serde_json::from_slice::<Value>(record.bytes)
                {
                    self.note(&note, (record.job, record.project, record.at_micros));
                }
            }
        }
    }

    fn note(&mut self, note: &Value, (job, project, at): (u64, u64, u64)) {
        match note["event"].as_str() {
            Some("capture") => self.captures.extend(note["id"].as_u64()),
            Some("project") => drop(self.projects.insert(project)),
            Some("trace") => {
                self.traces.extend(note["trace"].as_u64());
                self.states.insert((job, at));
            }
            Some("state") => drop(self.states.insert((job, at))),
            Some("artifacts") => drop(self.artifacts.insert((job, at))),
            Some("blob") => self.blobs.extend(note["blake3"].as_str().map(str::to_owned)),
            Some("compact") => {
                self.moved.extend(
                    note["packs"].as_array().into_iter().flatten().filter_map(Value::as_u64),
                );
            }
            Some("mend") => self.moved.extend(note["pack"].as_u64()),
            _ => {}
        }
    }
}

/// Ledgers being filled.
#[derive(Default)]
struct Ledgers {
    full: Vec<Vec<u8>>,
    open: Vec<u8>,
}

impl Ledgers {
    fn put(&mut self, about: (JobId, ProjectId), note: &Value, at: Timestamp) {
        put(&mut self.open, (about.0.0, about.1.0), note, at);
        if self.open.len() >= LEDGER_BYTES {
            self.full.push(std::mem::take(&mut self.open));
        }
    }

    fn finish(mut self) -> Vec<Vec<u8>> {
        if !self.open.is_empty() {
            self.full.push(self.open);
        }
        self.full
    }
}

const NO_JOB: JobId = JobId(0);
const NO_PROJECT: ProjectId = ProjectId(0);

/// Writes a pack of what no note tells that can be read; nothing where they tell all. `known` are the entries of packs
/// whose footers may be lost.
pub(super) async fn write(
    store: &Store,
    known: &BTreeMap<u64, Vec<Entry>>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let packs = store.catalogue.live_packs().await?;
    let (reader, known) = (store.clone(), known.clone());
    let told = tokio::task::spawn_blocking(move || told(&reader, &packs, &known))
        .await
        .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
    let mut ledgers = Ledgers::default();
    add_surroundings(store, &told, &mut ledgers, now).await?;
    add_logs(store, &told, &mut ledgers).await?;
    add_artifacts(store, &told, &mut ledgers, now).await?;
    let ledgers = ledgers.finish();
    if ledgers.is_empty() {
        return Ok(());
    }
    let [packs, ..] = store.catalogue.highest().await?;
    let mut writer = store.packs.create(packs + 1, false)?;
    add_ledgers(&mut writer, &ledgers)?;
    let pack = finish(writer, packs + 1, false, now).await?;
    Ok(store.catalogue.write(&Writes { pack: Some(pack), ..Writes::default() }).await?)
}

fn told(
    store: &Store,
    packs: &[LivePack],
    known: &BTreeMap<u64, Vec<Entry>>,
) -> Result<Told, StoreError> {
    let mut told = Told::default();
    for pack in packs {
        let footer = match (store.packs().footer(pack.name), known.get(&pack.id)) {
            (Ok(footer), _) => footer,
            (Err(e), Some(known)) if e.is_damage() => match salvaged(store, *pack, known.clone()) {
                Ok(footer) => footer,
                Err(e) if e.is_of_one_pack() => {
                    told.is_unsure = true;
                    continue;
                }
                Err(e) => return Err(e),
            },
            (Err(e), _) if e.is_of_one_pack() => {
                told.is_unsure = true;
                continue;
            }
            (Err(e), _) => return Err(e.into()),
        };
        told.numbers.insert(footer.number);
        if !pack.ledgers_moved {
            told.take(store, pack.name, &footer.entries);
        }
    }
    Ok(told)
}

/// Captures, projects, and which packs' records stand in others.
async fn add_surroundings(
    store: &Store,
    told: &Told,
    ledgers: &mut Ledgers,
    now: Timestamp,
) -> Result<(), StoreError> {
    for capture in store.catalogue.captures().await? {
        if !told.captures.contains(&capture.id) {
            let note = json!({"event": "capture", "id": capture.id, "host": capture.host,
                "gitlab": capture.gitlab_version, "user": capture.user, "jobvault": capture.version});
            ledgers.put((NO_JOB, NO_PROJECT), &note, capture.at);
        }
    }
    for project in store.catalogue.projects().await? {
        if !told.projects.contains(&project.id.0) {
            let note =
                json!({"event": "project", "path": project.path, "web_url": project.web_url});
            ledgers.put((NO_JOB, project.id), &note, project.seen_at);
        }
    }
    let listed: BTreeMap<u64, bool> =
        store.catalogue.all_packs().await?.iter().map(|p| (p.id, p.ledgers_moved)).collect();
    let highest = listed.last_key_value().map_or(0, |(id, _)| *id);
    // One that is not listed was deleted after its records were carried over.
    let is_moved = |id: &u64| {
        listed.get(id).copied().unwrap_or(!told.is_unsure)
            && !told.moved.contains(id)
            && !told.numbers.contains(id)
    };
    let moved: Vec<u64> = (1..=highest).filter(is_moved).collect();
    if !moved.is_empty() {
        let note = json!({"event": "compact", "packs": moved});
        ledgers.put((NO_JOB, NO_PROJECT), &note, now);
    }
    Ok(())
}

/// Traces, in their order, and then what became of jobs.
async fn add_logs(store: &Store, told: &Told, ledgers: &mut Ledgers) -> Result<(), StoreError> {
    let fetched: BTreeMap<TraceId, (i64, ProjectId)> = store
        .catalogue
        .fetched_at()
        .await?
        .into_iter()
        .map(|(id, at, of)| (id, (at, of)))
        .collect();
    let mut untold = BTreeSet::new();
    let mut after = TraceId(0);
    loop {
        let rows = store.catalogue.traces_after(after, ROWS_AT_ONCE).await?;
        let Some((last, _)) = rows.last() else { break };
        after = *last;
        for (id, row) in rows {
            let row = row?;
            if told.traces.contains(&id.0) {
                continue;
            }
            let (fetched_at, project) = fetched.get(&id).copied().unwrap_or_default();
            let at = Timestamp::from_microsecond(fetched_at).unwrap_or_default();
            ledgers.put((row.job, project), &trace_note(&row, fetched_at), at);
            untold.insert(row.job);
        }
    }
    let mut after = NO_JOB;
    loop {
        let states = store.catalogue.states_after(after, ROWS_AT_ONCE).await?;
        let Some(last) = states.last() else { return Ok(()) };
        after = last.job;
        for known in &states {
            let at_micros = u64::try_from(known.state.at.as_microsecond()).unwrap_or_default();
            // A job that was listed and not looked at yet has no note.
            let is_new = known.state.reason.is_empty() && known.state.attempts == 0;
            let is_told = told.states.contains(&(known.job.0, at_micros))
                || is_new && known.state.trace.is_none() && known.state.capture.is_none();
            if !is_told || untold.contains(&known.job) {
                for (note, at) in state_notes(known) {
                    ledgers.put((known.job, known.project), &note, at);
                }
            }
        }
    }
}

fn trace_note(row: &TraceRow, fetched_at: i64) -> Value {
    let mut note = json!({"event": "trace", "trace": row.id.0, "fetched_at": fetched_at,
        "state": "archived", "reason": "", "settled": true, "raw_bytes": row.raw_bytes,
        "lines": row.lines, "frames": row.frames.len()});
    if row.has_hash() {
        note["blake3"] = json!(blake3::Hash::from_bytes(row.hash).to_hex().as_str());
    }
    if row.frames.iter().any(|frame| !frame.open.is_empty()) {
        note["open"] = row.frames.iter().map(|frame| json!(frame.open)).collect();
    }
    note
}

/// Says what became of a job, each fact at its time.
fn state_notes(known: &KnownState) -> Vec<(Value, Timestamp)> {
    let state = &known.state;
    let note = || {
        let mut note = json!({"event": "state", "state": state.state.as_str(), "reason": state.reason,
            "settled": state.next_at.is_none()});
        if let Some(at) = state.next_at {
            note["next_at"] = at.as_microsecond().into();
            note["attempts"] = state.attempts.into();
        }
        if let Some(capture) = state.capture {
            note["capture"] = capture.into();
        }
        note
    };
    let mut notes = Vec::new();
    for (key, at) in [("gone", state.gone_at), ("erased", state.erased_seen_at)] {
        let Some(at) = at else { continue };
        let mut fact = note();
        fact[key] = true.into();
        notes.push((fact, at));
    }
    notes.push((note(), state.at));
    notes
}

/// Files, and what became of artifacts.
async fn add_artifacts(
    store: &Store,
    told: &Told,
    ledgers: &mut Ledgers,
    now: Timestamp,
) -> Result<(), StoreError> {
    let hex = |hash: &[u8; 32]| blake3::Hash::from_bytes(*hash).to_hex().to_string();
    let mut after = [0; 32];
    loop {
        let blobs = store.catalogue.blobs_after(after, ROWS_AT_ONCE).await?;
        let Some(last) = blobs.last() else { break };
        after = last.hash;
        for blob in blobs.iter().filter(|blob| !told.blobs.contains(&hex(&blob.hash))) {
            let chunks: Vec<String> = blob.chunks.iter().map(hex).collect();
            let note = json!({"event": "blob", "blake3": hex(&blob.hash), "bytes": blob.bytes,
                "chunks": chunks});
            ledgers.put((NO_JOB, NO_PROJECT), &note, now);
        }
    }
    let mut after = NO_JOB;
    loop {
        let states = store.catalogue.artifact_states_after(after, ROWS_AT_ONCE).await?;
        let Some(last) = states.last() else { return Ok(()) };
        after = last.job;
        for known in &states {
            let at_micros = u64::try_from(known.at.as_microsecond()).unwrap_or_default();
            let is_new = known.state == "pending" && known.reason.is_empty() && known.attempts == 0;
            if !is_new && !told.artifacts.contains(&(known.job.0, at_micros)) {
                ledgers.put((known.job, known.project), &artifacts_note(known), known.at);
            }
        }
    }
}

fn artifacts_note(known: &KnownArtifacts) -> Value {
    let mut note = json!({"event": "artifacts", "state": known.state, "reason": known.reason,
        "settled": known.level.as_str()});
    if let Some(at) = known.next_at {
        note["next_at"] = at.into();
        note["attempts"] = known.attempts.into();
    }
    if let Some(hash) = known.archive.as_deref().and_then(|bytes| bytes.try_into().ok()) {
        note["archive"] = json!(blake3::Hash::from_bytes(hash).to_hex().as_str());
    }
    let files = known.files.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(files) = files {
        note["files"] = files;
    }
    note
}
