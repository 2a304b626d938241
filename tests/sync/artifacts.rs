//! Artifacts: what is fetched, at what price, and what becomes of those that are no good.

use std::collections::BTreeSet;
use std::io::Read;

use jiff::Timestamp;
use jobvault::model::{ArtifactListing, ArtifactMode, ArtifactState, JobId};
use jobvault::store::catalogue::ArtifactRow;
use jobvault::store::compact::{CompactOptions, compact};
use jobvault::store::mend::{MendOptions, mend};
use jobvault::store::packs::ledger::RecordKind;
use jobvault::store::rebuild::{ParsedJob, rebuild};
use jobvault::store::{Store, check};
use jobvault::sync;
use serde_json::json;

use super::{PROJECT, log, server_with};
use crate::util::archive::Archive;
use crate::util::gitlab::{Data, FakeGitLab, Fault};
use crate::util::zips::{Member, zip, zip_with};

fn wanting(adjust: fn(sync::Options) -> sync::Options) -> Archive {
    Archive { concurrency: 1, adjust, ..Archive::new() }
}

fn listing(options: sync::Options) -> sync::Options {
    sync::Options { artifacts: ArtifactMode::Listing, ..options }
}

fn reports(options: sync::Options) -> sync::Options {
    sync::Options { artifacts: ArtifactMode::Reports, ..options }
}

fn all(options: sync::Options) -> sync::Options {
    sync::Options { artifacts: ArtifactMode::All, ..options }
}

async fn row(archive: &Archive, job: u64) -> ArtifactRow {
    archive.store().await.catalogue().artifacts(&[JobId(job)]).await.unwrap().pop().unwrap()
}

async fn entries(archive: &Archive, job: u64) -> ArtifactListing {
    archive.store().await.artifact_listing(JobId(job)).await.unwrap().unwrap()
}

async fn kept(store: &Store, hash: [u8; 32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.blob(hash).await.unwrap().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// An archive of three megabytes that do not shrink.
fn large(job: u64) -> Vec<u8> {
    let mut noise = vec![0; 3 << 20];
    blake3::Hasher::new().update(&job.to_le_bytes()).finalize_xof().fill(&mut noise);
    zip(&[Member::new("app.bin", noise), Member::new("reports/junit.xml", format!("<t {job}/>"))])
}

/// Puts the archives of a server into a storage of their own.
fn with_storage(data: Data) -> (FakeGitLab, FakeGitLab) {
    let storage = FakeGitLab::start(data.clone());
    let server = FakeGitLab::start(Data { storage: Some(storage.url().to_owned()), ..data });
    (server, storage)
}

#[tokio::test]
async fn a_long_list_costs_three_requests_and_the_storage_gets_no_token() {
    let member = |i| Member::new(format!("a/directory/with/a/long/name/file-{i:06}"), "text");
    let members: Vec<Member> = (0..3000).map(member).collect();
    let (server, storage) =
        with_storage(server_with(3).archive(PROJECT, 3, zip_with(&members, true, b"note")));
    let archive = wanting(listing);
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.archived, stats.artifacts.get("listed")), (3, Some(&1)));
    assert_eq!((server.count("artifacts"), storage.count("*")), (1, 2));
    assert!(storage.seen().iter().all(|seen| !seen.had_token() && seen.status == 206));
    let listed = entries(&archive, 3).await;
    assert_eq!(
        (listed.entries.len(), &listed.entries[7].path[..]),
        (3000, "a/directory/with/a/long/name/file-000007")
    );
    server.forget();
    archive.sync(&server, "7").await.unwrap();
    assert_eq!(server.count("artifacts"), 0, "what is settled is not asked for again");
}

