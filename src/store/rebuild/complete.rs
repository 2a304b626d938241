//! The end of a rebuild: what ledgers do not tell, because records are lost, is told by what else there is.
//!
//! Where packs are damaged, the old catalogue knows jobs whose documents are lost. A log without any record of its job
//! still gets a row, so that it can be read; a log without its note is joined to its job; a project without its note is
//! named by the addresses of its jobs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::old::{Carried, Old};
use super::{Numbered, Rebuilt};
use crate::model::{Job, JobId, ProjectId, Runner};
use crate::store::catalogue::{JobState, Listing, ProjectRow, Writes};
use crate::store::check::Damage;
use crate::store::packs::Kind;
use crate::store::{HOST_KEY, JobRow, Store, StoreError, TraceId, TraceRow};

/// Why a job is fetched again whose trace was noted but is in no pack.
const LOST: &str = "its trace is not in the archive";
/// What is said of a log that no note tells of.
const FOUND: &str = "its note is lost; the log was found in a pack";
/// What is said of a job without its document.
const NO_DOCUMENT: &str = "no pack that can be read holds its document";
/// Logs read from the catalogue at once.
const TRACES_AT_ONCE: u32 = 1000;
/// Rows carried over in one transaction.
const JOBS_AT_ONCE: usize = 1000;

/// Completes the rows of a new catalogue. `old` is the catalogue before it, where packs are damaged.
pub(super) async fn complete(
    store: &Store,
    numbered: &[Numbered],
    old: Option<&Old>,
    found: &mut Rebuilt,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(old) = old {
        carry_over(store, old, found).await?;
    }
    add_jobs(store, numbered, found, now).await?;
    add_projects(store, now).await?;
    store.catalogue.join_found(FOUND).await?;
    store.catalogue.reopen_lost(LOST, now).await?;
    hash_logs(store).await
}

/// Carries over what the old catalogue says of jobs that no document tells of, or whose log no note does.
async fn carry_over(store: &Store, old: &Old, found: &mut Rebuilt) -> Result<(), StoreError> {
    let known: BTreeSet<JobId> = store.catalogue.job_numbers().await?.into_iter().collect();
    let logs: BTreeSet<JobId> = store.catalogue.jobs_with_log().await?.into_iter().collect();
    // A row of it that cannot be read tells nothing.
    let Ok((mut jobs, with_log)) = old.jobs().await else { return Ok(()) };
    jobs.retain(|job| !known.contains(job));
    jobs.extend(with_log.into_iter().filter(|job| known.contains(job) && !logs.contains(job)));
    let there: BTreeSet<ProjectId> =
        store.catalogue.projects().await?.into_iter().map(|project| project.id).collect();
    let mut projects = old.projects().await.unwrap_or_default();
    projects.retain(|project| !there.contains(&project.id));
    for project in &mut projects {
        // Its jobs are listed again.
        project.newest_job = JobId(0);
    }
    store.catalogue.write(&Writes { projects, ..Writes::default() }).await?;
    for some in jobs.chunks(JOBS_AT_ONCE) {
        let mut writes = Writes::default();
        for Carried { row, noted } in old.rows(some).await.unwrap_or_default() {
            let mut trace = None;
            if let Some(noted) = &noted {
                trace = store.catalogue.put_noted(noted).await?;
            }
            let is_new = !known.contains(&row.id);
            let what = match (is_new, row.trace.is_some() && trace.is_none()) {
                (true, false) => {
                    Some(format!("{NO_DOCUMENT}; what the catalogue knew of it is kept"))
                }
                (true, true) => Some(format!("{NO_DOCUMENT} or its log")),
                (false, true) => Some("no pack that can be read holds its log".to_owned()),
                (false, false) => None,
            };
            let damage = |what| Damage { job: Some(row.id), pack: None, what };
            found.damaged.extend(what.map(damage));
            let state = JobState {
                state: row.state,
                reason: row.reason.clone(),
                at: row.state_at,
                next_at: row.next_at,
                attempts: row.attempts,
                trace,
                capture: None,
                gone_at: row.gone_at,
                erased_seen_at: None,
            };
            writes.states.insert(row.id, state);
            if is_new {
                writes.listings.insert(row.id, listing(row));
            }
        }
        store.catalogue.write(&writes).await?;
    }
    Ok(())
}

/// Makes a listing of a row, without a document.
fn listing(row: JobRow) -> Listing {
    let named = |description| Runner { description: Some(description), ..Runner::default() };
    let job = Job {
        id: row.id,
        pipeline: row.pipeline,
        name: Some(row.name),
        stage: Some(row.stage),
        status: Some(row.status.as_str().into()),
        git_ref: Some(row.git_ref),
        tag: Some(row.tag),
        sha: Some(row.sha),
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        erased_at: row.erased_at,
        duration: row.duration,
        failure_reason: row.failure_reason,
        web_url: Some(row.web_url),
        user: row.user,
        runner: row.runner.map(named),
        artifacts_expire_at: row.artifacts_expire_at,
        ..Job::default()
    };
    Listing {
        job,
        project: row.project,
        artifacts: row.artifacts,
        // No document has it: the next one is news.
        digest: 0,
        doc: None,
        bridge: row.bridge,
        downstream: row.downstream,
        at: row.state_at,
    }
}

