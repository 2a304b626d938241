//! Serves a directory of job logs as a GitLab on loopback, for benchmarks and for trying jobvault by hand.
//!
//! `cargo run --release --example loopback -- DIR` prints the address and serves until it is killed; the token is
//! `glpat-test`. DIR holds `<group>__<project>/<job>/<NNNNN>.log`, each with the job as GitLab's API gives it
//! beside it (`.json`).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

#[path = "../tests/util/gitlab/mod.rs"]
mod gitlab;
#[path = "demo/runs.rs"]
mod runs;

use std::path::Path;

fn main() {
    let dir = std::env::args().nth(1).expect("usage: loopback DIR");
    let mut runs = runs::Runs::default();
    for log in runs::logs_below(Path::new(&dir)) {
        let document = std::fs::read(log.with_extension("json")).ok();
        let place = log.strip_prefix(&dir).unwrap().to_str().unwrap().to_owned();
        runs.add(&place, document.as_deref(), std::fs::read(&log).unwrap());
    }
    let server = gitlab::FakeGitLab::start(runs.into_data());
    let projects = server.data(|d| d.projects.keys().copied().collect::<Vec<_>>());
    println!(
        "{}",
        serde_json::json!({"url": server.url(), "token": gitlab::TOKEN, "projects": projects})
    );
    loop {
        std::thread::park();
    }
}
