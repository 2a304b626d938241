//! Damage inside the catalogue: cells changed, exchanged and flipped, rows and pages lost. Found, named, never served as a
//! job's, and healed by a rebuild, whatever was pruned and compacted meanwhile.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};

use super::compact::{NO_GRACE, archive_of_runs, repeated};
use super::harm::Dice;
use super::*;
use crate::store::compact::compact;
use crate::store::prune::{PruneOptions, prune};
use crate::store::rebuild::rebuild;

const JOBS: std::ops::Range<u64> = 1..7;

/// The newest log of each job: long ones that need a base, short ones of one frame, one that superseded another.
fn newest(job: u64) -> Vec<u8> {
    match job {
        1..4 => repeated(job),
        4 => log(9, 60),
        _ => log(job, 9),
    }
}

async fn varied() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    archive_of_runs(dir.path(), 1..4).await.close().await;
    archive_of(dir.path(), &[4]).await;
    let store = Store::open_for_writing(dir.path(), "test", now()).await.unwrap();
    let mut batch = store.batch(now()).await.unwrap();
    for job in 4..7 {
        store_job(&mut batch, job, &newest(job)).await;
    }
    batch.commit(now()).await.unwrap();
    store.close().await;
    let mut catalogue = connect(dir.path()).await;
    // Logs are fetched one after another.
    run(&mut catalogue, "UPDATE traces SET fetched_at = fetched_at + id").await;
    catalogue.close().await.unwrap();
    dir
}

pub(super) async fn connect(dir: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(dir.join("catalogue.sqlite")).connect().await.unwrap()
}

pub(super) async fn run(catalogue: &mut SqliteConnection, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(catalogue).await.unwrap();
}

fn copy_of(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir, copy.path());
    copy
}

/// Reads what stands for a job; `None` where the catalogue has none.
async fn served(store: &Store, job: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(row) = store.catalogue().job(JobId(job)).await? else { return Ok(None) };
    let Some(trace) = store.catalogue().trace_of(&row).await? else { return Ok(None) };
    let mut raw = Vec::new();
    for index in 0..trace.frames.len() {
        store.append_piece(&trace, index, &mut raw)?;
    }
    Ok(Some(raw))
}

/// Asserts that nothing is served as a job's that is not. Returns the jobs of which something is lost.
async fn lost(store: &Store, case: &str) -> Vec<JobId> {
    let mut lost = Vec::new();
    for job in JOBS {
        let raw = served(store, job).await;
        match &raw {
            Ok(Some(raw)) => {
                let older = job == 4 && *raw == log(4, 50);
                assert!(older || *raw == newest(job), "{case}: wrong bytes of job {job}");
            }
            Ok(None) => {}
            Err(StoreError::Catalogue(_)) => {}
            Err(e) => assert!(e.is_damage(), "{case}: {e}"),
        }
        let document = store.document(JobId(job)).await;
        if let Ok(Some(document)) = &document {
            let own = format!("{{\"id\":{job},\"name\":\"build\"}}");
            assert_eq!(*document, own.as_bytes(), "{case}: wrong document");
        }
        let is_whole = matches!(raw, Ok(Some(raw)) if raw == newest(job));
        if !is_whole || !matches!(document, Ok(Some(_))) {
            lost.push(JobId(job));
        }
    }
    lost
}

/// Asserts that a damaged catalogue is found out, costs no pack, and is healed by a rebuild.
async fn assert_found_and_healed(dir: &Path, case: &str) {
    if let Ok(store) = Store::open(dir).await {
        let lost = lost(&store, case).await;
        if let Ok(report) = verify(&store, |_| {}).await {
            assert!(!report.damaged.is_empty(), "{case}: not found");
            for job in lost {
                let named = report.damaged.iter().any(|d| d.job == Some(job));
                let whole = report.damaged.iter().any(|d| d.job.is_none());
                assert!(named || whole, "{case}: job {job} is not named in {report:?}");
            }
        }
        store.close().await;
    }
    if let Ok(store) = Store::open_for_writing(dir, "test", now()).await {
        let at_once = PruneOptions { grace: jiff::SignedDuration::ZERO, dry_run: false };
        let _ = compact(&store, NO_GRACE, now(), |_| {}).await;
        let _ = prune(&store, at_once, now()).await;
        store.close().await;
    }
    rebuild(dir, super::rebuild::parse, now()).await.unwrap();
    let store = Store::open(dir).await.unwrap();
    assert_eq!(lost(&store, case).await, [], "{case}: not healed");
    let report = verify(&store, |_| {}).await.unwrap();
    assert_eq!((report.damaged, report.in_catalogue), (vec![], false), "{case}");
}

/// Exchanges a column between two rows.
fn exchanged(table: &str, column: &str, a: u64, b: u64) -> String {
    format!(
        "UPDATE {table} SET {column} = (SELECT o.{column} FROM {table} o WHERE o.id = {a} + {b} - {table}.id) \
         WHERE id IN ({a}, {b})"
    )
}

