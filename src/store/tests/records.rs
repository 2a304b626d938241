//! Records that are lost while the logs are there: after a rebuild every log can still be read by its job's number.

use super::rebuild::parse;
use super::*;
use crate::store::packs::Kind;
use crate::store::rebuild::{ParsedJob, Rebuilt, rebuild};
use crate::store::repair::Repair;

/// Flips a bit in each ledger of the packs that are chosen by their place in the order of numbers.
async fn lose_records(dir: &Path, which: impl Fn(usize) -> bool) {
    let store = Store::open(dir).await.unwrap();
    let packs = store.catalogue().packs().await.unwrap();
    for (_, (_, name, _)) in packs.into_iter().enumerate().filter(|(at, _)| which(*at)) {
        let path = store.packs().path(name);
        let mut bytes = fs::read(&path).unwrap();
        for entry in store.packs().footer(name).unwrap().entries {
            if entry.kind == Kind::Ledger {
                bytes[(entry.offset + entry.stored_bytes / 2) as usize] ^= 1;
            }
        }
        fs::write(&path, bytes).unwrap();
    }
    store.close().await;
}

fn remove_catalogue(dir: &Path) {
    for file in ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
        let _ = fs::remove_file(dir.join(file));
    }
}

async fn rebuilt(dir: &Path) -> (Store, Rebuilt) {
    let rebuilt = rebuild(dir, parse, now()).await.unwrap();
    (Store::open_for_writing(dir, "test", now()).await.unwrap(), rebuilt)
}

/// The jobs that a check names otherwise than by a damaged pack.
async fn named(store: &Store) -> Vec<(u64, String)> {
    let report = verify(store, |_| {}).await.unwrap();
    assert!(!report.in_catalogue, "{:?}", report.damaged);
    report.damaged.into_iter().filter_map(|d| Some((d.job?.0, d.what))).collect()
}

#[tokio::test]
async fn a_log_without_any_record_is_read_by_the_number_of_its_job() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2, 3]).await;
    lose_records(dir.path(), |_| true).await;
    remove_catalogue(dir.path());
    let (store, rebuilt) = rebuilt(dir.path()).await;
    let mut jobs: Vec<u64> = rebuilt.damaged.iter().filter_map(|d| Some(d.job?.0)).collect();
    jobs.sort_unstable();
    assert_eq!(jobs, [1, 2, 3]);
    for job in 1..=3 {
        assert_eq!(read(&store, job).await.unwrap(), log(job, 50));
        let row = store.catalogue().job(JobId(job)).await.unwrap().unwrap();
        assert_eq!((row.project_path.as_str(), row.name.as_str()), ("project 7", ""));
        assert_eq!((row.state, row.next_at), (TraceState::Archived, None));
    }
    let said = named(&store).await;
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.iter().all(|(_, what)| what.contains("no document")), "{said:?}");
    // A document that comes makes a job of it.
    let mut batch = store.batch(now()).await.unwrap();
    store_job(&mut batch, 2, &log(2, 50)).await;
    batch.commit(now()).await.unwrap();
    assert_eq!(named(&store).await.len(), 2);
    let row = store.catalogue().job(JobId(2)).await.unwrap().unwrap();
    assert_eq!((row.project_path.as_str(), row.name.as_str()), ("group/project", "build"));
}

#[tokio::test]
async fn what_a_sound_catalogue_knew_is_kept_where_records_are_lost() {
    let dir = tempfile::tempdir().unwrap();
    super::rebuild::varied(dir.path()).await.close().await;
    let before = rows(dir.path()).await;
    lose_records(dir.path(), |_| true).await;
    let (store, rebuilt) = rebuilt(dir.path()).await;
    let named: Vec<u64> = rebuilt.damaged.iter().filter_map(|d| Some(d.job?.0)).collect();
    assert_eq!(named, [1, 2, 3, 4]);
    store.close().await;
    assert_eq!(rows(dir.path()).await, before);
}

/// The rows of jobs, but for the digests of their documents, and what can be read of their logs.
async fn rows(dir: &Path) -> Vec<(JobRow, Vec<u8>)> {
    let store = Store::open(dir).await.unwrap();
    let mut rows = Vec::new();
    for job in 1..=4 {
        let row = store.catalogue().job(JobId(job)).await.unwrap().unwrap();
        rows.push((JobRow { digest: 0, ..row }, read(&store, job).await.unwrap()));
    }
    rows
}

