//! The part of a batch's transaction that is about jobs: what the server said of them, and what became of them.

use std::collections::BTreeMap;

use sqlx::{QueryBuilder, Sqlite};

use super::files;
use super::words::Words;
use super::write::{JobState, Listing, Tx, Writes, micros};
use crate::model::{Job, JobId};

/// Rows a statement inserts at once; SQLite takes at most 32,766 values in one.
const ROWS_PER_STATEMENT: usize = 500;

const LISTING_COLUMNS: &str = "INSERT INTO job_rows (id, project, pipeline, name, stage, status, ref, tag, sha, \
     created_at, started_at, finished_at, duration, erased_at, artifacts_expire_at, failure_reason, user, runner, \
     artifacts, artifact_sizes, trace_size, web_url, digest, doc_pack, doc_offset, doc_index, bridge, \
     downstream_project, downstream_pipeline, listed_at, state, reason, state_at) ";

/// A job deleted and listed again by mistake loses nothing: only what the server says is replaced.
const LISTING_CONFLICT: &str = " ON CONFLICT (id) DO UPDATE SET project = excluded.project, pipeline = excluded.pipeline, \
     name = excluded.name, stage = excluded.stage, status = excluded.status, ref = excluded.ref, tag = excluded.tag, \
     sha = excluded.sha, created_at = excluded.created_at, started_at = excluded.started_at, \
     finished_at = excluded.finished_at, duration = excluded.duration, erased_at = excluded.erased_at, \
     artifacts_expire_at = excluded.artifacts_expire_at, failure_reason = excluded.failure_reason, \
     user = excluded.user, runner = excluded.runner, artifacts = excluded.artifacts, \
     artifact_sizes = excluded.artifact_sizes, trace_size = excluded.trace_size, web_url = excluded.web_url, \
     digest = excluded.digest, doc_pack = excluded.doc_pack, doc_offset = excluded.doc_offset, \
     doc_index = excluded.doc_index, bridge = excluded.bridge, \
     downstream_project = coalesce(excluded.downstream_project, downstream_project), \
     downstream_pipeline = coalesce(excluded.downstream_pipeline, downstream_pipeline)";

/// The words of a job's row.
struct JobWords<'a> {
    job: &'a Job,
    /// The list of its files: what others share, and the sizes.
    files: Option<(String, Vec<u8>)>,
}

impl<'a> JobWords<'a> {
    fn new(listing: &'a Listing) -> Self {
        let apart = |list: &String| files::split(list).unwrap_or((list.clone(), Vec::new()));
        Self { job: &listing.job, files: listing.artifacts.as_ref().map(apart) }
    }

    /// Name, stage, status, ref.
    fn always(&self) -> [&str; 4] {
        let text = |value: &'a Option<String>| value.as_deref().unwrap_or_default();
        let status = self.job.status.as_ref().map(|s| s.as_str()).unwrap_or_default();
        [text(&self.job.name), text(&self.job.stage), status, text(&self.job.git_ref)]
    }

    /// Failure reason, user, runner, files.
    fn perhaps(&self) -> [Option<&str>; 4] {
        let runner = self.job.runner.as_ref().and_then(|r| r.description.as_deref());
        let files = self.files.as_ref().map(|(shared, _)| shared.as_str());
        [self.job.failure_reason.as_deref(), self.job.user.as_deref(), runner, files]
    }
}

/// Writes what the server said.
pub(super) async fn put_listings(tx: &mut Tx<'_>, writes: &Writes) -> Result<(), sqlx::Error> {
    let pack = writes.documents_in.or(writes.pack.as_ref().map(|p| p.id)).map(|id| id as i64);
    let rows: Vec<_> = writes.listings.values().map(|l| (l, JobWords::new(l))).collect();
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        let said = chunk
            .iter()
            .flat_map(|(_, w)| w.always().into_iter().chain(w.perhaps().into_iter().flatten()));
        let words = Words::of(tx, said.chain(["pending", ""])).await?;
        let mut sql = QueryBuilder::<Sqlite>::new(LISTING_COLUMNS);
        sql.push_values(chunk, |row, (listing, said)| push(row, listing, said, &words, pack));
        sql.push(LISTING_CONFLICT);
        sql.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}

