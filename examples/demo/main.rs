//! jobvault in a minute: a GitLab on loopback with real job logs, archived, searched and shown.
//!
//! `cargo run --release --example demo [DIR]`. The archive goes to DIR, else to a new directory among the temporary
//! files; it stays there to be played with. Every command is the one a shell would run.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a demonstration may panic and prints"
)]

#[path = "../../tests/util/gitlab/mod.rs"]
mod gitlab;
mod runs;

use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use clap::Parser;
use jiff::Timestamp;
use jobvault::cli::{Cli, Exit};
use jobvault::config::Env;

/// The sample logs: a zip of stored members, compressed as a whole.
const LOGS: &[u8] = include_bytes!("logs.zip.zst");
/// What the sample logs' zip is decoded to at most; the shipped one has 16 MB.
const MAX_ZIP_BYTES: u64 = 64 << 20;

#[tokio::main]
async fn main() {
    let archive = std::env::args().nth(1).map_or_else(new_directory, PathBuf::from);
    let server = gitlab::FakeGitLab::start(sample_runs().ending_at(Timestamp::now()).into_data());
    let projects: Vec<String> = server.data(|d| d.projects.keys().map(u64::to_string).collect());
    let shell = Shell { archive: archive.clone(), host: server.url().to_owned() };

    say("A GitLab on loopback serves real job logs. First, everything goes into a new archive:");
    let mut sync = vec!["sync", "--host", server.url()];
    sync.extend(projects.iter().map(String::as_str));
    shell.run(&sync).await;

    say("Have we ever hit this before? A literal, found as grep would find it, newest job first:");
    shell.run(&["search", "connection refused", "--limit", "5"]).await;
    say("Failed assertions of one project, with a line around them:");
    let assertion = ["search", "AssertionError", "project:*/ledger-api", "-C1", "--limit", "3"];
    shell.run(&assertion).await;
    say("A regular expression, and a filter on the job:");
    let exit = r"/exit (code|status) [1-9]\d*$/";
    shell.run(&["search", exit, "status:failed", "--limit", "3"]).await;

    say("How did the last failed test run end?");
    let failed = failed_job(&archive).await;
    shell.run(&["show", &failed, "--lines", "-12:"]).await;

    say("The server forgets: every pipeline is deleted upstream. The archive does not:");
    server.data(|data| data.projects.values_mut().for_each(|p| p.jobs.clear()));
    shell.run(&["show", &failed, "--lines", "-3:"]).await;
    shell.run(&["verify"]).await;
    shell.run(&["status"]).await;

    let root = archive.display();
    say("Your turn; the archive stays where it is:");
    println!(
        "  cargo build --release; export JOBVAULT_ARCHIVE={root} PATH=$PWD/target/release:$PATH"
    );
    println!("  jobvault search 'no such file'");
    println!("  jobvault search 'connection refused' --json | head -1");
    println!("  jobvault jobs --status failed --limit 10");
    println!("  jobvault show {failed}");
    println!("\nWith a GitLab of your own:");
    println!("  GITLAB_TOKEN=... jobvault sync --host https://gitlab.example.com group/project");
}

/// Runs commands as a shell would, in this process.
struct Shell {
    archive: PathBuf,
    host: String,
}

impl Shell {
    async fn run(&self, args: &[&str]) {
        let quoted: Vec<String> = args.iter().map(|arg| quote(arg)).collect();
        println!("\x1b[1m$ jobvault {}\x1b[0m", quoted.join(" "));
        std::io::stdout().flush().unwrap();
        let archive = self.archive.to_str().unwrap();
        let all = ["jobvault", "--archive", archive].into_iter().chain(args.iter().copied());
        let cli = Cli::try_parse_from(all).unwrap_or_else(|e| panic!("{e}"));
        let env = Env::of([
            ("GITLAB_TOKEN", gitlab::TOKEN),
            ("GITLAB_HOST", self.host.as_str()),
            ("HOME", archive),
        ]);
        let mut out = cli.out(&env);
        let exit = cli.run(&env, &mut out, Timestamp::now()).await;
        let exit = exit.unwrap_or_else(|e| panic!("jobvault {args:?}: {e:#}"));
        assert!(matches!(exit, Exit::Yes), "jobvault {args:?} ended with {exit:?}");
    }
}

fn quote(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_:/.=".contains(c);
    if arg.chars().all(plain) { arg.to_owned() } else { format!("'{arg}'") }
}

fn say(text: &str) {
    println!("\n\x1b[36m# {text}\x1b[0m");
}

/// Returns the newest failed job that has a log of some length.
async fn failed_job(archive: &Path) -> String {
    use jobvault::store::catalogue::{Column, Condition, Order};
    let store = jobvault::store::Store::open(archive).await.unwrap();
    let failed = Condition::Glob(Column::Status, "failed".to_owned());
    let test = Condition::Glob(Column::Name, "*test*".to_owned());
    let both = Condition::All(vec![failed, test]);
    let jobs = store.catalogue().jobs(&both, Order::Newest, 1).await.unwrap();
    jobs.first().expect("the sample logs hold failed tests").id.to_string()
}

fn sample_runs() -> runs::Runs {
    let mut zip = Vec::new();
    let mut decoder = zstd::Decoder::new(LOGS).unwrap();
    decoder.window_log_max(27).unwrap();
    decoder.take(MAX_ZIP_BYTES).read_to_end(&mut zip).unwrap();
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut runs = runs::Runs::default();
    let names = zip.file_names().map(|name| name.unwrap().into_owned());
    let logs: Vec<String> = names.filter(|name| name.ends_with(".log")).collect();
    for place in logs {
        let mut member = |name: &str| {
            let mut bytes = Vec::new();
            zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        let document = member(&place.replace(".log", ".json"));
        let trace = member(&place);
        runs.add(&place, Some(&document), trace);
    }
    runs
}

fn new_directory() -> PathBuf {
    tempfile::Builder::new().prefix("jobvault-demo-").tempdir().unwrap().keep()
}
