//! `job`: what is sent, what is printed, what is refused.

use serde_json::json;

use super::Home;
use super::server::lines;
use crate::sync::{PROJECT, log, server_with};
use crate::util::gitlab::{FakeGitLab, Fault, job_doc};
use crate::util::zips::{Member, zip};

fn server() -> FakeGitLab {
    let mut data = server_with(2);
    data.add_job(PROJECT, job_doc(5, 9, "deploy", "running"), Vec::new());
    data.add_job(PROJECT, job_doc(6, 9, "release", "manual"), Vec::new());
    FakeGitLab::start(data)
}

fn posts(server: &FakeGitLab) -> usize {
    server.seen().iter().filter(|seen| seen.request.method == "POST").count()
}

#[test]
fn each_action_prints_the_job_as_gitlab_answered() {
    let server = server();
    let home = Home::synced(&server);
    let cancel = home.with_token(&["job", "cancel", "5"]);
    assert_eq!(cancel.code, 0, "{}", cancel.stderr);
    assert!(
        cancel.stdout.starts_with("5  canceled  group/project  test  deploy"),
        "{}",
        cancel.stdout
    );
    let again = home.with_token(&["job", "cancel", "5"]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    assert!(again.stderr.contains("had ended before (canceled)"), "{}", again.stderr);
    let retry = home.with_token(&["job", "retry", "5", "--json"]);
    let job = lines(&retry.stdout).pop().unwrap();
    assert_eq!((&job["v"], &job["action"]), (&1.into(), &"retried".into()));
    assert!(job["asked"] == 5 && job["job"] != 5, "{job}");
    let play = home.with_token(&["job", "play", "6", "--var", "TARGET=staging"]);
    assert_eq!(play.code, 0, "{}", play.stderr);
    let body = server.seen().into_iter().rev().find(|seen| seen.route == "play").unwrap();
    assert!(String::from_utf8_lossy(&body.request.body).contains("staging"));
}

#[test]
fn a_job_is_found_by_its_page_or_by_its_project_and_never_guessed() {
    let server = server();
    let home = Home::new();
    let host = ["--host", server.url()];
    let unknown = home.with_token(&[&["job", "cancel", "5"], &host[..]].concat());
    unknown.failed(2, "nothing tells of which project job 5 is", "--project");
    let page = format!("{}/group/project/-/jobs/5", server.url());
    let dry = home.with_token(&["job", "cancel", &page, "--dry-run"]);
    assert_eq!((dry.code, posts(&server)), (0, 0), "{}", dry.stderr);
    assert!(dry.stderr.contains("job 5 would be canceled; nothing was done"), "{}", dry.stderr);
    let named = [&["job", "cancel", "5", "--project", "group/project"], &host[..]].concat();
    assert_eq!(home.with_token(&named).code, 0);
    let other = "https://gitlab.com/group/project/-/jobs/5";
    home.with_token(&[&["job", "cancel", other], &host[..]].concat()).failed(
        2,
        "is on https://gitlab.com",
        "",
    );
}

#[test]
fn a_moved_project_is_acted_upon_by_its_id() {
    let server = server();
    server.data(|d| {
        let project = d.projects.get_mut(&PROJECT).unwrap();
        project.doc["path_with_namespace"] = "group/new".into();
        project.former.push("group/project".to_owned());
    });
    let page = format!("{}/group/project/-/jobs/5", server.url());
    let cancel = Home::new().with_token(&["job", "cancel", &page]);
    assert_eq!(cancel.code, 0, "{}", cancel.stderr);
    assert!(cancel.stdout.contains("group/new"), "{}", cancel.stdout);
}

#[test]
fn refusals_are_in_plain_words_with_a_hint() {
    let server = server();
    let home = Home::synced(&server);
    home.with_token(&["job", "play", "1"]).failed(2, "it is no manual or scheduled job", "");
    home.with_token(&["job", "retry", "5"]).failed(2, "only a job that has ended", "");
    home.with_token(&["job", "erase", "5", "--yes"]).failed(
        2,
        "it has not ended",
        "nothing was erased",
    );
    let scope = r#"{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api"}"#;
    server.on("cancel", 1, Fault::json(403, scope));
    let cancel = ["job", "cancel", "5"];
    home.with_token(&cancel).failed(2, "lacks the scope api", "with the scope api");
    server.on("cancel", 1, Fault::json(403, r#"{"message":"403 Forbidden"}"#));
    home.with_token(&cancel).failed(2, "may not do this", "Developer");
    server.on("cancel", 1, Fault::json(404, r#"{"message":"404 Not found"}"#));
    home.with_token(&cancel).failed(2, "there is no such job", "");
    server.forget();
    server.on("cancel", 1, Fault::json(502, "{}"));
    home.with_token(&cancel).failed(
        2,
        "it is not known whether job 5 was canceled",
        "never sent twice",
    );
    assert_eq!(server.count("cancel"), 1);
}

#[test]
fn a_job_is_erased_only_when_the_archive_holds_it_and_somebody_said_yes() {
    let server = server();
    let home = Home::new();
    let page = format!("{}/group/project/-/jobs/2", server.url());
    let nobody = home.with_token(&["job", "erase", &page]);
    nobody.failed(2, "nobody to ask whether to erase job 2", "--yes");
    let dry = home.with_token(&["job", "erase", &page, "--dry-run"]);
    assert_eq!((dry.code, posts(&server)), (0, 0), "{}", dry.stderr);
    assert!(dry.stderr.contains("its log would be archived first"), "{}", dry.stderr);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is written");
    let erased = home.with_token(&["job", "erase", &page, "--yes", "--json"]);
    assert_eq!(erased.code, 0, "{}", erased.stderr);
    assert!(erased.stderr.contains("the archive holds the log of job 2"), "{}", erased.stderr);
    let job = lines(&erased.stdout).pop().unwrap();
    assert!(job["erased_at"].is_string() && job["trace_bytes"] == log(2).len(), "{job}");
    assert_eq!(home.run(&["show", "--raw", "2"]).stdout.as_bytes(), log(2));
    let row = lines(&home.run(&["jobs", "--json"]).stdout).pop().unwrap();
    assert_eq!((&row["state"], &row["reason"]), (&"archived".into(), &"erased upstream".into()));
    assert!(row["erased_at"].is_string(), "{row}");
    let again = home.with_token(&["job", "erase", &page, "--yes"]);
    again.failed(2, "neither log nor artifacts", "");
}

#[test]
fn artifacts_that_the_archive_does_not_hold_are_not_lost_by_accident() {
    let server = server();
    server.data(|d| {
        let files = d.job_mut(PROJECT, 1).doc["artifacts"].as_array_mut().unwrap();
        files.push(json!({"file_type": "archive", "size": 3_000_000, "filename": "artifacts.zip"}));
    });
    let home = Home::synced(&server);
    let refused = home.with_token(&["job", "erase", "1", "--yes"]);
    refused.failed(2, "does not hold 1 of its artifacts", "--lose-artifacts");
    assert!(refused.stderr.contains("its log, artifacts.zip (2.9 MiB)"), "{}", refused.stderr);
    assert_eq!(posts(&server), 0);
    assert_eq!(home.with_token(&["job", "erase", "1", "--yes", "--lose-artifacts"]).code, 0);
}

#[test]
fn an_artifacts_archive_is_taken_in_before_it_is_erased_where_all_are_wanted() {
    let archive = zip(&[Member::new("report.txt", "all is well\n")]);
    let mut data = server_with(2).archive(PROJECT, 2, archive.clone());
    let files = data.job_mut(PROJECT, 2).doc["artifacts"].as_array_mut().unwrap();
    files.push(json!({"file_type": "metadata", "size": 150, "filename": "metadata.gz"}));
    let server = FakeGitLab::start(data);
    let home = Home::synced(&server);
    home.with_token(&["job", "erase", "2", "--yes"]).failed(2, "its artifacts", "--artifacts all");
    server.data(|d| {
        let files = d.job_mut(PROJECT, 2).doc["artifacts"].as_array_mut().unwrap();
        files.push(json!({"file_type": "dotenv", "size": 9, "filename": ".env.gz"}));
    });
    let erase = ["job", "erase", "2", "--yes", "--artifacts", "all"];
    // No request gets files of other kinds.
    home.with_token(&erase).failed(2, "does not hold 1 of its artifacts", "--lose-artifacts");
    assert_eq!(posts(&server), 0);
    server.data(|d| d.job_mut(PROJECT, 2).doc["artifacts"].as_array_mut().unwrap().pop());
    let erased = home.with_token(&erase);
    assert_eq!(erased.code, 0, "{}", erased.stderr);
    assert!(erased.stderr.contains("and its artifacts archive:"), "{}", erased.stderr);
    assert_eq!(home.run(&["artifacts", "2", "--save", "kept.zip"]).code, 0);
    assert_eq!(std::fs::read(home.path().join("kept.zip")).unwrap(), archive);
}
