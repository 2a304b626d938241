//! Search through the library: what it answers for an archive that was synced.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alive;
mod bounds;
mod damage;
mod ends;
mod exact;
mod questions;

use jiff::Timestamp;
use jobvault::model::JobId;
use jobvault::search::{End, History, history};
use jobvault_index::{Case, Index, Query};

use crate::util::archive::Archive;
use crate::util::gitlab::{Data, FakeGitLab, job_doc};

/// Jobs 1 to 6 of one name; the message is in 3 and 5, and job 2 was canceled.
async fn archive() -> (FakeGitLab, Archive) {
    let mut data = Data::default().project(7, "group/project");
    for id in 1..=6 {
        let status = if id == 2 { "canceled" } else { "success" };
        let doc = job_doc(id, 10 + id, "build*", status);
        let text =
            if [3, 5].contains(&id) { "ok\nlink reset by peer\nlink reset\n" } else { "ok\n" };
        data = data.job(7, doc, text);
    }
    data = data.job(7, job_doc(7, 17, "build-other", "success"), "ok\n");
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    archive.sync(&server, "group/project").await.unwrap();
    (server, archive)
}

async fn ask(archive: &Archive, text: &str, end: End) -> Option<History> {
    let found = ask_of(archive, text, &[], end).await;
    found.inspect(|history| assert!(history.unreadable.is_empty()))
}

/// As [`ask`], of some jobs alone; logs may be unreadable.
async fn ask_of(archive: &Archive, text: &str, jobs: &[u64], end: End) -> Option<History> {
    let store = archive.store().await;
    let index = Index::open(&store.index_dir()).unwrap();
    let query = Query::parse(&[text.to_owned()], Case::Smart).unwrap();
    let jobs = jobs.iter().map(|id| JobId(*id)).collect();
    let found = history(&store, &index, &query, jobs, end, Timestamp::now()).await.unwrap();
    found.inspect_err(|unreadable| assert!(unreadable.is_empty())).ok()
}

#[tokio::test]
async fn a_history_has_two_ends_and_a_clean_run_beyond_each() {
    let (_server, archive) = archive().await;
    let first = ask(&archive, "link reset", End::First).await.unwrap();
    assert_eq!((first.at.job.id.0, first.other.job.id.0), (3, 5));
    assert_eq!((first.jobs, first.lines), (2, 4));
    assert_eq!(first.at.hit.as_ref().unwrap().line, 2);
    // The canceled run says nothing.
    assert_eq!(first.clean.as_ref().unwrap().id.0, 1);
    let url = first.compare_url(End::First).unwrap();
    assert!(url.ends_with(&format!("/-/compare/{:040x}...{:040x}", 11, 13)), "{url}");
    let last = ask(&archive, "link reset", End::Last).await.unwrap();
    assert_eq!((last.at.job.id.0, last.clean.as_ref().unwrap().id.0), (5, 6));
    let url = last.compare_url(End::Last).unwrap();
    assert!(url.ends_with(&format!("/-/compare/{:040x}...{:040x}", 15, 16)), "{url}");
}

#[tokio::test]
async fn what_never_occurs_or_always_did_has_no_clean_run() {
    let (_server, archive) = archive().await;
    assert!(ask(&archive, "zyxwv", End::First).await.is_none());
    let always = ask(&archive, "ok", End::First).await.unwrap();
    assert_eq!((always.at.job.id.0, always.jobs), (1, 7));
    assert!(always.clean.is_none() && always.compare_url(End::First).is_none());
}
