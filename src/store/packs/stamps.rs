//! Leading runner stamps of a piece's lines, kept apart from the lines. Pure.
//!
//! A stamp is 32 bytes, `YYYY-MM-DDTHH:MM:SS.uuuuuuZ NNX+` (the last a plus or a space). Apart from its line it
//! takes two or three bytes, and the lines of two runs become alike. Splitting gives `None` unless joining gives
//! the very bytes back; joining hostile bytes gives `None` and takes no more memory than the caller allows.
//!
//! The stream, all numbers varints: the number of stretches; each stretch (lines with a stamp, lines without one);
//! the number of runs of equal kind; each run (kind, stamps); then a zigzag difference in microseconds for each
//! stamp, the first against 1970.

use memchr::memchr;

use super::varint::{self, Reader};

/// The length of a stamp.
const STAMP_BYTES: usize = 32;
/// Fewer stamps than this are not worth a stream.
const MIN_STAMPS: usize = 4;
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// A piece whose stamps stand apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// The stream of stamps.
    pub(crate) stamps: Vec<u8>,
    /// The piece without them.
    pub(crate) body: Vec<u8>,
}

/// What a stamp says: microseconds since 1970, and stream, letter and flag in one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    micros: i64,
    kind: u64,
}

/// Takes the stamps off the lines of `piece`; `None` where most lines have none or they would not come back.
pub(crate) fn split(piece: &[u8]) -> Option<Split> {
    // Most logs bear stamps on all lines or on none.
    let mut reader = StampReader::default();
    reader.read(piece).or_else(|| reader.read(second_line(piece)))?;
    let mut stretches: Vec<[u64; 2]> = vec![[0, 0]];
    let mut kinds: Vec<[u64; 2]> = Vec::new();
    let mut times = Vec::with_capacity(piece.len() / 32);
    let mut body = Vec::with_capacity(piece.len());
    let (mut stamps, mut lines, mut before, mut rest) = (0usize, 0usize, 0i64, piece);
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        lines += 1;
        let last = stretches.last_mut().expect("there is always one");
        let Some(stamp) = reader.read(line) else {
            last[1] += 1;
            body.extend_from_slice(line);
            continue;
        };
        match last[1] {
            0 => last[0] += 1,
            _ => stretches.push([1, 0]),
        }
        match kinds.last_mut() {
            Some(run) if run[0] == stamp.kind => run[1] += 1,
            _ => kinds.push([stamp.kind, 1]),
        }
        varint::put(&mut times, zigzag(stamp.micros - before));
        before = stamp.micros;
        body.extend_from_slice(&line[STAMP_BYTES..]);
        stamps += 1;
    }
    if stamps < MIN_STAMPS || stamps * 2 < lines {
        return None;
    }
    let mut stream = Vec::with_capacity(times.len() + 16);
    for list in [&stretches, &kinds] {
        varint::put(&mut stream, list.len() as u64);
        list.iter().flatten().for_each(|n| varint::put(&mut stream, *n));
    }
    stream.extend_from_slice(&times);
    let split = Split { stamps: stream, body };
    let mut joined = Vec::with_capacity(piece.len());
    join(&split.stamps, &split.body, piece.len(), &mut joined)?;
    (joined == piece).then_some(split)
}

fn second_line(piece: &[u8]) -> &[u8] {
    memchr(b'\n', piece).map_or(&[], |at| &piece[at + 1..])
}

/// Puts the stamps back and appends the lines to `out`; `None` where the stream is not one for this body or gives more
/// than `room` bytes.
pub(crate) fn join(stamps: &[u8], body: &[u8], room: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut reader = Reader::new(stamps);
    let stretches = pairs(&mut reader)?;
    let kinds = pairs(&mut reader)?;
    let mut kinds = kinds.into_iter();
    let (mut kind, mut left) = (0, 0);
    out.reserve(room);
    let most = out.len() + room;
    let mut writer = StampWriter::default();
    let (mut rest, mut micros) = (body, 0i64);
    for [with, without] in stretches {
        for n in 0..with.checked_add(without)? {
            if n < with {
                while left == 0 {
                    [kind, left] = kinds.next()?;
                }
                left -= 1;
                micros = micros.checked_add(unzigzag(reader.number()?))?;
                out.extend_from_slice(writer.write(Stamp { micros, kind })?);
            } else if rest.is_empty() {
                // A line without a stamp has at least one byte.
                return None;
            }
            let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            if out.len() + line.len() > most {
                return None;
            }
            out.extend_from_slice(line);
            rest = after;
        }
    }
    (rest.is_empty() && reader.is_empty()).then_some(())
}

