//! Harm to every part of a pack, by a seeded dice: found, named, never served, and felt by those alone whom it hits.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::SignedDuration;

use super::compact::{archive_of_runs, repeated};
use super::*;
use crate::store::compact::{CompactOptions, compact};
use crate::store::mend::{MendOptions, mend};
use crate::store::packs::format::{MAGIC, TRAILER_BYTES};
use crate::store::packs::{Footer, Kind};
use crate::store::prune::{PruneOptions, prune};

const JOBS: std::ops::Range<u64> = 1..9;

/// Throws the same numbers each time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: usize) -> usize {
        // SplitMix64, by Sebastiano Vigna: public domain, <https://prng.di.unimi.it/splitmix64.c>.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// A part of a pack by its meaning.
type Part = (&'static str, Range<usize>);

fn parts(bytes: usize, footer: &Footer) -> Vec<Part> {
    let mut parts = vec![("magic", 0..MAGIC.len())];
    let mut end = MAGIC.len();
    for entry in &footer.entries {
        let at = entry.offset as usize;
        end = at + entry.stored_bytes as usize;
        let names = match entry.kind {
            Kind::Frame => ["frame header", "frame payload", "frame checksum"],
            Kind::Base => ["base header", "base payload", "base checksum"],
            _ => ["ledger header", "ledger payload", "ledger checksum"],
        };
        let (head, tail) = (at + 6, end - 4);
        for (name, part) in names.into_iter().zip([at..head, head..tail, tail..end]) {
            if !part.is_empty() {
                parts.push((name, part));
            }
        }
    }
    let trailer = bytes - TRAILER_BYTES;
    let rest = [end, trailer, trailer + 32, trailer + 40, bytes];
    let names = ["table", "footer checksum", "footer length", "end magic"];
    parts.extend(names.into_iter().zip(rest.windows(2).map(|w| w[0]..w[1])));
    parts
}

/// An archive and what is needed to tell what harm may do to it.
struct Patient {
    dir: tempfile::TempDir,
    packs: Vec<Pack>,
    /// Entries that each job's log needs: pack and range.
    needs: BTreeMap<u64, Vec<(usize, Range<usize>)>>,
}

struct Pack {
    path: std::path::PathBuf,
    bytes: Vec<u8>,
    parts: Vec<Part>,
}

impl Patient {
    /// Makes an archive of which a part is compacted.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = archive_of_runs(dir.path(), 1..6).await;
        let options = CompactOptions { grace: SignedDuration::ZERO, ..CompactOptions::default() };
        compact(&store, options, now(), |_| {}).await.unwrap();
        store.close().await;
        archive_of_runs(dir.path(), 6..9).await.close().await;
        let store = Store::open(dir.path()).await.unwrap();
        let mut packs = Vec::new();
        let mut numbers = Vec::new();
        for (number, name, _) in store.catalogue().packs().await.unwrap() {
            let path = store.packs().path(name);
            let bytes = fs::read(&path).unwrap();
            let parts = parts(bytes.len(), &store.packs().footer(name).unwrap());
            packs.push(Pack { path, bytes, parts });
            numbers.push(number);
        }
        let place = |pack: u64, offset: u64, stored: u64| {
            let pack = numbers.iter().position(|n| *n == pack).unwrap();
            (pack, offset as usize..(offset + stored) as usize)
        };
        let mut needs = BTreeMap::new();
        for job in JOBS {
            let row = store.catalogue().job(JobId(job)).await.unwrap().unwrap();
            let trace = store.catalogue().traces(&[row.trace.unwrap()]).await.unwrap().remove(0);
            let needed = trace.unwrap().frames.into_iter().flat_map(|frame| {
                let base = frame.base.map(|id| store.places.base(id).unwrap());
                let base = base.map(|(pack, e)| place(pack, e.offset, e.stored_bytes));
                base.into_iter().chain([place(frame.pack, frame.offset, frame.stored_bytes)])
            });
            needs.insert(job, needed.collect());
        }
        Self { dir, packs, needs }
    }

    fn heal(&self) {
        for pack in &self.packs {
            fs::write(&pack.path, &pack.bytes).unwrap();
        }
    }

    /// Does harm and returns what it was, and the ranges of packs that it changed.
    fn harm(&self, dice: &mut Dice) -> (String, Vec<(usize, Range<usize>)>) {
        let which = dice.below(self.packs.len());
        let pack = &self.packs[which];
        let names: std::collections::BTreeSet<_> = pack.parts.iter().map(|p| p.0).collect();
        let name = *names.iter().nth(dice.below(names.len())).unwrap();
        let named: Vec<_> = pack.parts.iter().filter(|p| p.0 == name).collect();
        let part = &named[dice.below(named.len())].1;
        let at = part.start + dice.below(part.len());
        let mut bytes = pack.bytes.clone();
        let (what, changed) = match dice.below(20) {
            0..10 => {
                bytes[at] ^= 1 << dice.below(8);
                ("flipped bit", at..at + 1)
            }
            10..13 => {
                let end = (at + 1 + dice.below(600)).min(bytes.len());
                bytes[at..end].fill(0);
                ("zeros", at..end)
            }
            13..15 => {
                let end = (at + 1 + dice.below(60)).min(bytes.len());
                bytes[at..end].iter_mut().for_each(|byte| *byte = dice.below(256) as u8);
                ("other bytes", at..end)
            }
            15 | 16 => {
                bytes.truncate(at);
                ("cut", at..pack.bytes.len())
            }
            17 => {
                let more = 1 + dice.below(100);
                bytes.extend((0..more).map(|_| dice.below(256) as u8));
                ("bytes behind the end", pack.bytes.len()..bytes.len())
            }
            18 => {
                let other = (which + 1 + dice.below(self.packs.len() - 1)) % self.packs.len();
                let (a, b) = (pack, &self.packs[other]);
                fs::write(&a.path, &b.bytes).unwrap();
                fs::write(&b.path, &a.bytes).unwrap();
                let all = |at: usize| (at, 0..usize::MAX);
                return ("swapped packs".to_owned(), vec![all(which), all(other)]);
            }
            _ => {
                fs::remove_file(&pack.path).unwrap();
                return ("deleted pack".to_owned(), vec![(which, 0..usize::MAX)]);
            }
        };
        fs::write(&pack.path, &bytes).unwrap();
        let changed = if bytes == pack.bytes { vec![] } else { vec![(which, changed)] };
        (format!("{what} in {name}"), changed)
    }

    /// Asserts that harm was found and named, that nothing wrong is served, and that who is not hit feels nothing.
    async fn examine(&self, case: &str, changed: &[(usize, Range<usize>)]) {
        let store = Store::open(self.dir.path()).await.unwrap();
        let report = verify(&store, |_| {}).await.unwrap();
        assert_eq!(report.damaged.is_empty(), changed.is_empty(), "{case}: {report:?}");
        for job in JOBS {
            let is_hit = self.needs[&job].iter().any(|(pack, need)| {
                changed.iter().any(|(at, range)| {
                    at == pack && need.start < range.end && range.start < need.end
                })
            });
            match read(&store, job).await {
                Ok(raw) => assert!(raw == repeated(job), "{case}: wrong bytes of job {job}"),
                Err(e) => {
                    assert!(is_hit && e.is_damage(), "{case}: job {job} is not hit but {e}");
                    let named = report.damaged.iter().any(|d| d.job == Some(JobId(job)));
                    assert!(named, "{case}: verify does not name job {job}");
                }
            }
            match store.document(JobId(job)).await {
                Ok(document) => assert_eq!(
                    document.as_deref(),
                    Some(format!("{{\"id\":{job},\"name\":\"build\"}}").as_bytes()),
                    "{case}: wrong document of job {job}"
                ),
                Err(e) => assert!(e.is_damage() && !changed.is_empty(), "{case}: {e}"),
            }
        }
    }
}

