//! Archives of earlier versions, kept in `tests/data` for ever: opened, verified, read, rebuilt; newer ones refused.
//!
//! `cargo test --test it -- --ignored write_the_fixed_archives` makes those of today's version anew. That is for
//! a format that was never released; the archives of a released one are never written again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use jobvault::gitlab::read_job;
use jobvault::store::catalogue::{Condition, Order};
use jobvault::store::check::verify;
use jobvault::store::compact::{CompactOptions, compact};
use jobvault::store::packs::ledger::RecordKind;
use jobvault::store::rebuild::{ParsedJob, rebuild};
use jobvault::store::{CatalogueError, PackError, Store, StoreError};
use serde_json::{Value, json};

use crate::sync::PROJECT;
use crate::util::archive::Archive;
use crate::util::gitlab::{Data, FakeGitLab, job_doc};

/// An archive as captured, in several packs, and the same one compacted.
const ARCHIVES: [&str; 2] = ["captured", "compacted"];
/// Where they are.
const PLACE: &str = "tests/data/archive-v1";
/// What every one of them has to answer.
const EXPECTED: &str = "expected.json";
/// Where each was when it was written.
const HOST: &str = "https://gitlab.example.com";

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(PLACE).join(name)
}

fn then() -> Timestamp {
    Timestamp::from_second(1_770_000_000).unwrap()
}

/// Copies a directory; files named `*.zst` are unpacked, so that a catalogue of empty pages takes little.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else if path.extension().is_some_and(|e| e == "zst") {
            let packed = fs::File::open(&path).unwrap();
            fs::write(target.with_extension(""), zstd::decode_all(packed).unwrap()).unwrap();
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Keeps what an archive cannot do without.
fn keep(archive: &Path, name: &str) {
    let to = place(name);
    let _ = fs::remove_dir_all(&to);
    copy(&archive.join("packs"), &to.join("packs"));
    fs::copy(archive.join("jobvault.json"), to.join("jobvault.json")).unwrap();
    let catalogue = fs::read(archive.join("catalogue.sqlite")).unwrap();
    let packed = zstd::encode_all(catalogue.as_slice(), 19).unwrap();
    fs::write(to.join("catalogue.sqlite.zst"), packed).unwrap();
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Returns what an archive says of each job.
async fn answers(root: &Path) -> Value {
    let store = Store::open(root).await.unwrap();
    let all = Condition::All(Vec::new());
    let mut answers = BTreeMap::new();
    for row in store.catalogue().jobs(&all, Order::Oldest, 1000).await.unwrap() {
        let document = store.document(row.id).await.unwrap().unwrap();
        let mut raw = Vec::new();
        if let Some(trace) = row.trace {
            let trace = store.catalogue().traces(&[trace]).await.unwrap().remove(0).unwrap();
            for frame in &trace.frames {
                raw.extend(store.read_frame(frame).unwrap());
            }
        }
        let answer = json!({"name": row.name, "status": row.status, "ref": row.git_ref,
            "project": row.project_path, "finished_at": row.finished_at, "state": row.state.as_str(),
            "reason": row.reason, "bridge": row.bridge, "document": hash(&document),
            "raw_bytes": raw.len(), "raw": hash(&raw),
            "plain": hash(jobvault::trace::plain(&raw).text())});
        answers.insert(row.id.0.to_string(), answer);
    }
    json!(answers)
}

fn parse(_: RecordKind, document: &[u8]) -> Option<ParsedJob> {
    Some(ParsedJob { job: read_job(document)?, ..ParsedJob::default() })
}

#[tokio::test]
async fn every_archive_ever_written_opens_and_answers_as_it_did() {
    let expected = fs::read(place(EXPECTED)).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    for name in ARCHIVES {
        let dir = tempfile::tempdir().unwrap();
        copy(&place(name), dir.path());
        let report = verify(&Store::open(dir.path()).await.unwrap(), |_| {}).await.unwrap();
        assert_eq!(report.damaged, [], "{name}");
        assert!(report.checked >= 5, "{name}");
        assert_eq!(answers(dir.path()).await, expected, "{name}");
        fs::remove_file(dir.path().join("catalogue.sqlite")).unwrap();
        let rebuilt = rebuild(dir.path(), parse, then()).await.unwrap();
        assert_eq!(rebuilt.damaged, [], "{name}");
        assert_eq!(answers(dir.path()).await, expected, "{name}, rebuilt");
        let run = |args: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_jobvault"));
            command.env_clear().env("HOME", dir.path()).arg("--archive").arg(dir.path());
            String::from_utf8(command.args(args).output().unwrap().stdout).unwrap()
        };
        run(&["reindex"]);
        assert_eq!(run(&["search", "run 3 ended"]), "3:31:run 3 ended\n", "{name}");
        let plain = run(&["show", "--plain", "3"]);
        assert_eq!(hash(plain.as_bytes()), expected["3"]["plain"], "{name}");
    }
}

