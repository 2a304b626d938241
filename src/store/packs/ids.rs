//! Random ids and numbers of a text, kept apart from it. Pure.
//!
//! zstd spends four and a half to five bits on a digit of a random id and a sequence besides. Packed apart an id
//! takes four bits a digit, and what is left of the lines of two runs is alike. A text is split only where fresh
//! ids are a good part of it; what stands in it twice or in its base stays, for zstd finds it there. Splitting
//! gives `None` unless joining gives the very text back; joining hostile bytes gives `None` and takes no more
//! memory than the caller allows. Knows nothing of stamps and of payloads.
//!
//! Each form (UUIDs, so many bytes in hexadecimal, so many decimal digits) has a placeholder, a byte that the text
//! does not hold. Decimal digits stay digits, which zstd's literals code well; the rest is packed, two digits a byte.

mod find;

use super::varint::{self, Reader};
use find::{Id, decimals, hexes};

/// Fewer of a form are not worth a placeholder.
const MIN_OF_FORM: usize = 4;
/// A placeholder is a control character below this: few texts hold many of them.
const PLACEHOLDERS_END: u8 = 32;
/// A text is split where its ids are at least one part in so many of it.
const MIN_PART: usize = 24;
/// Where they are one part in so many, a split text is smaller than the whole without a trial.
const SURE_PART: usize = 8;
/// A base with an id in so many bytes is one of lines with ids.
const DENSE_LINE_BYTES: usize = 400;
/// The length of a UUID.
const UUID_BYTES: usize = 36;
/// Where the digits of each byte of a UUID stand in it.
const UUID_PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// A form's code: 0 a UUID, up to 31 so many decimal digits, from 32 on so many bytes in hexadecimal.
const HEX_FROM: u8 = 32;
/// A form's letters are capitals.
const UPPER: u8 = 128;

/// The two digits of each byte.
const PAIRS: [[[u8; 2]; 256]; 2] = [pairs(b"0123456789abcdef"), pairs(b"0123456789ABCDEF")];

const fn pairs(digits: &[u8; 16]) -> [[u8; 2]; 256] {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
}

/// A text whose ids stand apart. Its coding is the three parts, one behind the other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// The lengths of the parts, the forms, and the text with placeholders.
    pub(crate) head: Vec<u8>,
    /// The decimal digits, as digits.
    pub(crate) decimals: Vec<u8>,
    /// The bytes of the ids.
    pub(crate) packed: Vec<u8>,
    /// Ids are so much of the text that it is surely smaller so.
    pub(crate) surely: bool,
}

impl Split {
    /// Returns the parts, in their order.
    pub(crate) fn parts(&self) -> [&[u8]; 3] {
        [&self.head, &self.decimals, &self.packed]
    }
}

/// The ids of a base, by hash, ascending: 4 bytes for each, at most half the base's length.
#[derive(Debug, Default)]
pub(crate) struct Known(Vec<u32>);

impl Known {
    /// Finds the ids in the content of a base.
    pub(crate) fn of(base: &[u8]) -> Self {
        let mut hashes: Vec<u32> = Vec::new();
        hexes(base, |id| hashes.push(id.hash));
        hashes.sort_unstable();
        hashes.dedup();
        hashes.shrink_to_fit();
        Self(hashes)
    }

    /// Returns whether a base of `bytes` bytes holds so many that its lines are mostly ids.
    pub(crate) fn are_dense(&self, bytes: usize) -> bool {
        self.0.len() * DENSE_LINE_BYTES >= bytes
    }
}

/// Returns whether ids, fresh or not, are so much of `text` that a frame of it is surely smaller with them apart.
pub(crate) fn fill(text: &[u8]) -> bool {
    let mut bytes = 0;
    hexes(text, |id| bytes += id.end - id.start);
    bytes * SURE_PART >= text.len()
}

