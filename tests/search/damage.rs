//! A damaged index: told, with the command that builds it anew, or of no consequence.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jobvault::cli::hint::Report;
use jobvault::search::{Found, Options, search};
use jobvault::store::Store;
use jobvault_index::{Case, Index, Query};

use crate::sync::server_with;
use crate::util::archive::Archive;
use crate::util::gitlab::FakeGitLab;

/// Places flipped in each file.
const PLACES: usize = 12;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// Returns the hits of some queries, or the first error.
async fn answers(store: &Store) -> anyhow::Result<Vec<(u64, u64)>> {
    let index = Index::open(&store.index_dir())?;
    let mut hits = Vec::new();
    for text in ["unique-17 done", "NIQUE-2", "/succeede?d/", "make 3"] {
        let query = Query::parse(&[text.to_owned()], Case::Smart)?;
        let options = Options::default();
        let take = |found| {
            if let Found::Hits { job, hits: found, .. } = found {
                hits.extend(found.iter().map(|hit| (job.id.0, hit.line)));
            }
            std::ops::ControlFlow::Continue(())
        };
        search(store, &index, &query, &options, Timestamp::now(), take).await?;
    }
    Ok(hits)
}

#[tokio::test]
async fn damage_to_the_index_is_never_a_panic_and_never_a_hit_that_is_none() {
    let server = FakeGitLab::start(server_with(40));
    let archive = Archive::new();
    archive.sync(&server, "group/project").await.unwrap();
    let store = archive.store().await;
    let dir = store.index_dir();
    let whole = answers(&store).await.unwrap();
    assert!(whole.len() > 40);
    let mut told = 0;
    for path in files(&dir) {
        let bytes = std::fs::read(&path).unwrap();
        for place in (0..PLACES).map(|n| n * bytes.len() / PLACES) {
            let mut damaged = bytes.clone();
            let Some(byte) = damaged.get_mut(place) else { continue };
            *byte ^= 0x55;
            std::fs::write(&path, damaged).unwrap();
            match answers(&store).await {
                Ok(hits) => {
                    // Every hit was read and matched, whatever the index said.
                    assert!(hits.iter().all(|hit| whole.contains(hit)), "{path:?} at {place}");
                    if hits != whole {
                        let verified = Index::open(&dir).and_then(|index| index.verify());
                        assert!(
                            !verified.is_ok_and(|files| files.is_empty()),
                            "{path:?} at {place}"
                        );
                    }
                }
                Err(error) => {
                    let report = Report::of(&error).unwrap();
                    let hint = report.hint.unwrap_or_default();
                    assert!(
                        hint.contains("jobvault reindex"),
                        "{path:?} at {place}: {}: {hint}",
                        report.error
                    );
                    told += 1;
                }
            }
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(told > 0);
    assert_eq!(answers(&store).await.unwrap(), whole);
}
