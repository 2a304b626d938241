//! `export`: what is in a bundle, how it is checked without jobvault, and what a bad job does to it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::Home;
use crate::sync::{PROJECT, log, server_with};
use crate::util::gitlab::{FakeGitLab, TOKEN, job_doc};
use crate::util::zips::{Member, zip};

const PACKS: &str = ".local/share/jobvault/packs";
const NAME: &str = "../../etc/x\u{202e}\n: [1/2]";

fn home() -> (FakeGitLab, Home) {
    let data = server_with(5).job(PROJECT, job_doc(6, 1, NAME, "failed"), log(6));
    let server = FakeGitLab::start(data);
    let home = Home::synced(&server);
    (server, home)
}

fn unzip(home: &Home, zip: &str) -> PathBuf {
    let dir = home.path().join(format!("{zip}.d"));
    let file = fs::File::open(home.path().join(zip)).unwrap();
    zip::ZipArchive::new(file).unwrap().extract(&dir).unwrap();
    dir
}

fn manifest(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap()
}

/// Returns whether `sha256sum` agrees, or `None` where there is none.
fn checks(dir: &Path) -> Option<bool> {
    let check = ["--check", "--strict", "--quiet", "SHA256SUMS"];
    Some(Command::new("sha256sum").args(check).current_dir(dir).status().ok()?.success())
}

fn packs(home: &Home, place: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in fs::read_dir(home.path().join(place)).unwrap() {
        found.extend(fs::read_dir(folder.unwrap().path()).unwrap().map(|e| e.unwrap().path()));
    }
    found
}

#[test]
fn a_bundle_names_the_files_of_an_artifacts_archive() {
    let archive = zip(&[Member::new("dist/app.txt", "text")]);
    let server = FakeGitLab::start(server_with(1).archive(PROJECT, 1, archive));
    let home = Home::synced(&server);
    let args = ["sync", "--host", server.url(), "--artifacts", "listing", "group/project"];
    let synced = super::ran(home.command(&args).env("GITLAB_TOKEN", TOKEN).output().unwrap());
    assert_eq!(synced.code, 0, "{}", synced.stderr);
    let ran = home.run(&["export", "1", "-o", "a.zip"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let dir = unzip(&home, "a.zip");
    assert_ne!(checks(&dir), Some(false));
    let manifest = manifest(&dir);
    let members = manifest["jobs"][0]["members"].as_array().unwrap();
    let mut paths = members.iter().map(|member| member["path"].as_str().unwrap());
    let path = paths.find(|path| path.ends_with("/artifact-listing.json")).unwrap();
    let listing: Value = serde_json::from_slice(&fs::read(dir.join(path)).unwrap()).unwrap();
    assert_eq!(listing["entries"][0]["path"], "dist/app.txt");
}

#[test]
fn a_bundle_holds_jobs_logs_and_sums_and_is_the_same_again() {
    let (_server, home) = home();
    let ran = home.run(&["export", "6", "2", "6", "-o", "a.zip"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("2 jobs with "), "{}", ran.stderr);
    let dir = unzip(&home, "a.zip");
    assert_ne!(checks(&dir), Some(false));
    let manifest = manifest(&dir);
    assert_eq!((&manifest["v"], &manifest["failed"]), (&1.into(), &0.into()));
    let [first, second] = manifest["jobs"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&first["job"], &second["job"]), (&6.into(), &2.into()));
    assert_eq!(first["name"], NAME);
    assert_eq!(first["captured"]["host"], manifest["host"]);
    assert!(first["captured"]["fetched_at"].is_string(), "{first}");
    assert_eq!(first["captured"]["jobvault"], env!("CARGO_PKG_VERSION"));
    for member in first["members"].as_array().unwrap() {
        let path = member["path"].as_str().unwrap();
        assert!(path.starts_with("6-etc_x_1_2/"), "{path}");
        let bytes = fs::read(dir.join(path)).unwrap();
        assert_eq!(member["bytes"], bytes.len());
        assert_eq!(member["blake3"], blake3::hash(&bytes).to_hex().as_str());
    }
    let folder = dir.join("6-etc_x_1_2");
    assert_eq!(fs::read(folder.join("raw.log")).unwrap(), log(6));
    let plain = home.run(&["show", "--plain", "6"]).stdout;
    assert_eq!(fs::read_to_string(folder.join("plain.log")).unwrap(), plain);
    let document = home.run(&["show", "--doc", "6"]).stdout;
    assert_eq!(fs::read_to_string(folder.join("job.json")).unwrap(), document);
    home.run(&["export", "6", "2", "-o", "b.zip"]);
    let [a, b] = ["a.zip", "b.zip"].map(|name| fs::read(home.path().join(name)).unwrap());
    assert!(a == b, "the same jobs gave other bytes");
    let piped = home.command(&["export", "6", "2", "-o", "-"]).output().unwrap();
    assert!(piped.stdout == a, "standard output gave other bytes");
}

#[test]
fn logs_may_stay_compressed() {
    let (_server, home) = home();
    let ran = home.run(&["export", "3", "--gzip-logs", "--json", "-o", "a.zip"]);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&said["jobs"], &said["failed"]), (&1.into(), &serde_json::json!([])));
    let dir = unzip(&home, "a.zip");
    assert_ne!(checks(&dir), Some(false));
    let manifest = manifest(&dir);
    let members = manifest["jobs"][0]["members"].as_array().unwrap();
    let raw = members.iter().find(|m| m["path"].as_str().unwrap().ends_with("/raw.log.gz"));
    let raw = raw.unwrap();
    let file = fs::File::open(dir.join(raw["path"].as_str().unwrap())).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, log(3));
    assert_eq!(raw["content"]["blake3"], blake3::hash(&bytes).to_hex().as_str());
}

