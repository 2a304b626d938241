//! Exactness: for generated logs and queries, the hits are those of a matcher that reads every line.
//!
//! The logs hold what is hard: escapes, carriage returns, section markers, stamped lines in pieces, ids, letters that
//! fold, bytes that are no UTF-8, and lines longer than a frame. The cases are the same in every run, unless
//! `JOBVAULT_SEED` says otherwise; `JOBVAULT_CASES` raises their number.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use jiff::Timestamp;
use jobvault::search::{Detail, Found, Options, search};
use jobvault::store::Store;
use jobvault::trace;
use jobvault_index::{Case, Index, Pattern, Query};
use regex::bytes::{Regex, RegexBuilder};

use crate::util::archive::Archive;
use crate::util::gitlab::{Data, FakeGitLab, job_doc};

/// Queries asked unless the environment says otherwise.
const USUAL_CASES: u64 = 2000;
/// Queries asked of one archive.
const QUERIES: u64 = 500;
/// Logs of one archive.
const LOGS: u64 = 16;

/// A generator of numbers (xorshift64*), so that a seed tells the case.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn chance(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }
}

const WORDS: [&str; 24] = [
    "error",
    "Error",
    "the",
    "in",
    "task",
    "TASKS",
    "kiss",
    "\u{212a}elvin",
    "wa\u{17f}",
    "Straße",
    "É",
    "naïve",
    "日本",
    "abcd",
    "x86_64",
    "deadbeef01",
    "snake_case_9",
    "0",
    "12345678",
    "refused",
    "connection",
    "k",
    "_",
    "ǆ",
];
const GAPS: [&str; 12] =
    [" ", " ", "", ": ", "/", "-", "\t", "(", "=", "\r", "\x1b[31m", "\x1b[0;1m"];
const MARKERS: [&str; 3] = [
    "section_start:1700000000:build\r\x1b[0K",
    "section_end:1700000000:build\r\x1b[0K",
    "section_start:1700000000:x[collapsed=true]\r\x1b[0K",
];

fn words(random: &mut Random, text: &mut Vec<u8>, most: usize) {
    for _ in 0..random.below(most) {
        match random.below(20) {
            0 => text.extend(random.next().to_le_bytes().iter().filter(|byte| **byte != b'\n')),
            1..4 => text.extend(format!("{:016x}", random.next())[..random.below(17)].bytes()),
            4 => text.extend(random.one(&MARKERS).bytes()),
            _ => text.extend(random.one(&WORDS).bytes()),
        }
        text.extend(random.one(&GAPS).bytes());
    }
}

/// Returns a log; `long` of its lines are longer than a frame.
fn log(random: &mut Random, long: usize) -> Vec<u8> {
    let stamped = random.chance(40);
    let lines = if long > 0 { 400 } else { random.below(30) };
    let mut log = Vec::new();
    for number in 0..lines {
        let stamp =
            |flag: char| format!("2026-01-02T03:04:{:02}.{number:06}Z 00O{flag}", number % 60);
        if stamped {
            log.extend(stamp(' ').bytes());
        }
        words(random, &mut log, 12);
        if number < long {
            for _ in 0..12_000 {
                words(random, &mut log, 9);
            }
        }
        if stamped && random.chance(20) {
            log.extend(b"\n");
            log.extend(stamp('+').bytes());
            words(random, &mut log, 6);
        }
        if number + 1 < lines || random.chance(70) {
            log.extend(random.one(&["\n", "\r\n"]).bytes());
        }
    }
    log
}

/// Returns a query of one term: text cut from a line anywhere, made up, or a regex.
fn query(random: &mut Random, plain: &[Vec<Vec<u8>>]) -> Option<Query> {
    let case = [Case::Smart, Case::Ignore, Case::Sensitive][random.below(3)];
    let (mut literals, mut regexes) = (Vec::new(), Vec::new());
    match random.below(10) {
        0..5 => literals.push(cut(random, plain)),
        5 => {
            let mut text = Vec::new();
            words(random, &mut text, 3);
            text.retain(|byte| *byte != b'\n');
            literals.push(text);
        }
        _ => regexes.push(regex(random, plain)),
    }
    Query::from_parts(&literals, &regexes, &[], case).ok()
}