#[tokio::test]
async fn a_project_without_its_note_is_named_by_the_addresses_of_its_jobs() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2]).await;
    // The note of the project stands in the first pack, beside what else is said of the first job.
    lose_records(dir.path(), |at| at == 0).await;
    remove_catalogue(dir.path());
    let with_url = |kind, document: &[u8]| {
        let parsed = parse(kind, document)?;
        let url = format!("https://gitlab.example.com/a/b/-/jobs/{}", parsed.job.id);
        Some(ParsedJob { job: Job { web_url: Some(url), ..parsed.job }, ..parsed })
    };
    rebuild(dir.path(), with_url, now()).await.unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    for job in 1..=2 {
        let row = store.catalogue().job(JobId(job)).await.unwrap().unwrap();
        assert_eq!(row.project_path, "a/b");
        assert_eq!(row.web_url, format!("https://gitlab.example.com/a/b/-/jobs/{job}"));
        assert_eq!(read(&store, job).await.unwrap(), log(job, 50));
    }
}

#[tokio::test]
async fn a_log_whose_note_is_lost_is_that_of_its_job_and_has_its_hash() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2]).await;
    lose_records(dir.path(), |at| at == 1).await;
    remove_catalogue(dir.path());
    rebuild(dir.path(), parse, now()).await.unwrap();
    // The document alone is fetched again, as a repair does.
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let mut batch = store.batch(now()).await.unwrap();
    let model = Job { id: JobId(2), name: Some("build".to_owned()), ..Job::default() };
    let document = b"{\"id\":2,\"name\":\"build\"}".as_slice();
    let received = Received { job: &model, project: PROJECT, document, artifacts: None, digest: 1 };
    batch.put_job(&received, "https://gitlab.example.com/group/project", now()).unwrap();
    batch.commit(now()).await.unwrap();
    store.close().await;
    remove_catalogue(dir.path());
    let (store, rebuilt) = rebuilt(dir.path()).await;
    assert!(rebuilt.damaged.iter().all(|d| d.job.is_none()), "{:?}", rebuilt.damaged);
    let row = store.catalogue().job(JobId(2)).await.unwrap().unwrap();
    assert_eq!((row.state, row.next_at), (TraceState::Archived, None));
    assert_eq!(row.hash, Some(*blake3::hash(&log(2, 50)).as_bytes()));
    assert_eq!(read(&store, 2).await.unwrap(), log(2, 50));
    assert_eq!(named(&store).await, []);
}

#[tokio::test]
async fn a_log_of_unknown_hash_that_cannot_be_read_is_repaired_by_its_frames() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1, 2]).await;
    lose_records(dir.path(), |at| at == 1).await;
    let store = Store::open(dir.path()).await.unwrap();
    super::care::harm(&store, 2).await;
    store.close().await;
    remove_catalogue(dir.path());
    let (store, _) = rebuilt(dir.path()).await;
    let damaged = Repair::damaged(&store, JobId(2)).await.unwrap();
    let mut repair = Repair::new(&store).await.unwrap();
    let (other, good) = (log(2, 49), log(2, 50));
    assert!(!repair.put(&damaged[0], PROJECT, &mut other.as_slice(), now()).await.unwrap());
    assert!(repair.put(&damaged[0], PROJECT, &mut good.as_slice(), now()).await.unwrap());
    repair.commit(now()).await.unwrap();
    assert_eq!(read(&store, 2).await.unwrap(), good);
    let row = store.catalogue().job(JobId(2)).await.unwrap().unwrap();
    assert_eq!(row.hash, Some(*blake3::hash(&good).as_bytes()));
}

#[tokio::test]
async fn an_ended_job_of_whose_log_nothing_is_known_is_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    archive_of(dir.path(), &[1]).await;
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let mut batch = store.batch(now()).await.unwrap();
    let model = Job { id: JobId(2), ..Job::default() };
    let document = b"{\"id\":2,\"name\":\"build\"}".as_slice();
    let received = Received { job: &model, project: PROJECT, document, artifacts: None, digest: 1 };
    batch.put_job(&received, "https://gitlab.example.com/group/project", now()).unwrap();
    batch.commit(now()).await.unwrap();
    store.close().await;
    remove_catalogue(dir.path());
    let ended = |kind, document: &[u8]| {
        let parsed = parse(kind, document)?;
        Some(ParsedJob { job: Job { finished_at: Some(now()), ..parsed.job }, ..parsed })
    };
    rebuild(dir.path(), ended, now()).await.unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let row = store.catalogue().job(JobId(2)).await.unwrap().unwrap();
    assert_eq!((row.state, row.next_at), (TraceState::Pending, Some(now())));
}
