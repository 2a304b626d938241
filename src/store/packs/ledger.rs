//! The ledger: documents as received and notes, many records to one pack entry. Pure.
//!
//! Records stand together because a job document alone compresses to a third, beside its neighbours to a
//! twentieth. A ledger knows neither JSON nor GitLab: a record is bytes with a kind, a job, a project and a time.

use super::varint::{self, Reader};

/// A ledger is closed at this length, so that reading one document decodes little.
pub(crate) const LEDGER_BYTES: usize = 256 * 1024;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordKind {
    /// A job as the server sent it, JSON.
    Job,
    /// A bridge (trigger job) as the server sent it, JSON.
    Bridge,
    /// A pipeline as the server sent it, JSON.
    Pipeline,
    /// A project as the server sent it, JSON.
    Project,
    /// A listing of the entries of a job's artifacts archive, JSON.
    ArtifactListing,
    /// What jobvault did or noticed, JSON with the key `event`.
    Note,
    /// A kind of a later version: kept and passed over.
    Other(u8),
}

impl RecordKind {
    /// True of the document of a job or a bridge, from which its row is made.
    pub(crate) fn is_listing(self) -> bool {
        matches!(self, Self::Job | Self::Bridge)
    }

    fn code(self) -> u8 {
        match self {
            Self::Job => 1,
            Self::Bridge => 2,
            Self::Pipeline => 3,
            Self::Project => 4,
            Self::ArtifactListing => 5,
            Self::Note => 6,
            Self::Other(code) => code,
        }
    }

    fn of(code: u8) -> Self {
        match code {
            1 => Self::Job,
            2 => Self::Bridge,
            3 => Self::Pipeline,
            4 => Self::Project,
            5 => Self::ArtifactListing,
            6 => Self::Note,
            other => Self::Other(other),
        }
    }
}

/// One record of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// What the bytes are.
    pub kind: RecordKind,
    /// The job it is about; 0 where it is about none.
    pub job: u64,
    /// The project it is about.
    pub project: u64,
    /// When it was received or happened, microseconds since 1970.
    pub at_micros: u64,
    /// The document or note.
    pub bytes: &'a [u8],
}

/// Appends `record` to `ledger`.
pub(crate) fn put(ledger: &mut Vec<u8>, record: &Record<'_>) {
    ledger.push(record.kind.code());
    for n in [record.job, record.project, record.at_micros, record.bytes.len() as u64] {
        varint::put(ledger, n);
    }
    ledger.extend_from_slice(record.bytes);
}

/// Reads the records of a ledger in the order in which they were written.
///
/// A record that is cut off ends the iteration with one `Err`.
pub fn records(
    ledger: &[u8],
) -> impl Iterator<Item = Result<Record<'_>, super::format::FormatError>> {
    let mut reader = Reader::new(ledger);
    let mut broken = false;
    std::iter::from_fn(move || {
        if broken || reader.is_empty() {
            return None;
        }
        let record = next(&mut reader);
        broken = record.is_none();
        Some(record.ok_or(super::format::FormatError::Entry("a record of the ledger is cut off")))
    })
}

fn next<'a>(reader: &mut Reader<'a>) -> Option<Record<'a>> {
    let kind = RecordKind::of(reader.byte()?);
    let (job, project, at_micros) = (reader.number()?, reader.number()?, reader.number()?);
    let len = reader.size()?;
    Some(Record { kind, job, project, at_micros, bytes: reader.bytes(len)? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_come_back_in_order_and_a_cut_is_an_error() {
        let mut ledger = Vec::new();
        for (i, kind) in
            [RecordKind::Job, RecordKind::Note, RecordKind::Other(200)].into_iter().enumerate()
        {
            put(
                &mut ledger,
                &Record { kind, job: i as u64, project: 5, at_micros: 1, bytes: b"{}" },
            );
        }
        let read: Vec<_> = records(&ledger).map(Result::unwrap).collect();
        assert_eq!(read.iter().map(|r| r.job).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(read[2].kind, RecordKind::Other(200));
        let cut: Vec<_> = records(&ledger[..ledger.len() - 1]).collect();
        assert_eq!(cut.len(), 3);
        assert!(cut[2].is_err());
    }

    proptest! {
        #[test]
        fn hostile_ledgers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = records(&bytes).count();
        }
    }
}
