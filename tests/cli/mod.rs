//! The program itself, as far as it needs no server: wiring, texts, exit codes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actions;
mod archives;
mod artifacts;
mod export;
mod help;
mod mistakes;
mod questions;
mod scope;
mod server;
mod settings;
mod show;
mod tree;
mod watch;

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use jiff::Timestamp;
use jobvault::store::Store;
use jobvault::sync::HOST_KEY;
use jobvault_index::Index;
use tempfile::TempDir;

/// A token that must never be seen.
const SECRET: &str = "glpat-Never-to-be-seen-0123";
/// A port on which nothing listens.
const NOBODY: &str = "http://127.0.0.1:1";

/// A user's home, with an archive's place in it.
struct Home {
    dir: TempDir,
}

/// How a run ended and what it said.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the program with nothing of the real environment.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobvault"));
        command.env_clear().env("HOME", self.path()).current_dir(self.path()).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Makes an archive of [`NOBODY`] without jobs at the usual place.
    fn create_archive(&self) {
        let root = self.path().join(".local/share/jobvault");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let store = Store::open_for_writing(&root, "a test", Timestamp::now()).await.unwrap();
            store.set_meta(HOST_KEY, NOBODY).await.unwrap();
            Index::create(&store.index_dir()).unwrap();
            store.close().await;
        });
    }

    /// Makes what only looks like an archive, of this format.
    fn marker(&self, format: u32) -> String {
        let marker = format!(
            r#"{{"format":{format},"created_by":"a test","created_at":"2024-01-01T00:00:00Z"}}"#
        );
        self.write("archive/jobvault.json", &marker);
        self.path().join("archive").to_str().unwrap().to_owned()
    }
}

fn ran(output: Output) -> Ran {
    let ran = Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET), "the token was shown");
    ran
}

impl Ran {
    /// Asserts an exit code, and an error and a hint on a line of their own.
    #[track_caller]
    fn failed(&self, code: i32, error: &str, hint: &str) {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert_eq!(self.stdout, "");
        let line = |start: &str, text: &str| {
            self.stderr.lines().any(|line| line.starts_with(start) && line.contains(text))
        };
        assert!(line("error: ", error), "no error {error:?} in {}", self.stderr);
        assert!(hint.is_empty() || line("hint: ", hint), "no hint {hint:?} in {}", self.stderr);
    }
}