#[tokio::test]
async fn what_is_newer_is_refused_in_a_clear_sentence() {
    let fresh = || {
        let dir = tempfile::tempdir().unwrap();
        copy(&place(ARCHIVES[0]), dir.path());
        dir
    };
    let dir = fresh();
    fs::write(dir.path().join("jobvault.json"), "{\"format\": 2}").unwrap();
    let refused = Store::open(dir.path()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 2, .. }));
    assert!(refused.to_string().ends_with("has format 2, this jobvault reads format 1"));
    let dir = fresh();
    newer_catalogue(dir.path()).await;
    let refused = Store::open(dir.path()).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Catalogue(CatalogueError::Newer { .. })));
    assert!(refused.to_string().ends_with("is from a newer jobvault"), "{refused}");
    let refused = Store::open_for_writing(dir.path(), "test", then()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Catalogue(CatalogueError::Newer { .. })), "{refused}");
    let dir = fresh();
    let pack = Store::open(dir.path()).await.unwrap().packs().list().unwrap()[0];
    let name = newer_pack(dir.path(), pack.name.to_string().as_str());
    let packs = Store::open(dir.path()).await.unwrap();
    let refused = packs.packs().footer(name.parse().unwrap()).unwrap_err();
    assert!(matches!(refused, PackError::Newer { version: 2, .. }) && !refused.is_damage());
    assert_eq!(
        refused.to_string(),
        format!("pack {name} has format 2, this jobvault reads format 1")
    );
    // A flipped bit in the same place is no version.
    fs::remove_file(pack_path(dir.path(), &name)).unwrap();
    let path = pack_path(dir.path(), &pack.name.to_string());
    let mut bytes = fs::read(&path).unwrap();
    bytes[7] ^= 4;
    fs::write(&path, bytes).unwrap();
    let report = verify(&packs, |_| {}).await.unwrap();
    assert!(report.damaged.iter().any(|damage| damage.pack == Some(pack.name)));
}

async fn newer_catalogue(root: &Path) {
    let url = format!("sqlite://{}", root.join("catalogue.sqlite").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        SELECT max(version) + 1, 'later', 1, x'00', 1 FROM _sqlx_migrations";
    sqlx::query(later).execute(&pool).await.unwrap();
    pool.close().await;
}

fn pack_path(root: &Path, name: &str) -> PathBuf {
    root.join("packs").join(&name[..2]).join(format!("{name}.pack"))
}

/// Puts a pack of version 2 beside the others and returns its name.
fn newer_pack(root: &Path, like: &str) -> String {
    let mut bytes = fs::read(pack_path(root, like)).unwrap();
    bytes[7] = 2;
    let name = hash(&bytes);
    let path = pack_path(root, &name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    name
}

/// The log of a run of a job that is repeated.
fn log(run: u64) -> Vec<u8> {
    let line = |i: u64| {
        let word = &blake3::hash(&i.to_le_bytes()).to_hex()[..24];
        let micros = (run * 31 + i) * 997 % 1_000_000;
        format!("2026-01-02T03:04:{i:02}.{micros:06}Z 00O \x1b[32mstep {word}\x1b[0m\n")
    };
    let mut log: Vec<u8> = (0..30).flat_map(|i| line(i).into_bytes()).collect();
    log.extend(format!("run {run} ended\n").into_bytes());
    log
}

/// A log of several frames, with a section that is open at their starts.
fn long() -> Vec<u8> {
    let mut log = b"section_start:1770000000:step_script\r\x1b[0Kmake\n".to_vec();
    (0..9000).for_each(|i| log.extend(format!("line {} of a long log\n", i % 7).into_bytes()));
    log.extend(b"section_end:1770000000:step_script\r\x1b[0K");
    log
}

#[tokio::test]
#[ignore = "writes the archives that the other tests read; by hand, where a format changes"]
async fn write_the_fixed_archives() {
    let data = (1..=6).fold(Data::default().project(PROJECT, "group/project"), |data, id| {
        let status = if id == 4 { "failed" } else { "success" };
        data.job(PROJECT, job_doc(id, 1 + id / 3, "build", status), log(id))
    });
    let mut data = data
        .job(PROJECT, job_doc(7, 9, "deploy: [a/b]", "skipped"), "")
        .job(PROJECT, job_doc(8, 9, "running", "running"), "so far\n")
        .job(PROJECT, job_doc(11, 9, "long", "success"), long())
        .bridge(PROJECT, job_doc(9, 9, "trigger", "success"), None);
    data.erase(PROJECT, 5);
    let server = FakeGitLab::start(data);
    let archive = Archive { adjust: |options| fixed(options), ..Archive::new() };
    archive.sync_from(&server, "group/project", HOST).await.unwrap();
    server.data(|data| {
        data.finish(PROJECT, 8, "success", &log(8));
        data.add_job(PROJECT, job_doc(10, 10, "build", "success"), log(10));
    });
    archive.sync_from(&server, "group/project", HOST).await.unwrap();
    let expected = answers(archive.path()).await;
    keep(archive.path(), "captured");
    fs::write(place(EXPECTED), serde_json::to_vec_pretty(&expected).unwrap()).unwrap();
    let store = Store::open_for_writing(archive.path(), "test", then()).await.unwrap();
    let options = CompactOptions { grace: SignedDuration::ZERO, ..CompactOptions::default() };
    compact(&store, options, then(), |_| {}).await.unwrap();
    store.close().await;
    keep(archive.path(), "compacted");
    assert!(has_bases(archive.path()).await);
}

fn fixed(options: jobvault::sync::Options) -> jobvault::sync::Options {
    jobvault::sync::Options { clock: then, ..options }
}

async fn has_bases(root: &Path) -> bool {
    let store = Store::open(root).await.unwrap();
    let packs = store.packs().list().unwrap();
    packs.iter().any(|pack| {
        let footer = store.packs().footer(pack.name).unwrap();
        footer.entries.iter().any(|entry| entry.base.is_some())
    })
}
