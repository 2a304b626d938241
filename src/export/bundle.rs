//! Evidence bundles: jobs with their logs in one zip file, and the sums of every member.
//!
//! Owns the layout of the file and its manifest. The same jobs of the same archive give the same bytes, whenever
//! they are asked for. Does not know how jobs are chosen. A job that cannot be read is named in the manifest and
//! stops nothing; only the archive's catalogue or the output failing does. Memory: a log of up to 64 MiB,
//! and the list of members that a zip file ends with, about half a kilobyte for each.

mod capture;
mod member;
mod sums;

#[cfg(test)]
mod tests;

use std::io::{self, Seek, Write};

use serde_json::{Value, json};
use tempfile::SpooledTempFile;
use zip::ZipWriter;
use zip::write::StreamWriter;

use crate::model::JobId;
use crate::store::catalogue::Provenance;
use crate::store::{JobRow, Store, StoreError, TraceRow};
use crate::trace;
use member::{Content, Member, directory, stamp};
use sums::{Outlet, Tee, Valve};

/// Jobs whose rows are read from the catalogue at once.
const JOBS_AT_ONCE: usize = 200;
/// A log up to this length is read once and kept until its members are written; a longer one is read for each.
const HELD_BYTES: u64 = 64 * 1024 * 1024;
/// Manifest and list of sums wait in memory up to this length, then in a temporary file.
const SPOOL_BYTES: usize = 1024 * 1024;
/// Failed jobs named to the caller; the manifest names all.
const MAX_FAILED: usize = 1000;

/// The member that says what the others are.
pub const MANIFEST: &str = "manifest.json";
/// The member that `sha256sum --check` takes.
pub const SUMS: &str = "SHA256SUMS";

/// Why a bundle cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The bundle cannot be written.
    #[error("cannot write the bundle")]
    Write(#[source] io::Error),
    /// The archive cannot be read at all.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<io::Error> for BundleError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<zip::result::ZipError> for BundleError {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Write(error.into())
    }
}

/// How a bundle is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleOptions {
    /// The server that the archive is of, for the manifest.
    pub host: Option<String>,
    /// Logs become gzip files of their own, `raw.log.gz`, which stay compressed when the bundle is unpacked.
    pub gzip_logs: bool,
}

/// What a bundle holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundled {
    /// Jobs that are in it as the archive has them, those without a log included.
    pub jobs: u64,
    /// Bytes of their logs.
    pub raw_bytes: u64,
    /// Length of the bundle.
    pub bytes: u64,
    /// SHA-256 of the bundle, in hexadecimal digits.
    pub sha256: String,
    /// How many jobs could not be read.
    pub failed_jobs: u64,
    /// The first of them, each with the reason.
    pub failed: Vec<(JobId, String)>,
}

/// Everything the archive knows of one job.
struct Subject<'a> {
    row: &'a JobRow,
    trace: Option<&'a TraceRow>,
    document: Option<Vec<u8>>,
    /// The server's list of its files, JSON.
    artifacts: Option<Vec<u8>>,
    /// The list of the files in its artifacts archive, JSON.
    listing: Option<Vec<u8>>,
    provenance: Option<&'a Provenance>,
}

/// A bundle being written.
pub struct Bundle<W: Write> {
    // First, so that it is shut before what comes after is dropped.
    valve: Valve,
    zip: ZipWriter<StreamWriter<Outlet<Tee<W>>>>,
    gzip_logs: bool,
    manifest: SpooledTempFile,
    sums: SpooledTempFile,
    begun: bool,
    done: Bundled,
}

impl<W: Write> Bundle<W> {
    /// Begins a bundle.
    pub fn new(out: W, options: &BundleOptions) -> Result<Self, BundleError> {
        let valve = Valve::default();
        let zip = ZipWriter::new_stream(Outlet::new(Tee::new(out), &valve));
        let mut manifest = tempfile::spooled_tempfile(SPOOL_BYTES);
        let head = json!({"v": 1, "jobvault": env!("CARGO_PKG_VERSION"), "host": options.host});
        let head = head.to_string();
        // The list of jobs is written as it grows: the object stays open.
        write!(manifest, "{},\n\"jobs\":[", head.trim_end_matches('}'))?;
        Ok(Self {
            valve,
            zip,
            gzip_logs: options.gzip_logs,
            manifest,
            sums: tempfile::spooled_tempfile(SPOOL_BYTES),
            begun: false,
            done: Bundled::default(),
        })
    }