/// Gives each log a job, where no record tells of one: without a row nobody finds it.
async fn add_jobs(
    store: &Store,
    numbered: &[Numbered],
    found: &mut Rebuilt,
    now: Timestamp,
) -> Result<(), StoreError> {
    let without: BTreeSet<JobId> = store.catalogue.logs_without_job().await?.into_iter().collect();
    if without.is_empty() {
        return Ok(());
    }
    let mut projects: BTreeMap<JobId, u64> = BTreeMap::new();
    for pack in numbered {
        let entries = pack.footer(&store.packs)?.entries;
        let frames = entries.iter().filter(|e| e.kind == Kind::Frame);
        let places = frames.map(|e| (JobId(e.place.job), e.place.project));
        projects.extend(places.filter(|(job, _)| without.contains(job)));
    }
    let mut writes = Writes::default();
    for (id, project) in projects {
        let what = format!("{NO_DOCUMENT}; its log can be read by its id");
        found.damaged.push(Damage { job: Some(id), pack: None, what });
        let listing = Listing {
            job: Job { id, ..Job::default() },
            project: ProjectId(project),
            artifacts: None,
            digest: 0,
            doc: None,
            bridge: false,
            downstream: None,
            at: now,
        };
        writes.listings.insert(id, listing);
    }
    Ok(store.catalogue.write(&writes).await?)
}

/// Gives each job a project, where no note tells of one: without its row no job of it is found.
async fn add_projects(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let missing = store.catalogue.projects_missing().await?;
    if missing.is_empty() {
        return Ok(());
    }
    let host = store.catalogue.meta(HOST_KEY).await?.unwrap_or_default();
    let row = |(id, job_url): (ProjectId, Option<String>)| {
        let web_url = job_url.as_deref().and_then(|url| Some(url.rsplit_once("/-/jobs/")?.0));
        let path = web_url.and_then(|url| path_of(url, &host)).filter(|path| !path.is_empty());
        ProjectRow {
            id,
            path: path.map_or_else(|| format!("project {id}"), str::to_owned),
            // Under this address GitLab shows a project by its number.
            web_url: web_url.map_or_else(|| format!("{host}/projects/{id}"), str::to_owned),
            seen_at: now,
            newest_job: JobId(0),
        }
    };
    let projects = missing.into_iter().map(row).collect();
    Ok(store.catalogue.write(&Writes { projects, ..Writes::default() }).await?)
}

/// Returns the path of a project out of its address, which may stand below a path of the server's.
fn path_of<'a>(web_url: &'a str, host: &str) -> Option<&'a str> {
    let below = web_url.strip_prefix(host.trim_end_matches('/')).filter(|_| host.contains("://"));
    below.and_then(|path| path.strip_prefix('/')).or_else(|| {
        let (_, behind) = web_url.split_once("://")?;
        behind.split_once('/').map(|(_, path)| path)
    })
}

/// Hashes the logs of several frames of which no note tells the hash. One that cannot be read stays without.
async fn hash_logs(store: &Store) -> Result<(), StoreError> {
    let mut after = TraceId(0);
    loop {
        let traces = store.catalogue.traces_unnoted(after, TRACES_AT_ONCE).await?;
        let Some(last) = traces.last() else { return Ok(()) };
        after = last.id;
        // The hash of an only frame is that of the log.
        for trace in traces.into_iter().filter(|trace| trace.frames.len() > 1) {
            let reader = store.clone();
            let hashed = tokio::task::spawn_blocking(move || hashed(&reader, trace))
                .await
                .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
            match hashed {
                Ok(trace) => store.catalogue.put_hash(&trace).await?,
                Err(e) if e.is_of_one_pack() => {}
                Err(e) => return Err(e),
            }
        }
    }
}

fn hashed(store: &Store, trace: TraceRow) -> Result<TraceRow, StoreError> {
    let mut hasher = blake3::Hasher::new();
    for frame in &trace.frames {
        hasher.update(&store.read_frame(frame)?);
    }
    Ok(TraceRow { hash: *hasher.finalize().as_bytes(), ..trace })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_project_follows_from_its_address() {
        let below = "https://example.com/gitlab";
        for (url, host, path) in [
            (
                "https://gitlab.com/group/sub/project",
                "https://gitlab.com",
                Some("group/sub/project"),
            ),
            ("https://example.com/gitlab/group/project", below, Some("group/project")),
            (
                "https://other.example.com/group/project",
                "https://gitlab.com",
                Some("group/project"),
            ),
            ("https://gitlab.com/group/project", "", Some("group/project")),
            ("group/project", "https://gitlab.com", None),
        ] {
            assert_eq!(path_of(url, host), path, "{url}");
        }
    }
}
