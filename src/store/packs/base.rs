//! Choosing bases: which base a piece of a log is compressed against, and which pieces make a new base. Pure.
//!
//! Goes by likeness of content, the share of line shapes in common, whatever a job is called. A piece that is
//! largely new joins a base that is being put together; it is compressed against that base too and then takes next
//! to nothing, so that a base costs no more than the log it was made of. Knows neither files nor compression.
//! Memory is bounded: of a great many bases the newest are known.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::codec::may_be_base;
use super::format::MAX_BASE_BYTES;
use super::shapes::{ShapeMap, Shapes, Sketch};

/// Bases that are known at once; older ones are still read, but nothing new is compressed against them.
pub(crate) const MAX_KNOWN: usize = 4096;
/// Shapes of a base by which it is found.
const FOUND_BY: usize = 48;
/// Bases found by one shape; the newest are kept.
const MAX_FOUND: usize = 16;
/// Bases used last in a project, which are always looked at.
const MAX_RECENT: usize = 8;
/// Bases compared with a log.
const MAX_COMPARED: usize = 8;
/// A piece is new where a larger part of it has shapes that its base has not.
const NEW_PART: f64 = 0.2;
/// A piece joins a base being put together that has this part of its shapes.
const LIKE_PART: f64 = 0.3;
/// A base smaller than this costs more than it gains.
const MIN_BASE: usize = 1024;

/// A base as the chooser knows it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The catalogue's number of the base.
    pub(crate) id: u64,
    /// BLAKE3 of its content.
    pub(crate) hash: [u8; 32],
    /// The project whose log it was made of.
    pub(crate) project: u64,
    /// Its shapes.
    pub(crate) sketch: Sketch,
}

/// A base being put together out of pieces.
#[derive(Debug)]
pub(crate) struct Growing {
    /// The catalogue's number it will have.
    pub(crate) id: u64,
    /// The project of its first piece.
    pub(crate) project: u64,
    /// What it holds.
    pub(crate) content: Vec<u8>,
    shapes: ShapeMap<()>,
}

impl Growing {
    /// Returns the sketch of what it holds.
    pub(crate) fn sketch(&self) -> Sketch {
        Sketch::new(self.shapes.keys().copied().collect())
    }

    fn part_of(&self, shapes: &Shapes) -> f64 {
        shapes.part(|shape| self.shapes.contains_key(&shape))
    }

    /// Returns whether it is worth being stored.
    pub(crate) fn is_base(&self) -> bool {
        self.content.len() >= MIN_BASE && may_be_base(&self.content)
    }
}

/// A piece of a log, as the chooser sees it.
pub(crate) trait Likeness {
    /// Its text, without stamps.
    fn body(&self) -> &[u8];
    /// The text's shapes.
    fn shapes(&self) -> &Shapes;
}

/// What a base loses by not being renewed: bytes of pieces compressed against it that had no likeness in it.
type Debts = HashMap<u64, f64>;

/// The bases found by one shape, oldest first. There are hundreds of thousands of these, and most have one.
#[derive(Debug)]
enum Found {
    One(u64),
    Many(Box<[u64]>),
}

impl Found {
    fn ids(&self) -> &[u64] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }

    fn add(&mut self, id: u64) {
        let ids = self.ids();
        let kept = &ids[(ids.len() + 1).saturating_sub(MAX_FOUND)..];
        *self = Self::Many(kept.iter().copied().chain([id]).collect());
    }

    /// Returns the others; `None` where there are none.
    fn without(&self, id: u64) -> Option<Self> {
        let ids: Vec<u64> = self.ids().iter().copied().filter(|other| *other != id).collect();
        match ids[..] {
            [] => None,
            [one] => Some(Self::One(one)),
            _ => Some(Self::Many(ids.into())),
        }
    }
}

/// The bases of an archive, for choosing.
#[derive(Debug, Default)]
pub(crate) struct Bases {
    known: HashMap<u64, Known>,
    by_shape: ShapeMap<Found>,
    recent: HashMap<u64, Vec<u64>>,
    growing: Vec<Growing>,
    growing_by_shape: ShapeMap<Vec<usize>>,
    debts: Debts,
    next: u64,
}

