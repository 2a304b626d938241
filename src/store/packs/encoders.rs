//! Encoders at the levels of one effort, kept so that the tables of a base are made once for many frames.

use std::io;

use super::codec::Encoder;

/// Encoders with a base that are kept; each takes up to 20 MB. Frames are compressed in the order of their bases, so
/// that of many bases none is met again before all others were.
const MAX_ENCODERS: usize = 2;

/// How much work compression may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effort {
    /// zstd's level for frames.
    pub(crate) frame_level: i32,
    /// zstd's level for what stands alone.
    pub(crate) alone_level: i32,
    /// Bases grow to this length, in bytes.
    pub(crate) base_bytes: usize,
    /// Logs taken together when bases are chosen, in bytes.
    pub(crate) segment_bytes: usize,
}

/// While jobs are captured: the fastest that still finds most repetition.
pub(crate) const INGEST: Effort = Effort {
    frame_level: 3,
    alone_level: 6,
    base_bytes: 2 * 1024 * 1024,
    segment_bytes: 8 * 1024 * 1024,
};

/// When the archive is compacted.
pub(crate) const COMPACT: Effort = Effort {
    frame_level: 9,
    alone_level: 12,
    base_bytes: 4 * 1024 * 1024,
    segment_bytes: 64 * 1024 * 1024,
};

/// Encoders by base.
pub(crate) struct Encoders {
    effort: Effort,
    alone: Encoder,
    /// Those used last stand last.
    with_base: Vec<(u64, Encoder)>,
}

impl Encoders {
    /// Makes the one that needs no base.
    pub(crate) fn new(effort: Effort) -> io::Result<Self> {
        Ok(Self { effort, alone: Encoder::new(effort.alone_level)?, with_base: Vec::new() })
    }

    /// Returns the effort they are for.
    pub(crate) fn effort(&self) -> Effort {
        self.effort
    }

    /// Returns the encoder of what stands alone.
    pub(crate) fn alone(&mut self) -> &mut Encoder {
        &mut self.alone
    }

    /// Returns the encoder with a base, if it is kept.
    pub(crate) fn with_base(&mut self, id: u64) -> Option<&mut Encoder> {
        let at = self.with_base.iter().position(|(base, _)| *base == id)?;
        let encoder = self.with_base.remove(at);
        self.with_base.push(encoder);
        self.with_base.last_mut().map(|(_, encoder)| encoder)
    }

    /// Makes the encoder with a base and keeps it.
    pub(crate) fn add_base(&mut self, id: u64, content: &[u8]) -> io::Result<()> {
        // Another base for the oldest, and not another encoder: its memory would come back in pieces.
        let mut encoder = match self.with_base.len() >= MAX_ENCODERS {
            true => self.with_base.remove(0).1,
            false => Encoder::new(self.effort.frame_level)?,
        };
        encoder.set_base(content)?;
        self.with_base.push((id, encoder));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::store::packs::Kind;
    use crate::store::packs::codec::{Base, Decoder};
    use crate::store::segment::entry;

    fn base(id: u64, lines: u32) -> Vec<u8> {
        // Each line is unlike all others, so that only its own base makes it small.
        let line =
            |i: u32| format!("{id}: {} of a base\n", i.wrapping_mul(0x9e37_79b1)).into_bytes();
        (0..lines).flat_map(line).collect()
    }

    #[test]
    fn an_encoder_whose_base_was_replaced_encodes_against_the_new_one() {
        let mut encoders = Encoders::new(INGEST).unwrap();
        for round in 0..3 {
            for id in 0..5 {
                let content = base(id, 100 + 10_000 * id as u32);
                if encoders.with_base(id).is_none() {
                    encoders.add_base(id, &content).unwrap();
                }
                let stored = encoders.with_base(id).unwrap().encode(&content[..2000]).unwrap();
                assert!(stored.len() < 60, "round {round}, base {id}: {} bytes", stored.len());
                let hash = *blake3::hash(&content[..2000]).as_bytes();
                let (entry, base) = (entry(Kind::Ledger, 2000, hash), Base::new(content.clone()));
                let mut read = Vec::new();
                let mut decoder = Decoder::new().unwrap();
                decoder.decode(&entry, &stored, Some(&base.unwrap()), &mut read).unwrap();
                assert_eq!(read, &content[..2000]);
            }
        }
        assert_eq!(encoders.with_base.len(), MAX_ENCODERS);
    }
}
