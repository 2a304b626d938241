//! An archive of a great many tiny jobs, for measuring what a job costs beside its log.
//!
//! `cargo run --release --example tiny -- DIR JOBS`: writes through the store's batches as a sync does, and prints bytes
//! a job of catalogue and footers. `jobvault --archive DIR status` and `jobs --limit 50` are then to be timed.
#![allow(clippy::print_stdout, reason = "a tool for developers")]

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use jobvault::model::{Artifact, Job, JobId, PipelineId, ProjectId, Runner, Status, TraceState};
use jobvault::store::catalogue::ProjectRow;
use jobvault::store::{Batch, NewFrame, NewState, Received, Store};

/// Jobs that become true together.
const JOBS_A_BATCH: u64 = 5000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(dir), Some(jobs)) = (args.next(), args.next()) else {
        return Err("usage: tiny DIR JOBS".into());
    };
    let (dir, jobs): (&Path, u64) = (Path::new(&dir), jobs.parse()?);
    let now = Timestamp::now();
    let store = Store::open_for_writing(dir, "tiny", now).await?;
    let mut batch = store.batch(now).await?;
    for n in 0..jobs {
        put(&mut batch, n, now)?;
        if n % JOBS_A_BATCH == JOBS_A_BATCH - 1 {
            batch.commit(now).await?;
        }
    }
    batch.commit(now).await?;
    drop(batch);
    let mut footers = 0;
    for pack in store.packs().list()? {
        let entries: u64 =
            store.packs().footer(pack.name)?.entries.iter().map(|e| e.stored_bytes).sum();
        footers += pack.bytes - entries;
    }
    store.close().await;
    let catalogue = std::fs::metadata(dir.join("catalogue.sqlite"))?.len();
    let each = |bytes: u64| bytes as f64 / jobs as f64;
    println!("catalogue {:.0}, footers {:.0} bytes a job", each(catalogue), each(footers));
    Ok(())
}

/// Puts a job of four lines, whose row and document are as large as usual.
fn put(batch: &mut Batch, n: u64, now: Timestamp) -> Result<(), Box<dyn std::error::Error>> {
    let project = ProjectId(1000 + n % 50);
    let url = format!("https://gitlab.example.com/group/project-{project}");
    if n < 50 {
        let path = format!("group/project-{project}");
        let row = ProjectRow {
            id: project,
            path,
            web_url: url.clone(),
            seen_at: now,
            newest_job: JobId(0),
        };
        batch.put_project(row, None, now)?;
    }
    let sha = blake3::hash(&(n / 10).to_le_bytes()).to_hex();
    let created = now - SignedDuration::from_secs(1_000_000 - n as i64 % 1_000_000);
    let log = format!(
        "Running on runner-{}\n$ make test\ntook {} ms\nJob succeeded\n",
        n % 20,
        n * 7 % 1000
    );
    let file = |kind: &str, size| Artifact {
        file_type: Some(kind.to_owned()),
        size: Some(size),
        ..Artifact::default()
    };
    let job = Job {
        id: JobId(5_000_000_000 + n * 3),
        pipeline: Some(PipelineId(900_000_000 + n / 10)),
        name: Some(format!("job-{}", n % 40)),
        stage: Some(format!("stage-{}", n % 4)),
        status: Some(Status::from(if n.is_multiple_of(9) { "failed" } else { "success" })),
        git_ref: Some(format!("branch-{}", n / 10 % 500)),
        sha: Some(sha[..40].to_owned()),
        created_at: Some(created),
        started_at: Some(created + SignedDuration::from_millis(1500)),
        finished_at: Some(created + SignedDuration::from_millis(61_500)),
        duration: Some(60.0),
        user: Some(format!("user-{}", n % 30)),
        runner: Some(Runner {
            description: Some(format!("runner-{}", n % 20)),
            ..Runner::default()
        }),
        artifacts: vec![file("trace", log.len() as u64), file("archive", 3000 + n % 999)],
        ..Job::default()
    };
    let document = format!("{job:?}");
    let sizes = (log.len(), 3000 + n % 999);
    let received = Received {
        job: &job,
        project,
        document: document.as_bytes(),
        artifacts: Some(format!(
            r#"[{{"file_type":"trace","size":{},"filename":"job.log","file_format":null}},{{"file_type":"archive","size":{},"filename":"artifacts.zip","file_format":"zip"}}]"#,
            sizes.0, sizes.1
        )),
        digest: n as i64 * 0x9e37_79b9_7f4a,
    };
    batch.put_job(&received, &url, now)?;
    batch.meet_pipeline(PipelineId(900_000_000 + n / 10), project);
    batch.begin_trace(job.id, project, now);
    batch.add_frame(NewFrame { raw: log.as_bytes(), lines: 4, continues: false, open: vec![] })?;
    let state = NewState {
        state: TraceState::Archived,
        reason: String::new(),
        next_at: None,
        attempts: 0,
        gone: false,
        erased: false,
    };
    batch.end_trace(log.len() as u64, *blake3::hash(log.as_bytes()).as_bytes(), state, now)?;
    Ok(())
}