/// The most like base of each sort, with the part that is like.
#[derive(Debug, Clone, Copy)]
struct Best<T> {
    at: T,
    part: f64,
}

/// The base being put together that a log's new pieces join.
struct Target {
    at: Option<usize>,
    /// A piece of the log did.
    joined: bool,
}

impl Bases {
    /// Begins with what the archive holds, oldest first; `next` is the number of the next base.
    pub(crate) fn new(known: Vec<Known>, next: u64) -> Self {
        let mut bases = Self { next, ..Self::default() };
        known.into_iter().for_each(|k| bases.learn(k));
        bases
    }

    /// Takes in a base that is stored.
    pub(crate) fn learn(&mut self, base: Known) {
        if self.known.len() >= MAX_KNOWN {
            self.forget_oldest();
        }
        for shape in base.sketch.smallest(FOUND_BY) {
            match self.by_shape.entry(*shape) {
                Entry::Vacant(none) => drop(none.insert(Found::One(base.id))),
                Entry::Occupied(mut found) => found.get_mut().add(base.id),
            }
        }
        self.use_in(base.project, base.id);
        self.known.insert(base.id, base);
    }

    fn forget_oldest(&mut self) {
        let oldest = self.known.keys().min().copied();
        let Some(base) = oldest.and_then(|id| self.known.remove(&id)) else { return };
        self.debts.remove(&base.id);
        for shape in base.sketch.smallest(FOUND_BY) {
            let Entry::Occupied(mut found) = self.by_shape.entry(*shape) else { continue };
            match found.get().without(base.id) {
                Some(rest) => drop(found.insert(rest)),
                None => drop(found.remove()),
            }
        }
    }

    /// Returns the hash of a base that is known.
    pub(crate) fn hash(&self, id: u64) -> Option<[u8; 32]> {
        self.known.get(&id).map(|k| k.hash)
    }

    /// Takes the bases that were put together since the last call.
    pub(crate) fn take_growing(&mut self) -> Vec<Growing> {
        self.growing_by_shape.clear();
        std::mem::take(&mut self.growing)
    }

    /// Chooses a base for each piece of one log. What is new goes into bases that [`Bases::take_growing`] gives,
    /// each at most `max_bytes`.
    pub(crate) fn choose<P: Likeness>(
        &mut self,
        project: u64,
        pieces: &[P],
        max_bytes: usize,
    ) -> Vec<Option<u64>> {
        let all = Shapes::union(pieces.iter().map(P::shapes));
        let stored = self.most_like(project, &all);
        let like = self.most_like_growing(&all).filter(|b| b.part >= LIKE_PART);
        let mut target = Target { at: like.map(|b| b.at), joined: false };
        if let Some(best) = stored {
            self.use_in(project, best.at);
        }
        let max_bytes = max_bytes.min(MAX_BASE_BYTES as usize);
        let choose = |piece| self.choose_one(project, piece, stored, &mut target, max_bytes);
        pieces.iter().map(choose).collect()
    }

    fn choose_one<P: Likeness>(
        &mut self,
        project: u64,
        piece: &P,
        stored: Option<Best<u64>>,
        target: &mut Target,
        max_bytes: usize,
    ) -> Option<u64> {
        let (body, shapes) = (piece.body(), piece.shapes());
        let stored = stored.map(|best| {
            let part = self.known.get(&best.at).and_then(|k| k.sketch.part_of(shapes));
            Best { part: part.unwrap_or(best.part), ..best }
        });
        if let Some(at) = target.at {
            let part = self.growing[at].part_of(shapes);
            if 1.0 - part <= NEW_PART && stored.is_none_or(|s| s.part <= part) {
                // The rest of a log that made the base costs nothing in it. That goes for ids as well: once they
                // take a quarter more in it than in a frame, but those that come again in each run nothing more.
                let has_room = self.growing[at].content.len() + body.len() <= max_bytes;
                return match target.joined && has_room {
                    true => self.join(project, body, shapes, target, max_bytes),
                    false => Some(self.growing[at].id),
                };
            }
        }
        if let Some(best) = stored {
            let new = (1.0 - best.part) * body.len() as f64;
            let debt = self.debts.entry(best.at).or_default();
            *debt += new;
            // What is like is paid for twice by a new base, what is new by each further log without one.
            if 1.0 - best.part <= NEW_PART || *debt < best.part * body.len() as f64 {
                return Some(best.at);
            }
            *debt = 0.0;
        }
        self.join(project, body, shapes, target, max_bytes)
    }

