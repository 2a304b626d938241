//! `jobs --pipeline`: a pipeline as a tree.

use serde_json::json;

use super::Home;
use super::server::lines;
use crate::sync::{PROJECT, log, server_with};
use crate::util::gitlab::{FakeGitLab, job_doc};

fn server() -> FakeGitLab {
    let staged = |id, pipeline, stage: &str, name, status| {
        let mut doc = job_doc(id, pipeline, name, status);
        doc["stage"] = json!(stage);
        doc
    };
    let mut child = staged(40, 51, "verify", "smoke", "success");
    child["pipeline"]["source"] = json!("parent_pipeline");
    let data = server_with(0)
        .job(PROJECT, staged(30, 50, "build", "compile", "failed"), log(30))
        .job(PROJECT, staged(31, 50, "test", "unit", "success"), log(31))
        .job(PROJECT, staged(35, 50, "build", "compile", "success"), log(35))
        .bridge(PROJECT, staged(33, 50, "deploy", "start child", "success"), Some((PROJECT, 51)))
        .bridge(PROJECT, staged(34, 50, "deploy", "start other", "success"), Some((99, 77)))
        .job(PROJECT, child, log(40));
    FakeGitLab::start(data)
}

#[test]
fn a_pipeline_is_shown_with_its_stages_retries_and_what_it_started() {
    let server = server();
    let home = Home::synced(&server);
    let tree = home.run(&["jobs", "--pipeline", "50"]);
    assert_eq!(tree.code, 0, "{}", tree.stderr);
    let lines: Vec<&str> = tree.stdout.lines().collect();
    assert!(
        lines[0].starts_with("pipeline 50  group/project  main  00000000  4 success"),
        "{}",
        lines[0]
    );
    let rest: Vec<String> = lines[1..]
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(rest[0], "build 1m 00s");
    assert_eq!(rest[1], "✗ 30 compile 1m 00s archived 84 B retried as 35", "{}", tree.stdout);
    assert_eq!(rest[2], "✓ 35 compile 1m 00s archived 84 B");
    assert_eq!(rest[3], "test 1m 00s");
    assert_eq!(rest[5], "deploy 1m 00s");
    assert_eq!(rest[6], "→ 33 start child 1m 00s success -> pipeline 51");
    assert!(lines[8].starts_with("      pipeline 51  group/project"), "{}", tree.stdout);
    assert_eq!(rest[9], "✓ 40 smoke 1m 00s archived 84 B");
    assert_eq!(rest[11], "pipeline 77 of project 99 is not in the archive", "{}", tree.stdout);
    let page = format!("{}/group/project/-/pipelines/51", server.url());
    let child = home.run(&["jobs", "--pipeline", &page]);
    assert!(child.stdout.starts_with("started by job 33 of pipeline 50"), "{}", child.stdout);
}

#[test]
fn the_tree_as_json_is_the_list_and_more() {
    let home = Home::synced(&server());
    let jobs = lines(&home.run(&["jobs", "--pipeline", "50", "--json"]).stdout);
    let ids: Vec<_> = jobs.iter().map(|job| job["job"].as_u64().unwrap()).collect();
    assert_eq!(ids, [30, 35, 31, 33, 40, 34]);
    assert_eq!((&jobs[0]["v"], &jobs[0]["retried_as"]), (&1.into(), &35.into()));
    assert_eq!((&jobs[3]["bridge"], &jobs[3]["downstream_pipeline"]), (&true.into(), &51.into()));
    assert_eq!((&jobs[4]["started_by"], &jobs[4]["state"]), (&33.into(), &"archived".into()));
}

#[test]
fn with_other_filters_or_a_range_the_jobs_are_a_list() {
    let server = server();
    let home = Home::synced(&server);
    let failed = home.run(&["jobs", "--pipeline", "50", "--status", "failed"]);
    assert!(failed.stdout.starts_with("30  failed"), "{}", failed.stdout);
    let range = home.run(&["jobs", "--pipeline", "50..51"]);
    assert_eq!(range.stdout.lines().count(), 6, "{}", range.stdout);
    let page = format!("{}/group/project/-/pipelines/50", server.url());
    let listed = home.run(&["jobs", "--pipeline", &page, "--status", "failed"]);
    assert_eq!(listed.stdout, failed.stdout);
    home.run(&["jobs", "--pipeline", "4711"]).failed(1, "no job of pipeline 4711", "");
    let other = "https://gitlab.com/a/b/-/pipelines/50";
    home.run(&["jobs", "--pipeline", other]).failed(2, "not of https://gitlab.com", "--archive");
}
