//! What is said to who asks for help.

use super::Home;

const COMMANDS: &[&str] = &[
    "sync",
    "search",
    "first",
    "last",
    "triage",
    "saved",
    "show",
    "job",
    "export",
    "jobs",
    "status",
    "verify",
    "reindex",
    "completions",
    "man",
];

#[test]
fn the_help_names_every_command_and_fits_a_screen() {
    let home = Home::new();
    let help = home.run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    for command in COMMANDS {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{command} is missing");
    }
    assert!(help.stdout.lines().count() < 50, "{}", help.stdout);
    assert_eq!(help.stdout, home.run(&["-h"]).stdout);
}

#[test]
fn each_command_explains_itself() {
    let home = Home::new();
    for command in COMMANDS {
        let help = home.run(&[command, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains("Usage: jobvault"), "{command}: {}", help.stdout);
        assert!(!help.stdout.contains("\n\n\n"), "{command}: {}", help.stdout);
    }
    for command in ["sync", "search", "first", "last", "show", "export", "job", "jobs"] {
        assert!(home.run(&[command, "-h"]).stdout.contains("Examples:\n"), "{command}");
    }
}

#[test]
fn no_arguments_are_a_question_for_help() {
    let run = Home::new().run(&[]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("Usage: jobvault"), "{}", run.stderr);
}

#[test]
fn no_flag_takes_a_token() {
    let home = Home::new();
    let help = home.run(&["sync", "--help"]).stdout;
    assert!(!help.contains("--token "), "{help}");
    assert!(help.contains("--token-file <FILE>"), "{help}");
}

#[test]
fn completions_and_manual_come_from_the_same_words() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.run(&["completions", shell]);
        assert_eq!(script.code, 0);
        assert!(script.stdout.contains("reindex"), "{shell}");
    }
    let page = home.run(&["man"]).stdout;
    assert!(page.contains(".TH jobvault 1"), "{page}");
    let page = home.run(&["man", "search"]).stdout;
    assert!(page.contains("Examples") && page.contains(".TH jobvault-search 1"), "{page}");
    home.run(&["man", "nothing"]).failed(2, "there is no command nothing", "");
}
