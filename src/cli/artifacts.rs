//! `artifacts`: what stands in a job's artifacts, one file of them, or the archive as it was.

mod take;

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::address::JobAddress;
use super::output::{Out, Paint};
use super::table::{self, Align};
use super::{Context, Exit, Problem, archive, units};
use crate::export::sanitise;
use crate::model::{ArtifactEntry, ArtifactState, EntryFlag, JobId};
use crate::store::catalogue::ArtifactRow;
use crate::store::{JobRow, Store};
use crate::sync::artifacts::ArtifactLine;

/// The `file_type` of the artifacts archive among a job's files.
const ARCHIVE_FILE_TYPE: &str = "archive";

const AFTER_HELP: &str = "\
Examples:
  jobvault artifacts 123456                                  which files there are
  jobvault artifacts 123456 --extract reports/junit.xml      one of them, to standard output
  jobvault artifacts 123456 --extract app.bin -o app.bin     the same into a file
  jobvault artifacts 123456 --save build.zip                 the archive as GitLab had it

What is kept depends on how it was synced: `jobvault sync --artifacts listing|reports|all`.
Every byte is checked before it is written. A file that exists is never written over.
Exit status: 0 done, 1 the archive does not hold it, 2 it failed.";

/// Arguments of `artifacts`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The job: its id or the address of its page
    #[arg(value_name = "JOB")]
    job: JobAddress,
    /// Take out the file of that path
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    extract: Option<String>,
    /// Where the file goes; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-", requires = "extract")]
    output: PathBuf,
    /// Write the archive to a new file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["extract", "json"])]
    save: Option<PathBuf>,
    /// Print one object of JSON a file
    #[arg(long, conflicts_with = "extract")]
    pub(super) json: bool,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let store = context.open().await?;
    let job = archive::find_job(&store, &args.job).await?;
    let row = store.catalogue().artifacts(&[job.id]).await?.pop();
    let Some(row) = row else {
        if !args.json {
            context.out.note(format!("GitLab lists no artifacts of job {}", job.id));
        }
        return Ok(Exit::No);
    };
    if let Some(path) = &args.save {
        return take::save(&store, &row, path, context.out).await;
    }
    if let Some(path) = &args.extract {
        return take::extract(&store, &row, path, &args.output, context.out).await;
    }
    list(&store, &row, args.json, context.out).await
}

#[derive(Serialize)]
struct JsonEntry<'a> {
    v: u32,
    job: JobId,
    /// The file's bytes are in the archive.
    kept: bool,
    #[serde(flatten)]
    entry: &'a ArtifactEntry,
}

async fn list(store: &Store, row: &ArtifactRow, json: bool, out: &mut Out) -> anyhow::Result<Exit> {
    let Some(listing) = store.artifact_listing(row.job).await? else {
        return Err(not_held(row).into());
    };
    let is_kept = |entry: &ArtifactEntry| {
        let alone = row.files.iter().any(|file| file.path == entry.path);
        alone || (row.archive.is_some() && entry.is_file())
    };
    if json {
        for entry in &listing.entries {
            out.json(&JsonEntry { v: 1, job: row.job, kept: is_kept(entry), entry })?;
        }
        return Ok(Exit::Yes);
    }
    print(&listing.entries, is_kept, out)?;
    let files = listing.entries.iter().filter(|entry| !entry.is(EntryFlag::Directory));
    let (count, bytes) = files.fold((0, 0u64), |(n, sum), e| (n + 1, sum.saturating_add(e.size)));
    let mut sum = format!(
        "{}, {} unpacked, {} as archive; {}",
        units::count(count, "file"),
        units::size(bytes),
        units::size(listing.bytes),
        kept(row)
    );
    if listing.more > 0 {
        sum.push_str(&format!("; {} more entries are not listed", listing.more));
    }
    out.summary(sum);
    if !row.reason.is_empty() {
        out.note(format!("{}: {}", row.state, sanitise(&row.reason)));
    }
    Ok(Exit::Yes)
}

/// Says what of the archive is kept.
fn kept(row: &ArtifactRow) -> String {
    match (row.archive.is_some(), row.files.len()) {
        (true, _) => "all kept".to_owned(),
        (false, 0) => "only this list is kept".to_owned(),
        (false, n) => format!("this list and {} kept", units::count(n as u64, "report")),
    }
}

fn print(
    entries: &[ArtifactEntry],
    is_kept: impl Fn(&ArtifactEntry) -> bool,
    out: &mut Out,
) -> anyhow::Result<()> {
    let mut cells = Vec::with_capacity(entries.len() + 1);
    if out.is_terminal() {
        let names = ["MODE", "SIZE", "PACKED", "CRC", "MODIFIED", "KEPT", "PATH"];
        cells.push(names.map(str::to_owned).to_vec());
    }
    let headings = cells.len();
    for entry in entries {
        let mut path = sanitise(&entry.path);
        if !entry.flags.is_empty() {
            let flags: Vec<String> = entry.flags.iter().map(flag).collect();
            path.push_str(&format!("  ({})", flags.join(", ")));
        }
        cells.push(vec![
            entry.mode.map(|mode| format!("{:04o}", mode & 0o7777)).unwrap_or_default(),
            units::size(entry.size),
            units::size(entry.packed),
            format!("{:08x}", entry.crc),
            entry.modified.map(units::time).unwrap_or_default(),
            if is_kept(entry) { "yes" } else { "no" }.to_owned(),
            path,
        ]);
    }
    use Align::{Left, Right};
    let align = [Left, Right, Right, Left, Left, Left, Left];
    let lines = table::table(&cells, &align, |row, column, cell| match column {
        _ if row < headings => out.paint(Paint::Dim, cell),
        0 | 2..=4 => out.paint(Paint::Dim, cell),
        6 if !entries[row - headings].flags.is_empty() => out.paint(Paint::Yellow, cell),
        _ => cell.to_owned(),
    });
    Ok(lines.iter().try_for_each(|line| out.line(line))?)
}

