#![allow(clippy::unwrap_used)] // A test states what must hold.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn env<'a>(home: &'a TempDir, more: &[(&'a str, &'a str)]) -> Env {
    let home = [("HOME", home.path().to_str().unwrap())];
    Env::of(home.into_iter().chain(more.iter().copied()))
}

fn write(home: &TempDir, path: &str, text: &str) -> PathBuf {
    let path = home.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn secret(token: &Token) -> (&'static str, String) {
    match token {
        Token::Private(secret) => ("private", secret.expose_secret().to_owned()),
        Token::Bearer(secret) => ("bearer", secret.expose_secret().to_owned()),
        Token::Job(secret) => ("job", secret.expose_secret().to_owned()),
    }
}

fn token_for(config: &mut Config, host: &str) -> Option<(&'static str, String)> {
    let host = parse_host(host, "test").unwrap();
    config.token(&host).unwrap().as_ref().map(secret)
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let home = home();
    let file = "archive = \"from-file\"\nhost = \"file.example\"\nconcurrency = 3\n";
    write(&home, ".config/jobvault/config.toml", file);
    let load =
        |flags: Flags, more: &[(&str, &str)]| Config::load(flags, &env(&home, more)).unwrap();
    let config = load(Flags::default(), &[]);
    assert_eq!(config.archive, home.path().join(".config/jobvault/from-file"));
    assert_eq!(config.host.unwrap().as_str(), "https://file.example/");
    assert_eq!(config.concurrency, 3);
    let more = [("GITLAB_HOST", "env.example"), ("JOBVAULT_ARCHIVE", "/a")];
    let config = load(Flags::default(), &more);
    assert_eq!(config.archive, PathBuf::from("/a"));
    assert_eq!(config.host.unwrap().as_str(), "https://env.example/");
    let flags = Flags {
        host: Some("http://flag.example:8080/gitlab/".to_owned()),
        archive: Some("/b".into()),
        concurrency: Some(1),
        ..Flags::default()
    };
    let config = load(flags, &more);
    assert_eq!(config.archive, PathBuf::from("/b"));
    assert_eq!(config.host.unwrap().as_str(), "http://flag.example:8080/gitlab");
    assert_eq!(config.concurrency, 1);
}

#[test]
fn the_archive_is_in_the_folder_for_data() {
    let home = home();
    let config = Config::load(Flags::default(), &env(&home, &[])).unwrap();
    assert_eq!(config.archive, home.path().join(".local/share/jobvault"));
    let more = [("XDG_DATA_HOME", "/data")];
    let config = Config::load(Flags::default(), &env(&home, &more)).unwrap();
    assert_eq!(config.archive, PathBuf::from("/data/jobvault"));
    let relative = [("XDG_DATA_HOME", "data")];
    let config = Config::load(Flags::default(), &env(&home, &relative)).unwrap();
    assert_eq!(config.archive, home.path().join(".local/share/jobvault"));
}

#[test]
fn a_mistake_in_the_file_is_named_with_its_line() {
    let home = home();
    let cases = [
        ("host = \"x\"\nhots = 1\n", ":2: unknown key `hots`"),
        ("\n\nconcurrency = 0\n", ":3: concurrency is not between 1 and 64"),
        ("rate = -1.0\n", ":1: rate is not a positive number"),
        ("host = \"x\"\nprojects = [1]\n", ":2: invalid type"),
        ("host = \n", ":1: "),
    ];
    for (text, wanted) in cases {
        let path = write(&home, "c.toml", text);
        let flags = Flags { config: Some(path.clone()), ..Flags::default() };
        let error = Config::load(flags, &env(&home, &[])).unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()) && error.contains(wanted), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn only_the_usual_file_may_be_missing() {
    let home = home();
    assert!(Config::load(Flags::default(), &env(&home, &[])).is_ok());
    let named = [("JOBVAULT_CONFIG", "/nowhere/c.toml")];
    let error = Config::load(Flags::default(), &env(&home, &named)).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/c.toml");
}

#[test]
fn a_host_is_an_address_or_a_name() {
    let host = |text: &str| parse_host(text, "--host").map(|url| url.as_str().to_owned());
    assert_eq!(host("gitlab.com").unwrap(), "https://gitlab.com/");
    assert_eq!(host("gitlab.com:8443").unwrap(), "https://gitlab.com:8443/");
    assert_eq!(host("http://h/gl/api/v4/").unwrap(), "http://h/gl");
    for wrong in ["", "ftp://h", "https://", "https://user:hunter2@h", "a b"] {
        let error = host(wrong).unwrap_err();
        assert!(error.to_string().starts_with("--host is not"), "{wrong}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_token_file_is_read_late_and_its_mode_is_looked_at() {
    let home = home();
    let path = write(&home, "token", "glpat-secret\n");
    let flags = || Flags { token_file: Some(path.clone()), ..Flags::default() };
    let more = [("GITLAB_TOKEN", "glpat-env")];
    let mut config = Config::load(flags(), &env(&home, &more)).unwrap();
    assert_eq!(token_for(&mut config, "h").unwrap(), ("private", "glpat-secret".to_owned()));
    assert!(config.warnings.is_empty());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    token_for(&mut config, "h");
    assert_eq!(config.warnings.len(), 1);
    assert!(!format!("{config:?}").contains("glpat-secret"));
}

#[test]
fn a_wrong_token_is_refused_without_being_shown() {
    let home = home();
    for text in ["two words", "\u{1b}[31mred", "grün"] {
        let more = [("GITLAB_TOKEN", text)];
        let mut config = Config::load(Flags::default(), &env(&home, &more)).unwrap();
        let host = parse_host("h", "test").unwrap();
        let error = config.token(&host).unwrap_err().to_string();
        assert!(error.starts_with("GITLAB_TOKEN holds no token"), "{error}");
        assert!(!error.contains(text), "{error}");
    }
}

#[test]
fn inside_ci_the_token_of_the_job_goes_to_its_server_alone() {
    let home = home();
    let more = [("CI_SERVER_URL", "https://ci.example"), ("CI_JOB_TOKEN", "job-secret")];
    let mut config = Config::load(Flags::default(), &env(&home, &more)).unwrap();
    assert_eq!(config.host.clone().unwrap().as_str(), "https://ci.example/");
    assert_eq!(token_for(&mut config, "ci.example").unwrap().0, "job");
    assert_eq!(token_for(&mut config, "other.example"), None);
}

#[test]
fn the_login_of_glab_is_used_where_nothing_else_is_said() {
    let home = home();
    let yaml = "host: gl.example\nhosts:\n  gl.example:\n    token: !!null glpat-glab\n    api_protocol: http\n  \
                gitlab.com:\n    token: \"\"\n  o.example:\n    token: oauth\n    is_oauth2: \"true\"\n";
    write(&home, ".config/glab-cli/config.yml", yaml);
    let mut config = Config::load(Flags::default(), &env(&home, &[])).unwrap();
    assert_eq!(config.host.clone().unwrap().as_str(), "http://gl.example/");
    assert_eq!(token_for(&mut config, "http://gl.example").unwrap().1, "glpat-glab");
    assert_eq!(
        token_for(&mut config, "https://gl.example"),
        None,
        "never in the clear or elsewhere"
    );
    assert_eq!(token_for(&mut config, "o.example").unwrap().0, "bearer");
    let more = [("GITLAB_TOKEN", "glpat-env")];
    let mut config = Config::load(Flags::default(), &env(&home, &more)).unwrap();
    assert_eq!(token_for(&mut config, "http://gl.example").unwrap().1, "glpat-env");
}

#[test]
fn an_unreadable_login_of_glab_is_a_warning() {
    let home = home();
    write(&home, ".config/glab-cli/config.yml", "hosts: [\ntoken: glpat-secret");
    let config = Config::load(Flags::default(), &env(&home, &[])).unwrap();
    assert_eq!(config.host, None);
    assert_eq!(config.warnings.len(), 1);
    assert!(!config.warnings[0].contains("glpat"));
}

#[test]
fn colour_follows_the_conventions() {
    let wants =
        |more: &[(&str, &str)], terminal| Env::of(more.iter().copied()).wants_colour(terminal);
    assert!(wants(&[], true));
    assert!(!wants(&[], false));
    assert!(!wants(&[("NO_COLOR", "1")], true));
    assert!(wants(&[("NO_COLOR", "")], true));
    assert!(wants(&[("CLICOLOR_FORCE", "1")], false));
    assert!(!wants(&[("CLICOLOR_FORCE", "0")], false));
    assert!(!wants(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
    assert!(!wants(&[("TERM", "dumb")], true));
}
