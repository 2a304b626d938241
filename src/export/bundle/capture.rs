//! What the manifest says of a job: what the archive knows of it, and by whom and when that was captured.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::member::Member;
use super::{AddError, Subject};
use crate::model::JobId;
use crate::store::catalogue::Provenance;
use crate::store::{JobRow, Store, StoreError, TraceId, TraceRow};

/// A job of the catalogue.
pub(super) struct Known {
    row: JobRow,
    trace: Option<TraceRow>,
    provenance: Option<Provenance>,
}

impl Known {
    pub(super) fn path(&self) -> &str {
        &self.row.project_path
    }

    /// Reads what stands in the packs beside the log.
    pub(super) async fn subject(&self, store: &Store) -> Result<Subject<'_>, AddError> {
        let listing = store.artifact_listing(self.row.id).await?;
        Ok(Subject {
            listing: listing.and_then(|listing| serde_json::to_vec(&listing).ok()),
            row: &self.row,
            trace: self.trace.as_ref(),
            document: store.document(self.row.id).await?,
            artifacts: self.row.artifacts.as_ref().map(|list| list.clone().into_bytes()),
            provenance: self.provenance.as_ref(),
        })
    }
}

/// Reads the rows of jobs; a job whose trace has no good row gives the reason.
pub(super) async fn rows(
    store: &Store,
    jobs: &[JobId],
) -> Result<HashMap<JobId, Result<Known, String>>, StoreError> {
    let catalogue = store.catalogue();
    let rows = catalogue.jobs_by_id(jobs).await?;
    let wanted: Vec<TraceId> = rows.iter().filter_map(|row| row.trace).collect();
    let mut traces: HashMap<TraceId, TraceRow> = HashMap::new();
    for trace in catalogue.traces(&wanted).await?.into_iter().flatten() {
        traces.insert(trace.id, trace);
    }
    // A sync beside us may have stored some of them after the archive was opened.
    store.load_names().await?;
    let mut provenance: HashMap<JobId, Provenance> =
        catalogue.provenance(jobs).await?.into_iter().map(|p| (p.job, p)).collect();
    let known = rows.into_iter().map(|row| {
        let id = row.id;
        let trace = row.trace.and_then(|id| traces.remove(&id)).filter(|trace| trace.job == id);
        let known = match (row.trace, &trace) {
            (Some(_), None) => Err("the catalogue's row of its log is damaged".to_owned()),
            _ => Ok(Known { provenance: provenance.remove(&id), row, trace }),
        };
        (id, known)
    });
    Ok(known.collect())
}

/// Returns a job's entry in the manifest.
pub(super) fn describe(subject: &Subject<'_>, members: &[Member]) -> Value {
    let row = subject.row;
    let mut job = json!({
        "job": row.id,
        "project": row.project_path,
        "pipeline": row.pipeline,
        "name": row.name,
        "stage": row.stage,
        "status": row.status,
        "ref": row.git_ref,
        "sha": row.sha,
        "web_url": row.web_url,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "state": row.state.as_str(),
        "reason": row.reason,
        "state_at": row.state_at,
        "members": members.iter().map(member).collect::<Vec<_>>(),
    });
    if let Some(trace) = subject.trace {
        job["log"] = json!({"raw_bytes": trace.raw_bytes, "lines": trace.lines,
            "blake3": blake3::Hash::from_bytes(trace.hash).to_hex().as_str()});
    }
    if let Some(seen) = subject.provenance {
        job["captured"] = json!({"fetched_at": seen.fetched_at, "listed_at": seen.listed_at,
            "host": seen.host, "gitlab": seen.gitlab_version, "user": seen.user,
            "jobvault": seen.jobvault_version, "run_began_at": seen.began_at});
    }
    job
}

fn member(member: &Member) -> Value {
    let sums = &member.sums;
    let mut value = json!({"path": member.path, "bytes": sums.bytes, "sha256": sums.sha256(),
        "blake3": sums.blake3()});
    if let Some(content) = &member.content {
        value["content"] = json!({"bytes": content.bytes, "sha256": content.sha256(),
            "blake3": content.blake3()});
    }
    value
}
