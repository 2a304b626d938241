//! Damage beside logs: `verify` names the cure, `repair` is it, and says first what it would do.

use super::{jobvault, place, text};
use crate::sync::{log, server_with};
use crate::util::archive::Archive;
use crate::util::gitlab::FakeGitLab;

/// Cuts the last bytes off the pack that holds a job's log.
async fn lose_footer(archive: &Archive, job: u64) {
    let (path, _) = place(&archive.store().await, job).await;
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
}

#[tokio::test]
async fn a_lost_footer_is_cured_by_the_command_that_verify_names() {
    let server = FakeGitLab::start(server_with(4));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    lose_footer(&archive, 2).await;
    let run = |args: &[&str]| jobvault(archive.path(), args);
    let verify = run(&["verify"]);
    assert_eq!(verify.status.code(), Some(1));
    assert!(text(&verify.stderr).contains("jobvault repair writes anew"), "{verify:?}");
    let dry = run(&["repair", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(1), "{dry:?}");
    assert!(text(&dry.stdout).contains("what still reads would be written anew"), "{dry:?}");
    assert_eq!(run(&["verify"]).stdout, verify.stdout, "nothing was changed");
    let done = run(&["repair"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(text(&done.stdout).contains("was written anew"), "{done:?}");
    assert!(text(&done.stderr).contains("nothing is damaged any more"), "{done:?}");
    assert_eq!(run(&["verify"]).status.code(), Some(0));
    assert!(text(&run(&["repair"]).stderr).contains("nothing is damaged"), "{done:?}");
    for job in 1..5 {
        assert_eq!(archive.raw(job).await, log(job));
    }
    let pruned = run(&["prune", "--yes", "--grace", "0s"]);
    assert!(text(&pruned.stderr).contains("1 pack deleted"), "{pruned:?}");
    assert_eq!(run(&["verify"]).status.code(), Some(0));
    assert_eq!(archive.search("job:* done").await.len(), 4);
}

#[tokio::test]
async fn lost_records_of_jobs_that_are_gone_upstream_leave_only_their_documents_named() {
    let server = FakeGitLab::start(server_with(3));
    let archive = Archive::new();
    archive.sync(&server, "7").await.unwrap();
    super::damage_records(&archive).await;
    let run = |args: &[&str]| jobvault(archive.path(), args);
    assert_eq!(run(&["repair"]).status.code(), Some(1));
    let verify = text(&run(&["verify", "--json"]).stdout);
    assert!(!verify.contains("\"job\":null"), "{verify}");
    assert_eq!(verify.matches("its document cannot be read").count(), 3, "{verify}");
    let json = text(&run(&["repair", "--json"]).stdout);
    assert_eq!(json, "", "a second run finds nothing to do");
    for job in 1..4 {
        assert_eq!(archive.raw(job).await, log(job));
    }
}
