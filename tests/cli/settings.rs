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
fn the_archive_and_the_host_come_from_the_file() {
    let home = Home::new();
    home.create_archive();
    let text = "host = \"http://127.0.0.1:2\"\narchive = \".local/share/jobvault\"\n";
    home.write("c.toml", text);
    let sync = ["--config", "c.toml", "sync", "a/b"];
    home.run(&sync).failed(2, "not of http://127.0.0.1:2", "--host-moved");
}

#[test]
fn a_token_file_that_others_can_read_is_warned_of() {
    let home = Home::new();
    home.create_archive();
    let file = home.write("token", SECRET);
    let other = "http://127.0.0.1:2";
    let run = home.run(&["sync", "--host", other, "--token-file", &file, "a/b"]);
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