/// Takes fresh ids out of `text`; `None` where there are too few. `known` are those of the base. The coding is
/// shorter than the text.
pub(crate) fn split(text: &[u8], known: &Known) -> Option<Split> {
    let mut ids = Vec::new();
    hexes(text, |id| ids.push(id));
    let part = |ids: &[Id], of: usize| {
        ids.iter().map(|id| id.end - id.start).sum::<usize>() * of >= text.len().max(1)
    };
    if !part(&ids, MIN_PART) {
        return None;
    }
    keep_fresh(&mut ids, known);
    if !part(&ids, MIN_PART) {
        return None;
    }
    let surely = part(&ids, SURE_PART);
    let mut numbers = decimals(text, &ids);
    keep_fresh(&mut numbers, &Known::default());
    ids.extend(numbers);
    ids.sort_unstable_by_key(|id| id.start);
    let split = Split { surely, ..take_out(text, &ids, &placeholders(text, &ids)) };
    let coding = split.parts().concat();
    let mut joined = Vec::new();
    let comes_back = join(&coding, text.len(), &mut joined).is_some() && joined == text;
    (comes_back && coding.len() < text.len()).then_some(split)
}

/// Keeps ids that are there once and are not known. Of those that are, one in 300 or so is taken for two.
fn keep_fresh(ids: &mut Vec<Id>, known: &Known) {
    let shift = 32 - (ids.len() * 512).max(64).ilog2().min(26);
    let place = |id: &Id| ((id.hash >> shift) as usize / 64, 1u64 << (id.hash >> shift & 63));
    let mut once = vec![0u64; (1 << (32 - shift)) / 64];
    let mut twice = once.clone();
    for id in ids.iter() {
        let (word, bit) = place(id);
        twice[word] |= once[word] & bit;
        once[word] |= bit;
    }
    ids.retain(|id| {
        let (word, bit) = place(id);
        twice[word] & bit == 0 && known.0.binary_search(&id.hash).is_err()
    });
}

/// Gives common forms a byte each that the text does not hold.
fn placeholders(text: &[u8], ids: &[Id]) -> [Option<u8>; 256] {
    let mut counts = [0usize; 256];
    ids.iter().for_each(|id| counts[usize::from(id.form)] += 1);
    let mut forms: Vec<u8> = (0..=255).filter(|f| counts[usize::from(*f)] >= MIN_OF_FORM).collect();
    forms.sort_by_key(|form| std::cmp::Reverse(counts[usize::from(*form)]));
    let mut held = [false; 256];
    text.iter().for_each(|byte| held[usize::from(*byte)] = true);
    let free = (0..PLACEHOLDERS_END).filter(|byte| !held[usize::from(*byte)]);
    let mut given = [None; 256];
    forms.into_iter().zip(free).for_each(|(form, byte)| given[usize::from(form)] = Some(byte));
    given
}

fn take_out(text: &[u8], ids: &[Id], placeholders: &[Option<u8>; 256]) -> Split {
    let mut body = Vec::with_capacity(text.len());
    let mut decimals = Vec::new();
    let mut packed = Vec::with_capacity(text.len() / 2);
    let mut from = 0;
    for id in ids {
        let Some(byte) = placeholders[usize::from(id.form)] else { continue };
        body.extend_from_slice(&text[from..id.start]);
        body.push(byte);
        let digits = &text[id.start..id.end];
        from = id.end;
        match Form::of(id.form) {
            Form::Decimal(_) => decimals.extend_from_slice(digits),
            Form::Uuid => pack(UUID_PAIRS.map(|at| [digits[at], digits[at + 1]]), &mut packed),
            Form::Hex(_) => {
                let pairs = digits.chunks_exact(2);
                pack(pairs.map(|pair| [pair[0], pair[1]]), &mut packed);
            }
        }
    }
    body.extend_from_slice(&text[from..]);
    let forms = (0..=255u8).zip(placeholders).filter_map(|(form, byte)| Some([(*byte)?, form]));
    let forms: Vec<[u8; 2]> = forms.collect();
    let mut head = Vec::with_capacity(body.len() + 2 * forms.len() + 16);
    for len in [forms.len(), body.len(), decimals.len()] {
        varint::put(&mut head, len as u64);
    }
    head.extend_from_slice(forms.as_flattened());
    head.extend_from_slice(&body);
    Split { head, decimals, packed, surely: false }
}

