//! What compresses at the levels of one effort, kept so that the tables of a base are made once for many frames.
//!
//! One with a base is enough, and takes up to 20 MB: frames are compressed in the order of their bases, so that of
//! many bases none is met again before all others were.

use std::io;

use super::codec::Encoder;

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
    /// Whether a new base is given up where the logs taken with it are smaller alone. As jobs are captured it may pay
    /// with the next run; where a whole history is taken together it will not.
    pub(crate) weighs_bases: bool,
}

/// While jobs are captured: the fastest that still finds most repetition.
pub(crate) const INGEST: Effort = Effort {
    frame_level: 3,
    alone_level: 6,
    base_bytes: 1024 * 1024,
    segment_bytes: 8 * 1024 * 1024,
    weighs_bases: false,
};

/// When the archive is compacted.
pub(crate) const COMPACT: Effort = Effort {
    frame_level: 9,
    alone_level: 12,
    base_bytes: 4 * 1024 * 1024,
    segment_bytes: 64 * 1024 * 1024,
    weighs_bases: true,
};

/// An encoder of what stands alone, and one of what stands against a base.
pub(crate) struct Encoders {
    effort: Effort,
    alone: Encoder,
    with_base: Encoder,
    /// The base that it has.
    base: Option<u64>,
}

impl Encoders {
    /// Makes the one that needs no base.
    pub(crate) fn new(effort: Effort) -> io::Result<Self> {
        let alone = Encoder::new(effort.alone_level)?;
        Ok(Self { effort, alone, with_base: Encoder::new(effort.frame_level)?, base: None })
    }

    /// Returns the effort they are for.
    pub(crate) fn effort(&self) -> Effort {
        self.effort
    }

    /// Returns the encoder of what stands alone.
    pub(crate) fn alone(&mut self) -> &mut Encoder {
        &mut self.alone
    }

    /// Tells whether the encoder with a base has this one.
    pub(crate) fn has_base(&self, id: u64) -> bool {
        self.base == Some(id)
    }

    /// Gives the encoder with a base another one.
    pub(crate) fn set_base(&mut self, id: u64, content: &[u8]) -> io::Result<()> {
        // Where it is not taken the encoder has none.
        self.base = None;
        self.with_base.set_base(content)?;
        self.base = Some(id);
        Ok(())
    }

    /// Returns the encoder with the base that was set last.
    pub(crate) fn with_base(&mut self) -> &mut Encoder {
        &mut self.with_base
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
            for id in [0, 1, 1, 2, 3, 4] {
                let content = base(id, 100 + 10_000 * id as u32);
                if !encoders.has_base(id) {
                    encoders.set_base(id, &content).unwrap();
                }
                let stored = encoders.with_base().encode(&content[..2000]).unwrap();
                assert!(stored.len() < 60, "round {round}, base {id}: {} bytes", stored.len());
                let hash = *blake3::hash(&content[..2000]).as_bytes();
                let (entry, base) = (entry(Kind::Ledger, 2000, hash), Base::new(content.clone()));
                let mut read = Vec::new();
                let mut decoder = Decoder::new().unwrap();
                decoder.decode(&entry, &stored, Some(&base.unwrap()), &mut read).unwrap();
                assert_eq!(read, &content[..2000]);
            }
        }
    }
}
