//! `sync --watch`: what it says, what signals do to it, how it ends.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::Home;
use crate::sync::{PROJECT, log, server_with};
use crate::util::gitlab::{FakeGitLab, Fault, TOKEN, job_doc};

/// A watch under way, whose events are read one by one.
struct Watch {
    child: Child,
    events: Lines<BufReader<ChildStdout>>,
}

impl Home {
    fn watch(&self, args: &[&str]) -> Watch {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobvault"));
        command.env_clear().env("HOME", self.path()).env("GITLAB_TOKEN", TOKEN);
        command.args(["sync", "--watch", "--every", "1s", "--json"]).args(args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        Watch { child, events }
    }
}

impl Watch {
    /// Waits for the next event that `wanted` takes.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.events.next().expect("the watch goes on").unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(event["v"], 1);
            if wanted(&event) {
                return event;
            }
        }
    }

    fn event(&mut self, name: &str) -> Value {
        self.until(|event| event["event"] == name)
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// Returns the exit code and what was said.
    fn end(self) -> (i32, String) {
        let output = self.child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn a_watch_fetches_what_is_new_and_ends_in_order_on_sigterm() {
    let server = FakeGitLab::start(server_with(12));
    let home = Home::new();
    let mut watch = home.watch(&["--host", server.url(), "group/project"]);
    assert_eq!(watch.event("round")["archived"], 12);
    server.data(|d| *d = d.clone().job(PROJECT, job_doc(21, 90, "build", "success"), log(21)));
    let round = watch.until(|event| event["archived"] == 1);
    assert!(round["at"].is_string() && round["failed"] == serde_json::json!([]), "{round}");
    watch.signal("-TERM");
    let (code, said) = watch.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("stopped; nothing is missing"), "{said}");
    assert_eq!(home.run(&["show", "--raw", "21"]).stdout.as_bytes(), log(21));
}

#[test]
fn the_configuration_is_read_again_on_sighup_and_a_broken_one_changes_nothing() {
    let data = server_with(3).project(9, "group/second");
    let server = FakeGitLab::start(data.job(9, job_doc(50, 70, "build", "success"), log(50)));
    let home = Home::new();
    let config = |more: &str| {
        let text = format!("host = \"{}\"\n{more}\n", server.url());
        home.write(".config/jobvault/config.toml", &text)
    };
    config("projects = [\"group/project\"]");
    let mut watch = home.watch(&[]);
    assert_eq!(watch.event("round")["archived"], 3);
    let file = config("projcets = [\"group/second\"]");
    watch.signal("-HUP");
    let event = watch.event("unusable");
    let error = event["error"].as_str().unwrap();
    assert!(error.contains(&format!("{file}:2: unknown key `projcets`")), "{error}");
    config("archive = \"/elsewhere\"");
    watch.signal("-HUP");
    let event = watch.event("unusable");
    assert!(event["error"].as_str().unwrap().contains("archive cannot change"), "{event}");
    config("groups = [\"group\"]\nexclude = [\"*/project\"]");
    watch.signal("-HUP");
    watch.event("reloaded");
    assert_eq!(watch.until(|event| event["archived"] == 1)["failed"], serde_json::json!([]));
    watch.signal("-INT");
    assert_eq!(watch.end().0, 0);
    assert_eq!(home.run(&["show", "--raw", "50"]).stdout.as_bytes(), log(50));
}

#[test]
fn a_failing_job_is_said_once_and_what_is_missing_makes_exit_3() {
    let server = FakeGitLab::start(server_with(2));
    // An answer that is final: the client does not repeat it.
    server.on("trace", 1, Fault::json(418, "{\"message\":\"a teapot\"}"));
    let home = Home::new();
    let mut watch = home.watch(&["--concurrency", "1", "--host", server.url(), "group/project"]);
    let round = watch.event("round");
    assert_eq!((&round["archived"], &round["failed"][0]["job"]), (&1.into(), &2.into()));
    watch.event("round");
    watch.signal("-TERM");
    let (code, said) = watch.end();
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("1 log waits to be fetched"), "{said}");
}

#[test]
fn what_can_never_be_done_ends_the_watch_at_once() {
    let server = FakeGitLab::start(server_with(2));
    let home = Home::new();
    let (code, said) = home.watch(&["--host", server.url(), "group/nothing"]).end();
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("404"), "{said}");
}
