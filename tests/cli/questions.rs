//! The questions of a postmortem at the command line: what is printed, what is JSON, how it ends.

use serde_json::Value;

use super::{Home, Ran, ran};
use crate::sync::{PROJECT, server_with};
use crate::util::gitlab::{FakeGitLab, TOKEN, job_doc};

/// Jobs 1 to 20; those from 11 on hold a message, and job 20 another one.
fn home() -> (FakeGitLab, Home) {
    let mut data = server_with(0);
    for id in 1..=20u64 {
        let mut doc = job_doc(id, id, "build", if id > 10 { "failed" } else { "success" });
        doc["finished_at"] = format!("2026-01-{id:02}T12:00:00Z").into();
        doc["runner"]["description"] = if id % 2 == 0 { "even" } else { "odd" }.into();
        let mut log = String::from("$ make\nsection_start:1:deploy\r\x1b[0K");
        log.push_str(if id > 10 { "connection refused by peer\n" } else { "connection ok\n" });
        log.push_str(if id == 20 { "disk full\n" } else { "" });
        data = data.job(PROJECT, doc, log);
    }
    let server = FakeGitLab::start(data);
    let home = Home::new();
    let args = ["sync", "--host", server.url(), "group/project"];
    let sync = ran(home.command(&args).env("GITLAB_TOKEN", TOKEN).output().unwrap());
    assert_eq!(sync.code, 0, "{}", sync.stderr);
    (server, home)
}

fn json(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_histogram_is_a_table_with_bars_or_json() {
    let (_server, home) = home();
    let plain = home.run(&["search", "connection refused", "--histogram"]);
    assert_eq!(plain.code, 0, "{}", plain.stderr);
    let lines: Vec<&str> = plain.stdout.lines().collect();
    assert_eq!(lines.len(), 21, "{}", plain.stdout);
    assert!(lines[0].starts_with("day "), "{}", lines[0]);
    assert!(lines[20].starts_with("2026-01-20") && lines[20].ends_with('#'), "{}", lines[20]);
    assert!(!lines[1].contains('#') && plain.stdout.is_ascii());
    let mut blocks = home.command(&["search", "connection refused", "--histogram", "week"]);
    let blocks = ran(blocks.env("LANG", "C.UTF-8").output().unwrap());
    assert!(blocks.stdout.contains('█') && blocks.stdout.lines().count() == 5, "{}", blocks.stdout);
    // A word that is no unit belongs to the query.
    let odd = home.run(&["search", "--histogram", "disk full", "--json"]);
    let days = json(&odd);
    assert_eq!(days.len(), 20);
    assert_eq!((&days[19]["lines"], &days[19]["runs"]), (&1.into(), &1.into()));
    assert_eq!((&days[19]["from"], &days[19]["share"]), (&"2026-01-20".into(), &1.0.into()));
    let none = home.run(&["search", "--histogram=day", "never said"]);
    assert_eq!((none.code, none.stdout.as_str()), (1, ""));
    assert!(none.stderr.contains("20 logs"), "{}", none.stderr);
}

#[test]
fn counting_by_a_property_is_a_table_or_json() {
    let (_server, home) = home();
    let plain = home.run(&["search", "connection refused", "--by", "runner"]);
    assert_eq!(plain.code, 0, "{}", plain.stderr);
    assert!(plain.stdout.starts_with("runner  jobs  of runs"), "{}", plain.stdout);
    assert!(plain.stdout.contains("may be chance") && plain.stderr.contains("10 jobs of 10 runs"));
    let by = json(&home.run(&["search", "connection refused", "--by", "status", "--json"]));
    assert_eq!((&by[0]["value"], &by[0]["jobs"]), (&"failed".into(), &10.into()));
    assert_eq!((&by[0]["v"], &by[0]["all_runs"]), (&1.into(), &10.into()));
    assert_eq!(home.run(&["search", "x", "--by", "weather"]).code, 2);
}

#[test]
fn a_search_is_saved_used_listed_and_removed() {
    let (_server, home) = home();
    let save = [
        "search",
        "--save",
        "net",
        "--save-tag",
        "known",
        "connection refused",
        "--status",
        "failed",
    ];
    assert_eq!(home.run(&save).code, 0);
    home.run(&save).failed(2, "saved as net already", "--remove");
    let disk = ["search", "--save", "disk", "--save-note", "clean up", "-F", "disk full"];
    assert_eq!(home.run(&disk).code, 0);
    let file = home.path().join(".local/share/jobvault/searches.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("query = [\"connection refused\", \"status:failed\"]"), "{text}");
    let found = home.run(&["search", "--saved", "net", "--count", "runner:even"]);
    assert_eq!(found.stdout, "5 lines in 5 jobs\n", "{}", found.stderr);
    home.run(&["search", "--saved", "nt"]).failed(2, "no search is saved as nt", "jobvault saved");
    let listed = home.run(&["saved"]);
    assert_eq!(listed.stdout.lines().count(), 3, "{}", listed.stdout);
    let known = json(&home.run(&["saved", "--json", "--tag", "known"]));
    assert_eq!((known.len(), &known[0]["saved"]), (1, &"net".into()));
    // By hand, with a mistake.
    std::fs::write(&file, format!("{text}\n[bad]\nquery = \"(open\"\n")).unwrap();
    let bad = home.run(&["search", "--saved", "bad"]);
    bad.failed(2, "saved search bad: query, column 1", "");
    assert_eq!(home.run(&["saved", "--remove", "net"]).code, 0);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("[net]"));
    std::fs::write(&file, "[a]\nquerry = 1\n").unwrap();
    home.run(&["saved"]).failed(2, "searches.toml:2: unknown key", "");
    let page = "http://127.0.0.1:1/group/project/-/jobs/3";
    home.run(&["search", "--save", "x", "y", page]).failed(2, "for all jobs", "triage");
}