#[test]
fn a_query_chooses_jobs_the_newest_first() {
    let (_server, home) = home();
    let jobs = |args: &[&str]| -> Vec<u64> {
        let all = [&["export", "-o", "q.zip"], args].concat();
        let ran = home.run(&all);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let dir = unzip(&home, "q.zip");
        let jobs = manifest(&dir)["jobs"].as_array().unwrap().clone();
        fs::remove_dir_all(dir).unwrap();
        fs::remove_file(home.path().join("q.zip")).unwrap();
        jobs.iter().map(|job| job["job"].as_u64().unwrap()).collect()
    };
    assert_eq!(jobs(&["--query", "status:failed"]), [6]);
    assert_eq!(jobs(&["--status", "failed"]), [6]);
    assert_eq!(jobs(&["--query", "unique-3 done OR unique-5 done"]), [5, 3]);
    assert_eq!(jobs(&["--query", "Job succeeded", "--limit", "2", "--status", "success"]), [5, 4]);
    let none = home.run(&["export", "--query", "status:running", "-o", "none.zip"]);
    assert_eq!(none.code, 1);
    assert!(!home.path().join("none.zip").exists());
}

#[test]
fn mistakes_are_told_before_anything_is_written() {
    let (_server, home) = home();
    home.run(&["export", "-o", "a.zip"]).failed(2, "which jobs", "--query");
    home.run(&["export", "1", "--status", "failed", "-o", "a.zip"]).failed(2, "at once", "");
    let both = home.run(&["export", "1", "--json", "-o", "-"]);
    assert_eq!((both.code, both.stdout.as_str()), (2, ""));
    assert!(both.stderr.contains("standard output cannot take both"), "{}", both.stderr);
    home.run(&["export", "1", "-o", "no/such/a.zip"]).failed(2, "no/such/a.zip", "");
    home.run(&["export", "--query", "took:soon", "-o", "a.zip"]).failed(2, "column", "");
    let unknown = home.run(&["export", "77", "-o", "a.zip"]);
    assert_eq!(unknown.code, 1, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("no job 77"), "{}", unknown.stderr);
    assert!(!home.path().join("a.zip").exists());
    home.write("mine.txt", "mine");
    home.run(&["export", "1", "-o", "mine.txt"]).failed(2, "mine.txt exists already", "another");
    assert_eq!(fs::read(home.path().join("mine.txt")).unwrap(), b"mine");
    assert_eq!(home.run(&["export", "1", "-o", "/dev/null"]).code, 0);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_bad_job_stops_nothing_and_is_named() {
    let (server, home) = home();
    let before = packs(&home, PACKS);
    server.data(|data| data.add_job(PROJECT, job_doc(9, 1, "new", "success"), log(9)));
    let sync = home.with_token(&["sync", "--host", server.url(), "group/project"]);
    assert_eq!(sync.code, 0, "{}", sync.stderr);
    for pack in packs(&home, PACKS) {
        if before.contains(&pack) {
            fs::remove_file(pack).unwrap();
        }
    }
    let ran = home.run(&["export", "9", "2", "88", "--json", "-o", "a.zip"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(said["jobs"], 1);
    let failed: Vec<u64> =
        said["failed"].as_array().unwrap().iter().map(|f| f["job"].as_u64().unwrap()).collect();
    assert_eq!(failed, [2, 88]);
    let dir = unzip(&home, "a.zip");
    assert_ne!(checks(&dir), Some(false));
    let manifest = manifest(&dir);
    assert_eq!((&manifest["failed"], &manifest["jobs"][1]["job"]), (&2.into(), &2.into()));
    assert!(manifest["jobs"][1]["error"].as_str().unwrap().contains("missing"));
    assert_eq!(fs::read(dir.join("9-new/raw.log")).unwrap(), log(9));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (_server, home) = home();
    let command = format!("'{}' export 1 2 3 -o - | true", env!("CARGO_BIN_EXE_jobvault"));
    let script = format!("set -o pipefail; {command}");
    let ran = Command::new("bash").args(["-c", &script]).env("HOME", home.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stderr).matches("error").count(), 0);
}