fn cut(random: &mut Random, plain: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let log = &plain[random.below(plain.len())];
    if log.is_empty() {
        return b"error".to_vec();
    }
    // The first and the last lines are at the edges of frames more often than others.
    let line = match random.below(6) {
        0 => &log[0],
        1 => &log[log.len() - 1],
        _ => &log[random.below(log.len())],
    };
    let from = random.below(line.len() + 1);
    let len = random.below(24).min(line.len() - from);
    let mut cut = line[from..from + len].to_vec();
    if random.chance(20) {
        cut.make_ascii_uppercase();
    }
    cut
}

fn regex(random: &mut Random, plain: &[Vec<Vec<u8>>]) -> String {
    let mut regex = String::new();
    for _ in 0..1 + random.below(4) {
        match random.below(8) {
            0..3 => {
                let text = String::from_utf8_lossy(&cut(random, plain)).replace('\u{fffd}', "");
                regex.push_str(&regex::escape(&text));
            }
            3 => regex.push_str(&format!("(?:{}|{})", random.one(&WORDS), random.one(&WORDS))),
            4 => regex
                .push_str(&format!("{}+", random.one(&["[a-f0-9]", "\\w", "[kK]", "\\d", "."]))),
            5 => regex.push_str(
                random.one(&["^", "$", "\\b", "\\B", "\\s", ".*", "\\r", "(?i)", "[^a]?"]),
            ),
            _ => regex.push_str(random.one(&WORDS)),
        }
    }
    regex
}

/// Returns the lines in which the only term of a query occurs.
fn naive(query: &Query, plain: &[Vec<Vec<u8>>]) -> BTreeSet<(u64, u64)> {
    let term = &query.terms[0];
    let pattern = match &term.pattern {
        Pattern::Literal(literal) => literal.iter().map(|b| format!("(?-u:\\x{b:02x})")).collect(),
        Pattern::Regex(regex) => regex.clone(),
    };
    let build = |pattern: &str| -> Regex {
        let mut builder = RegexBuilder::new(pattern);
        builder
            .multi_line(true)
            .case_insensitive(term.ignore_case)
            .size_limit(64 << 20)
            .build()
            .unwrap()
    };
    let folded = match &term.pattern {
        // Folding is one of characters, so what is UTF-8 in the literal must be taken as such.
        Pattern::Literal(literal) if term.ignore_case => {
            let chunk = |chunk: std::str::Utf8Chunk<'_>| {
                let invalid: String =
                    chunk.invalid().iter().map(|b| format!("(?-u:\\x{b:02x})")).collect();
                regex::escape(chunk.valid()) + &invalid
            };
            literal.utf8_chunks().map(chunk).collect()
        }
        _ => pattern,
    };
    let regex = build(&folded);
    let mut hits = BTreeSet::new();
    for (job, lines) in (1..).zip(plain) {
        let found = (1..).zip(lines).filter(|(_, line)| regex.is_match(line));
        hits.extend(found.map(|(number, _)| (job, number)));
    }
    hits
}

