//! Searching while a sync goes on, and after the index was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sync::server_with;
use crate::util::archive::Archive;
use crate::util::gitlab::FakeGitLab;

/// Jobs of the server; enough for several packs and commits of the index.
const JOBS: u64 = 400;
/// Searches that go on at once beside the sync.
const SEARCHERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn searches_beside_a_sync_only_ever_find_more() {
    let mut data = server_with(0);
    for id in 1..=JOBS {
        data = data.job(
            crate::sync::PROJECT,
            crate::util::gitlab::job_doc(id, id, "build", "success"),
            crate::sync::log(id),
        );
    }
    let server = FakeGitLab::start(data);
    let archive = Arc::new(Archive::new());
    // Something must be there to be opened.
    drop(archive.open().await.unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let searchers: Vec<_> = (0..SEARCHERS)
        .map(|_| {
            let (archive, done) = (archive.clone(), done.clone());
            tokio::spawn(async move {
                let mut before = 0;
                let mut rounds = 0;
                loop {
                    let last = done.load(Ordering::Acquire);
                    let hits = archive.search("job succeeded").await;
                    assert!(hits.len() >= before, "{} hits became {}", before, hits.len());
                    assert!(
                        hits.windows(2).all(|two| two[0].0 > two[1].0),
                        "newest first, each once"
                    );
                    assert!(hits.iter().all(|(_, line)| *line == 3));
                    before = hits.len();
                    rounds += 1;
                    if last {
                        return (before, rounds);
                    }
                }
            })
        })
        .collect();
    archive.sync(&server, "group/project").await.unwrap();
    done.store(true, Ordering::Release);
    for searcher in searchers {
        let (found, rounds) = searcher.await.unwrap();
        assert_eq!(found as u64, JOBS);
        assert!(rounds > 0);
    }
}

#[tokio::test]
async fn an_index_built_anew_gives_the_same_answers() {
    let server = FakeGitLab::start(server_with(60));
    let archive = Archive::new();
    archive.sync(&server, "group/project").await.unwrap();
    let queries =
        ["done", "unique-1", "/unique-[0-9]$/ OR \"nique-33\"", "MAKE", "-\"unique-7\" done"];
    let mut before = Vec::new();
    for query in queries {
        before.push(archive.search(query).await);
    }
    assert!(before.iter().all(|hits| !hits.is_empty() || hits.len() < 60));
    let store = archive.store().await;
    std::fs::remove_dir_all(store.index_dir()).unwrap();
    let (writing, _) = archive.open().await.unwrap();
    jobvault::sync::reindex(&writing, |_, _| {}).await.unwrap();
    writing.close().await;
    for (query, before) in queries.iter().zip(before) {
        assert_eq!(archive.search(query).await, before, "{query}");
    }
}