    /// Adds jobs in the order given; each id must be given once. Blocks.
    ///
    /// `progress` is called with the number of jobs done so far.
    pub async fn add(
        &mut self,
        store: &Store,
        jobs: &[JobId],
        mut progress: impl FnMut(u64),
    ) -> Result<(), BundleError> {
        for chunk in jobs.chunks(JOBS_AT_ONCE) {
            let rows = capture::rows(store, chunk).await?;
            for job in chunk {
                match rows.get(job) {
                    Some(Ok(known)) => {
                        let subject = known.subject(store).await;
                        let added = subject.and_then(|subject| self.add_job(store, &subject));
                        self.note(*job, known.path(), added)?;
                    }
                    Some(Err(why)) => self.fail(*job, why)?,
                    None => self.fail(*job, "the archive does not know it")?,
                }
                progress(self.done.jobs + self.done.failed_jobs);
            }
        }
        Ok(())
    }

    /// Ends the bundle with its manifest and the list of sums.
    pub fn finish(mut self) -> Result<(W, Bundled), BundleError> {
        let counts = json!({"exported": self.done.jobs, "failed": self.done.failed_jobs});
        let counts = counts.to_string();
        writeln!(self.manifest, "\n],\n{}", counts.trim_start_matches('{'))?;
        let mut manifest = std::mem::replace(&mut self.manifest, tempfile::spooled_tempfile(0));
        manifest.rewind()?;
        self.copy(MANIFEST, &mut manifest)?;
        let mut sums = std::mem::replace(&mut self.sums, tempfile::spooled_tempfile(0));
        sums.rewind()?;
        self.copy(SUMS, &mut sums)?;
        let mut out = self.zip.finish()?.into_inner();
        out.flush()?;
        drop(self.valve);
        let (out, sums) = out.into_inner().into_parts();
        self.done.bytes = sums.bytes;
        self.done.sha256 = sums.sha256();
        Ok((out, self.done))
    }

    /// Writes what is known of a job, and returns its members.
    fn add_job(&mut self, store: &Store, subject: &Subject<'_>) -> Result<Vec<Member>, AddError> {
        let log = subject.trace.map(|trace| Log::read(store, trace)).transpose()?;
        let dir = directory(subject.row.id, &subject.row.name);
        let at = stamp(subject.row.finished_at.or(subject.row.created_at));
        let mut members = Vec::new();
        if let Some(document) = &subject.document {
            members.push(self.document(&format!("{dir}/job.json"), at, document)?);
        }
        if let Some(log) = &log {
            let content = Content { bytes: log.trace.raw_bytes, gzip: self.gzip_logs };
            let suffix = if content.gzip { ".gz" } else { "" };
            let path = format!("{dir}/raw.log{suffix}");
            members.push(self.member(&path, at, content, |out| log.raw(store, out))?);
            let path = format!("{dir}/plain.log{suffix}");
            members.push(self.member(&path, at, content, |out| log.plain(store, out))?);
            self.done.raw_bytes += log.trace.raw_bytes;
        }
        let lists = [("artifacts", &subject.artifacts), ("artifact-listing", &subject.listing)];
        for (name, list) in lists {
            if let Some(list) = list {
                members.push(self.document(&format!("{dir}/{name}.json"), at, list)?);
            }
        }
        self.describe(&capture::describe(subject, &members))?;
        Ok(members)
    }

    /// Counts a job, or names the one that failed.
    fn note(
        &mut self,
        job: JobId,
        path: &str,
        added: Result<Vec<Member>, AddError>,
    ) -> Result<(), BundleError> {
        match added {
            Ok(members) => {
                self.done.jobs += 1;
                for member in members {
                    writeln!(self.sums, "{}  {}", member.sums.sha256(), member.path)?;
                }
                Ok(())
            }
            Err(AddError::Bundle(error)) => Err(error),
            Err(AddError::Job(why)) => {
                tracing::debug!(job.id = %job, "Not exported, job {job} of {path}: {why}");
                self.fail(job, &why)
            }
        }
    }

