//! Logs waiting to be compressed together: bases are chosen for all of them, then each frame goes into the pack.
//!
//! Waiting makes it possible that a base is put together out of several logs, and that frames with the same base
//! are compressed one after another. Bounded by the caller, who flushes at [`Segment::bytes`].

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::packs::base::{Bases, Growing, Known, Likeness};
use super::packs::codec::{Payload, put_payload};
use super::packs::encoders::Encoders;
use super::packs::shapes::{Shapes, Sketch};
use super::packs::{Entry, FramePlace, Kind, PackError, PackWriter};
use super::{StoreError, TraceId};

/// Room for what a payload has beside its text: a byte for most frames, and there are about eight in a megabyte.
const ROOM_BYTES: usize = 64 * 1024;
/// Frames of a base that are compressed alone, to learn what all would take.
const FRAMES_TRIED: usize = 4;
/// A base of fewer frames than these costs about what they do, and trying them would cost as much again.
const MANY_FRAMES: usize = 12;
/// A base is given up where the frames alone take this many times less: it may still serve what is captured later.
const WORTH_GIVING_UP: f64 = 1.02;

/// A frame that waits.
struct Waiting {
    place: FramePlace,
    index: usize,
    raw_bytes: u64,
    hash: [u8; 32],
    /// Its payload in the segment's buffer.
    payload: Range<usize>,
    /// Where in the buffer the text of its lines begins.
    body_at: usize,
    shapes: Shapes,
}

impl Waiting {
    /// Returns its payload out of the segment's buffer.
    fn payload_in<'a>(&self, buffer: &'a [u8]) -> Payload<'a> {
        Payload::of(buffer, self.payload.clone(), self.body_at)
    }
}

/// A frame that waits, beside the buffer that holds it.
struct Piece<'a> {
    frame: &'a Waiting,
    payloads: &'a [u8],
}

impl Likeness for Piece<'_> {
    fn body(&self) -> &[u8] {
        &self.payloads[self.frame.body_at..self.frame.payload.end]
    }

    fn shapes(&self) -> &Shapes {
        &self.frame.shapes
    }
}

/// A frame that was written.
#[derive(Debug)]
pub(super) struct Written {
    /// The trace.
    pub(super) trace: TraceId,
    /// Its number within the trace.
    pub(super) index: usize,
    /// Where it stands.
    pub(super) entry: Entry,
    /// The base it is compressed against.
    pub(super) base: Option<u64>,
}

/// A base that was written.
#[derive(Debug)]
pub(super) struct NewBase {
    /// Its number.
    pub(super) id: u64,
    /// The project whose logs it was made of.
    pub(super) project: u64,
    /// Where it stands.
    pub(super) entry: Entry,
    /// Its shapes.
    pub(super) sketch: Sketch,
}

/// Frames that wait, in the order in which they will stand.
pub(super) struct Segment {
    frames: Vec<Waiting>,
    /// The frames' payloads, one after another. Kept from one segment to the next: as many pieces, given back in
    /// another order than they were taken, the same bytes cost twice their memory.
    payloads: Vec<u8>,
    bytes: usize,
}

impl Segment {
    /// Makes room for about `bytes` bytes of logs; the memory is taken as they come.
    pub(super) fn new(bytes: usize) -> Self {
        Self { frames: Vec::new(), payloads: Vec::with_capacity(bytes + ROOM_BYTES), bytes: 0 }
    }

    /// Takes in a frame of a trace. Its number is `index`; `place` is what the footer will say.
    pub(super) fn push(&mut self, raw: &[u8], place: FramePlace, index: usize) -> [u8; 32] {
        let begin = self.payloads.len();
        let body_at = put_payload(&mut self.payloads, raw);
        let payload = begin..self.payloads.len();
        let shapes = Shapes::of(&self.payloads[body_at..]);
        let hash = *blake3::hash(raw).as_bytes();
        self.bytes += raw.len();
        let raw_bytes = raw.len() as u64;
        self.frames.push(Waiting { place, index, raw_bytes, hash, payload, body_at, shapes });
        hash
    }

