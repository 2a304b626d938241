#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::collections::BinaryHeap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn item(job: u64, deadline: Option<i64>, tries: u32) -> Item {
    Item {
        job: JobId(job),
        project: ProjectId(1),
        deadline: deadline.map(at),
        finished_at: None,
        erased: false,
        announced: None,
        held: None,
        attempts: 0,
        tries,
    }
}

fn order(schedule: &mut Schedule, now: i64) -> Vec<u64> {
    std::iter::from_fn(|| schedule.take(at(now))).map(|item| item.job.0).collect()
}

#[test]
fn the_soonest_loss_comes_first_then_the_newest_and_what_failed_last() {
    let mut schedule = Schedule::default();
    for i in [
        item(1, None, 0),
        item(2, Some(50), 0),
        item(9, None, 1),
        item(3, Some(10), 0),
        item(5, None, 0),
        item(5, None, 0),
    ] {
        schedule.push(i, at(0));
    }
    assert_eq!(order(&mut schedule, 0), [3, 2, 5, 1, 9]);
}

#[test]
fn what_is_past_its_time_waits_behind_what_can_be_saved() {
    let mut schedule = Schedule::default();
    for (job, deadline) in [(1, 10), (2, 100), (3, 5)] {
        schedule.push(item(job, Some(deadline), 0), at(0));
    }
    assert_eq!(order(&mut schedule, 20), [2, 3, 1]);
}

#[test]
fn fresh_jobs_and_backfill_take_turns() {
    let mut schedule = Schedule::default();
    for job in 1..=4 {
        schedule.push(item(job, None, 0), at(0));
        let fresh = Item { finished_at: Some(at(0)), ..item(job + 100, None, 0) };
        schedule.push(fresh, at(0));
    }
    assert_eq!(order(&mut schedule, 0), [104, 4, 103, 3, 102, 2, 101, 1]);
}

#[test]
fn a_backlog_in_danger_leaves_a_turn_to_the_others() {
    let mut schedule = Schedule::default();
    for job in 1..=640 {
        schedule.push(item(job, Some(1000), 0), at(0));
    }
    for job in 1001..=1020 {
        schedule.push(item(job, None, 0), at(0));
    }
    let taken: Vec<_> = (0..640).map(|_| schedule.take(at(0)).unwrap().job.0).collect();
    assert_eq!(taken.iter().filter(|job| **job > 1000).count(), 10);
}

#[test]
fn what_is_asked_for_aside_waits_while_jobs_are_in_danger() {
    let mut schedule = Schedule::default();
    assert!(schedule.may_turn_aside());
    for job in 1..=600 {
        schedule.push(item(job, Some(1000), 0), at(0));
    }
    let asides = (0..600).filter(|_| {
        schedule.take(at(0)).unwrap();
        schedule.may_turn_aside()
    });
    // Two while there are jobs in danger, and one after the last of them.
    assert_eq!(asides.collect::<Vec<_>>(), [255, 511, 599]);
}

#[test]
fn the_least_urgent_falls_out_of_a_full_schedule() {
    let mut schedule = Schedule::default();
    for job in 1..=MAX_ITEMS as u64 {
        assert!(!schedule.push(item(job, None, 0), at(0)));
    }
    assert!(schedule.push(item(u64::MAX >> 2, Some(50), 0), at(0)));
    assert_eq!((schedule.len(), schedule.holds(JobId(1))), (MAX_ITEMS, false));
}

/// One job of a scenario: when it is known, and when it is lost.
#[derive(Debug, Clone)]
struct Planned {
    known: i64,
    lost: Option<i64>,
}

/// The most that any order saves: the earliest deadline first, by one who knows all from the start.
fn clairvoyant(jobs: &[Planned], turns: usize, end: i64) -> u64 {
    let mut by_time: Vec<_> = jobs.iter().filter_map(|j| Some((j.known, j.lost?))).collect();
    by_time.sort_unstable();
    let mut coming = by_time.into_iter().peekable();
    let (mut heap, mut saved) = (BinaryHeap::new(), 0);
    for minute in 0..end {
        while let Some((_, lost)) = coming.next_if(|(known, _)| *known <= minute) {
            heap.push(Reverse(lost));
        }
        for _ in 0..turns {
            while heap.peek().is_some_and(|Reverse(lost)| *lost <= minute) {
                heap.pop();
            }
            saved += u64::from(heap.pop().is_some());
        }
    }
    saved
}

fn ours(jobs: &[Planned], turns: usize, end: i64) -> u64 {
    let mut by_time: Vec<_> = jobs.iter().enumerate().collect();
    by_time.sort_by_key(|(_, job)| job.known);
    let mut coming = by_time.into_iter().peekable();
    let (mut schedule, mut saved) = (Schedule::default(), 0);
    for minute in 0..end {
        let now = at(minute * 60);
        while let Some((id, job)) = coming.next_if(|(_, job)| job.known <= minute) {
            let deadline = job.lost.map(|lost| lost * 60);
            let new = Item { finished_at: Some(now), ..item(id as u64, deadline, 0) };
            schedule.push(new, now);
        }
        for _ in 0..turns {
            let Some(item) = schedule.take(now) else { break };
            saved += u64::from(item.deadline.is_some_and(|lost| lost > now));
        }
    }
    saved
}

/// A backlog at the start and arrivals in bursts, a third without a deadline, from far too much to easily done.
fn scenario() -> impl Strategy<Value = (Vec<Planned>, usize, i64)> {
    let lost = prop_oneof![
        1 => Just(None),
        1 => (1..60i64).prop_map(Some),
        1 => (60..3000i64).prop_map(Some)
    ];
    let known = prop_oneof![1 => Just(0i64), 1 => 0..1500i64, 1 => (0..5i64).prop_map(|n| n * 300)];
    let job = (known, lost).prop_map(|(known, after)| {
        let lost = after.map(|after| known + after);
        Planned { known, lost }
    });
    (prop::collection::vec(job, 300..1500), 1..6usize, Just(3000i64))
}

#[test]
fn what_is_saved_is_within_two_percent_of_the_best_possible() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for case in 0..1000 {
        let (jobs, turns, end) = scenario().new_tree(&mut runner).unwrap().current();
        let (best, got) = (clairvoyant(&jobs, turns, end), ours(&jobs, turns, end));
        assert!(got as f64 >= best as f64 * 0.98, "scenario {case}: {got} of {best}");
    }
}