#[test]
fn the_configuration_may_name_the_file_of_saved_searches() {
    let (_server, home) = home();
    home.write("team/known.toml", "[net]\nquery = \"connection refused\"\n");
    home.write(".config/jobvault/config.toml", "searches = \"~/team/known.toml\"\n");
    assert_eq!(home.run(&["search", "--saved", "net", "--count"]).stdout, "10 lines in 10 jobs\n");
}

#[test]
fn triage_says_what_is_known_of_a_job() {
    let (_server, home) = home();
    assert_eq!(home.run(&["triage", "20"]).code, 1, "nothing is saved yet");
    for args in [&["triage", "20", "--json"][..], &["saved", "--json"]] {
        let none = home.run(args);
        assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (1, "", ""));
    }
    home.run(&["search", "--save", "net", "--save-tag", "known", "refused"]);
    home.run(&["search", "--save", "disk", "--save-tag", "infra", "/disk (full|broken)/"]);
    let both = home.run(&["triage", "20"]);
    assert_eq!(both.stdout, "net:2:connection refused by peer\ndisk:3:disk full\n");
    assert_eq!(both.code, 0, "{}", both.stderr);
    let one = json(&home.run(&["triage", "20", "--json", "--tag", "infra"]));
    assert_eq!((one.len(), &one[0]["saved"], &one[0]["line"]), (1, &"disk".into(), &3.into()));
    assert_eq!((&one[0]["v"], &one[0]["job"]), (&1.into(), &20.into()));
    let none = home.run(&["triage", "3"]);
    assert_eq!((none.code, none.stdout.as_str()), (1, ""));
    let calm = ["search", "--save", "calm", "--status", "success", "-s", "--", "-\"refused\""];
    assert_eq!(home.run(&calm).code, 0);
    assert_eq!(home.run(&["triage", "3"]).stdout, "calm\n", "it matches no line");
    let listed = home.run(&["saved"]);
    assert!(listed.stdout.contains("-s -\"refused\""), "{}", listed.stdout);
    let listed = json(&home.run(&["saved", "--json"]));
    let cases: Vec<_> = listed.iter().map(|saved| saved["case"].as_str().unwrap()).collect();
    assert_eq!(cases, ["smart", "smart", "sensitive"]);
    home.run(&["triage", "99"]).failed(1, "no job 99", "jobvault jobs");
}

