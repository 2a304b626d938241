//! Members of a bundle: their names, times and compression, and the sums of what is in them.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use jiff::Timestamp;
use jiff::tz::Offset;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::AddError;
use super::sums::{Sums, Tee};
use crate::model::JobId;

/// A job's name is cut to so many bytes; its id in front keeps names apart.
const MAX_NAME_BYTES: usize = 60;
/// A member that may come to this length needs the larger fields of Zip64. Below the limit of 4 GiB by what deflate
/// or the line feed of a last line may add.
const LARGE_BYTES: u64 = 0xf000_0000;
/// Levels of deflate and gzip. A higher one takes twice the time for 3 % (not measured on all logs).
const LEVEL: u32 = 6;

/// A member that was written.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) path: String,
    /// Sums of the file as it is after unpacking.
    pub(super) sums: Sums,
    /// Sums of what is in it, where it is a gzip file.
    pub(super) content: Option<Sums>,
}

/// What is to become a member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    /// Its length, or more.
    pub(super) bytes: u64,
    /// It becomes a gzip file.
    pub(super) gzip: bool,
}

impl Content {
    pub(super) fn plain(bytes: u64) -> Self {
        Self { bytes, gzip: false }
    }

    /// Returns how the zip file keeps it.
    pub(super) fn options(self, at: zip::DateTime) -> SimpleFileOptions {
        let method = match self.gzip {
            true => CompressionMethod::Stored,
            false => CompressionMethod::Deflated,
        };
        let level = (!self.gzip).then_some(i64::from(LEVEL));
        SimpleFileOptions::default()
            .compression_method(method)
            .compression_level(level)
            .last_modified_time(at)
            .unix_permissions(0o644)
            .large_file(self.bytes >= LARGE_BYTES)
    }
}

/// Writes the bytes that `fill` gives to `out`.
pub(super) fn write(
    out: &mut impl Write,
    path: &str,
    content: Content,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), AddError>,
) -> Result<Member, AddError> {
    let mut outer = Tee::new(out);
    let inner = match content.gzip {
        false => {
            fill(&mut outer)?;
            None
        }
        true => {
            // Without a time, so that the same log gives the same bytes.
            let gzip = GzBuilder::new().write(&mut outer, Compression::new(LEVEL));
            let mut inner = Tee::new(gzip);
            fill(&mut inner)?;
            let (gzip, sums) = inner.into_parts();
            gzip.finish()?;
            Some(sums)
        }
    };
    let (_, sums) = outer.into_parts();
    Ok(Member { path: path.to_owned(), sums, content: inner })
}

/// Returns the folder of a job: its id and what is harmless of its name.
pub(super) fn directory(job: JobId, name: &str) -> String {
    let mut safe = String::new();
    for char in name.chars() {
        let keep = char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
        match keep {
            true => safe.push(char),
            false if safe.ends_with('_') => {}
            false => safe.push('_'),
        }
        if safe.len() >= MAX_NAME_BYTES {
            break;
        }
    }
    // A dot at the end is dropped by some file systems.
    let safe = safe.trim_matches(['_', '.']);
    match safe {
        "" => job.to_string(),
        safe => format!("{job}-{safe}"),
    }
}

/// Returns a time as zip files have it, in UTC: to two seconds, from 1980 to 2107; else and for `None` the first.
pub(super) fn stamp(at: Option<Timestamp>) -> zip::DateTime {
    let date = at.map(|at| Offset::UTC.to_datetime(at));
    let fields = date.and_then(|date| {
        let small = |n: i8| u8::try_from(n).ok();
        zip::DateTime::from_date_and_time(
            u16::try_from(date.year()).ok()?,
            small(date.month())?,
            small(date.day())?,
            small(date.hour())?,
            small(date.minute())?,
            small(date.second())?,
        )
        .ok()
    });
    fields.unwrap_or_default()
}