    /// Adds a piece to the base `target`, or to a new one where it has no room.
    fn join(
        &mut self,
        project: u64,
        body: &[u8],
        shapes: &Shapes,
        target: &mut Target,
        max_bytes: usize,
    ) -> Option<u64> {
        let body = &body[..body.len().min(max_bytes)];
        let room = |g: &Growing| g.content.len() + body.len() <= max_bytes;
        if target.at.is_none() && body.len() < MIN_BASE {
            // Small logs share one, like or not.
            target.at = self.growing.iter().rposition(|g| g.project == project);
        }
        let at = match target.at.filter(|at| room(&self.growing[*at])) {
            Some(at) => at,
            None => {
                self.growing.push(Growing {
                    id: self.next,
                    project,
                    content: Vec::new(),
                    shapes: ShapeMap::default(),
                });
                self.next += 1;
                self.growing.len() - 1
            }
        };
        *target = Target { at: Some(at), joined: true };
        let growing = &mut self.growing[at];
        growing.content.extend_from_slice(body);
        for shape in shapes.iter() {
            if growing.shapes.insert(shape, ()).is_none() {
                self.growing_by_shape.entry(shape).or_default().push(at);
            }
        }
        Some(growing.id)
    }

    fn use_in(&mut self, project: u64, id: u64) {
        let recent = self.recent.entry(project).or_default();
        recent.retain(|r| *r != id);
        if recent.len() >= MAX_RECENT {
            recent.remove(0);
        }
        recent.push(id);
    }

    fn most_like(&self, project: u64, all: &Shapes) -> Option<Best<u64>> {
        let mut votes: HashMap<u64, u32> = HashMap::new();
        for shape in all.iter() {
            for id in self.by_shape.get(&shape).map(Found::ids).unwrap_or_default() {
                *votes.entry(*id).or_default() += 1;
            }
        }
        for id in self.recent.get(&project).into_iter().flatten() {
            votes.entry(*id).or_insert(0);
        }
        let mut ranked: Vec<_> = votes.into_iter().map(|(id, votes)| (votes, id)).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        let compared = ranked.iter().take(MAX_COMPARED + MAX_RECENT).filter_map(|(_, id)| {
            let part = self.known.get(id)?.sketch.part_of(all)?;
            Some(Best { at: *id, part })
        });
        best(compared).filter(|b| b.part > 0.0)
    }

    fn most_like_growing(&self, all: &Shapes) -> Option<Best<usize>> {
        let mut votes: HashMap<usize, u32> = HashMap::new();
        for shape in all.iter() {
            for at in self.growing_by_shape.get(&shape).into_iter().flatten() {
                *votes.entry(*at).or_default() += 1;
            }
        }
        let mut ranked: Vec<_> = votes.into_iter().map(|(at, votes)| (votes, at)).collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        let parts = ranked.iter().take(MAX_COMPARED);
        best(parts.map(|(_, at)| Best { at: *at, part: self.growing[*at].part_of(all) }))
    }
}

/// Returns the most like; of equals the newest.
fn best<T: Copy + Ord>(all: impl Iterator<Item = Best<T>>) -> Option<Best<T>> {
    all.max_by(|a, b| a.part.total_cmp(&b.part).then(a.at.cmp(&b.at)))
}

#[cfg(test)]
mod tests;
