//! Archives that are missing, strange, newer or held.

use super::Home;
use crate::sync::server_with;
use crate::util::gitlab::FakeGitLab;

#[test]
fn every_reader_of_a_missing_archive_says_what_to_do() {
    let home = Home::new();
    let all: [&[&str]; 7] = [
        &["search", "x"],
        &["show", "1"],
        &["jobs"],
        &["status"],
        &["verify"],
        &["reindex"],
        &["search", "--archive", "elsewhere", "x"],
    ];
    for args in all {
        home.run(args).failed(2, "there is no archive at", "run jobvault sync first");
    }
    assert!(!home.path().join(".local").exists(), "looking created something");
}

#[test]
fn a_strange_directory_is_no_archive() {
    let home = Home::new();
    home.write("photos/cat.jpg", "meow");
    for args in [&["jobs", "--archive", "photos"][..], &["--archive", "photos/cat.jpg", "status"]] {
        home.run(args).failed(2, "is not a jobvault archive", "--archive");
    }
    let sync = ["--archive", "photos", "sync", "--host", super::NOBODY, "a/b"];
    home.run(&sync).failed(2, "photos is not a jobvault archive", "--archive");
}

#[test]
fn packs_without_a_marker_are_an_archive_to_be_rebuilt() {
    let home = Home::new();
    let name = "ab".repeat(32);
    home.write(&format!("old/packs/ab/{name}.pack"), "whatever it holds");
    for args in [&["--archive", "old", "jobs"][..], &["--archive", "old", "verify"]] {
        home.run(args).failed(2, "no jobvault.json", "jobvault rebuild");
    }
}

#[test]
fn a_newer_archive_asks_for_the_newer_program() {
    let home = Home::new();
    let archive = home.marker(9);
    home.run(&["--archive", &archive, "jobs"]).failed(2, "has format 9", "newer jobvault");
}

#[test]
fn an_archive_without_jobs_answers_no() {
    let home = Home::new();
    home.create_archive();
    let jobs = home.run(&["jobs"]);
    assert_eq!((jobs.code, jobs.stdout.as_str()), (1, ""), "{}", jobs.stderr);
    home.run(&["show", "7"]).failed(1, "the archive knows no job 7", "jobvault jobs");
    let page = "https://gitlab.example.com/a/b/-/jobs/7";
    home.run(&["show", page]).failed(2, "not of https://gitlab.example.com", "--archive");
    let found = home.run(&["search", "x"]);
    assert_eq!((found.code, found.stdout.as_str()), (1, ""));
    assert_eq!(found.stderr, "nothing found; the archive holds 0 logs (0 B)\n");
    assert_eq!(home.run(&["-q", "search", "x"]).stderr, "");
    let count = home.run(&["search", "--count", "--json", "x"]);
    assert_eq!(count.stdout, "{\"v\":1,\"lines\":0,\"jobs\":0}\n");
    let verify = home.run(&["verify", "--json"]);
    assert_eq!(verify.stdout, "{\"v\":1,\"checked\":0,\"bytes\":0,\"damaged\":[]}\n");
    assert_eq!(verify.code, 0);
    let status = home.run(&["status", "--json"]).stdout;
    assert!(status.starts_with(r#"{"v":1,"projects":0,"jobs":0,"states":{"#), "{status}");
}

#[test]
fn an_archive_of_another_server_is_not_mixed() {
    let home = Home::new();
    home.create_archive();
    let other = ["sync", "--host", "http://127.0.0.1:2", "a/b"];
    home.run(&other).failed(2, "the archive holds jobs of http://127.0.0.1:1", "--host-moved");
}

#[test]
fn a_pipeline_of_another_server_is_not_taken_for_the_one_here() {
    let home = Home::new();
    home.create_archive();
    let page = "https://gitlab.example.com/a/b/-/pipelines/7";
    let commands: [&[&str]; 7] = [
        &["search", "x"],
        &["search", "x", "--histogram"],
        &["search", "x", "--save", "name"],
        &["first", "x"],
        &["last", "x"],
        &["jobs", "--oldest"],
        &["export", "-o", "x.zip"],
    ];
    for command in commands {
        let run = home.run(&[command, &["--pipeline", page]].concat());
        run.failed(2, "not of https://gitlab.example.com", "--archive");
    }
    assert_eq!(home.run(&["search", "x", "--pipeline", "7"]).code, 1);
}

#[test]
fn a_lost_index_is_told_apart_from_no_hit() {
    let server = FakeGitLab::start(server_with(1));
    let home = Home::synced(&server);
    let index = home.path().join(".local/share/jobvault/index");
    std::fs::remove_dir_all(&index).unwrap();
    for command in ["search", "first", "last"] {
        home.run(&[command, "zyx"]).failed(2, "no index at", "jobvault reindex");
    }
    let reindex = home.run(&["reindex"]);
    assert_eq!(reindex.code, 0, "{}", reindex.stderr);
    assert_eq!(home.run(&["search", "zyx"]).code, 1);
}

#[test]
fn a_first_sync_that_has_no_index_yet_has_not_lost_it() {
    let home = Home::new();
    home.create_archive();
    std::fs::remove_dir_all(home.path().join(".local/share/jobvault/index")).unwrap();
    let found = home.run(&["search", "x"]);
    assert_eq!(found.stderr, "nothing found; the archive holds 0 logs (0 B)\n");
    assert_eq!((found.code, found.stdout.as_str()), (1, ""));
    for args in [&["first", "x"][..], &["search", "x", "--by", "runner"]] {
        home.run(args).failed(1, "the archive holds no log yet", "jobvault sync");
    }
}
