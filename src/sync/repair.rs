//! Repairing an archive from the server: what was damaged and is still served there is fetched again.
//!
//! A trace whose bytes are the very same takes its old place. Where the server's is another by now, the rule of a sync
//! decides: a longer one supersedes, a shorter one does not. What is gone upstream stays as it is, and is named.

use anyhow::Context;
use jobvault_index::Index;
use tokio_util::sync::CancellationToken;

use super::decide::{digest, item};
use super::run::{Run, reason};
use super::spool::Spool;
use super::writer::{Listed, Message};
use super::{Options, begin, check_host, written};
use crate::gitlab::{self, Client};
use crate::model::{JobId, ProjectId};
use crate::store::catalogue::ProjectRow;
use crate::store::repair::Repair;
use crate::store::{CatalogueError, JobRow, Store, TraceRow};

/// What became of a damaged job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repaired {
    /// The same bytes are stored again.
    Same,
    /// The server's log is another by now, and the archive holds that one too.
    Newer,
    /// Its document was fetched again; its log was well.
    Document,
    /// It cannot be repaired, for the reason given.
    Lost(String),
    /// It could not be tried, for the reason given; another time it may work.
    Failed(String),
}

/// Repairs jobs as far as the server still has them, and tells of each one.
///
/// # Errors
///
/// Where no other job could be repaired either: the archive is of another server or cannot be written, the server
/// refuses the token or is gone.
pub async fn repair(
    store: &Store,
    index: &mut Index,
    client: &Client,
    options: Options,
    jobs: &[JobId],
    mut tell: impl FnMut(JobId, &Repaired),
) -> anyhow::Result<Vec<(JobId, Repaired)>> {
    check_host(store, &options).await?;
    let mut done = Vec::new();
    let mut others = Vec::new();
    let mut repair = Repair::new(store).await?;
    for job in jobs {
        let now = (options.clock)();
        let outcome = match of_job(store, client, &mut repair, *job, now).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => {
                others.push(*job);
                continue;
            }
            Err(e) => match e.downcast::<gitlab::Error>() {
                Ok(e) if is_hopeless(&e) => return Err(e.into()),
                Ok(e) => Repaired::Failed(reason(&e)),
                Err(e) => return Err(e),
            },
        };
        tell(*job, &outcome);
        done.push((*job, outcome));
    }
    repair.commit((options.clock)()).await?;
    drop(repair);
    if !others.is_empty() {
        for (job, outcome) in again(store, index, client, options, &others).await? {
            tell(job, &outcome);
            done.push((job, outcome));
        }
    }
    Ok(done)
}

/// Every further job would fail alike.
fn is_hopeless(error: &gitlab::Error) -> bool {
    use gitlab::Error::{Connect, Tls, Unauthorized};
    matches!(error, Connect { .. } | Tls { .. } | Unauthorized { .. })
}

/// Stores a job's damaged traces again where the server has the very bytes. `None` where it is to be synced anew.
async fn of_job(
    store: &Store,
    client: &Client,
    repair: &mut Repair,
    job: JobId,
    now: jiff::Timestamp,
) -> anyhow::Result<Option<Repaired>> {
    let Some(row) = store.catalogue().job(job).await? else {
        let reason = "the catalogue has no row of it; jobvault rebuild makes it anew";
        return Ok(Some(Repaired::Lost(reason.to_owned())));
    };
    if let Err(CatalogueError::Row { .. }) = store.catalogue().trace_of(&row).await {
        let reason = "the catalogue's row of its log is damaged; jobvault rebuild makes it anew";
        return Ok(Some(Repaired::Lost(reason.to_owned())));
    }
    let damaged = Repair::damaged(store, job).await?;
    if damaged.is_empty() {
        return Ok(None);
    }
    let mut spool = Spool::new(&store.tmp_dir());
    match client.trace(row.project, job, &mut spool).await {
        Ok(head) if head.bytes == 0 => {
            return Ok(Some(Repaired::Lost("the server has no log of it any more".to_owned())));
        }
        Ok(_) => {}
        Err(gitlab::Error::NotFound { .. }) => {
            return Ok(Some(Repaired::Lost("it is gone upstream".to_owned())));
        }
        Err(e) => return Err(e.into()),
    }
    let project = row.project;
    let same = put_same(repair, &damaged, project, &mut spool, now).await?;
    let current = damaged.iter().find(|trace| Some(trace.id) == row.trace);
    let document = store.document(job).await;
    Ok(match current {
        Some(current) if !same.contains(&current.id) => None,
        _ if matches!(&document, Ok(None)) => None,
        _ if matches!(&document, Err(e) if e.is_damage()) => None,
        _ if same.is_empty() => {
            let reason = "of a trace that a later one superseded, the server has nothing";
            Some(Repaired::Lost(reason.to_owned()))
        }
        _ => Some(Repaired::Same),
    })
}

