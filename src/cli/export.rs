//! `export`: jobs with their logs into one zip file that needs no jobvault to be read or checked.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jobvault_index::{Case, Query};
use serde::Serialize;

use super::address::JobAddress;
use super::filters::FilterArgs;
use super::output::{Out, OutputError};
use super::progress::Progress;
use super::{Context, Exit, Problem, archive, units};
use crate::export::bundle::{Bundle, BundleError, BundleOptions, Bundled};
use crate::export::sanitise;
use crate::model::JobId;
use crate::search::{self, Asked, Detail, Found, Options};
use crate::store::Store;
use crate::sync::HOST_KEY;

/// Bytes that wait before they are written to a file.
const BUFFER_BYTES: usize = 256 * 1024;
/// Jobs that cannot be exported and are named one by one; the manifest names all.
const MAX_NAMED: usize = 20;
/// What stands for standard output.
const STDOUT: &str = "-";

const AFTER_HELP: &str = "\
Examples:
  jobvault export 123456 123457 -o incident-42.zip
  jobvault export https://gitlab.com/group/project/-/jobs/123456 -o job.zip
  jobvault export --query 'status:failed since:30d' -o failed.zip
  jobvault export --query '\"connection reset\" project:group/*' --limit 100 -o - | ssh host 'cat > reset.zip'

For each job: job.json as received, raw.log and plain.log, artifacts.json where the server listed files,
artifact-listing.json where the archive knows what is in them.
manifest.json says what each file is, its hashes, and when and by whom it was captured. To check it all:
  unzip -q incident-42.zip -d incident-42 && cd incident-42 && sha256sum --check --quiet SHA256SUMS
The same jobs of the same archive give the same bytes again.

Exit status: 0 all is in it, 1 no such job, 2 it failed, 3 some jobs could not be read and are named.";

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The jobs: ids or addresses of their pages
    #[arg(value_name = "JOB")]
    jobs: Vec<JobAddress>,
    /// The zip file to write; - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// All jobs that meet a query as `search` takes it (repeatable)
    #[arg(long = "query", value_name = "QUERY", conflicts_with = "jobs")]
    queries: Vec<String>,
    /// Jobs at most, the newest first
    #[arg(long, value_name = "N", conflicts_with = "jobs", allow_negative_numbers = true)]
    #[arg(value_parser = units::at_least_one)]
    limit: Option<u64>,
    /// Make the logs gzip files that stay so when the bundle is unpacked: raw.log.gz, plain.log.gz
    #[arg(long)]
    gzip_logs: bool,
    /// Print one object of JSON; not with -o -
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    filters: FilterArgs,
}

#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    jobs: u64,
    raw_bytes: u64,
    bytes: u64,
    sha256: &'a str,
    failed: Vec<JsonFailed<'a>>,
}

#[derive(Serialize)]
struct JsonFailed<'a> {
    job: JobId,
    reason: &'a str,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let query = args.query()?;
    let to_stdout = args.output.as_os_str() == STDOUT;
    refuse_terminal(&args, to_stdout, context.out)?;
    refuse_written_over(&args.output, to_stdout)?;
    let store = context.open().await?;
    archive::check_page(&store, args.filters.page().as_ref()).await?;
    let jobs = match query {
        Some(query) => found(&store, query, args.limit, &context).await?,
        None => named(&store, &args.jobs, context.out).await?,
    };
    if jobs.is_empty() {
        context.out.note("no such job in the archive; nothing was written");
        return Ok(Exit::No);
    }
    let host = store.catalogue().meta(HOST_KEY).await?;
    let options = BundleOptions { host, gzip_logs: args.gzip_logs };
    let progress = Progress::new(
        context.out,
        jobs.len() as u64,
        "export {bar:30} {pos} of {len} jobs  {eta} left",
    );
    let written = match to_stdout {
        true => {
            let out = context.out.writer();
            bundle(out, &store, &jobs, &options, &progress).await.map(|(_, done)| done)
        }
        false => to_file(&args.output, &store, &jobs, &options, &progress).await,
    };
    progress.finish();
    let done = written?;
    report(&args, &done, to_stdout, context.out)?;
    Ok(if done.failed_jobs > 0 { Exit::Partial } else { Exit::Yes })
}

impl Args {
    /// Returns the query that chooses jobs, `None` where they are named.
    fn query(&self) -> Result<Option<Query>, Problem> {
        let filters = self.filters.filters()?;
        let asked = !self.queries.is_empty() || !filters.is_empty();
        match (asked, self.jobs.is_empty()) {
            (true, false) => Err(Problem::new("jobs are named and filtered at once")
                .hint("name jobs, or choose them with --query and filters")),
            (false, true) => Err(Problem::new("nothing says which jobs to export")
                .hint("name jobs, or choose them: jobvault export --query status:failed -o FILE")),
            (false, false) => Ok(None),
            (true, true) => {
                let mut query = Query::from_parts(&[], &[], &self.queries, Case::Smart)?;
                filters.into_iter().for_each(|filter| query.and_filter(filter));
                Ok(Some(query))
            }
        }
    }
}

fn refuse_terminal(args: &Args, to_stdout: bool, out: &Out) -> Result<(), Problem> {
    if to_stdout && out.is_terminal() {
        return Err(Problem::new("a zip file is nothing for a terminal")
            .hint("name a file with -o FILE, or pipe it: jobvault export ... -o - | program"));
    }
    if to_stdout && args.json {
        return Err(Problem::new("standard output cannot take both the bundle and JSON")
            .hint("name a file with -o FILE"));
    }
    Ok(())
}

