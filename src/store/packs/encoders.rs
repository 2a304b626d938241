//! Encoders at the levels of one effort, kept so that the tables of a base are made once for many frames.

use std::io;

use super::codec::Encoder;

/// Encoders with a base that are kept; each has tables of a few megabytes.
const MAX_ENCODERS: usize = 6;

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
    segment_bytes: 16 * 1024 * 1024,
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
        if self.with_base.len() >= MAX_ENCODERS {
            self.with_base.remove(0);
        }
        self.with_base.push((id, Encoder::with_base(self.effort.frame_level, content)?));
        Ok(())
    }
}