fn pack(pairs: impl IntoIterator<Item = [u8; 2]>, packed: &mut Vec<u8>) {
    // The low four bits of a letter are nine less than its value.
    let value = |digit: u8| (digit & 15) + 9 * (digit >> 6);
    packed.extend(pairs.into_iter().map(|[high, low]| value(high) << 4 | value(low)));
}

/// What stands for a placeholder.
enum Form {
    Uuid,
    Decimal(usize),
    Hex(usize),
}

impl Form {
    /// Returns how much text it stands for.
    fn text_bytes(&self) -> usize {
        match self {
            Self::Uuid => UUID_BYTES,
            Self::Decimal(digits) => *digits,
            Self::Hex(bytes) => 2 * bytes,
        }
    }

    fn of(code: u8) -> Self {
        match code & !UPPER {
            0 => Self::Uuid,
            n @ 1..HEX_FROM => Self::Decimal(n.into()),
            n => Self::Hex((n - HEX_FROM).into()),
        }
    }
}

/// Puts the ids back and appends the text to `out`; `None` where the coding is none or gives more than `room` bytes.
pub(crate) fn join(coding: &[u8], room: usize, out: &mut Vec<u8>) -> Option<()> {
    let mut reader = Reader::new(coding);
    let [count, body, decimals] = [reader.size()?, reader.size()?, reader.size()?];
    let (listed, _) = reader.bytes(count.checked_mul(2)?)?.as_chunks::<2>();
    let mut rest = reader.bytes(body)?;
    let mut decimals = reader.bytes(decimals)?;
    let mut packed = reader.bytes(reader.left())?;
    let mut forms = [None; PLACEHOLDERS_END as usize];
    for [byte, form] in listed {
        *forms.get_mut(usize::from(*byte))? = Some(*form);
    }
    let end = forms.iter().rposition(Option::is_some).map_or(0, |last| last as u8 + 1);
    out.reserve(room);
    let most = out.len() + room;
    loop {
        let at = first_below(rest, end);
        let (text, after) = rest.split_at(at.unwrap_or(rest.len()));
        if out.len() + text.len() + usize::from(at.is_some()) > most {
            return None;
        }
        out.extend_from_slice(text);
        let Some((byte, after)) = after.split_first() else { break };
        rest = after;
        let Some(code) = forms[usize::from(*byte)] else {
            out.push(*byte);
            continue;
        };
        let form = Form::of(code);
        let from = out.len();
        if from + form.text_bytes() > most {
            return None;
        }
        let (id, others) = match form {
            Form::Decimal(digits) => {
                let (digits, others) = decimals.split_at_checked(digits)?;
                out.extend_from_slice(digits);
                decimals = others;
                continue;
            }
            Form::Uuid => packed.split_at_checked(16)?,
            Form::Hex(bytes) => packed.split_at_checked(bytes)?,
        };
        packed = others;
        let pairs = &PAIRS[usize::from(code >= UPPER)];
        out.resize(from + form.text_bytes(), b'-');
        let text = &mut out[from..];
        match form {
            Form::Uuid => id.iter().zip(UUID_PAIRS).for_each(|(byte, at)| {
                text[at..at + 2].copy_from_slice(&pairs[usize::from(*byte)]);
            }),
            _ => id.iter().zip(text.chunks_exact_mut(2)).for_each(|(byte, place)| {
                place.copy_from_slice(&pairs[usize::from(*byte)]);
            }),
        }
    }
    (decimals.is_empty() && packed.is_empty()).then_some(())
}

/// Returns where the first byte below `end`, at most 128, is. Looks at eight at a time.
fn first_below(text: &[u8], end: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let (eights, rest) = text.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        let eight = u64::from_le_bytes(*eight);
        // A borrow may mark bytes above the first that is below, never one before it.
        let below = eight.wrapping_sub(ONES * u64::from(end)) & !eight & (ONES * 128);
        if below != 0 {
            return Some(at * 8 + below.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| *byte < end)?;
    Some(eights.len() * 8 + at)
}

#[cfg(test)]
mod tests;