/// Says what is odd about an entry.
fn flag(flag: &EntryFlag) -> String {
    match flag {
        EntryFlag::Absolute => "absolute path",
        EntryFlag::Climbs => "path climbs by ..",
        EntryFlag::Control => "control bytes in its path",
        EntryFlag::NotUtf8 => "path is not UTF-8",
        EntryFlag::Duplicate => "same path again",
        EntryFlag::Directory => "directory",
        EntryFlag::NoFile => "no file",
        EntryFlag::Bomb => "bomb",
        EntryFlag::Encrypted => "encrypted",
        EntryFlag::Method => "unknown compression",
        EntryFlag::Outside => "outside the archive",
        EntryFlag::Damaged => "damaged",
        EntryFlag::Other => "odd",
    }
    .to_owned()
}

/// Returns why there is no list of a job's artifacts.
fn not_held(row: &ArtifactRow) -> Problem {
    let size = row.bytes.map(|n| format!(", {} by GitLab's word", units::size(n)));
    let size = size.unwrap_or_default();
    let reason = match row.reason.is_empty() {
        true => row.state.to_string(),
        false => format!("{}: {}", row.state, sanitise(&row.reason)),
    };
    if row.archive.is_some() {
        let job = row.job;
        let message =
            format!("what is kept of the artifacts of job {job} cannot be listed ({reason})");
        let problem = Problem::new(message).exit(Exit::No);
        return problem.hint("--save FILE writes it as GitLab had it");
    }
    let message = format!("the archive holds no artifacts of job {}{size} ({reason})", row.job);
    let problem = Problem::new(message).exit(Exit::No);
    match row.state {
        ArtifactState::Pending => problem.hint(
            "jobvault sync --artifacts listing|reports|all PROJECT fetches them while GitLab has them",
        ),
        _ => problem,
    }
}

/// Reads what became of the artifacts of jobs.
pub(super) async fn outcomes(
    store: &Store,
    rows: &[JobRow],
) -> anyhow::Result<HashMap<JobId, ArtifactRow>> {
    let ids: Vec<JobId> = rows.iter().filter(|r| r.artifacts.is_some()).map(|r| r.id).collect();
    let found = store.catalogue().artifacts(&ids).await?;
    Ok(found.into_iter().map(|row| (row.job, row)).collect())
}

/// Returns the server's list of a job's files, what became of the archive put into its place.
pub(super) fn with_outcome(job: &JobRow, row: Option<&ArtifactRow>) -> Option<Box<RawValue>> {
    let text = job.artifacts.clone()?;
    let Some(row) = row else { return RawValue::from_string(text).ok() };
    let mut files: Vec<Value> = serde_json::from_str(&text).ok()?;
    for file in files.iter_mut().filter(|file| file["file_type"] == ARCHIVE_FILE_TYPE) {
        file["state"] = json!(row.state.as_str());
        file["reason"] = json!(row.reason);
        file["entries"] = json!(row.entries);
        file["blake3"] =
            json!(row.archive.map(|hash| blake3::Hash::from_bytes(hash).to_hex().to_string()));
        if !row.files.is_empty() {
            file["reports"] = json!(row.files);
        }
    }
    RawValue::from_string(Value::Array(files).to_string()).ok()
}

/// Prints how many artifacts are in which state; nothing where no job lists any.
pub(super) fn print_counts(lines: &[ArtifactLine], out: &mut Out) -> anyhow::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut rows =
        vec![["PROJECT", "ARTIFACTS", "JOBS", "SIZE", "WHY"].map(str::to_owned).to_vec()];
    for line in lines {
        let why = match (line.state, line.reason.as_str()) {
            ("pending", "") => "not asked for".to_owned(),
            (_, reason) => sanitise(reason),
        };
        let (jobs, size) = (line.jobs.to_string(), units::size(line.bytes));
        rows.push(vec![sanitise(&line.project), line.state.to_owned(), jobs, size, why]);
    }
    let align = [Align::Left, Align::Left, Align::Right, Align::Right, Align::Left];
    let printed = table::table(&rows, &align, |row, column, cell| {
        match (row.checked_sub(1).map(|row| lines[row].state), column) {
            (None, _) => out.paint(Paint::Dim, cell),
            (Some("listed" | "reports" | "kept"), 1) => out.paint(Paint::Green, cell),
            (Some("pending" | "too_large" | "no_range" | "forbidden"), 1) => {
                out.paint(Paint::Yellow, cell)
            }
            (Some(_), 1) => out.paint(Paint::Red, cell),
            _ => cell.to_owned(),
        }
    });
    Ok(printed.iter().try_for_each(|line| out.line(line))?)
}