/// Refuses a file that is there, before the work; what is no file (a pipe, /dev/null) may be written.
fn refuse_written_over(path: &Path, to_stdout: bool) -> Result<(), Problem> {
    let is_there = !to_stdout && fs::metadata(path).is_ok_and(|found| found.is_file());
    match is_there {
        true => Err(exists(path)),
        false => Ok(()),
    }
}

fn exists(path: &Path) -> Problem {
    Problem::new(format!("{} exists already", path.display()))
        .hint("name another file; nothing is written over")
}

/// Returns the jobs that meet a query, the newest first.
async fn found(
    store: &Store,
    query: Query,
    limit: Option<u64>,
    context: &Context<'_>,
) -> anyhow::Result<Vec<JobId>> {
    let mut jobs: Vec<JobId> = Vec::new();
    let options = Options { detail: Detail::Count, ..Options::default() };
    let asked = Asked::open(context.index_dir(), query.clone(), &options);
    let take = |found: Found| {
        let job = match &found {
            Found::Hits { job, .. } | Found::Count { job, .. } | Found::Job(job) => job.id,
        };
        if jobs.last() != Some(&job) {
            jobs.push(job);
        }
        match limit.is_some_and(|limit| jobs.len() as u64 >= limit) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let now = context.now;
    let summary = search::search_asked(store, asked, &query, &options, now, take).await?;
    // A log that cannot be read may meet the query as well: better named in the manifest than left out.
    if limit.is_none_or(|limit| (jobs.len() as u64) < limit) {
        jobs.extend(summary.unreadable.iter().map(|(job, _)| *job));
    }
    jobs.sort_unstable_by(|a, b| b.cmp(a));
    jobs.dedup();
    Ok(jobs)
}

/// Returns the named jobs in the order given, each once; nothing where the archive knows none.
async fn named(store: &Store, named: &[JobAddress], out: &mut Out) -> anyhow::Result<Vec<JobId>> {
    let mut jobs = Vec::with_capacity(named.len());
    for job in named {
        archive::check_host(store, job).await?;
        if !jobs.contains(&job.id) {
            jobs.push(job.id);
        }
    }
    if store.catalogue().jobs_by_id(&jobs).await?.is_empty() {
        for job in &jobs {
            out.warn(format!("the archive knows no job {job}"));
        }
        jobs.clear();
    }
    Ok(jobs)
}

async fn bundle<W: Write>(
    out: W,
    store: &Store,
    jobs: &[JobId],
    options: &BundleOptions,
    progress: &Progress,
) -> anyhow::Result<(W, Bundled)> {
    let written = async {
        let mut bundle = Bundle::new(out, options)?;
        let total = jobs.len() as u64;
        bundle.add(store, jobs, |done| progress.set(done, total, String::new())).await?;
        bundle.finish()
    };
    written.await.map_err(|error: BundleError| match error {
        BundleError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            OutputError::Closed.into()
        }
        error => error.into(),
    })
}

/// Writes a file that is there whole or not at all, for its owner alone.
async fn to_file(
    path: &Path,
    store: &Store,
    jobs: &[JobId],
    options: &BundleOptions,
    progress: &Progress,
) -> anyhow::Result<Bundled> {
    let failed = || format!("write {}", path.display());
    // What is no file, a pipe or /dev/null, is written as it is.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let file = File::options().write(true).open(path).with_context(failed)?;
        return Ok(bundle(buffered(file), store, jobs, options, progress).await?.1);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let temp =
        tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new("."))).with_context(failed)?;
    let (out, done) =
        bundle(buffered(temp), store, jobs, options, progress).await.with_context(failed)?;
    let temp = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(failed)?;
    temp.as_file().sync_all().with_context(failed)?;
    match temp.persist_noclobber(path) {
        Ok(_) => Ok(done),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path).into()),
        Err(e) => Err(e.error).with_context(failed),
    }
}

fn buffered<W: Write>(out: W) -> BufWriter<W> {
    BufWriter::with_capacity(BUFFER_BYTES, out)
}

fn report(args: &Args, done: &Bundled, to_stdout: bool, out: &mut Out) -> anyhow::Result<()> {
    if args.json {
        let failed = done.failed.iter().map(|(job, reason)| JsonFailed { job: *job, reason });
        out.json(&Json {
            v: 1,
            jobs: done.jobs,
            raw_bytes: done.raw_bytes,
            bytes: done.bytes,
            sha256: &done.sha256,
            failed: failed.collect(),
        })?;
        return Ok(());
    }
    for (job, reason) in done.failed.iter().take(MAX_NAMED) {
        out.warn(format!("job {job} is not in the bundle: {}", sanitise(reason)));
    }
    if done.failed_jobs > MAX_NAMED as u64 {
        out.warn(format!(
            "and {} more; the manifest names all",
            done.failed_jobs - MAX_NAMED as u64
        ));
    }
    let place = match to_stdout {
        true => "on standard output".to_owned(),
        false => format!("in {}", args.output.display()),
    };
    out.summary(format!(
        "{} with {} of logs {place} ({})",
        units::count(done.jobs, "job"),
        units::size(done.raw_bytes),
        units::size(done.bytes)
    ));
    out.note(format!("sha256 {}", done.sha256));
    Ok(())
}
