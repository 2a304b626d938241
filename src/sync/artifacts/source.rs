//! Where an archive is read: the part of it in memory and the rest by Range, or all of it in a spool.

use std::io::Cursor;

use crate::artifact::{self, MemberError, Place, TAIL_BYTES, ZipError};
use crate::gitlab::{self, RemoteArchive};
use crate::model::{ArtifactEntry, ArtifactListing};
use crate::sync::spool::Spool;

/// Last bytes asked for where reports are wanted too: most archives of reports alone are in them.
const REPORT_TAIL_BYTES: u64 = 768 * 1024;

/// Why an archive cannot be read.
pub(super) enum SourceError {
    /// The server.
    Server(gitlab::Error),
    /// The archive.
    Zip(ZipError),
}

impl From<gitlab::Error> for SourceError {
    fn from(error: gitlab::Error) -> Self {
        Self::Server(error)
    }
}

impl From<ZipError> for SourceError {
    fn from(error: ZipError) -> Self {
        Self::Zip(error)
    }
}

/// An archive whose list was read.
pub(super) enum Source {
    /// Its last bytes.
    Parts { at: u64, bytes: Vec<u8> },
    /// All of it.
    Whole(Spool),
}

/// Reads the list by parts: one request for the end, mostly with the directory, and at most one more for that.
pub(super) async fn list(
    remote: &mut RemoteArchive,
    with_reports: bool,
) -> Result<(Source, ArtifactListing), SourceError> {
    let tail = remote.tail(if with_reports { REPORT_TAIL_BYTES } else { TAIL_BYTES }).await?;
    let total = tail.total;
    let place = artifact::locate(&tail.bytes, total)?;
    let directory = match within(&tail.bytes, tail.at, &place) {
        Some(directory) => directory.to_vec(),
        None => remote.piece(place.bytes.clone()).await?.bytes,
    };
    let listing = artifact::parse(&directory, &place, total)?;
    Ok((Source::Parts { at: tail.at, bytes: tail.bytes }, listing))
}

fn within<'a>(bytes: &'a [u8], at: u64, place: &Place) -> Option<&'a [u8]> {
    let from = usize::try_from(place.bytes.start.checked_sub(at)?).ok()?;
    let to = usize::try_from(place.bytes.end.checked_sub(at)?).ok()?;
    bytes.get(from..to)
}

/// Why a member was not got.
pub(super) enum MemberFault {
    /// The server, so that the next one may not be got either.
    Server(gitlab::Error),
    /// The member.
    Member(MemberError),
}

impl Source {
    /// Reads one file, at most `limit` bytes.
    pub(super) async fn member(
        &mut self,
        remote: &mut RemoteArchive,
        entry: &ArtifactEntry,
        total: u64,
        limit: u64,
    ) -> Result<Vec<u8>, MemberFault> {
        let mut content = Vec::new();
        let result = match self {
            Self::Whole(spool) => artifact::extract(spool, 0, entry, limit, &mut content),
            Self::Parts { at, bytes } if entry.offset >= *at => {
                artifact::extract(&mut Cursor::new(bytes), *at, entry, limit, &mut content)
            }
            Self::Parts { .. } => {
                let end = entry.offset.saturating_add(artifact::room(entry)).min(total);
                let piece = remote.piece(entry.offset..end).await.map_err(MemberFault::Server)?;
                let mut cursor = Cursor::new(&piece.bytes);
                artifact::extract(&mut cursor, piece.at, entry, limit, &mut content)
            }
        };
        result.map_err(MemberFault::Member)?;
        Ok(content)
    }
}
