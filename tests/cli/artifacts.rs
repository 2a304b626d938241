//! `artifacts` and what other commands say of them.

use super::server::lines;
use super::{Home, Ran};
use crate::sync::{PROJECT, server_with};
use crate::util::gitlab::FakeGitLab;
use crate::util::zips::{Member, zip};

fn members() -> Vec<Member> {
    vec![
        Member::new("reports/junit.xml", "<tests/>\n"),
        Member::new("../../climbs.txt", "down"),
        Member { claims: Some((4, 1)), ..Member::new("wrong.txt", "text") },
        Member::new("app\x1b[2J.bin", b"\x00\x01".to_vec()),
    ]
}

fn synced(mode: &str) -> (Home, FakeGitLab) {
    let server = FakeGitLab::start(server_with(2).archive(PROJECT, 2, zip(&members())));
    let home = Home::new();
    let args = ["sync", "--artifacts", mode, "--host", server.url(), "group/project"];
    let sync: Ran = home.with_token(&args);
    assert_eq!(sync.code, 0, "{}", sync.stderr);
    (home, server)
}

#[test]
fn a_kept_archive_is_listed_saved_and_taken_apart() {
    let (home, _server) = synced("all");
    let list = home.run(&["artifacts", "2"]);
    assert_eq!(list.code, 0, "{}", list.stderr);
    assert!(list.stdout.contains("reports/junit.xml"), "{}", list.stdout);
    assert!(list.stdout.contains("../../climbs.txt  (path climbs by ..)"), "{}", list.stdout);
    assert!(list.stdout.contains("app^[[2J.bin"), "{}", list.stdout);
    assert!(list.stderr.contains("all kept") && list.stderr.contains("CRC"), "{}", list.stderr);
    let json = lines(&home.run(&["artifacts", "2", "--json"]).stdout);
    assert_eq!((&json[0]["v"], &json[0]["path"]), (&1.into(), &"reports/junit.xml".into()));
    assert_eq!((&json[0]["size"], &json[0]["kept"]), (&9.into(), &true.into()));
    assert_eq!(
        home.run(&["artifacts", "2", "--extract", "reports/junit.xml"]).stdout,
        "<tests/>\n"
    );
    let args = ["artifacts", "2", "--extract", "../../climbs.txt", "-o", "here.txt"];
    assert_eq!(home.run(&args).code, 0);
    assert_eq!(std::fs::read(home.path().join("here.txt")).unwrap(), b"down");
    home.run(&args).failed(2, "here.txt exists already", "name another file");
    let wrong = home.run(&["artifacts", "2", "--extract", "wrong.txt", "-o", "wrong.txt"]);
    wrong.failed(2, "CRC is wrong", "");
    assert!(!home.path().join("wrong.txt").exists());
    home.run(&["artifacts", "2", "--extract", "no.txt"]).failed(1, "no file no.txt", "lists them");
    assert_eq!(home.run(&["artifacts", "2", "--save", "all.zip"]).code, 0);
    assert_eq!(std::fs::read(home.path().join("all.zip")).unwrap(), zip(&members()));
    let job = lines(&home.run(&["jobs", "--json", "--limit", "1"]).stdout).pop().unwrap();
    let archive = &job["artifacts"][0];
    assert_eq!((&archive["state"], &archive["entries"]), (&"damaged".into(), &4.into()));
    assert_eq!(home.run(&["export", "2", "-o", "bundle.zip"]).code, 0);
    let bundle = std::fs::File::open(home.path().join("bundle.zip")).unwrap();
    let mut bundle = zip::ZipArchive::new(bundle).unwrap();
    let listing = bundle.by_name("2-build/artifact-listing.json").unwrap();
    let listing: serde_json::Value = serde_json::from_reader(listing).unwrap();
    assert_eq!(listing["entries"][1]["path"], "../../climbs.txt");
    let coverage = home.run(&["coverage"]);
    assert!(coverage.stdout.contains("damaged"), "{}", coverage.stdout);
}

#[test]
fn a_dry_run_counts_the_archives_that_it_would_ask_for() {
    let (home, server) = synced("none");
    let dry = ["sync", "--dry-run", "--host", server.url(), "group/project"];
    let plain = home.with_token(&dry);
    assert!(!plain.stderr.contains("artifacts"), "{}", plain.stderr);
    let all = [dry.as_slice(), &["--artifacts", "all"]].concat();
    let said = home.with_token(&all).stderr;
    assert!(
        said.contains("0 logs would be fetched; something of 1 archive of artifacts"),
        "{said}"
    );
    let said = Home::new().with_token(&all).stderr;
    assert!(said.contains("2 logs would be") && said.contains("of 1 archive of"), "{said}");
    assert_eq!(server.count("artifacts"), 0);
}

#[test]
fn what_is_not_kept_is_said() {
    let (home, _server) = synced("listing");
    let list = home.run(&["artifacts", "2"]);
    assert!(list.stderr.contains("only this list is kept"), "{}", list.stderr);
    home.run(&["artifacts", "2", "--save", "x.zip"]).failed(1, "does not hold", "--artifacts all");
    let extract = home.run(&["artifacts", "2", "--extract", "reports/junit.xml"]);
    extract.failed(1, "does not hold", "--artifacts all");
    assert_eq!(home.run(&["artifacts", "1"]).code, 1);
    assert_eq!(home.run(&["jobs", "--artifact", "junit.xml"]).stdout.lines().count(), 1);
    let (home, _server) = synced("none");
    home.run(&["artifacts", "2"]).failed(1, "no artifacts of job 2", "jobvault sync --artifacts");
    let told = home.run(&["artifacts", "2", "--json"]);
    assert!(
        told.stderr.starts_with("{\"v\":1,\"error\":\"the archive holds no"),
        "{}",
        told.stderr
    );
    assert_eq!((told.code, told.stderr.lines().count()), (1, 1));
    let none = home.run(&["artifacts", "1", "--json"]);
    assert_eq!((none.code, none.stderr.as_str()), (1, ""));
    assert_eq!(home.run(&["coverage"]).code, 0, "nobody wants them");
    std::fs::write(home.path().join("config.toml"), "artifacts = \"reports\"\n").unwrap();
    let wanting = ["coverage", "--config", "config.toml"];
    assert_eq!(home.run(&wanting).code, 3, "they could still be got");
    let (home, _server) = synced("reports");
    assert_eq!(
        home.run(&["artifacts", "2", "--extract", "reports/junit.xml"]).stdout,
        "<tests/>\n"
    );
}

#[test]
fn an_archive_that_is_no_zip_is_said_to_be_kept_and_can_be_saved() {
    let server = FakeGitLab::start(server_with(2).archive(PROJECT, 2, b"no zip at all".to_vec()));
    let home = Home::new();
    let args = ["sync", "--artifacts", "all", "--host", server.url(), "group/project"];
    home.with_token(&args);
    home.run(&["artifacts", "2"]).failed(1, "cannot be listed", "--save");
    assert_eq!(home.run(&["artifacts", "2", "--save", "all.zip"]).code, 0);
    assert_eq!(std::fs::read(home.path().join("all.zip")).unwrap(), b"no zip at all");
}
