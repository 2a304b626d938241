//! The 32 bytes a runner puts before each line when timestamps are on.
//!
//! Owns their shape and what they say: time, stream, and whether the line before goes on. Does
//! not know lines; [`Latest`] only remembers where each stream stopped.

use std::fmt;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// The length of a stamp: the time, a space, the stream and the flag.
///
/// Source: `timestamper.go` of GitLab Runner 17 and later
/// (<https://gitlab.com/gitlab-org/gitlab-runner/-/blob/main/common/buildlogger/internal/timestamper/timestamper.go>).
pub const STAMP_BYTES: usize = 32;

const TIME_BYTES: usize = 27;

/// What stands in every stamp and in little else, and where.
pub(super) const MIDDLE: &[u8] = b"Z ";
pub(super) const MIDDLE_AT: usize = 26;

/// What a stamp looks like up to its stream: a zero stands for any digit.
const SHAPE: &[u8; 28] = b"0000-00-00T00:00:00.000000Z ";

/// The least and the greatest that each byte of a stamp may be by its shape.
const RANGES: ([u8; STAMP_BYTES], [u8; STAMP_BYTES]) = {
    let (mut low, mut high) = ([0; STAMP_BYTES], [u8::MAX; STAMP_BYTES]);
    let mut at = 0;
    while at < SHAPE.len() {
        low[at] = SHAPE[at];
        high[at] = if SHAPE[at] == b'0' { b'9' } else { SHAPE[at] };
        at += 1;
    }
    (low, high)
};

/// Every value of two hexadecimal digits, with stdout and stderr each.
const STREAMS: usize = 512;

/// The time of a stamp, as the runner wrote it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp([u8; TIME_BYTES]);

impl Stamp {
    /// Returns the time as written, which has the form of RFC 3339 but may name a day that is none.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a stamp holds only ASCII, as was checked")
    }

    /// Returns the moment, or `None` if no calendar has it (month 13, hour 24).
    pub fn timestamp(&self) -> Option<Timestamp> {
        let number = |from: usize, to: usize| {
            self.0[from..to].iter().fold(0_i32, |sum, digit| sum * 10 + i32::from(digit - b'0'))
        };
        let small = |from: usize| i8::try_from(number(from, from + 2)).ok();
        let written = DateTime::new(
            i16::try_from(number(0, 4)).ok()?,
            small(5)?,
            small(8)?,
            small(11)?,
            small(14)?,
            small(17)?,
            number(20, 26) * 1000,
        );
        TimeZone::UTC.to_timestamp(written.ok()?).ok()
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stamp({self})")
    }
}

/// One of the runner's output streams: 0 is the runner itself, 1 the script, 15 and up services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// The number, two hexadecimal digits in the log.
    pub number: u8,
    /// Whether the text was written to stderr rather than to stdout.
    pub stderr: bool,
}

impl Stream {
    fn slot(self) -> usize {
        usize::from(self.number) * 2 + usize::from(self.stderr)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{}", self.number, if self.stderr { 'E' } else { 'O' })
    }
}

/// What the stamp of a piece says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) time: Stamp,
    pub(super) stream: Stream,
    /// The flag is `+`: the line break before this piece is the runner's, not the program's.
    pub(super) continues: bool,
}

impl Head {
    /// Reads the stamp a piece begins with, or returns `None` if it begins with none.
    #[inline]
    pub(super) fn parse(piece: &[u8]) -> Option<Self> {
        let stamp = piece.first_chunk::<STAMP_BYTES>()?;
        // Nearly all pieces without a stamp fail here, on two bytes.
        if stamp[26] != b'Z' || stamp[10] != b'T' {
            return None;
        }
        Self::parse_all(stamp)
    }

    fn parse_all(stamp: &[u8; STAMP_BYTES]) -> Option<Self> {
        // Without an early end, so that the compiler compares all bytes at once.
        let (low, high) = RANGES;
        let fits = (0..STAMP_BYTES)
            .fold(true, |fits, at| fits & (low[at] <= stamp[at]) & (stamp[at] <= high[at]));
        if !fits {
            return None;
        }
        let stderr = match stamp[30] {
            b'O' => false,
            b'E' => true,
            _ => return None,
        };
        let continues = match stamp[31] {
            b'+' => true,
            b' ' => false,
            _ => return None,
        };
        let number = hex(stamp[28])? << 4 | hex(stamp[29])?;
        Some(Self {
            time: Stamp(*stamp.first_chunk()?),
            stream: Stream { number, stderr },
            continues,
        })
    }
}