#[tokio::test]
async fn a_row_that_says_what_is_not_so_is_found_and_serves_no_other_log() {
    let begin = varied().await;
    let exchange = exchanged;
    let cases: Vec<(&str, Vec<String>)> = vec![
        ("another job's trace", vec!["UPDATE job_rows SET trace = 2 WHERE id = 1".into()]),
        ("no such trace", vec!["UPDATE job_rows SET trace = 99 WHERE id = 1".into()]),
        ("no trace", vec!["UPDATE job_rows SET trace = NULL WHERE id = 1".into()]),
        ("a superseded trace", vec!["UPDATE job_rows SET trace = 4 WHERE id = 4".into()]),
        ("two jobs' traces exchanged", vec![exchange("job_rows", "trace", 1, 2)]),
        ("frames exchanged", vec![exchange("traces", "frames", 1, 2)]),
        ("only frames exchanged", vec![exchange("traces", "frames", 6, 7)]),
        ("hashes exchanged", vec![exchange("traces", "hash", 1, 2)]),
        ("hashes of only frames exchanged", vec![exchange("traces", "hash", 6, 7)]),
        ("jobs exchanged", vec![exchange("traces", "job", 6, 7)]),
        (
            "whole traces exchanged",
            ["frames", "hash", "raw_bytes", "lines"].map(|c| exchange("traces", c, 6, 7)).into(),
        ),
        (
            "whole rows exchanged",
            vec![
                "UPDATE traces SET id = -6 WHERE id = 6".into(),
                "UPDATE traces SET id = 6 WHERE id = 7".into(),
                "UPDATE traces SET id = 7 WHERE id = -6".into(),
            ],
        ),
        ("length", vec!["UPDATE traces SET raw_bytes = raw_bytes + 1 WHERE id = 1".into()]),
        ("lines", vec!["UPDATE traces SET lines = lines - 1 WHERE id = 1".into()]),
        ("hash", vec!["UPDATE traces SET hash = zeroblob(32) WHERE id = 1".into()]),
        ("a short hash", vec!["UPDATE traces SET hash = zeroblob(31) WHERE id = 1".into()]),
        ("no frames", vec!["UPDATE traces SET frames = x'00' WHERE id = 1".into()]),
        ("a trace lost", vec!["DELETE FROM traces WHERE id = 1".into()]),
        ("a job lost", vec!["DELETE FROM job_rows WHERE id = 1".into()]),
        ("a pack lost", vec!["DELETE FROM packs WHERE id = 1".into()]),
        ("a pack's name", vec!["UPDATE packs SET name = zeroblob(32) WHERE id = 2".into()]),
        ("a short name", vec!["UPDATE packs SET name = x'00' WHERE id = 2".into()]),
        (
            "packs' names exchanged",
            vec![
                "CREATE TEMP TABLE n AS SELECT id, name FROM packs".into(),
                "UPDATE packs SET name = x'00' WHERE id = 1".into(),
                "UPDATE packs SET name = (SELECT name FROM n WHERE id = 1) WHERE id = 2".into(),
                "UPDATE packs SET name = (SELECT name FROM n WHERE id = 2) WHERE id = 1".into(),
            ],
        ),
        ("a pack superseded", vec!["UPDATE packs SET superseded_at = 1 WHERE id = 1".into()]),
        ("a pack's entries", vec!["UPDATE packs SET entries = entries + 1 WHERE id = 1".into()]),
        ("a pack's length", vec!["UPDATE packs SET bytes = bytes + 1 WHERE id = 1".into()]),
        ("a base's place", vec!["UPDATE bases SET offset = offset + 1 WHERE id = 1".into()]),
        ("a base's pack", vec!["UPDATE bases SET pack = 2 WHERE id = 1".into()]),
        ("a base's hash", vec!["UPDATE bases SET hash = zeroblob(32) WHERE id = 1".into()]),
        ("a base lost", vec!["DELETE FROM bases WHERE id = 1".into()]),
        ("a document's number", vec!["UPDATE job_rows SET doc_index = 99 WHERE id = 5".into()]),
        ("a document's ledger", vec!["UPDATE job_rows SET doc_offset = 9 WHERE id = 5".into()]),
        ("a document's pack", vec!["UPDATE job_rows SET doc_pack = 99 WHERE id = 5".into()]),
        ("documents exchanged", vec![exchange("job_rows", "doc_index", 5, 6)]),
    ];
    for (case, statements) in cases {
        let dir = copy_of(begin.path());
        let mut catalogue = connect(dir.path()).await;
        for sql in statements {
            run(&mut catalogue, &sql).await;
        }
        catalogue.close().await.unwrap();
        assert_found_and_healed(dir.path(), case).await;
    }
}