fn push(
    mut row: sqlx::query_builder::Separated<'_, Sqlite, &'static str>,
    listing: &Listing,
    said: &JobWords<'_>,
    words: &Words,
    pack: Option<i64>,
) {
    let job = &listing.job;
    row.push_bind(job.id.0 as i64)
        .push_bind(listing.project.0 as i64)
        .push_bind(job.pipeline.map(|p| p.0 as i64));
    for word in said.always() {
        row.push_bind(words.get(word));
    }
    row.push_bind(job.tag.unwrap_or_default());
    match coded_sha(job.sha.as_deref().unwrap_or_default()) {
        Ok(bytes) => row.push_bind(bytes.to_vec()),
        Err(text) => row.push_bind(text.to_owned()),
    };
    row.push_bind(micros(job.created_at))
        .push_bind(micros(job.started_at))
        .push_bind(micros(job.finished_at))
        .push_bind(job.duration)
        .push_bind(micros(job.erased_at))
        .push_bind(micros(job.artifacts_expire_at));
    for word in said.perhaps() {
        row.push_bind(word.map(|word| words.get(word)));
    }
    let sizes = said.files.as_ref().map(|(_, sizes)| sizes.clone()).filter(|s| !s.is_empty());
    row.push_bind(sizes)
        .push_bind(job.trace_size().and_then(|n| i64::try_from(n).ok()))
        .push_bind(job.web_url.clone())
        .push_bind(listing.digest)
        .push_bind(listing.doc.and(pack))
        .push_bind(listing.doc.map(|(offset, _)| offset as i64))
        .push_bind(listing.doc.map(|(_, index)| index as i64))
        .push_bind(listing.bridge)
        .push_bind(listing.downstream.map(|(project, _)| project.0 as i64))
        .push_bind(listing.downstream.map(|(_, pipeline)| pipeline.0 as i64))
        .push_bind(listing.at.as_microsecond())
        .push_bind(words.get("pending"))
        .push_bind(words.get(""))
        .push_bind(listing.at.as_microsecond());
}

/// Returns the bytes of a commit's id as Git writes it, or what it is as it stands.
fn coded_sha(text: &str) -> Result<[u8; 20], &str> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 20];
    if text.len() != 40 {
        return Err(text);
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(text) };
        *byte = high << 4 | low;
    }
    Ok(bytes)
}

/// Writes what became of jobs.
pub(super) async fn put_states(
    tx: &mut Tx<'_>,
    states: &BTreeMap<JobId, JobState>,
) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = states.iter().collect();
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        let said = chunk.iter().flat_map(|(_, s)| [s.state.as_str(), s.reason.as_str()]);
        let words = Words::of(tx, said).await?;
        let mut sql = QueryBuilder::<Sqlite>::new(
            "WITH new (id, state, reason, at, next_at, attempts, trace, capture, gone_at, erased_seen_at) AS (",
        );
        sql.push_values(chunk, |mut row, (job, s)| {
            row.push_bind(job.0 as i64)
                .push_bind(words.get(s.state.as_str()))
                .push_bind(words.get(s.reason.as_str()))
                .push_bind(s.at.as_microsecond())
                .push_bind(micros(s.next_at))
                .push_bind(i64::from(s.attempts))
                .push_bind(s.trace.map(|t| t.0 as i64))
                .push_bind(s.capture.map(|c| c as i64))
                .push_bind(micros(s.gone_at))
                .push_bind(micros(s.erased_seen_at));
        });
        sql.push(
            ") UPDATE job_rows SET state = new.state, reason = new.reason, state_at = new.at, next_at = new.next_at, \
             attempts = new.attempts, trace = coalesce(new.trace, job_rows.trace), \
             capture = coalesce(new.capture, job_rows.capture), gone_at = coalesce(job_rows.gone_at, new.gone_at), \
             erased_seen_at = coalesce(job_rows.erased_seen_at, new.erased_seen_at) FROM new WHERE job_rows.id = new.id",
        );
        sql.build().persistent(false).execute(&mut **tx).await?;
    }
    Ok(())
}
