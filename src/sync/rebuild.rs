//! Rebuilding an archive from its packs alone: a new catalogue and a new index beside the old ones, then the switch.
//!
//! Reads job documents as a sync does, so that a job listed again after it is no news. Fails where the packs cannot be
//! listed or the new files cannot be written; until the switch the old ones stand.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;

use super::decide::{bridge_digest, digest};
use super::reindex::{build_beside, put_in_place, set_aside};
use super::writer::artifacts;
use crate::gitlab::{read_bridge, read_job};
use crate::store::check::Damage;
use crate::store::packs::ledger::RecordKind;
use crate::store::rebuild::{ParsedJob, Rebuilt, build};

/// Which part of a rebuild is under way, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuilding {
    /// The catalogue: packs read, and packs there are.
    Catalogue(u64, u64),
    /// The index: logs indexed, and their bytes.
    Index(u64, u64),
}

/// Makes catalogue and index of the archive at `root` anew.
///
/// # Errors
///
/// [`crate::store::StoreError`] where the archive is being written to, or cannot be read or written.
pub async fn rebuild(
    root: &Path,
    now: Timestamp,
    mut progress: impl FnMut(Rebuilding),
) -> anyhow::Result<Rebuilt> {
    let built = build(root, parse, now, |done, all| progress(Rebuilding::Catalogue(done, all)));
    let built = built.await?;
    let built_index =
        build_beside(built.store(), |logs, bytes| progress(Rebuilding::Index(logs, bytes)));
    let indexed = built_index.await?;
    let store = built.store().clone();
    // An index beside a catalogue that it was not made of would miss hits in silence; none at all is told.
    set_aside(&store)?;
    let mut rebuilt = built.put_in_place().await?;
    put_in_place(&store)?;
    let named: BTreeSet<_> = rebuilt.damaged.iter().filter_map(|damage| damage.job).collect();
    let unread = indexed.unread.into_iter().filter(|job| !named.contains(job));
    rebuilt.damaged.extend(unread.map(|job| {
        let what = "its log cannot be read; jobvault verify says why".to_owned();
        Damage { job: Some(job), pack: None, what }
    }));
    Ok(rebuilt)
}

fn parse(kind: RecordKind, document: &[u8]) -> Option<ParsedJob> {
    if kind == RecordKind::Bridge {
        let bridge = read_bridge(document)?;
        let downstream = bridge.downstream.map(|pipeline| (pipeline.project, pipeline.id));
        let digest = bridge_digest(&bridge.job, downstream.map(|(_, id)| id));
        return Some(ParsedJob { job: bridge.job, artifacts: None, digest, downstream });
    }
    let job = read_job(document)?;
    let (artifacts, digest) = (artifacts(&job), digest(&job));
    Some(ParsedJob { job, artifacts, digest, downstream: None })
}