    /// Marks the frame taken in last as the last of its trace.
    pub(super) fn close_trace(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.place.last = true;
        }
    }

    /// Forgets the frames of a trace that wait.
    pub(super) fn forget(&mut self, trace: TraceId) {
        self.frames.retain(|f| f.place.trace != trace.0);
        self.bytes = self.frames.iter().map(|f| f.raw_bytes as usize).sum();
        // It came last.
        self.payloads.truncate(self.frames.last().map_or(0, |f| f.payload.end));
    }

    /// Returns how many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many frames wait.
    pub(super) fn count(&self) -> usize {
        self.frames.len()
    }

    /// Chooses bases and writes everything into `pack`. `content` gives a base that is stored already.
    pub(super) fn flush(
        &mut self,
        bases: &mut Bases,
        encoders: &mut Encoders,
        pack: &mut PackWriter,
        content: impl Fn(&mut PackWriter, u64) -> Result<Vec<u8>, StoreError>,
    ) -> Result<(Vec<Written>, Vec<NewBase>), StoreError> {
        let frames = std::mem::take(&mut self.frames);
        let mut payloads = std::mem::take(&mut self.payloads);
        self.bytes = 0;
        let mut choices: Vec<Option<u64>> = Vec::with_capacity(frames.len());
        let max_bytes = encoders.effort().base_bytes;
        for log in frames.chunk_by(|a, b| a.place.trace == b.place.trace) {
            let pieces: Vec<_> =
                log.iter().map(|frame| Piece { frame, payloads: &payloads }).collect();
            choices.extend(bases.choose(log[0].place.project, &pieces, max_bytes));
        }
        let mut growing: HashMap<u64, Growing> =
            bases.take_growing().into_iter().map(|g| (g.id, g)).collect();
        growing.retain(|id, base| {
            if !base.is_base() {
                choices.iter_mut().filter(|c| **c == Some(*id)).for_each(|c| *c = None);
            }
            base.is_base()
        });
        let mut drafts = encode_bases(&growing, encoders)?;
        let whole: Vec<_> = frames.iter().map(|frame| frame.payload_in(&payloads)).collect();
        let mut stored = encode(&whole, &mut choices, encoders, |id| match growing.get(&id) {
            Some(base) => Ok(Cow::Borrowed(&base.content[..])),
            None => content(pack, id).map(Cow::Owned),
        })?;
        if encoders.effort().weighs_bases {
            give_up_dear(&whole, &mut choices, &mut stored, &mut drafts, encoders)?;
        }
        let new = write_bases(&growing, drafts, bases, pack)?;
        payloads.clear();
        self.payloads = payloads;
        let mut written = Vec::with_capacity(frames.len());
        for ((frame, stored), base) in frames.iter().zip(stored).zip(choices) {
            let entry = Entry {
                base: base.and_then(|id| bases.hash(id)),
                place: frame.place,
                ..entry(Kind::Frame, frame.raw_bytes, frame.hash)
            };
            let entry = pack.add(&stored, entry)?;
            let trace = TraceId(frame.place.trace);
            written.push(Written { trace, index: frame.index, entry, base });
        }
        Ok((written, new))
    }
}

/// Returns an entry that has no place yet.
pub(super) fn entry(kind: Kind, raw_bytes: u64, hash: [u8; 32]) -> Entry {
    Entry {
        kind,
        offset: 0,
        stored_bytes: 0,
        raw_bytes,
        hash,
        base: None,
        place: FramePlace::default(),
    }
}

/// New bases as they will be stored, by number.
type Drafts = BTreeMap<u64, Vec<u8>>;