async fn found(store: &Store, index: &Index, query: &Query) -> BTreeSet<(u64, u64)> {
    let mut hits = BTreeSet::new();
    let options = Options { detail: Detail::Lines, ..Options::default() };
    let take = |found| {
        if let Found::Hits { job, hits: found, .. } = found {
            hits.extend(found.iter().map(|hit| (job.id.0, hit.line)));
        }
        ControlFlow::Continue(())
    };
    let summary = search(store, index, query, &options, Timestamp::now(), take).await.unwrap();
    assert!(summary.unreadable.is_empty());
    hits
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_are_those_of_a_matcher_that_reads_every_line() {
    let mut left = number("JOBVAULT_CASES", USUAL_CASES);
    let mut seed = number("JOBVAULT_SEED", 1);
    let (mut archives, mut with_long_line) = (0, 0);
    while left > 0 {
        let asked = left.min(QUERIES);
        with_long_line += usize::from(one_archive(seed, asked).await);
        archives += 1;
        left -= asked;
        seed += 1;
    }
    assert!(2 * with_long_line > archives, "a line is longer than a frame");
}

/// Returns whether a line was longer than a frame.
async fn one_archive(seed: u64, queries: u64) -> bool {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut data = Data::default().project(7, "group/project");
    let mut plain = Vec::new();
    for id in 1..=LOGS {
        let long = usize::from(id == 3);
        let mut raw = log(&mut random, long);
        // A log that is empty is no log.
        raw.extend_from_slice(b"end\n");
        let text = trace::plain(&raw);
        plain.push((0..text.len()).map(|n| text.line(n).unwrap().to_vec()).collect::<Vec<_>>());
        data = data.job(7, job_doc(id, id, "build", "success"), raw);
    }
    let with_long_line = plain[2].iter().any(|line| line.len() > 256 * 1024);
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    archive.sync(&server, "group/project").await.unwrap();
    let store = archive.store().await;
    let index = Index::open(&store.index_dir()).unwrap();
    for number in 0..queries {
        let Some(query) = query(&mut random, &plain) else { continue };
        let (expected, found) = (naive(&query, &plain), found(&store, &index, &query).await);
        let missed: Vec<_> = expected.difference(&found).take(5).collect();
        let wrong: Vec<_> = found.difference(&expected).take(5).collect();
        assert!(
            missed.is_empty() && wrong.is_empty(),
            "seed {seed}, query {number}: {query:?} missed {missed:?}, found {wrong:?}"
        );
    }
    with_long_line
}

#[tokio::test]
async fn a_limit_shows_the_first_of_all_hits() {
    // Without a digit, so that they are words of the index and no ids.
    let letters = |n: u64| -> String {
        [n / 676, n / 26 % 26, n % 26].map(|digit| char::from(b'a' + digit as u8)).iter().collect()
    };
    let text = |id: u64| match id {
        0..100 => format!("alone{} late{id}x\nnear far\n", letters(id)),
        _ => format!("word word{} late{}\n\nand word\nfar near\n", letters(id), letters(id)),
    };
    let job =
        |data: Data, id| data.job(7, job_doc(id, id, "build", "success"), text(id).into_bytes());
    let data = (1..=300).fold(Data::default().project(7, "group/project"), job);
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    archive.sync(&server, "group/project").await.unwrap();
    let store = archive.store().await;
    let index = Index::open(&store.index_dir()).unwrap();
    // Any log may hold the last one, and only old ones do.
    for word in ["word", "ord", "late", "alone", "WORD", "dab", "near far"] {
        let query = Query::parse(&[word.to_owned()], Case::Smart).unwrap();
        let all = in_order(&store, &index, &query, None).await;
        for limit in [1, 2, 50, 120, 1000] {
            let shown = in_order(&store, &index, &query, Some(limit)).await;
            assert_eq!(shown, all[..all.len().min(limit as usize)], "{word}, {limit}");
        }
    }
}

async fn in_order(
    store: &Store,
    index: &Index,
    query: &Query,
    limit: Option<u64>,
) -> Vec<(u64, u64)> {
    let mut hits = Vec::new();
    let options = Options { limit, ..Options::default() };
    let take = |found| {
        if let Found::Hits { job, hits: found, .. } = found {
            hits.extend(found.iter().map(|hit| (job.id.0, hit.line)));
        }
        ControlFlow::Continue(())
    };
    search(store, index, query, &options, Timestamp::now(), take).await.unwrap();
    hits
}
