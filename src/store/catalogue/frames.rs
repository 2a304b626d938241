//! The list of a trace's frames as the catalogue keeps it. Pure.
//!
//! It repeats what footers say, so that reading a line of a log touches one pack and no footer. The packs stay
//! the truth: `rebuild` makes this list anew from them. Since a frame's hash tells its bytes from others, but not whose
//! they are, a seal over the whole row tells a list from that of another trace.

use super::{TraceId, TraceRow};
use crate::model::JobId;
use crate::store::packs::format::MAX_FRAME_BYTES;
use crate::store::packs::varint::{self, Reader};
use crate::store::packs::{Entry, FramePlace, Kind};

/// Open sections are kept to this depth; deeper ones are forgotten at a frame's start.
const MAX_OPEN: usize = 32;
/// A section name is kept to this length, in bytes.
const MAX_NAME: usize = 255;
/// Length of the seal. It guards against damage, not against malice: a row changed by chance keeps a fitting seal once in
/// 2^64 times.
pub(super) const SEAL_BYTES: usize = 8;

/// One frame of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The catalogue's number of the pack.
    pub pack: u64,
    /// Where it stands in the pack.
    pub offset: u64,
    /// Length of the stored bytes.
    pub stored_bytes: u64,
    /// Length of the piece of the raw trace.
    pub raw_bytes: u64,
    /// Offset in the raw trace.
    pub raw_offset: u64,
    /// Number of plain lines that begin before it.
    pub first_line: u64,
    /// Number of plain lines that begin in it.
    pub lines: u64,
    /// It belongs to the same document as the frame before it.
    pub continues: bool,
    /// BLAKE3 of the piece.
    pub hash: [u8; 32],
    /// The catalogue's number of the base it is compressed against.
    pub base: Option<u64>,
    /// Names of the sections open at its start, outermost first.
    pub open: Vec<String>,
}

impl Frame {
    /// Returns what a pack's footer says of it as a frame of this trace; `last` if none comes after it.
    pub(crate) fn place(&self, trace: TraceId, job: JobId, project: u64, last: bool) -> FramePlace {
        FramePlace {
            trace: trace.0,
            job: job.0,
            project,
            raw_offset: self.raw_offset,
            first_line: self.first_line,
            lines: self.lines,
            continues: self.continues,
            last,
        }
    }

    /// Returns the row of the entry table that this frame is, for reading it from its pack.
    pub(crate) fn entry(&self) -> Entry {
        Entry {
            kind: Kind::Frame,
            offset: self.offset,
            stored_bytes: self.stored_bytes,
            raw_bytes: self.raw_bytes,
            hash: self.hash,
            base: None,
            place: FramePlace::default(),
        }
    }
}

/// Codes the hash and the list of frames of a trace: the columns of its row, with the seal behind the hash. The hash of an
/// only frame is the trace's and is left out of the list.
pub(crate) fn encode(trace: &TraceRow) -> (Vec<u8>, Vec<u8>) {
    let list = encode_list(&trace.frames);
    ([&trace.hash[..], &seal(trace, &list)].concat(), list)
}

fn encode_list(frames: &[Frame]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frames.len() * 48 + 8);
    varint::put(&mut out, frames.len() as u64);
    for frame in frames {
        let base = frame.base.map_or(0, |id| id + 1);
        for n in [frame.pack, frame.offset, frame.stored_bytes, frame.raw_bytes, base, frame.lines]
        {
            varint::put(&mut out, n);
        }
        out.push(u8::from(frame.continues));
        let open = &frame.open[..frame.open.len().min(MAX_OPEN)];
        varint::put(&mut out, open.len() as u64);
        for name in open {
            let name = &name.as_bytes()[..name.len().min(MAX_NAME)];
            varint::put(&mut out, name.len() as u64);
            out.extend_from_slice(name);
        }
        if frames.len() > 1 {
            out.extend_from_slice(&frame.hash);
        }
    }
    out
}

/// Hashes what belongs together in the row of a trace; `list` is the coded list of its frames.
fn seal(trace: &TraceRow, list: &[u8]) -> [u8; SEAL_BYTES] {
    let mut hasher = blake3::Hasher::new();
    for n in [trace.id.0, trace.job.0, trace.raw_bytes, trace.lines] {
        hasher.update(&n.to_le_bytes());
    }
    hasher.update(&trace.hash).update(list);
    let mut seal = [0; SEAL_BYTES];
    hasher.finalize_xof().fill(&mut seal);
    seal
}

/// Reads the hash of a trace, whose column may have a seal behind it; `None` where it is of another length.
pub(crate) fn hash(coded: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (hash, seal) = coded.split_first_chunk()?;
    matches!(seal.len(), 0 | SEAL_BYTES).then_some((*hash, seal))
}