/// The value of a lower-case hexadecimal digit; runners write no other case.
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Where each stream's latest line is and where its last piece ended.
#[derive(Debug)]
pub(super) struct Latest {
    /// Empty until the first stamp, for most logs have none.
    slots: Vec<Slot>,
    seen: Vec<Stream>,
    window: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    line: u64,
    /// Just past the last piece's line feed. Zero means that the stream has no line yet.
    end: u64,
}

impl Latest {
    pub(super) fn new(window: u64) -> Self {
        Self { slots: Vec::new(), seen: Vec::new(), window }
    }

    /// Returns the line that a piece at the offset `at` continues, and where that line's last
    /// piece ended.
    pub(super) fn continued(&self, head: &Head, at: u64) -> Option<(u64, u64)> {
        let slot = self.slots.get(head.stream.slot())?;
        let joins = head.continues && slot.end > 0 && at - slot.end < self.window;
        joins.then_some((slot.line, slot.end))
    }

    /// Notes that a piece of the stream ended at `end` and belongs to `line`.
    pub(super) fn note(&mut self, stream: Stream, line: u64, end: u64) {
        if self.slots.is_empty() {
            self.slots = vec![Slot { line: 0, end: 0 }; STREAMS];
        }
        let slot = &mut self.slots[stream.slot()];
        if slot.end == 0 {
            self.seen.push(stream);
        }
        *slot = Slot { line, end };
    }

    /// Returns whether the stream's latest line could still go on behind the offset `at`.
    pub(super) fn is_open(&self, stream: Stream, at: u64) -> bool {
        self.slots
            .get(stream.slot())
            .is_some_and(|slot| slot.end > 0 && slot.end <= at && at - slot.end < self.window)
    }

    /// Counts the streams whose latest line could go on behind the offset `at`, and gives the
    /// offset from which on none of them can.
    pub(super) fn open(&self, at: u64) -> (usize, u64) {
        let open = self.seen.iter().filter(|stream| self.is_open(**stream, at));
        open.fold((0, at), |(count, until), stream| {
            (count + 1, until.max(self.slots[stream.slot()].end + self.window))
        })
    }

    pub(super) fn clear(&mut self) {
        for stream in self.seen.drain(..) {
            self.slots[stream.slot()].end = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use super::*;

    const STAMPED: &[u8] = b"2021-01-31T01:02:03.020010Z 0fE+text";

    #[test]
    fn a_stamp_gives_time_stream_and_flag() {
        let head = Head::parse(STAMPED).unwrap();
        assert_eq!(head.time.to_string(), "2021-01-31T01:02:03.020010Z");
        assert_eq!(head.time.timestamp().unwrap().to_string(), "2021-01-31T01:02:03.02001Z");
        assert_eq!(head.stream.to_string(), "0fE");
        assert!(head.continues);
    }

    #[test]
    fn an_impossible_date_is_a_stamp_without_a_moment() {
        for time in ["2021-13-01T01:02:03", "2021-02-30T01:02:03", "0000-00-00T99:99:99"] {
            let piece = format!("{time}.000000Z 00O text");
            let head = Head::parse(piece.as_bytes()).unwrap();
            assert_eq!(head.time.timestamp(), None, "{time}");
            assert!(!head.continues);
        }
    }

    #[test]
    fn any_other_byte_makes_it_text() {
        assert!(Head::parse(&STAMPED[..STAMP_BYTES]).is_some());
        assert!(Head::parse(&STAMPED[..STAMP_BYTES - 1]).is_none());
        for at in 0..STAMP_BYTES {
            let mut piece = STAMPED.to_vec();
            piece[at] = b'x';
            assert!(Head::parse(&piece).is_none(), "byte {at}");
        }
        let upper = b"2021-01-31T01:02:03.020010Z 0FE+";
        assert!(Head::parse(upper).is_none());
    }
}
