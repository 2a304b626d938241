//! `docs/read_log.py` against archives of today: the document says enough.

use std::path::Path;
use std::process::Command;

use crate::sync::PROJECT;
use crate::util::archive::Archive;
use crate::util::gitlab::{Data, FakeGitLab, job_doc};

/// The `run`-th log of a job that is repeated: stamped, of several frames, mostly as the run before.
fn stamped(run: u64) -> Vec<u8> {
    let mut log = b"Running on a runner without stamps\n".to_vec();
    for i in 0..2500u64 {
        let word = blake3::hash(&i.to_le_bytes()).to_hex();
        let (second, micros) = (i / 70 % 60, (run * 31 % 97 + i) * 251 % 1_000_000);
        let stream = if i % 50 == 0 { "01E" } else { "00O" };
        let flag = if i % 61 == 60 { '+' } else { ' ' };
        let stamp = format!("2024-02-29T23:59:{second:02}.{micros:06}Z {stream}{flag}");
        log.extend(format!("{stamp}step {word} of run {run}\r\n").into_bytes());
    }
    // The runner's last words: a stamp without text and without a line feed.
    log.extend(b"2024-03-01T00:00:00.000001Z 00O ");
    log
}

/// A log of lines whose ids never come again.
fn with_ids(run: u64) -> Vec<u8> {
    let line = |n: u64| {
        let hash = blake3::hash(&(run * 1_000_000 + n).to_le_bytes()).to_hex();
        let (id, trace) = (&hash.as_str()[..32], hash.as_str()[32..].to_uppercase());
        let uuid = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
        format!("read part-{uuid}.parquet, trace {trace}, {} rows\n", run * 7_000 + n * 31)
    };
    (0..3000).flat_map(|n| line(n).into_bytes()).collect()
}

fn odd(job: u64) -> Vec<u8> {
    match job {
        11 => b"no line feed".to_vec(),
        12 => (0..=255).cycle().take(300_000).collect(),
        13 => with_ids(job),
        // Stamps and ids in one frame.
        16 => {
            let stamp = b"2024-02-29T23:59:00.000000Z 00O ".as_slice();
            with_ids(job)
                .split_inclusive(|b| *b == b'\n')
                .flat_map(|l| [stamp, l].concat())
                .collect()
        }
        _ => b"\n".to_vec(),
    }
}

fn by_hand(archive: &Path, job: u64) -> Option<Vec<u8>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/read_log.py");
    let run =
        Command::new("python3").arg(script).arg(archive).arg(job.to_string()).output().ok()?;
    assert!(run.status.success(), "job {job}: {}", String::from_utf8_lossy(&run.stderr));
    Some(run.stdout)
}

fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok_and(|run| run.status.success());
    if !found {
        println!("skipped: there is no `{tool}`");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_written_from_the_document_reads_every_log() {
    if !has("python3") || !has("zstd") {
        return;
    }
    let archive = Archive::new();
    let server = FakeGitLab::start(Data::default().project(PROJECT, "group/project"));
    // Each sync writes a pack, so that later frames need a base of an earlier one.
    for jobs in [1..=3u64, 4..=6] {
        server.data(|data| {
            for job in jobs {
                data.add_job(PROJECT, job_doc(job, 1, "build", "success"), stamped(job));
                data.add_job(PROJECT, job_doc(10 + job, 1, "odd", "success"), odd(10 + job));
            }
        });
        archive.sync(&server, "group/project").await.unwrap();
    }
    let store = archive.store().await;
    let entries = |store: &jobvault::store::Store| -> Vec<jobvault::store::packs::Entry> {
        let packs = store.packs().list().unwrap();
        let footers = packs.iter().map(|pack| store.packs().footer(pack.name).unwrap());
        footers.flat_map(|footer| footer.entries).collect()
    };
    assert!(entries(&store).iter().filter(|entry| entry.base.is_some()).count() > 3);
    for job in (1..=6).chain(11..=16) {
        let served = if job < 10 { stamped(job) } else { odd(job) };
        assert!(archive.raw(job).await == served, "job {job}");
        // Each frame takes a process or two.
        if job != 2 && job != 5 && job != 14 && job != 15 {
            assert!(by_hand(archive.path(), job).unwrap() == served, "job {job} by hand");
        }
    }
}

#[test]
fn the_script_is_short_enough_to_trust() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/read_log.py");
    assert!(std::fs::read_to_string(script).unwrap().lines().count() <= 75);
}