/// Gives a row the hash and the frames that were coded for it, or says what of it is damaged.
pub(crate) fn decode(
    coded_hash: &[u8],
    coded_list: &[u8],
    trace: TraceRow,
) -> Result<TraceRow, &'static str> {
    let (hash, sealed) = hash(coded_hash).ok_or("the hash of its trace")?;
    let frames = list(coded_list, &hash).ok_or("the list of its frames")?;
    let trace = TraceRow { hash, frames, ..trace };
    // A row without a seal is of an early jobvault, and is believed.
    match sealed.is_empty() || sealed == seal(&trace, coded_list) {
        true => Ok(trace),
        false => Err("its columns do not belong together"),
    }
}

fn list(bytes: &[u8], trace_hash: &[u8; 32]) -> Option<Vec<Frame>> {
    let mut reader = Reader::new(bytes);
    let count = reader.size()?;
    if count > reader.left() / 8 + 1 {
        return None;
    }
    let mut frames = Vec::with_capacity(count);
    let (mut raw_offset, mut first_line) = (0u64, 0u64);
    for _ in 0..count {
        let (pack, offset, stored_bytes) = (reader.number()?, reader.number()?, reader.number()?);
        let raw_bytes = reader.number().filter(|bytes| *bytes <= MAX_FRAME_BYTES)?;
        let base = reader.number()?.checked_sub(1);
        let lines = reader.number()?;
        let continues = reader.byte()? != 0;
        let depth = reader.size()?;
        let mut open = Vec::new();
        for _ in 0..depth {
            let len = reader.size()?;
            open.push(String::from_utf8_lossy(reader.bytes(len)?).into_owned());
        }
        let hash = if count > 1 { reader.hash()? } else { *trace_hash };
        frames.push(Frame {
            pack,
            offset,
            stored_bytes,
            raw_bytes,
            raw_offset,
            first_line,
            lines,
            continues,
            hash,
            base,
            open,
        });
        raw_offset = raw_offset.checked_add(raw_bytes)?;
        first_line = first_line.checked_add(lines)?;
    }
    reader.is_empty().then_some(frames)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn frame(n: u64) -> Frame {
        Frame {
            pack: n,
            offset: 8 + n,
            stored_bytes: 100,
            raw_bytes: 1000,
            raw_offset: 1000 * (n - 1),
            first_line: 10 * (n - 1),
            lines: 10,
            continues: n.is_multiple_of(2),
            hash: [n as u8; 32],
            base: n.checked_sub(2),
            open: vec!["step_script".to_owned(); n as usize - 1],
        }
    }

    fn trace(frames: Vec<Frame>) -> TraceRow {
        let (raw_bytes, lines) = (1000 * frames.len() as u64, 10 * frames.len() as u64);
        TraceRow { id: TraceId(5), job: JobId(7), raw_bytes, lines, hash: [1; 32], frames }
    }

    fn bare(trace: &TraceRow) -> TraceRow {
        TraceRow { frames: Vec::new(), hash: [0; 32], ..trace.clone() }
    }

    #[test]
    fn a_list_comes_back_and_an_only_frame_takes_the_hash_of_its_trace() {
        for count in 0..4 {
            let trace = trace((1..=count).map(frame).collect());
            let (hash, list) = encode(&trace);
            assert!(count != 1 || list.len() < 17, "a small log costs {} bytes", list.len());
            assert_eq!(decode(&hash, &list, bare(&trace)).unwrap(), trace);
        }
    }

    #[test]
    fn a_list_is_refused_in_any_row_but_its_own() {
        for count in 0..4 {
            let own = trace((1..=count).map(frame).collect());
            let (hash, list) = encode(&own);
            let others = [
                TraceRow { id: TraceId(6), ..bare(&own) },
                TraceRow { job: JobId(8), ..bare(&own) },
                TraceRow { raw_bytes: own.raw_bytes + 1, ..bare(&own) },
                TraceRow { lines: own.lines + 1, ..bare(&own) },
            ];
            for other in others {
                assert!(decode(&hash, &list, other.clone()).is_err(), "{other:?}");
            }
            for bit in 0..(hash.len() + list.len()) * 8 {
                let (mut hash, mut list) = (hash.clone(), list.clone());
                match bit / 8 < hash.len() {
                    true => hash[bit / 8] ^= 1 << (bit % 8),
                    false => list[bit / 8 - hash.len()] ^= 1 << (bit % 8),
                }
                let read = decode(&hash, &list, bare(&own));
                assert!(read.is_err(), "bit {bit} of {count} frames");
            }
        }
    }

    #[test]
    fn a_row_without_a_seal_is_read() {
        let trace = trace(vec![frame(1), frame(2)]);
        let (hash, list) = encode(&trace);
        assert_eq!(decode(&hash[..32], &list, bare(&trace)).unwrap(), trace);
    }

    proptest! {
        #[test]
        fn hostile_lists_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&[0; 32], &bytes, bare(&trace(Vec::new())));
        }
    }
}