fn pairs(reader: &mut Reader<'_>) -> Option<Vec<[u64; 2]>> {
    let count = reader.size()?;
    // A pair takes at least two bytes: a larger count is a lie.
    if count > reader.left() / 2 {
        return None;
    }
    (0..count).map(|_| Some([reader.number()?, reader.number()?])).collect()
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Reads stamps. Lines of one second share their first bytes, so that most need only be compared.
#[derive(Default)]
struct StampReader {
    second: Vec<u8>,
    second_micros: i64,
}

impl StampReader {
    /// Reads the stamp at the start of `line`.
    fn read(&mut self, line: &[u8]) -> Option<Stamp> {
        let s: &[u8; STAMP_BYTES] = line.first_chunk()?;
        if s[19] != b'.' || s[26] != b'Z' || s[27] != b' ' {
            return None;
        }
        let stream = (hex(s[28])? << 4) | hex(s[29])?;
        let letter = match s[30] {
            b'O' => 0,
            b'E' => 1,
            _ => return None,
        };
        let flag = match s[31] {
            b' ' => 0,
            b'+' => 1,
            _ => return None,
        };
        if self.second.as_slice() != &s[..19] {
            self.second_micros = second(s)?;
            self.second.clear();
            self.second.extend_from_slice(&s[..19]);
        }
        let micros = self.second_micros + digits(&s[20..26])?;
        Some(Stamp { micros, kind: stream | letter << 8 | flag << 9 })
    }
}

/// Reads `YYYY-MM-DDTHH:MM:SS` as microseconds. A day that is none gives some number, which will not come back.
fn second(s: &[u8; STAMP_BYTES]) -> Option<i64> {
    let marks = [s[4], s[7], s[10], s[13], s[16]];
    if marks != *b"--T::" {
        return None;
    }
    let (year, month, day) = (digits(&s[..4])?, digits(&s[5..7])?, digits(&s[8..10])?);
    let (hour, minute, second) = (digits(&s[11..13])?, digits(&s[14..16])?, digits(&s[17..19])?);
    let seconds = (days(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
    Some(seconds * 1_000_000)
}

fn hex(byte: u8) -> Option<u64> {
    HEX.iter().position(|h| *h == byte).map(|at| at as u64)
}

fn digits(text: &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte in text {
        value = value * 10 + i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    Some(value)
}

/// Days since 1970 of a date of the Gregorian calendar, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970
}

/// The inverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Writes stamps, the day of the one before being known already.
struct StampWriter {
    text: [u8; STAMP_BYTES],
    day: Option<i64>,
}

impl Default for StampWriter {
    fn default() -> Self {
        Self { text: *b"0000-00-00T00:00:00.000000Z 00O ", day: None }
    }
}

impl StampWriter {
    /// Returns the text of a stamp; `None` before the year 0 and after 9999.
    fn write(&mut self, stamp: Stamp) -> Option<&[u8]> {
        let (day, of_day) =
            (stamp.micros.div_euclid(MICROS_PER_DAY), stamp.micros.rem_euclid(MICROS_PER_DAY));
        let text = &mut self.text;
        if self.day != Some(day) {
            let (year, month, date) = date(day);
            if !(0..=9999).contains(&year) {
                return None;
            }
            put(&mut text[..4], year);
            put(&mut text[5..7], month);
            put(&mut text[8..10], date);
            self.day = Some(day);
        }
        let seconds = of_day / 1_000_000;
        put(&mut text[11..13], seconds / 3600);
        put(&mut text[14..16], seconds / 60 % 60);
        put(&mut text[17..19], seconds % 60);
        put(&mut text[20..26], of_day % 1_000_000);
        text[28] = HEX[(stamp.kind >> 4 & 15) as usize];
        text[29] = HEX[(stamp.kind & 15) as usize];
        text[30] = if stamp.kind & 1 << 8 == 0 { b'O' } else { b'E' };
        text[31] = if stamp.kind & 1 << 9 == 0 { b' ' } else { b'+' };
        Some(text)
    }
}

fn put(text: &mut [u8], mut value: i64) {
    for place in text.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests;
