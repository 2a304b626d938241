#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;

struct Piece(Vec<u8>, Shapes);

impl Likeness for Piece {
    fn body(&self) -> &[u8] {
        &self.0
    }

    fn shapes(&self) -> &Shapes {
        &self.1
    }
}

/// A log of `kind`, the `run`-th of its job.
fn log(kind: &str, run: u32) -> Vec<Piece> {
    let line = |i: u32| {
        let word = blake3::hash(format!("{kind}{i}").as_bytes()).to_hex();
        let word: String = word.chars().filter(char::is_ascii_alphabetic).collect();
        format!("{kind} {word} in {} ms, run {run}\n", i * run)
    };
    let body: Vec<u8> = (0..200).flat_map(|i| line(i).into_bytes()).collect();
    let shapes = Shapes::of(&body);
    vec![Piece(body, shapes)]
}

fn store(bases: &mut Bases) -> Vec<u64> {
    let grown = bases.take_growing();
    let learn = |g: Growing| {
        let known =
            Known { id: g.id, hash: [g.id as u8; 32], project: g.project, sketch: g.sketch() };
        bases.learn(known);
        g.id
    };
    grown.into_iter().map(learn).collect()
}

#[test]
fn a_new_log_makes_a_base_and_its_like_take_it() {
    let mut bases = Bases::new(Vec::new(), 1);
    assert_eq!(bases.choose(7, &log("build", 1), 1 << 20), [Some(1)]);
    assert_eq!(bases.choose(7, &log("build", 2), 1 << 20), [Some(1)]);
    assert_eq!(store(&mut bases), [1]);
    assert_eq!(bases.choose(7, &log("build", 3), 1 << 20), [Some(1)]);
    assert_eq!(bases.choose(8, &log("build", 4), 1 << 20), [Some(1)]);
    assert!(store(&mut bases).is_empty(), "nothing was new");
}

#[test]
fn unlike_logs_do_not_share_a_base() {
    let mut bases = Bases::new(Vec::new(), 1);
    assert_eq!(bases.choose(7, &log("build", 1), 1 << 20), [Some(1)]);
    assert_eq!(bases.choose(7, &log("deploy", 1), 1 << 20), [Some(2)]);
    assert_eq!(store(&mut bases), [1, 2]);
    assert_eq!(bases.choose(7, &log("deploy", 2), 1 << 20), [Some(2)]);
    assert_eq!(bases.choose(7, &log("build", 2), 1 << 20), [Some(1)]);
}

#[test]
fn a_base_never_exceeds_its_bound() {
    let mut bases = Bases::new(Vec::new(), 1);
    for kind in ["a", "b", "c", "d", "e"] {
        bases.choose(7, &log(kind, 1), 4000);
    }
    let grown = bases.take_growing();
    assert!(grown.iter().all(|g| g.content.len() <= 4000));
}

#[test]
fn of_a_great_many_bases_the_newest_are_known() {
    let mut bases = Bases::new(Vec::new(), 1);
    for id in 0..MAX_KNOWN as u64 + 10 {
        let sketch = Sketch::new(vec![id as u32]);
        bases.learn(Known { id, hash: [0; 32], project: id, sketch });
    }
    assert_eq!(bases.known.len(), MAX_KNOWN);
    assert_eq!(bases.by_shape.len(), MAX_KNOWN);
    assert!(bases.known.contains_key(&(MAX_KNOWN as u64 + 9)));
}

#[test]
fn a_shape_finds_the_newest_of_many_bases_and_forgets_what_is_gone() {
    let mut found = Found::One(0);
    (1..=MAX_FOUND as u64).for_each(|id| found.add(id));
    let newest: Vec<u64> = (1..=MAX_FOUND as u64).collect();
    assert_eq!(found.ids(), newest);
    let two = Found::Many([3, 7].into());
    assert_eq!(two.without(5).unwrap().ids(), [3, 7]);
    assert_eq!(two.without(3).unwrap().ids(), [7]);
    assert!(two.without(3).unwrap().without(7).is_none());
}
