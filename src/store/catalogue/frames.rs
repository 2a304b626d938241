//! The list of a trace's frames as the catalogue keeps it. Pure.
//!
//! It repeats what footers say, so that reading a line of a log touches one pack and no footer. The packs stay
//! the truth: `rebuild` makes this list anew from them.

use super::TraceId;
use crate::model::JobId;
use crate::store::packs::varint::{self, Reader};
use crate::store::packs::{Entry, FramePlace, Kind};

/// Open sections are kept to this depth; deeper ones are forgotten at a frame's start.
const MAX_OPEN: usize = 32;
/// A section name is kept to this length, in bytes.
const MAX_NAME: usize = 255;

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

/// Codes a list of frames. The hash of an only frame is the trace's and is left out.
pub(crate) fn encode(frames: &[Frame]) -> Vec<u8> {
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

/// Decodes a list of frames; `None` where the bytes are not one.
pub(crate) fn decode(bytes: &[u8], trace_hash: &[u8; 32]) -> Option<Vec<Frame>> {
    let mut reader = Reader::new(bytes);
    let count = reader.size()?;
    if count > reader.left() / 8 + 1 {
        return None;
    }
    let mut frames = Vec::with_capacity(count);
    let (mut raw_offset, mut first_line) = (0u64, 0u64);
    for _ in 0..count {
        let (pack, offset, stored_bytes) = (reader.number()?, reader.number()?, reader.number()?);
        let raw_bytes = reader.number()?;
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

    #[test]
    fn a_list_comes_back_and_an_only_frame_takes_the_hash_of_its_trace() {
        let many = vec![frame(1), frame(2), frame(3)];
        assert_eq!(decode(&encode(&many), &[0; 32]).unwrap(), many);
        let one = vec![frame(1)];
        let coded = encode(&one);
        assert!(coded.len() < 17, "a small log costs {} bytes", coded.len());
        assert_eq!(decode(&coded, &[1; 32]).unwrap(), one);
        assert_eq!(decode(&encode(&[]), &[1; 32]).unwrap(), vec![]);
    }

    proptest! {
        #[test]
        fn hostile_lists_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes, &[0; 32]);
        }
    }
}