#[test]
fn who_finds_nothing_is_told_what_was_searched_and_what_is_near() {
    let (_server, home) = home();
    let slip = home.run(&["search", "conection", "runner:odd"]);
    assert_eq!(slip.code, 1);
    assert!(slip.stderr.contains("the filters leave 10 logs"), "{}", slip.stderr);
    assert!(slip.stderr.contains("from 2026-01-01 to 2026-01-19"), "{}", slip.stderr);
    assert!(slip.stderr.contains("hint: no log has the word conection; there is connection"));
    let near = home.run(&["first", "refussed"]);
    assert!(near.code == 1 && near.stderr.contains("there is refused"), "{}", near.stderr);
    assert_eq!(home.run(&["-q", "search", "--json", "conection"]).stderr, "");
}

#[test]
fn a_history_is_told_with_commits_and_runs_since() {
    let (server, home) = home();
    let first = home.run(&["first", "connection refused"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    for wanted in [
        "first  ✗  build",
        "clean  ✓  build",
        "/-/compare/",
        "commits 1 commit by A. Author (known from 1 archived run)",
        "since  in 10 of 10 runs of build on main",
        "in all 10 jobs, 10 lines",
    ] {
        assert!(first.stdout.contains(wanted), "no {wanted:?} in {}", first.stdout);
    }
    let last = json(&home.run(&["last", "connection ok", "--json"]));
    assert_eq!((&last[0]["at"]["job"], &last[0]["clean"]["job"]), (&10.into(), &11.into()));
    assert_eq!((&last[0]["since"]["runs"], &last[0]["since"]["hits"]), (&10.into(), &0.into()));
    assert_eq!(last[0]["changes"]["known_from"], 1);
    assert_eq!(last[0]["changes"]["authors"][0]["name"], "A. Author");
    let page = format!("refused {}/group/project/-/jobs/15", server.url());
    let one = home.run(&["search", &page]);
    assert_eq!(one.stdout, "15:2:connection refused by peer\n", "{}", one.stderr);
}

#[test]
fn a_search_explains_itself() {
    let (_server, home) = home();
    let explained = home.run(&["search", "connection refused", "--explain", "--limit", "1"]);
    for wanted in [
        "term connection refused (any case): ",
        "look-ups",
        "candidates",
        "decoded",
        "verified",
        "ms to plan",
    ] {
        assert!(explained.stderr.contains(wanted), "no {wanted:?} in {}", explained.stderr);
    }
    let run = home.run(&["search", "connection refused", "--explain", "--json"]);
    let said: Value = serde_json::from_str(run.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&said["v"], &said["explain"]["jobs"]), (&1.into(), &10.into()));
    assert_eq!((&said["explain"]["verified"], &said["explain"]["false"]), (&10.into(), &0.into()));
    assert!(said["explain"]["terms"][0]["plan"].as_str().unwrap().contains("connection"));
}

#[test]
fn a_pager_gets_what_is_long_on_a_terminal_alone() {
    let (_server, home) = home();
    let program = env!("CARGO_BIN_EXE_jobvault");
    // `script` of util-linux runs it on a terminal.
    let on_terminal = |args: &str, pager: &str| {
        let command = format!("{program} {args}");
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).env("HOME", home.path());
        script.env("JOBVAULT_PAGER", pager).env("TERM", "xterm").stdin(std::process::Stdio::null());
        script.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(paged) = on_terminal("search 'disk full'", "sed 's/^/| /'") else { return };
    if paged.contains("script: ") {
        return;
    }
    assert!(paged.contains("| ") && paged.contains("disk"), "{paged}");
    let bare = on_terminal("search --no-pager 'disk full'", "sed 's/^/| /'").unwrap();
    assert!(!bare.contains("| ") && bare.contains("disk"), "{bare}");
    let gone = on_terminal("search --no-limit connection", "true").unwrap();
    assert!(!gone.contains("error"), "{gone}");
    let mut piped = home.command(&["search", "disk full"]);
    let piped = ran(piped.env("JOBVAULT_PAGER", "sed 's/^/| /'").output().unwrap());
    assert_eq!(piped.stdout, "20:3:disk full\n");
}