/// What can be read of each job: its log, its document.
async fn readable(store: &Store) -> Vec<(bool, bool)> {
    let mut found = Vec::new();
    for job in JOBS {
        let document = store.document(JobId(job)).await;
        found.push((read(store, job).await.is_ok(), document.is_ok_and(|d| d.is_some())));
    }
    found
}

/// Mends a copy of a harmed archive: all that read does so still, and what is named then is lost.
async fn mend_copy(patient: &Patient, case: &str) -> bool {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(patient.dir.path(), copy.path());
    let store = Store::open_for_writing(copy.path(), "test", now()).await.unwrap();
    let before = readable(&store).await;
    let named = |report: check::Report| report.damaged.into_iter().filter_map(|d| d.pack).collect();
    let options = MendOptions::default();
    let damaged = named(verify(&store, |_| {}).await.unwrap());
    let done = mend(&store, &damaged, options, now()).await.unwrap();
    let after = readable(&store).await;
    // A document that no footer led to may be found again.
    let is_kept = |(was, is): (&(bool, bool), &(bool, bool))| was.0 == is.0 && was.1 <= is.1;
    assert!(before.iter().zip(&after).all(is_kept), "{case}: {before:?}, {after:?}, {done:?}");
    let report = verify(&store, |_| {}).await.unwrap();
    let is_whole = after.iter().all(|is_read| *is_read == (true, true));
    if is_whole {
        assert_eq!(report.damaged, [], "{case}: {done:?}");
    }
    let again = mend(&store, &named(report), options, now()).await.unwrap();
    assert_eq!(again.packs, [], "{case}: {done:?}");
    prune(&store, PruneOptions { grace: SignedDuration::ZERO, dry_run: false }, now())
        .await
        .unwrap();
    assert_eq!(readable(&store).await, after, "{case}: {done:?}");
    store.close().await;
    is_whole
}

#[tokio::test]
async fn harm_that_costs_no_log_and_no_document_is_cured() {
    let patient = Patient::new().await;
    let mut dice = Dice(3);
    let mut cured = 0;
    for case in 0..120 {
        let (what, _) = patient.harm(&mut dice);
        cured += u64::from(mend_copy(&patient, &format!("case {case}, {what}")).await);
        patient.heal();
    }
    assert!(cured > 30, "{cured}");
}

/// Does harm so many times; returns how often each kind of it came.
async fn suffer(seed: u64, cases: usize) -> BTreeMap<String, usize> {
    let patient = Patient::new().await;
    let mut dice = Dice(seed);
    let mut kinds = BTreeMap::new();
    for case in 0..cases {
        let (what, changed) = patient.harm(&mut dice);
        patient.examine(&format!("case {case} of seed {seed}, {what}"), &changed).await;
        *kinds.entry(what).or_default() += 1;
        patient.heal();
    }
    patient.examine("healed", &[]).await;
    kinds
}

#[tokio::test]
async fn harm_to_any_part_of_a_pack_is_found_and_hits_no_one_else() {
    let kinds = suffer(1, 300).await;
    assert!(kinds.len() > 40, "{kinds:?}");
}

#[tokio::test]
#[ignore = "takes minutes; .ci/long runs it"]
async fn harm_five_thousand_times() {
    let kinds = suffer(2, 5000).await;
    assert!(kinds.len() > 60, "{kinds:?}");
}