async fn put_same(
    repair: &mut Repair,
    damaged: &[TraceRow],
    project: ProjectId,
    spool: &mut Spool,
    now: jiff::Timestamp,
) -> anyhow::Result<Vec<crate::store::TraceId>> {
    let mut same = Vec::new();
    for trace in damaged {
        let raw = spool.rewind().context("read the fetched trace back")?;
        if repair.put(trace, project, raw, now).await? {
            same.push(trace.id);
        }
    }
    Ok(same)
}

/// Fetches documents and logs of jobs as a sync does.
async fn again(
    store: &Store,
    index: &mut Index,
    client: &Client,
    options: Options,
    jobs: &[JobId],
) -> anyhow::Result<Vec<(JobId, Repaired)>> {
    store.load_names().await?;
    let before = store.catalogue().jobs_by_id(jobs).await?;
    let stop = CancellationToken::new();
    let (run, inbox) = begin(store, index, client, options, &stop).await?;
    let failed = written(&run, inbox, index, fetch(&run, &before)).await?;
    let stats = run.finish(false, std::time::Duration::ZERO)?;
    store.load_names().await?;
    let mut done = Vec::new();
    for old in &before {
        let stats = stats.failed.iter().filter(|f| f.job == Some(old.id));
        let failed = failed.iter().filter(|(job, _)| *job == old.id).map(|(_, reason)| reason);
        let outcome = match stats.map(|f| &f.reason).chain(failed).next() {
            Some(reason) => Repaired::Failed(reason.clone()),
            None => outcome(store, old).await?,
        };
        done.push((old.id, outcome));
    }
    Ok(done)
}

/// Asks for each job and its log. Returns those that failed.
async fn fetch(run: &Run, rows: &[JobRow]) -> anyhow::Result<Vec<(JobId, String)>> {
    let projects = run.store.catalogue().projects().await?;
    let mut failed = Vec::new();
    for row in rows {
        match run.client.job(row.project, row.id).await {
            Ok(received) => {
                let now = run.server_now();
                let item = item(&received.value, row.project, Some(row), None, now);
                let project = projects.iter().find(|p| p.id == row.project).cloned();
                put_document(run, project, received).await;
                let damaged = Repair::damaged(&run.store, row.id).await?;
                if damaged.iter().any(|trace| Some(trace.id) == row.trace) {
                    run.queue.push(item, now);
                }
            }
            Err(e) => failed.push((row.id, reason(&e))),
        }
    }
    run.queue.close();
    run.fetch_all().await;
    Ok(failed)
}

async fn put_document(
    run: &Run,
    project: Option<ProjectRow>,
    received: gitlab::Received<crate::model::Job>,
) {
    let Some(project) = project else { return };
    let digest = digest(&received.value);
    let listed = Listed { received, digest, changed: true, state: None, postponed: None };
    run.send(Message::Jobs { project, listed: vec![listed] }).await;
}

/// Looks at what the archive holds by now.
async fn outcome(store: &Store, old: &JobRow) -> anyhow::Result<Repaired> {
    let Some(row) = store.catalogue().job(old.id).await? else {
        return Ok(Repaired::Lost("the catalogue has no row of it".to_owned()));
    };
    let damaged = Repair::damaged(store, old.id).await?;
    if row.trace != old.trace {
        return Ok(Repaired::Newer);
    }
    if damaged.iter().any(|trace| Some(trace.id) == row.trace) {
        let reason = "the server's log is another by now, and no longer than what was stored";
        return Ok(Repaired::Lost(reason.to_owned()));
    }
    match store.document(old.id).await {
        Ok(Some(_)) => Ok(Repaired::Document),
        Ok(None) => Ok(Repaired::Lost("the archive holds no document of it".to_owned())),
        Err(e) if e.is_damage() => Ok(Repaired::Lost("its document cannot be read".to_owned())),
        Err(e) => Err(e.into()),
    }
}