fn encode_bases(
    growing: &HashMap<u64, Growing>,
    encoders: &mut Encoders,
) -> Result<Drafts, StoreError> {
    let encode = |(id, base): (&u64, &Growing)| {
        Ok((*id, encoders.alone().encode(&base.content).map_err(compress)?))
    };
    growing.iter().map(encode).collect()
}

/// Gives up the new bases without which the frames that chose them are smaller, and compresses these alone.
///
/// Of a log full of ids, of which none comes again, a base holds as text what takes a quarter less in frames.
fn give_up_dear(
    payloads: &[Payload<'_>],
    choices: &mut [Option<u64>],
    stored: &mut [Vec<u8>],
    drafts: &mut Drafts,
    encoders: &mut Encoders,
) -> Result<(), StoreError> {
    let mut of_base: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, choice) in choices.iter().enumerate() {
        if let Some(id) = choice.filter(|id| drafts.contains_key(id)) {
            of_base.entry(id).or_default().push(at);
        }
    }
    for (id, frames) in of_base.into_iter().filter(|(_, frames)| frames.len() >= MANY_FRAMES) {
        let with_base =
            drafts[&id].len() + frames.iter().map(|at| stored[*at].len()).sum::<usize>();
        let (mut tried, mut alone) = (0, 0);
        for at in frames.iter().step_by(frames.len().div_ceil(FRAMES_TRIED)) {
            tried += payloads[*at].bytes().len();
            alone += encoders.alone().encode_frame(payloads[*at]).map_err(compress)?.len();
        }
        let all: usize = frames.iter().map(|at| payloads[*at].bytes().len()).sum();
        let without = alone as f64 / tried.max(1) as f64 * all as f64;
        if without * WORTH_GIVING_UP >= with_base as f64 {
            continue;
        }
        drafts.remove(&id);
        for at in frames {
            choices[at] = None;
            stored[at] = encoders.alone().encode_frame(payloads[at]).map_err(compress)?;
        }
    }
    Ok(())
}

fn write_bases(
    growing: &HashMap<u64, Growing>,
    drafts: Drafts,
    bases: &mut Bases,
    pack: &mut PackWriter,
) -> Result<Vec<NewBase>, StoreError> {
    let mut new = Vec::with_capacity(drafts.len());
    for (id, stored) in drafts {
        let base = &growing[&id];
        let hash = *blake3::hash(&base.content).as_bytes();
        let entry = pack.add(&stored, entry(Kind::Base, base.content.len() as u64, hash))?;
        let sketch = base.sketch();
        let project = base.project;
        bases.learn(Known { id, hash, project, sketch: sketch.clone() });
        new.push(NewBase { id, project, entry, sketch });
    }
    Ok(new)
}

/// Compresses the payloads of all frames, those of one base after another.
fn encode<'a>(
    payloads: &[Payload<'_>],
    choices: &mut [Option<u64>],
    encoders: &mut Encoders,
    mut content: impl FnMut(u64) -> Result<Cow<'a, [u8]>, StoreError>,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut order: Vec<usize> = (0..payloads.len()).collect();
    order.sort_by_key(|at| choices[*at]);
    let mut stored = vec![Vec::new(); payloads.len()];
    for at in order {
        if let Some(id) = choices[at]
            && !encoders.has_base(id)
        {
            match content(id) {
                Ok(base) => encoders.set_base(id, &base).map_err(compress)?,
                // What is new must not depend on what is damaged, nor be kept out by it.
                Err(e) if e.is_damage() => choices[at] = None,
                Err(e) => return Err(e),
            }
        }
        let encoder = match choices[at] {
            None => encoders.alone(),
            Some(_) => encoders.with_base(),
        };
        stored[at] = encoder.encode_frame(payloads[at]).map_err(compress)?;
    }
    Ok(stored)
}

pub(super) fn compress(source: std::io::Error) -> StoreError {
    let path = std::path::PathBuf::from("an entry");
    StoreError::Pack(PackError::Io { action: "compress", path, source })
}
