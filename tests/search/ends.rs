//! The ends of a history under filters: the clean run is one without the text, whatever narrowed the question.

use jobvault::search::{End, History};
use serde_json::json;

use super::{ask, ask_of};
use crate::care::place;
use crate::util::archive::Archive;
use crate::util::gitlab::{Data, FakeGitLab, job_doc};

/// Jobs 1 to 6 of one name, one a day from 2025-11-10 on; those from 2 to 4 hold the message, 2, 4 and 6 failed.
async fn archive() -> (FakeGitLab, Archive) {
    let mut data = Data::default().project(7, "group/project");
    for id in 1..=6u64 {
        let mut doc = job_doc(id, 10 + id, "build", if id % 2 == 0 { "failed" } else { "success" });
        doc["finished_at"] = json!(format!("2025-11-{:02}T12:00:00Z", 9 + id));
        let text = if (2..=4).contains(&id) { "start\nboom here\n" } else { "start\nend\n" };
        data = data.job(7, doc, text);
    }
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    archive.sync(&server, "group/project").await.unwrap();
    (server, archive)
}

/// Returns the jobs at the end and of the clean run, and the runs and hits since.
fn told(history: &History) -> (u64, Option<u64>, u64, u64) {
    let clean = history.clean.as_ref().map(|job| job.id.0);
    (history.at.job.id.0, clean, history.since.runs, history.since.hits)
}

#[tokio::test]
async fn filters_move_an_end_and_never_make_a_run_clean() {
    let (_server, archive) = archive().await;
    for (text, end, wanted) in [
        ("boom", End::First, (2, Some(1), 5, 3)),
        ("boom since:2025-11-12", End::First, (3, Some(1), 4, 2)),
        ("boom status:success", End::First, (3, Some(1), 4, 2)),
        ("boom (status:success OR status:canceled)", End::First, (3, Some(1), 4, 2)),
        ("boom -(\"start\" status:failed)", End::First, (3, Some(1), 4, 2)),
        ("boom until:2025-11-11", End::Last, (2, Some(5), 4, 2)),
        ("boom status:success", End::Last, (3, Some(5), 3, 1)),
        ("start since:2025-11-13", End::First, (4, None, 3, 3)),
        ("end until:2025-11-10", End::Last, (1, Some(2), 5, 2)),
    ] {
        let history = ask(&archive, text, end).await.unwrap();
        assert_eq!(told(&history), wanted, "{text}");
        assert_eq!(history.changes.is_some(), history.clean.is_some(), "{text}");
    }
}

#[tokio::test]
async fn jobs_that_were_named_move_an_end_and_never_make_a_run_clean() {
    let (_server, archive) = archive().await;
    let first = ask_of(&archive, "boom", &[4, 5], End::First).await.unwrap();
    assert_eq!(told(&first), (4, Some(1), 3, 1));
    let last = ask_of(&archive, "boom", &[2], End::Last).await.unwrap();
    assert_eq!(told(&last), (2, Some(5), 4, 2));
    let url = last.compare_url(End::Last).unwrap();
    assert!(url.ends_with(&format!("/-/compare/{:040x}...{:040x}", 12, 15)), "{url}");
}

#[tokio::test]
async fn a_log_that_cannot_be_read_is_not_clean() {
    let (_server, archive) = archive().await;
    let (pack, at) = place(&archive.store().await, 2).await;
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[at] ^= 8;
    std::fs::write(&pack, bytes).unwrap();
    let first = ask_of(&archive, "boom", &[], End::First).await.unwrap();
    assert_eq!(told(&first), (3, Some(1), 4, 2));
    let unreadable: Vec<u64> = first.unreadable.iter().map(|(job, _)| job.0).collect();
    assert_eq!(unreadable, [2]);
    // It is left out where it would have to be counted.
    let last = ask_of(&archive, "end", &[1], End::Last).await.unwrap();
    assert_eq!(told(&last), (1, Some(2), 5, 2));
    let named = ask_of(&archive, "boom", &[3], End::First).await.unwrap();
    assert_eq!((told(&named), named.unreadable.len()), ((3, Some(1), 4, 2), 1));
}
