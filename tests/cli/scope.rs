//! What a sync is of: flags, the configuration file, a rehearsal of it, a budget.

use super::Home;
use super::server::lines;
use crate::sync::{PROJECT, log, server_with};
use crate::util::gitlab::{Data, FakeGitLab, job_doc};

fn groups() -> Data {
    server_with(2)
        .project(8, "group/sub/other")
        .project(9, "elsewhere/third")
        .job(8, job_doc(50, 70, "build", "success"), log(50))
        .job(9, job_doc(60, 80, "build", "success"), log(60))
}

fn archived(home: &Home) -> Vec<u64> {
    let jobs = lines(&home.run(&["jobs", "--json", "--oldest", "--state", "archived"]).stdout);
    jobs.iter().map(|job| job["job"].as_u64().unwrap()).collect()
}

#[test]
fn the_file_holds_the_whole_scope_and_flags_go_before_it() {
    let server = FakeGitLab::start(groups());
    let home = Home::new();
    let file = format!(
        "host = \"{}\"\ngroups = [\"group\"]\nexclude = [\"*/sub/*\"]\nsince = \"2025-01-01\"\n\
         pipelines = false\nrate = 500.5\nconcurrency = 2\nevery = \"5m\"\ncontact = \"mailto:ci@example.com\"\n",
        server.url()
    );
    home.write(".config/jobvault/config.toml", &file);
    let sync = home.with_token(&["sync"]);
    assert_eq!(sync.code, 0, "{}", sync.stderr);
    assert_eq!(archived(&home), [1, 2]);
    assert_eq!((server.count("bridges"), server.count("pipelines")), (0, 0));
    let agent = server.seen()[0].request.header("user-agent").unwrap().to_owned();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(agent, format!("jobvault/{version} (+mailto:ci@example.com)"));
    let sync = home.with_token(&["sync", "elsewhere/third"]);
    assert_eq!((sync.code, archived(&home)), (0, vec![1, 2, 60]), "{}", sync.stderr);
    let sync =
        home.with_token(&["sync", "--all=visible", "--include", "*/sub/*", "--exclude", "x"]);
    assert_eq!((sync.code, archived(&home)), (0, vec![1, 2, 50, 60]), "{}", sync.stderr);
}

#[test]
fn a_wrong_value_is_named_with_its_line() {
    let home = Home::new();
    for (text, error) in [
        ("since = \"soon\"", ":2: `soon` is no time such as 30d"),
        ("every = \"0s\"", ":2: it is less than a second"),
        ("all = \"some\"", ":2: invalid value: string \"some\", expected true, false,"),
        ("contact = \"me (and you)\"", ":2: contact is no address"),
        ("include = \"*\"", ":2: invalid type: string \"*\", expected a sequence"),
        ("everything = true", ":2: unknown key `everything`"),
    ] {
        let file = home.write("c.toml", &format!("projects = [\"a/b\"]\n{text}\nhost = \"h\"\n"));
        home.run(&["--config", &file, "sync"]).failed(2, error, "");
    }
    let flag = home.run(&["sync", "--contact", "not one", "a/b"]);
    assert!(flag.code == 2 && flag.stderr.contains("contact is no address"), "{}", flag.stderr);
}

#[test]
fn a_dry_run_makes_no_archive_and_lists_by_expected_loss() {
    let server = FakeGitLab::start(server_with(3));
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_mins(150)).to_string();
    server.data(|d| d.job_mut(PROJECT, 2).doc["artifacts_expire_at"] = soon.into());
    let home = Home::new();
    let args = ["sync", "--dry-run", "--host", server.url(), "group/project"];
    let plan = home.with_token(&args);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let first: Vec<&str> = plan.stdout.lines().map(|l| l.split(' ').next().unwrap()).collect();
    assert_eq!(first, ["2", "3", "1"], "{}", plan.stdout);
    assert!(plan.stdout.contains("in 2 hours"), "{}", plan.stdout);
    assert!(plan.stderr.contains("3 logs would be fetched"), "{}", plan.stderr);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is written");
    let json = lines(&home.with_token(&[&args[..], &["--json"]].concat()).stdout);
    assert_eq!((&json[0]["job"], &json[0]["project"]), (&2.into(), &"group/project".into()));
    assert_eq!((&json[3]["dry_run"], &json[3]["would_fetch"]), (&true.into(), &3.into()));
    assert_eq!(server.count("trace"), 0);
}

#[test]
fn a_budget_of_requests_ends_the_sync_in_order_and_the_next_goes_on() {
    let server = FakeGitLab::start(server_with(30));
    let home = Home::new();
    let args = ["sync", "--host", server.url(), "group/project"];
    let sync = home.with_token(&[&args[..], &["--max-requests", "20"]].concat());
    assert_eq!((sync.code, server.count("*")), (3, 20), "{}", sync.stderr);
    assert!(sync.stderr.contains("the budget of requests is spent"), "{}", sync.stderr);
    assert!(sync.stderr.contains("wait to be fetched"), "{}", sync.stderr);
    let sync = home.with_token(&args);
    assert_eq!((sync.code, server.count("trace")), (0, 30), "{}", sync.stderr);
}

#[test]
fn status_and_sync_foretell_what_is_lost() {
    let server = FakeGitLab::start(server_with(30));
    let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_mins(150)).to_string();
    server.data(|d| d.job_mut(PROJECT, 1).doc["artifacts_expire_at"] = soon.into());
    // A refusal that is final, for all but what was fetched before it.
    server.pass("trace", 20);
    server.on("trace", 10, crate::util::gitlab::Fault::json(418, "{\"message\":\"a teapot\"}"));
    let home = Home::new();
    let sync =
        home.with_token(&["sync", "--json", "--concurrency", "1", "--host", server.url(), "7"]);
    let estimate = lines(&sync.stdout).pop().unwrap()["estimate"].clone();
    assert_eq!((sync.code, &estimate["waiting"]), (3, &10.into()), "{estimate}");
    assert!(estimate["rate"].as_f64().unwrap() > 0.0, "{estimate}");
    let status = lines(&home.run(&["status", "--json"]).stdout).pop().unwrap();
    assert_eq!(status["estimate"]["waiting"], 10);
    assert!(home.run(&["status"]).stdout.contains("10 logs wait to be fetched; at "));
}
