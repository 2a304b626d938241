//! What a killed sync, a full disk and a medium that cannot be written leave behind: nothing wrong.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it skips"
)]

mod backup;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::sync::{PROJECT, log, server_with};
use crate::util::gitlab::{FakeGitLab, TOKEN, job_doc};

/// Kills in one test; each is at another point of the sync.
const KILLS: usize = 12;

fn jobvault(archive: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobvault"));
    command.env_clear().env("HOME", archive).env("GITLAB_TOKEN", TOKEN);
    command.arg("--archive").arg(archive).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn code(archive: &Path, args: &[&str]) -> (i32, String) {
    let output = jobvault(archive, args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Waits until the server was asked for `count` traces since it last forgot, or the sync has ended.
fn until_traces(server: &FakeGitLab, count: usize, sync: &mut Child) {
    while server.count("trace") < count && sync.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
}

#[test]
fn a_sync_killed_at_any_point_is_finished_by_the_next() {
    let server = FakeGitLab::start(server_with(600));
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let args = ["sync", "--host", server.url(), "group/project"];
    for kill in 0..KILLS {
        server.forget();
        let mut sync = jobvault(&archive, &args).spawn().unwrap();
        until_traces(&server, kill * 37, &mut sync);
        sync.kill().unwrap();
        sync.wait().unwrap();
    }
    let (last, said) = code(&archive, &args);
    assert_eq!(last, 0, "{said}");
    assert_eq!(code(&archive, &["verify"]).0, 0);
    for job in [1, 37, 299, 300, 301, 599, 600] {
        let show = jobvault(&archive, &["show", "--raw", &job.to_string()]).output().unwrap();
        assert!(show.stdout == log(job), "job {job}");
    }
    let found =
        jobvault(&archive, &["search", "--count", "--json", "Job succeeded"]).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found.trim(), r#"{"v":1,"lines":600,"jobs":600}"#);
}

#[test]
fn a_terminated_sync_keeps_what_it_fetched_and_says_so() {
    let server = FakeGitLab::start(server_with(3000));
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let args = ["sync", "--host", server.url(), "group/project"];
    let mut sync = jobvault(&archive, &args).spawn().unwrap();
    until_traces(&server, 50, &mut sync);
    let pid = sync.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let ended = sync.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(3), "{}", String::from_utf8_lossy(&ended.stderr));
    let held =
        jobvault(&archive, &["search", "--count", "--json", "Job succeeded"]).output().unwrap();
    let held: serde_json::Value = serde_json::from_slice(&held.stdout).unwrap();
    assert!(held["jobs"].as_u64().unwrap() >= 1, "{held}");
    assert_eq!(code(&archive, &args).0, 0);
    assert_eq!(code(&archive, &["verify"]).0, 0);
}

#[test]
fn a_full_disk_is_one_clear_error_and_loses_nothing() {
    let noise = |n: u64| -> Vec<u8> {
        let line =
            |i: u64| format!("{}\n", blake3::hash(&(n * 100_000 + i).to_le_bytes()).to_hex());
        (0..6000).flat_map(|i| line(i).into_bytes()).collect()
    };
    let big = (2..=12).fold(server_with(1), |data, id| {
        data.job(PROJECT, job_doc(id, 1, "noise", "success"), noise(id))
    });
    let server = FakeGitLab::start(big);
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    // A limit on the size of files stands for the end of the disk; the signal it sends is ignored. Two logs are
    // beyond it, however slowly they come and however often packs are closed for that.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 300; exec '{}' --archive '{}' sync --host {} group/project",
        env!("CARGO_BIN_EXE_jobvault"),
        archive.display(),
        server.url()
    );
    let full =
        Command::new("bash").args(["-c", &limited]).env("GITLAB_TOKEN", TOKEN).output().unwrap();
    let said = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(2), "{said}");
    assert!(said.contains("error: ") && !said.contains("panicked"), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    let args = ["sync", "--host", server.url(), "group/project"];
    assert_eq!(code(&archive, &args).0, 0, "with room again everything is archived");
    let show = jobvault(&archive, &["show", "--raw", "12"]).output().unwrap();
    assert!(show.stdout == noise(12));
    assert_eq!(code(&archive, &["verify"]).0, 0);
}

#[test]
fn an_archive_that_cannot_be_written_can_be_read_by_another_user() {
    let server = FakeGitLab::start(server_with(5));
    // The other user must be able to get at the program and the archive.
    let program = Path::new(env!("CARGO_BIN_EXE_jobvault"));
    let as_nobody =
        |args: &[&str]| Command::new("runuser").args(["-u", "nobody", "--"]).args(args).output();
    let reachable = as_nobody(&[program.to_str().unwrap(), "--version"]);
    if !reachable.is_ok_and(|o| o.status.success()) {
        println!("skipped: this user cannot run the program as `nobody`");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    assert_eq!(code(&archive, &["sync", "--host", server.url(), "group/project"]).0, 0);
    let open = format!("chmod 755 '{0}'; chmod -R a+rX,a-w '{0}'", dir.path().display());
    assert!(Command::new("bash").args(["-c", &open]).status().unwrap().success());
    let at = archive.to_str().unwrap();
    let run = |args: &[&str]| {
        let all = [&["env", "HOME=/nonexistent", program.to_str().unwrap(), "--archive", at], args]
            .concat();
        as_nobody(&all).unwrap()
    };
    let found = run(&["search", "unique-3 done"]);
    let said = String::from_utf8_lossy(&found.stderr);
    assert_eq!(String::from_utf8_lossy(&found.stdout), "3:2:unique-3 done\n", "{said}");
    assert!(run(&["show", "--raw", "3"]).stdout == log(3));
    assert_eq!(run(&["verify"]).status.code(), Some(0));
    let refused = run(&["sync", "--host", server.url(), "group/project"]);
    assert_eq!(refused.status.code(), Some(2));
}
