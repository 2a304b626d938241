//! Taking files out: whole and verified before the first byte is written, and never over a file that exists.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Context as _;
use tempfile::NamedTempFile;

use crate::artifact;
use crate::cli::output::Out;
use crate::cli::{Exit, Problem, units};
use crate::export::sanitise;
use crate::model::{ArtifactEntry, ArtifactListing};
use crate::store::catalogue::ArtifactRow;
use crate::store::{BlobReader, Store, StoreError};

/// Where a file waits until all of it is verified: in memory up to this length, then in a file without a name.
const MEMORY_BYTES: usize = 8 << 20;
/// Bytes written to standard output at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Writes the archive to a new file.
pub(super) async fn save(
    store: &Store,
    row: &ArtifactRow,
    path: &Path,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let Some(hash) = row.archive else { return Ok(not_kept(row, out)) };
    let mut blob = open(store, hash).await?;
    write_new(path, |file| {
        copy(&mut blob, file)?;
        Ok(())
    })?;
    out.summary(format!("{} written, {}", path.display(), units::size(blob.total_bytes())));
    Ok(Exit::Yes)
}

/// Writes one file of the archive.
pub(super) async fn extract(
    store: &Store,
    row: &ArtifactRow,
    path: &str,
    output: &Path,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let listing = store.artifact_listing(row.job).await?;
    let alone = row.files.iter().rev().find(|file| file.path == path).and_then(|f| f.hash());
    let entry = listing.as_ref().and_then(|listing| find(listing, path, out));
    let mut content = tempfile::spooled_tempfile(MEMORY_BYTES);
    match (row.archive, entry, alone) {
        (Some(hash), Some(entry), _) => {
            let mut blob = open(store, hash).await?;
            artifact::extract(&mut blob, 0, entry, u64::MAX, &mut content).map_err(|e| {
                let what = format!("{} of job {} cannot be taken out", sanitise(path), row.job);
                anyhow::Error::from(e).context(what)
            })?;
        }
        (_, _, Some(hash)) => copy(&mut open(store, hash).await?, &mut content)?,
        (None, Some(_), None) => return Ok(not_kept(row, out)),
        (_, None, None) if listing.is_none() => return Err(super::not_held(row).into()),
        (_, None, None) => {
            let message =
                format!("job {} has no file {} in its artifacts", row.job, sanitise(path));
            let hint = format!("jobvault artifacts {} lists them", row.job);
            return Err(Problem::new(message).hint(hint).exit(Exit::No).into());
        }
    }
    content.seek(SeekFrom::Start(0)).context("read it back")?;
    if output == Path::new("-") {
        print(&mut content, out)?;
        return Ok(Exit::Yes);
    }
    write_new(output, |file| {
        io::copy(&mut content, file)?;
        Ok(())
    })?;
    Ok(Exit::Yes)
}

/// Returns the entry of a path; of several the last, as other programs do.
fn find<'a>(listing: &'a ArtifactListing, path: &str, out: &mut Out) -> Option<&'a ArtifactEntry> {
    let named: Vec<&ArtifactEntry> = listing.entries.iter().filter(|e| e.path == path).collect();
    if named.len() > 1 {
        let message =
            format!("{} entries have the path {}; this is the last", named.len(), sanitise(path));
        out.warn(message);
    }
    named.last().copied()
}

fn not_kept(row: &ArtifactRow, out: &mut Out) -> Exit {
    let kept = super::kept(row);
    out.error(format!(
        "the archive does not hold that of the artifacts of job {}: {kept}",
        row.job
    ));
    let reason =
        if row.reason.is_empty() { String::new() } else { format!(": {}", sanitise(&row.reason)) };
    out.hint(format!(
        "they are {}{reason}; jobvault sync --artifacts all PROJECT keeps archives",
        row.state
    ));
    Exit::No
}

async fn open(store: &Store, hash: [u8; 32]) -> anyhow::Result<BlobReader> {
    store.blob(hash).await?.ok_or_else(|| StoreError::NoChunk(hash).into())
}

/// Copies a stored file; damage comes out as the store's error.
fn copy(from: &mut BlobReader, to: &mut impl Write) -> anyhow::Result<()> {
    io::copy(from, to).map(drop).map_err(|error| match error.downcast::<StoreError>() {
        Ok(damage) => damage.into(),
        Err(error) => error.into(),
    })
}

/// Writes a new file beside its final place, and puts it there when it is whole.
fn write_new(
    path: &Path,
    write: impl FnOnce(&mut NamedTempFile) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let exists = || {
        Problem::new(format!("{} exists already", path.display()))
            .hint("name another file; nothing is written over")
    };
    if path.symlink_metadata().is_ok() {
        return Err(exists().into());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let what = || format!("write {}", path.display());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(what)?;
    write(&mut file).with_context(what)?;
    file.as_file().sync_all().with_context(what)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Err(exists().into()),
        Err(e) => Err(e.error).with_context(what),
    }
}

fn print(content: &mut impl Read, out: &mut Out) -> anyhow::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = content.read(&mut chunk).context("read it back")?;
        match read {
            0 => return Ok(()),
            n if out.is_terminal() => {
                // Control bytes must not reach it; what is exact goes into a file or pipe.
                for line in chunk[..n].split_inclusive(|byte| *byte == b'\n') {
                    let text = sanitise(line.strip_suffix(b"\n").unwrap_or(line));
                    out.bytes(text.as_bytes())?;
                    if line.ends_with(b"\n") {
                        out.bytes(b"\n")?;
                    }
                }
            }
            n => out.bytes(&chunk[..n])?,
        }
    }
}
