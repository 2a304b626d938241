//! Finding ids and numbers in a text. Pure; cannot fail.
//!
//! Most bytes are never looked at: a run that is long enough covers one of each so many places.

use super::{HEX_FROM, UPPER, UUID_BYTES};

/// The shortest id: shorter ones take as much in the text as apart.
const MIN_HEX: usize = 8;
/// Of a longer run the rest stays in the text.
const MAX_HEX_BYTES: usize = 64;
/// Numbers of fewer digits take as much in the text as apart, of more are none.
const MIN_DECIMALS: usize = 3;
const MAX_DECIMALS: usize = 18;
/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

const DIGIT: u8 = 1;
const LOWER_LETTER: u8 = 2;
const UPPER_LETTER: u8 = 4;
/// What each byte is in an id.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' => LOWER_LETTER,
            b'A'..=b'F' => UPPER_LETTER,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// An id or number in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Id {
    /// Where it begins.
    pub(super) start: usize,
    /// Where what is taken of it ends.
    pub(super) end: usize,
    /// The code of its form.
    pub(super) form: u8,
    /// By which it is told from others.
    pub(super) hash: u32,
}

/// Finds UUIDs and runs of hexadecimal digits.
pub(super) fn hexes(text: &[u8], mut found: impl FnMut(Id)) {
    let is_hex = |byte: &u8| CLASSES[usize::from(*byte)] != 0;
    let mut start = 0;
    // A run that is long enough covers one of each so many places: most of a text is never looked at.
    while let Some(probe) = text.get(start + MIN_HEX - 1) {
        let middle = start + MIN_HEX - 1;
        if !is_hex(probe) {
            start = middle + 1;
            continue;
        }
        let before = text[start..middle].iter().rposition(|byte| !is_hex(byte));
        let from = before.map_or(start, |at| start + at + 1);
        let after = text[middle..].iter().position(|byte| !is_hex(byte));
        let end = after.map_or(text.len(), |at| middle + at);
        let id = hex_at(text, from, end);
        start = id.map_or(end, |id| id.end.max(end)) + 1;
        id.into_iter().for_each(&mut found);
    }
}

/// Returns the id that the run of hexadecimal digits from `start` to `end` is or begins.
fn hex_at(text: &[u8], start: usize, end: usize) -> Option<Id> {
    if let Some(id) = (end - start == 8).then(|| uuid_at(text, start)).flatten() {
        return Some(id);
    }
    if end - start < MIN_HEX {
        return None;
    }
    let upper = case(&text[start..end])?;
    let bytes = ((end - start) / 2).min(MAX_HEX_BYTES);
    let form = HEX_FROM + bytes as u8 + if upper { UPPER } else { 0 };
    let hash = hash(&text[start..end]);
    Some(Id { start, end: start + 2 * bytes, form, hash })
}

fn uuid_at(text: &[u8], start: usize) -> Option<Id> {
    let end = start + UUID_BYTES;
    let uuid = text.get(start..end)?;
    let goes_on = text.get(end).is_some_and(|b| CLASSES[usize::from(*b)] != 0);
    let fits = |(at, byte): (usize, &u8)| match HYPHENS.contains(&at) {
        true => *byte == b'-',
        false => CLASSES[usize::from(*byte)] != 0,
    };
    if goes_on || !uuid.iter().enumerate().all(fits) {
        return None;
    }
    let form = if case(uuid)? { UPPER } else { 0 };
    Some(Id { start, end, form, hash: hash(uuid) })
}

/// Returns whether the letters are capitals; `None` without digits or letters, and where both cases are there.
fn case(id: &[u8]) -> Option<bool> {
    let classes = id.iter().fold(0, |all, byte| all | CLASSES[usize::from(*byte)]);
    match classes {
        c if c == DIGIT | LOWER_LETTER => Some(false),
        c if c == DIGIT | UPPER_LETTER => Some(true),
        _ => None,
    }
}

/// Finds numbers outside of `ids`.
pub(super) fn decimals(text: &[u8], ids: &[Id]) -> Vec<Id> {
    let mut found = Vec::new();
    let mut at = 0;
    let ends = ids.iter().map(|id| (id.start, id.end)).chain([(text.len(), text.len())]);
    for (until, next) in ends {
        // As with ids, a run covers one of each so many places.
        while at + MIN_DECIMALS <= until {
            let middle = at + MIN_DECIMALS - 1;
            if !text[middle].is_ascii_digit() {
                at = middle + 1;
                continue;
            }
            let before = text[at..middle].iter().rposition(|b| !b.is_ascii_digit());
            let start = before.map_or(at, |place| at + place + 1);
            let after = text[middle..until].iter().position(|b| !b.is_ascii_digit());
            let end = after.map_or(until, |place| middle + place);
            if (MIN_DECIMALS..=MAX_DECIMALS).contains(&(end - start)) {
                let form = (end - start) as u8;
                found.push(Id { start, end, form, hash: hash(&text[start..end]) });
            }
            at = end + 1;
        }
        at = next;
    }
    found
}

/// Tells ids apart. Two that share a hash stay in the text, which costs a few bytes.
fn hash(id: &[u8]) -> u32 {
    let mut hash = id.len() as u64;
    for part in id.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        hash = (hash ^ u64::from_le_bytes(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
    }
    hash as u32
}
