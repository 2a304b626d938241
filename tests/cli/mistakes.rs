//! Queries and arguments that cannot be meant.

use super::{Home, NOBODY, SECRET, ran};

#[test]
fn a_malformed_query_points_at_its_column() {
    let home = Home::new();
    let run = home.run(&["search", "(foo", "OR"]);
    run.failed(2, "query, column 8", "");
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(lines[1], "  (foo OR");
    assert_eq!(lines[2].find('^'), Some(2 + 7), "{}", run.stderr);
}

#[test]
fn a_wrong_value_of_a_filter_is_shown_with_its_key() {
    let home = Home::new();
    for args in [&["search", "--took", "soon"][..], &["jobs", "--took", "soon"]] {
        let run = home.run(args);
        run.failed(2, "`soon` is no duration", "");
        assert!(run.stderr.contains("  took:soon\n"), "{}", run.stderr);
    }
    home.run(&["search", "-e", "a(b"]).failed(2, "query, column", "");
}

#[test]
fn an_unknown_flag_or_word_is_refused() {
    let home = Home::new();
    let all: [&[&str]; 6] = [
        &["jobs", "--colour-of-runner", "red"],
        &["jobs", "--state", "lost"],
        &["show", "one"],
        &["show", "1", "--lines", "0"],
        &["sync", "--rate", "0"],
        &["sync", "--concurrency", "0"],
    ];
    for args in all {
        let run = home.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}");
        assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    }
}

#[test]
fn a_section_needs_a_text() {
    let home = Home::new();
    for args in [&["search", "section:build", "status:failed"][..], &["search", "--section", "x"]] {
        home.run(args).failed(2, "the query has no text", "show JOB --section");
    }
    home.create_archive();
    assert_eq!(home.run(&["search", "section:build -\"x\""]).code, 1);
    let bundle = home.run(&["export", "--query", "section:build", "-o", "x.zip"]);
    bundle.failed(2, "the query has no text", "");
}

#[test]
fn a_unit_of_a_histogram_is_one_or_a_word_of_the_query() {
    let home = Home::new();
    home.create_archive();
    let wrong = home.run(&["search", "--histogram=hour", "x"]);
    wrong.failed(2, "'hour' is no unit for '--histogram=': day, week, month", "");
    home.run(&["search", "x", "--histogram="]).failed(2, "'' is no unit", "");
    for args in [
        &["search", "--histogram", "hour"][..],
        &["search", "--histogram=week", "x"],
        &["search", "--histogram", "hour", "-F", "--histogram=day"],
    ] {
        assert_eq!(home.run(args).code, 1, "{args:?}");
    }
}

#[test]
fn a_limit_is_at_least_one() {
    let home = Home::new();
    let commands: [&[&str]; 3] = [&["search", "x"], &["jobs"], &["export", "-o", "x.zip"]];
    for (command, limit) in commands.into_iter().flat_map(|c| [(c, "0"), (c, "-1"), (c, "many")]) {
        let run = home.run(&[command, &["--limit", limit]].concat());
        run.failed(2, "it must be a number from 1 on", "");
    }
}

#[test]
fn with_json_an_error_is_one_object() {
    let home = Home::new();
    let run = home.run(&["search", "--json", "\"open"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    let start = "{\"v\":1,\"error\":\"query, column 1: ";
    assert!(run.stderr.starts_with(start), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1);
    let run = home.run(&["jobs", "--json"]);
    assert!(run.stderr.contains("\"hint\":\"run jobvault sync first"), "{}", run.stderr);
    let run = home.run(&["jobs", "--json", "--nope"]);
    assert!(run.stderr.starts_with("{\"v\":1,\"error\":\"unexpected argument"), "{}", run.stderr);
}

#[test]
fn a_server_that_is_not_there_is_named_without_the_token() {
    let home = Home::new();
    home.write("c.toml", &format!("host = \"{NOBODY}\"\nprojects = [\"group/project\"]\n"));
    let mut command = home.command(&["-vvv", "--config", "c.toml", "sync"]);
    let run = ran(command.env("GITLAB_TOKEN", SECRET).output().unwrap());
    let error = "no connection to http://127.0.0.1:1/api/v4/projects/group%2Fproject";
    run.failed(2, error, "check --host");
    assert_eq!(home.run(&["jobs"]).code, 1, "the archive is there and can be read");
}

#[test]
fn a_sync_needs_a_server_and_a_project() {
    let home = Home::new();
    home.run(&["sync", "a/b"]).failed(2, "no GitLab is named", "--host");
    home.run(&["sync", "--host", NOBODY]).failed(2, "no project is named", "`projects`");
    home.run(&["sync", "--host", "ftp://x", "a/b"]).failed(
        2,
        "--host is not the address",
        "https://",
    );
    let other = ["sync", "--host", NOBODY, "https://gitlab.example.com/a/b"];
    home.run(&other).failed(2, "is on https://gitlab.example.com, not on", "one server at a time");
}
