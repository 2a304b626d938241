//! Bringing the index up to the packs: after a crash what is missing, after its loss everything.

use std::path::{Path, PathBuf};

use anyhow::Context;
use jobvault_index::{self as index, Index};

use crate::model::JobId;
use crate::store::{Store, TraceId, TraceRow};
use crate::trace;

/// Traces read from the catalogue at once.
const TRACES_AT_ONCE: u32 = 200;
/// The index is committed after this many bytes of text.
const COMMIT_BYTES: u64 = 256 * 1024 * 1024;

/// What was indexed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Traces of which all is indexed.
    pub traces: u64,
    /// Jobs of traces of which a piece cannot be read.
    pub unread: Vec<JobId>,
}

/// Indexes the traces that were stored after the index was last committed. Returns how many.
pub async fn catch_up(store: &Store, index: &mut Index) -> anyhow::Result<u64> {
    let after = TraceId(index.through());
    if store.catalogue().traces_after(after, 1).await?.is_empty() {
        return Ok(0);
    }
    Ok(add_after(store, index, after, |_, _| {}).await?.traces)
}

/// Merges the parts of the index into as few as may be, which is smallest. Where there is no index there is nothing to
/// do. Returns whether it changed anything.
pub async fn merge(store: &Store) -> anyhow::Result<bool> {
    merge_at(store.index_dir()).await
}

async fn merge_at(dir: PathBuf) -> anyhow::Result<bool> {
    let work = move || match Index::open(&dir) {
        Err(index::Error::Missing { .. }) => Ok(false),
        opened => {
            let mut writer = opened?.writer()?;
            let merged = writer.merge()?;
            writer.finish()?;
            Ok(merged)
        }
    };
    let merged: Result<bool, index::Error> = tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
    merged.context("merge the full-text index")
}

/// Makes the index anew from the packs. `progress` is called with traces and bytes so far.
///
/// A piece of a trace that cannot be read is named in a warning, and every search reads it; `verify` says what is wrong
/// with it.
pub async fn reindex(
    store: &Store,
    progress: impl FnMut(u64, u64),
) -> anyhow::Result<(Index, Indexed)> {
    let indexed = build_beside(store, progress).await?;
    put_in_place(store)?;
    Ok((Index::open(&store.index_dir())?, indexed))
}

/// Where an index is made before it takes the place of the old one.
fn beside(store: &Store) -> PathBuf {
    store.tmp_dir().join("index")
}

/// Makes the index anew beside the old one, which serves meanwhile.
pub(super) async fn build_beside(
    store: &Store,
    progress: impl FnMut(u64, u64),
) -> anyhow::Result<Indexed> {
    let dir = beside(store);
    remove(&dir)?;
    let mut index = Index::create(&dir).context("create the full-text index")?;
    let indexed = add_after(store, &mut index, TraceId(0), progress).await?;
    merge_at(dir).await?;
    Ok(indexed)
}

/// Takes the old index away. Stopped before the new one is in its place, there is none, which whoever searches is told.
pub(super) fn set_aside(store: &Store) -> anyhow::Result<()> {
    let (dir, aside) = (store.index_dir(), store.tmp_dir().join("old-index"));
    remove(&aside)?;
    match std::fs::rename(&dir, &aside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("move {} aside", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Puts the index made beside in the place of the old one.
pub(super) fn put_in_place(store: &Store) -> anyhow::Result<()> {
    set_aside(store)?;
    let dir = store.index_dir();
    std::fs::rename(beside(store), &dir).with_context(|| format!("write {}", dir.display()))?;
    remove(&store.tmp_dir().join("old-index"))
}

fn remove(dir: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

async fn add_after(
    store: &Store,
    index: &mut Index,
    mut after: TraceId,
    mut progress: impl FnMut(u64, u64),
) -> anyhow::Result<Indexed> {
    let mut writer = index.writer()?;
    let (mut traces, mut bytes, mut uncommitted) = (0, 0, 0);
    let mut unread = Vec::new();
    loop {
        let rows = store.catalogue().traces_after(after, TRACES_AT_ONCE).await?;
        let Some((last, _)) = rows.last() else { break };
        for (_, row) in &rows {
            match row {
                Ok(row) => {
                    match add_trace(store, &mut writer, row)? {
                        true => traces += 1,
                        false => unread.push(row.job),
                    }
                    bytes += row.raw_bytes;
                    uncommitted += row.raw_bytes;
                }
                Err(e) => tracing::warn!("Not indexed: {e}"),
            }
        }
        after = *last;
        if uncommitted >= COMMIT_BYTES {
            writer.commit(after.0).context("commit the full-text index")?;
            uncommitted = 0;
        }
        progress(traces, bytes);
    }
    writer.commit(after.0).context("commit the full-text index")?;
    writer.finish().context("finish the full-text index")?;
    index.reload()?;
    Ok(Indexed { traces, unread })
}

/// Adds a trace to the index. Returns false where some of it cannot be read.
fn add_trace(store: &Store, writer: &mut index::Writer, row: &TraceRow) -> anyhow::Result<bool> {
    let mut text = trace::Plain::default();
    let mut is_whole = true;
    for document in row.documents() {
        let first = document.start as u32;
        let mut raw = Vec::new();
        let read =
            document.into_iter().try_for_each(|frame| store.append_piece(row, frame, &mut raw));
        if let Err(e) = read {
            // Searched as if it held everything: what cannot be read is said then, and not taken for without a hit.
            tracing::warn!(job.id = %row.job, "Not indexed, a frame of job {}: {e}", row.job);
            writer.add_unread(row.job.0, row.id.0, first).context("add to the full-text index")?;
            is_whole = false;
            continue;
        }
        trace::plain_into(&raw, &mut text);
        writer
            .add(index::Document {
                job: row.job.0,
                trace: row.id.0,
                frame: first,
                text: text.text(),
            })
            .context("add to the full-text index")?;
    }
    Ok(is_whole)
}