#[tokio::test]
async fn a_server_without_parts_is_read_whole() {
    let data = server_with(2).archive(PROJECT, 1, large(1));
    let mut data = data.archive(PROJECT, 2, large(2));
    data.ranges = false;
    // Of a length that is not announced nothing is fetched whole for the sake of its list.
    data.job_mut(PROJECT, 2).doc["artifacts"][0]["size"] = json!(null);
    let server = FakeGitLab::start(data);
    let archive = wanting(reports);
    archive.sync(&server, "7").await.unwrap();
    let (whole, not) = (row(&archive, 1).await, row(&archive, 2).await);
    assert_eq!((whole.state, not.state), (ArtifactState::Reports, ArtifactState::NoRange));
    assert_eq!(whole.files[0].path, "reports/junit.xml");
    assert_eq!(kept(&archive.store().await, whole.files[0].hash().unwrap()).await, b"<t 1/>");
}

#[tokio::test]
async fn reports_come_out_of_large_archives_by_parts() {
    let mut members = vec![Member::new("junit.xml", "<first/>")];
    let mut noise = vec![0; 2 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    members.push(Member { deflate: false, ..Member::new("noise", noise) });
    members.push(Member::new("last/report.xml", "<last/>"));
    members.push(Member { claims: Some((6, 1)), ..Member::new("bad/report.xml", "<bad/>") });
    let (server, storage) = with_storage(server_with(1).archive(PROJECT, 1, zip(&members)));
    let archive = wanting(reports);
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.failed, []);
    let row = row(&archive, 1).await;
    let paths: Vec<&str> = row.files.iter().map(|file| &file.path[..]).collect();
    assert_eq!((row.state, paths), (ArtifactState::Reports, vec!["junit.xml", "last/report.xml"]));
    assert!(row.reason.contains("bad/report.xml: its CRC is wrong"), "{}", row.reason);
    assert_eq!(storage.count("*"), 2, "the end with two reports in it, and the first file");
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke_and_equal_archives_are_stored_once() {
    let data = server_with(2).archive(PROJECT, 1, large(1)).archive(PROJECT, 2, large(1));
    let (server, storage) = with_storage(data);
    storage.on("storage", 1, Fault::Cut(0.5));
    storage.on("storage", 1, Fault::CutChunked(0.5));
    let archive = wanting(all);
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!((stats.failed.len(), stats.artifacts.get("kept")), (0, Some(&2)));
    let resumed = storage.seen().into_iter().filter(|s| s.request.header("range").is_some());
    let resumed: Vec<_> = resumed.collect();
    assert_eq!(resumed.len(), 2);
    assert!(resumed.iter().all(|s| s.status == 206 && s.request.header("if-range").is_some()));
    let store = archive.store().await;
    for job in [1, 2] {
        let hash = row(&archive, job).await.archive.unwrap();
        assert_eq!(kept(&store, hash).await, large(1));
    }
    assert!(stats.stored_bytes < 4 << 20, "{} bytes for both", stats.stored_bytes);
}

/// An archive of 40 MB.
fn huge(seed: &[u8]) -> Vec<u8> {
    let mut noise = vec![0; 40 << 20];
    blake3::Hasher::new().update(seed).finalize_xof().fill(&mut noise);
    zip(&[Member { deflate: false, ..Member::new("app.bin", noise) }])
}

/// Lets the next download of an archive end for good shortly before its end.
fn break_off(server: &FakeGitLab, storage: &FakeGitLab) {
    storage.on("storage", 1, Fault::Cut(0.9));
    // The first of the tries got further, so that they are counted anew.
    let tries = crate::util::archive::client_options(server).retries.max_attempts - 1;
    storage.on("storage", tries as usize, Fault::Gone);
}

/// Syncs a job whose archive does not come to its end.
async fn broken_off(archive: &Archive) -> (FakeGitLab, FakeGitLab) {
    let (server, storage) = with_storage(server_with(1).archive(PROJECT, 1, huge(b"one")));
    break_off(&server, &storage);
    let stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.failed.len(), 1, "{:?}", stats.failed);
    (server, storage)
}

