//! `show`: which lines of a log, where the log says too little to find them.

use super::Home;
use crate::sync::server_with;
use crate::util::gitlab::FakeGitLab;

#[test]
fn a_section_that_is_not_there_names_those_that_are() {
    let home = Home::synced(&FakeGitLab::start(server_with(1)));
    let show = home.run(&["show", "1", "--section", "after_*"]);
    assert_eq!((show.code, show.stdout.as_str()), (1, ""));
    let said = "no such line in a section after_*; there are step_script";
    assert!(show.stderr.contains(said), "{}", show.stderr);
    let show = home.run(&["show", "1", "--section", "step_*", "--lines", "2"]);
    assert_eq!((show.code, show.stdout.as_str()), (0, "unique-1 done\n"));
}

#[test]
fn a_time_finds_a_section_in_a_log_without_timestamps() {
    let home = Home::synced(&FakeGitLab::start(server_with(1)));
    let show = home.run(&["show", "1", "--around", "2023-11-14T22:15:00Z"]);
    assert_eq!((show.code, show.stdout.lines().count()), (0, 3), "{}", show.stderr);
    assert!(show.stderr.contains("no timestamps"), "{}", show.stderr);
}