    fn fail(&mut self, job: JobId, why: &str) -> Result<(), BundleError> {
        self.done.failed_jobs += 1;
        if self.done.failed.len() < MAX_FAILED {
            self.done.failed.push((job, why.to_owned()));
        }
        self.describe(&json!({"job": job, "error": why}))
    }

    fn describe(&mut self, job: &Value) -> Result<(), BundleError> {
        let comma = if self.begun { "," } else { "" };
        self.begun = true;
        Ok(write!(self.manifest, "{comma}\n{job}")?)
    }

    /// Writes a member of bytes that are there.
    fn document(
        &mut self,
        path: &str,
        at: zip::DateTime,
        bytes: &[u8],
    ) -> Result<Member, AddError> {
        let content = Content::plain(bytes.len() as u64);
        self.member(path, at, content, |out| Ok(out.write_all(bytes)?))
    }

    /// Writes a member whose bytes `fill` gives.
    fn member(
        &mut self,
        path: &str,
        at: zip::DateTime,
        content: Content,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), AddError>,
    ) -> Result<Member, AddError> {
        let begun = self.zip.start_file(path, content.options(at));
        begun.map_err(BundleError::from)?;
        member::write(&mut self.zip, path, content, fill)
    }

    /// Writes a member about the bundle itself; its sum goes to the list.
    fn copy(&mut self, path: &str, from: &mut SpooledTempFile) -> Result<(), BundleError> {
        let bytes = from.seek(io::SeekFrom::End(0))?;
        from.rewind()?;
        let content = Content::plain(bytes);
        self.zip.start_file(path, content.options(stamp(None)))?;
        let mut tee = Tee::new(&mut self.zip);
        io::copy(from, &mut tee)?;
        let (_, sums) = tee.into_parts();
        if path != SUMS {
            writeln!(self.sums, "{}  {path}", sums.sha256())?;
        }
        Ok(())
    }
}

/// Why a job was not added: it cannot be read, or nothing more can be written.
enum AddError {
    Job(String),
    Bundle(BundleError),
}

impl From<BundleError> for AddError {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}

impl From<io::Error> for AddError {
    fn from(error: io::Error) -> Self {
        Self::Bundle(BundleError::Write(error))
    }
}

impl From<StoreError> for AddError {
    fn from(error: StoreError) -> Self {
        Self::Job(words(&error))
    }
}

/// Returns an error with its causes.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// A log that was read to its end once, so that none is found damaged half way through a member.
struct Log<'a> {
    trace: &'a TraceRow,
    /// Its bytes, where they are few enough to keep.
    held: Option<Vec<u8>>,
}

impl<'a> Log<'a> {
    fn read(store: &Store, trace: &'a TraceRow) -> Result<Self, AddError> {
        let mut held = (trace.raw_bytes <= HELD_BYTES).then(Vec::new);
        let mut hasher = blake3::Hasher::new();
        for frame in &trace.frames {
            let raw = store.read_frame(frame)?;
            hasher.update(&raw);
            if let Some(held) = &mut held {
                held.extend_from_slice(&raw);
            }
        }
        if *hasher.finalize().as_bytes() != trace.hash {
            return Err(AddError::Job("its frames are not the log that was stored".to_owned()));
        }
        Ok(Self { trace, held })
    }

    fn raw(&self, store: &Store, out: &mut dyn Write) -> Result<(), AddError> {
        if let Some(held) = &self.held {
            return Ok(out.write_all(held)?);
        }
        for frame in &self.trace.frames {
            out.write_all(&store.read_frame(frame)?)?;
        }
        Ok(())
    }

    /// Writes the plain text, document by document.
    fn plain(&self, store: &Store, out: &mut dyn Write) -> Result<(), AddError> {
        let mut plain = trace::Plain::default();
        for document in self.trace.documents() {
            let mut raw = Vec::new();
            for frame in &self.trace.frames[document] {
                match &self.held {
                    Some(held) => raw.extend_from_slice(
                        &held[frame.raw_offset as usize..][..frame.raw_bytes as usize],
                    ),
                    None => raw.extend(store.read_frame(frame)?),
                }
            }
            trace::plain_into(&raw, &mut plain);
            out.write_all(plain.text())?;
        }
        Ok(())
    }
}