#[tokio::test]
async fn a_large_download_goes_on_where_the_last_run_ended() {
    let archive = wanting(all);
    let (server, storage) = broken_off(&archive).await;
    storage.forget();
    archive.sync(&server, "7").await.unwrap();
    let seen = storage.seen();
    let range = seen[0].request.header("range").unwrap_or_default().to_owned();
    let from: u64 = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    assert!((32 << 20..36 << 20).contains(&from), "{range}");
    assert_eq!((seen.len(), seen[0].status), (1, 206));
    let row = row(&archive, 1).await;
    assert_eq!(row.state, ArtifactState::Kept);
    let store = archive.store().await;
    assert!(kept(&store, row.archive.unwrap()).await == huge(b"one"));
    assert_eq!(std::fs::read_dir(store.parts_dir()).unwrap().count(), 0);
    drop(store);
    let (store, _) = archive.open().await.unwrap();
    assert_eq!(std::fs::read_dir(store.tmp_dir()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_left_of_a_download_is_dropped_where_it_does_not_fit() {
    let archive = wanting(all);
    let (server, storage) = broken_off(&archive).await;
    let part = |end| archive.path().join("tmp/parts").join(format!("{PROJECT}-1.{end}"));
    // Bytes that a power cut left of what was never synced.
    let mut left = std::fs::read(part("part")).unwrap();
    left[1 << 20] ^= 1;
    std::fs::write(part("part"), left).unwrap();
    storage.forget();
    break_off(&server, &storage);
    archive.sync(&server, "7").await.unwrap();
    assert_eq!(storage.seen()[0].request.header("range"), None, "from the beginning");
    // Another archive of the same length under the same name.
    storage.data(|data| data.job_mut(PROJECT, 1).archive = Some(huge(b"other")));
    storage.forget();
    archive.sync(&server, "7").await.unwrap();
    let seen = storage.seen();
    assert!(seen[0].request.header("if-range").is_some() && seen[0].status == 200);
    let row = row(&archive, 1).await;
    assert_eq!(row.state, ArtifactState::Kept);
    assert!(kept(&archive.store().await, row.archive.unwrap()).await == huge(b"other"));
}

#[tokio::test]
async fn a_storage_whose_signature_expired_is_asked_for_anew() {
    let (server, storage) = with_storage(server_with(1).archive(PROJECT, 1, large(1)));
    storage.on("storage", 1, Fault::Cut(0.3));
    storage.on("storage", 1, Fault::json(403, "{}"));
    let archive = wanting(all);
    archive.sync(&server, "7").await.unwrap();
    assert_eq!(row(&archive, 1).await.state, ArtifactState::Kept);
    assert_eq!(server.count("artifacts"), 3);
}

#[tokio::test]
async fn a_storage_without_the_file_is_believed_at_the_third_look() {
    let (server, storage) = with_storage(server_with(1).archive(PROJECT, 1, large(1)));
    storage.data(|data| data.job_mut(PROJECT, 1).archive = None);
    let archive = wanting(listing);
    for _ in 0..2 {
        let stats = archive.sync(&server, "7").await.unwrap();
        assert_eq!(stats.failed.len(), 1, "{:?}", stats.failed);
        assert_eq!(row(&archive, 1).await.state, ArtifactState::Pending);
    }
    assert_eq!(archive.sync(&server, "7").await.unwrap().failed, []);
    assert_eq!(row(&archive, 1).await.state, ArtifactState::Gone);
    assert_eq!(archive.raw(1).await, log(1));
}

#[tokio::test]
async fn what_is_no_good_is_named_and_hurts_no_log() {
    let crc = vec![Member { claims: Some((4, 1)), ..Member::new("../x", "text") }];
    let mut data = (1..=7).fold(server_with(8), |data, job| data.archive(PROJECT, job, large(job)));
    data.job_mut(PROJECT, 2).archive = None;
    data.job_mut(PROJECT, 2).doc["artifacts_expire_at"] = json!("2026-01-02T04:00:00Z");
    data.job_mut(PROJECT, 3).archive = Some(b"no zip at all".to_vec());
    data.job_mut(PROJECT, 3).doc["artifacts"][0]["size"] = json!(13);
    data.job_mut(PROJECT, 4).archive = Some(zip(&crc));
    data.job_mut(PROJECT, 4).doc["artifacts"][0]["size"] = json!(zip(&crc).len());
    data.job_mut(PROJECT, 5).doc["artifacts"][0]["size"] = json!(999);
    data.job_mut(PROJECT, 6).doc["artifacts"][0]["size"] = json!(5u64 << 30);
    data.job_mut(PROJECT, 7).archive = None;
    let server = FakeGitLab::start(data);
    // Newest first: job 7 is met before all others.
    server.on("artifacts", 1, Fault::json(403, "{\"message\":\"403 Forbidden\"}"));
    let archive = wanting(all);
    let mut stats = archive.sync(&server, "7").await.unwrap();
    assert_eq!(stats.archived, 8, "every log is archived");
    // What contradicts itself is looked at three times before that is believed.
    for _ in 0..2 {
        let named: Vec<_> = stats.failed.iter().filter_map(|f| f.job).map(|job| job.0).collect();
        assert_eq!(named, [6, 5], "{:?}", stats.failed);
        stats = archive.sync(&server, "7").await.unwrap();
    }
    assert_eq!(stats.failed, []);
    use ArtifactState::{Damaged, Expired, Forbidden, Kept};
    let expected = [
        (1, Kept, ""),
        (2, Expired, "expired"),
        (3, Damaged, "no zip archive"),
        (4, Damaged, "1 damaged: ../x: its CRC is wrong"),
        (5, Damaged, "announces 999 bytes"),
        (6, Damaged, "announces 5368709120 bytes"),
        (7, Forbidden, "403 Forbidden"),
    ];
    for (job, state, reason) in expected {
        let row = row(&archive, job).await;
        assert_eq!(row.state, state, "job {job}: {}", row.reason);
        assert!(row.reason.contains(reason), "job {job}: {}", row.reason);
        assert_eq!(archive.raw(job).await, log(job));
    }
    assert!(row(&archive, 4).await.archive.is_some(), "the server's bytes are kept as they are");
}

#[tokio::test]
async fn an_archive_over_the_limit_is_listed_and_fetched_when_the_limit_is_raised() {
    let server = FakeGitLab::start(server_with(1).archive(PROJECT, 1, large(1)));
    let mut archive = wanting(|options| sync::Options { artifact_limit: 1 << 20, ..all(options) });
    archive.sync(&server, "7").await.unwrap();
    let limited = row(&archive, 1).await;
    assert_eq!(
        (limited.state, limited.entries, limited.archive),
        (ArtifactState::TooLarge, Some(2), None)
    );
    archive.adjust = all;
    archive.sync(&server, "7").await.unwrap();
    assert_eq!(row(&archive, 1).await.state, ArtifactState::Kept);
}

#[tokio::test]
async fn artifacts_survive_compacting_and_rebuilding_and_are_verified() {
    let data = server_with(3).archive(PROJECT, 1, large(1)).archive(PROJECT, 2, large(2));
    let data = data.archive(PROJECT, 3, zip(&[Member::new("dist/only-here.txt", "x")]));
    let server = FakeGitLab::start(data);
    let mut archive = wanting(listing);
    archive.sync(&server, "7").await.unwrap();
    archive.adjust = all;
    archive.sync(&server, "7").await.unwrap();
    let before = [row(&archive, 1).await, row(&archive, 3).await];
    let now = Timestamp::now();
    let (store, _index) = archive.open().await.unwrap();
    let grace = CompactOptions { grace: jiff::SignedDuration::ZERO, ..CompactOptions::default() };
    compact(&store, grace, now, |_| {}).await.unwrap();
    assert_eq!(compact(&store, grace, now, |_| {}).await.unwrap().packs_before, 0);
    store.close().await;
    assert_eq!(kept(&archive.store().await, before[0].archive.unwrap()).await, large(1));
    assert_eq!(entries(&archive, 3).await.entries[0].path, "dist/only-here.txt");
    let parse = |_: RecordKind, document: &[u8]| {
        let job = jobvault::gitlab::read_job(document)?;
        Some(ParsedJob { job, ..ParsedJob::default() })
    };
    let rebuilt = rebuild(archive.path(), parse, now).await.unwrap();
    assert_eq!(rebuilt.damaged, []);
    for (old, job) in before.iter().zip([1, 3]) {
        let new = row(&archive, job).await;
        let facts = |r: &ArtifactRow| (r.state, r.level, r.archive, r.bytes, r.entries);
        assert_eq!(facts(&new), facts(old), "job {job}");
    }
    assert_eq!(entries(&archive, 1).await.entries.len(), 2);
    assert_eq!(archive.search("artifact:only-here.txt done").await, [(3, 2)]);
    let store = archive.store().await;
    assert_eq!(kept(&store, before[0].archive.unwrap()).await, large(1));
    assert_eq!(check::verify(&store, |_| {}).await.unwrap().damaged, []);
    damage_largest_pack(&archive);
    let report = check::verify(&archive.store().await, |_| {}).await.unwrap();
    let jobs: Vec<_> = report.damaged.iter().filter_map(|d| d.job).collect();
    assert!(jobs == [JobId(1)] || jobs == [JobId(2)], "{:?}", report.damaged);
}

#[tokio::test]
async fn artifacts_of_packs_without_their_footers_are_kept() {
    let data = server_with(2).archive(PROJECT, 1, large(1));
    let archive = wanting(all);
    archive.sync(&FakeGitLab::start(data), "7").await.unwrap();
    let before = row(&archive, 1).await;
    let (store, _index) = archive.open().await.unwrap();
    let packs = store.catalogue().packs().await.unwrap();
    let names: BTreeSet<_> = packs.iter().map(|(_, name, _)| *name).collect();
    for name in &names {
        let path = store.packs().path(*name);
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let now = Timestamp::now();
    let done = mend(&store, &names, MendOptions::default(), now).await.unwrap();
    assert_eq!((done.packs.len(), done.kept.len()), (packs.len(), 0));
    assert_eq!(check::verify(&store, |_| {}).await.unwrap().damaged, []);
    // Packs of chunks do not keep others from being compacted.
    let grace = CompactOptions { grace: jiff::SignedDuration::ZERO, ..CompactOptions::default() };
    let compacted = compact(&store, grace, now, |_| {}).await.unwrap();
    assert_eq!((compacted.traces, compacted.unreadable), (2, 0));
    assert_eq!(check::verify(&store, |_| {}).await.unwrap().damaged, []);
    store.close().await;
    let parse = |_: RecordKind, document: &[u8]| {
        let job = jobvault::gitlab::read_job(document)?;
        Some(ParsedJob { job, ..ParsedJob::default() })
    };
    assert_eq!(rebuild(archive.path(), parse, now).await.unwrap().damaged, []);
    let store = archive.store().await;
    assert_eq!(kept(&store, before.archive.unwrap()).await, large(1));
    assert_eq!(row(&archive, 1).await.state, before.state);
    assert_eq!(check::verify(&store, |_| {}).await.unwrap().damaged, []);
}

/// Flips a bit in the middle of the largest pack, which is one of chunks.
fn damage_largest_pack(archive: &Archive) {
    let folders = std::fs::read_dir(archive.path().join("packs")).unwrap();
    let packs = folders.flat_map(|f| std::fs::read_dir(f.unwrap().path()).unwrap());
    let pack =
        packs.map(|p| p.unwrap().path()).max_by_key(|p| p.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
}

#[tokio::test]
async fn archives_are_found_by_the_files_in_them() {
    let data = server_with(3).archive(PROJECT, 1, zip(&[Member::new("dist/app[1].bin", "x")]));
    let data = data.archive(PROJECT, 3, zip(&[Member::new("reports/junit.xml", "<x/>")]));
    let archive = wanting(listing);
    archive.sync(&FakeGitLab::start(data), "7").await.unwrap();
    assert_eq!(archive.search("artifact:junit.xml done").await, [(3, 2)]);
    assert_eq!(archive.search("artifact:dist/* done").await, [(1, 2)]);
    assert_eq!(archive.search("artifact:app[1].bin done").await, [(1, 2)]);
    assert_eq!(archive.search("-artifact:*.xml done").await, [(2, 2), (1, 2)]);
}