/// Cells that say whose or where something is.
const CELLS: [&str; 19] = [
    "traces.id",
    "traces.job",
    "traces.raw_bytes",
    "traces.lines",
    "traces.hash",
    "traces.frames",
    "job_rows.id",
    "job_rows.trace",
    "job_rows.doc_pack",
    "job_rows.doc_offset",
    "job_rows.doc_index",
    "bases.hash",
    "bases.pack",
    "bases.offset",
    "bases.stored_bytes",
    "bases.raw_bytes",
    "packs.name",
    "packs.bytes",
    "packs.id",
];

/// Flips a bit of a cell; returns which.
async fn flip(catalogue: &mut SqliteConnection, dice: &mut Dice) -> String {
    let (table, column) = CELLS[dice.below(CELLS.len())].split_once('.').unwrap();
    let sql = format!("SELECT rowid, {column}, typeof({column}) FROM {table} ORDER BY rowid");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *catalogue).await.unwrap();
    let row = &rows[dice.below(rows.len())];
    let id: i64 = row.get(0);
    let sql = format!("UPDATE OR REPLACE {table} SET {column} = ? WHERE rowid = ?");
    let query = sqlx::query(AssertSqlSafe(sql));
    match row.get::<String, _>(2).as_str() {
        "blob" => {
            let mut cell: Vec<u8> = row.get(1);
            let bit = dice.below(cell.len() * 8);
            cell[bit / 8] ^= 1 << (bit % 8);
            query.bind(cell).bind(id).execute(catalogue).await.unwrap();
        }
        _ => {
            let cell = row.get::<i64, _>(1) ^ 1 << dice.below(64);
            query.bind(cell).bind(id).execute(catalogue).await.unwrap();
        }
    }
    format!("{table}.{column} of row {id}")
}

async fn flip_cells(seed: u64, cases: usize) {
    let begin = varied().await;
    let mut dice = Dice(seed);
    for case in 0..cases {
        let dir = copy_of(begin.path());
        let mut catalogue = connect(dir.path()).await;
        let what = flip(&mut catalogue, &mut dice).await;
        catalogue.close().await.unwrap();
        let case = format!("case {case} of seed {seed}, a flipped bit in {what}");
        assert_found_and_healed(dir.path(), &case).await;
    }
}

#[tokio::test]
async fn a_flipped_bit_of_a_row_is_found_and_serves_no_other_log() {
    flip_cells(1, 60).await;
}

#[tokio::test]
#[ignore = "takes minutes; .ci/long runs it"]
async fn a_thousand_flipped_bits_of_rows() {
    flip_cells(2, 1000).await;
}

/// Harms the file of the catalogue: a flipped bit, a page of zeros, a cut. Returns what.
fn harm_file(path: &Path, dice: &mut Dice) -> String {
    const PAGE: usize = 1024;
    let mut bytes = fs::read(path).unwrap();
    let at = dice.below(bytes.len());
    let what = match dice.below(4) {
        0 | 1 => {
            bytes[at] ^= 1 << dice.below(8);
            "flipped bit"
        }
        2 => {
            bytes[at / PAGE * PAGE..][..PAGE].fill(0);
            "page of zeros"
        }
        _ => {
            bytes.truncate(at);
            "cut"
        }
    };
    fs::write(path, bytes).unwrap();
    format!("{what} at {at}")
}

async fn harm_files(seed: u64, cases: usize) {
    let begin = varied().await;
    let mut dice = Dice(seed);
    for case in 0..cases {
        let dir = copy_of(begin.path());
        let what = harm_file(&dir.path().join("catalogue.sqlite"), &mut dice);
        let case = format!("case {case} of seed {seed}, {what}");
        match Store::open(dir.path()).await {
            Ok(store) => {
                let lost = lost(&store, &case).await;
                match verify(&store, |_| {}).await {
                    // A bit of a name or a time is beside what the packs can tell.
                    Ok(report) => {
                        assert!(lost.is_empty() || !report.damaged.is_empty(), "{case}: {lost:?}");
                    }
                    Err(e) => assert!(matches!(e, StoreError::Catalogue(_)), "{case}: {e}"),
                }
                store.close().await;
            }
            Err(e) => assert!(matches!(e, StoreError::Catalogue(_)), "{case}: {e}"),
        }
        rebuild(dir.path(), super::rebuild::parse, now()).await.unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        assert_eq!(lost(&store, &case).await, [], "{case}");
    }
}

#[tokio::test]
async fn a_damaged_file_of_the_catalogue_says_so_and_is_made_anew() {
    harm_files(1, 60).await;
}

#[tokio::test]
#[ignore = "takes minutes; .ci/long runs it"]
async fn a_file_of_the_catalogue_damaged_a_thousand_times() {
    harm_files(2, 1000).await;
}
