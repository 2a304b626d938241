//! The configuration file and the environment.

use super::{Home, NOBODY, SECRET, ran};

#[test]
fn an_unknown_key_is_named_with_file_and_line() {
    let home = Home::new();
    let file = home.write(".config/jobvault/config.toml", "host = \"h\"\nprojetcs = []\n");
    let error = format!("{file}:2: unknown key `projetcs`");
    home.run(&["jobs"]).failed(2, &error, "");
}

#[test]
fn a_named_file_must_be_there() {
    let home = Home::new();
    home.run(&["--config", "none.toml", "jobs"]).failed(2, "cannot read none.toml", "");
    let mut command = home.command(&["jobs"]);
    let run = ran(command.env("JOBVAULT_CONFIG", "none.toml").output().unwrap());
    run.failed(2, "cannot read none.toml", "");
}

#[test]
fn projects_and_host_come_from_the_file() {
    let home = Home::new();
    let text =
        format!("host = \"{NOBODY}\"\nprojects = [\"group/project\"]\narchive = \"vault\"\n");
    home.write("c.toml", &text);
    home.run(&["--config", "c.toml", "sync"]).failed(2, "projects/group%2Fproject", "check --host");
    assert!(home.path().join("vault/jobvault.json").exists());
}

#[test]
fn a_token_file_that_others_can_read_is_warned_of() {
    let home = Home::new();
    let file = home.write("token", SECRET);
    let run = home.run(&["sync", "--host", NOBODY, "--token-file", &file, "a/b"]);
    assert!(run.stderr.contains("warning: the token file"), "{}", run.stderr);
    home.write("empty", "\n");
    let empty = ["sync", "--host", NOBODY, "--token-file", "empty", "a/b"];
    home.run(&empty).failed(2, "empty holds no token", "glpat-");
}

#[test]
fn a_token_that_is_none_is_not_repeated() {
    let home = Home::new();
    let mut command = home.command(&["sync", "--host", NOBODY, "a/b"]);
    let run = ran(command.env("GITLAB_TOKEN", format!("my {SECRET}")).output().unwrap());
    run.failed(2, "GITLAB_TOKEN holds no token", "");
}

#[test]
fn the_archive_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.run(&["sync", "--host", NOBODY, "a/b"]);
    let archive = home.path().join(".local/share/jobvault");
    assert_eq!(std::fs::metadata(archive).unwrap().permissions().mode() & 0o777, 0o700);
}
