#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn state(interval: Duration) -> (State, Instant) {
    let now = Instant::now();
    (State::new(interval, SECOND, now), now)
}

#[test]
fn a_rate_below_one_a_second_spaces_requests() {
    let (mut state, now) = state(SECOND * 4);
    assert_eq!(state.take(now), Ok(()));
    assert_eq!(state.take(now + SECOND), Err(now + SECOND * 4));
    assert_eq!(state.take(now + SECOND * 4), Ok(()));
}

#[test]
fn an_idle_time_earns_no_burst() {
    let (mut state, now) = state(SECOND);
    assert_eq!(state.take(now + SECOND * 100), Ok(()));
    assert_eq!(state.take(now + SECOND * 100), Err(now + SECOND * 101));
}

#[test]
fn after_a_429_nothing_starts_before_its_time() {
    let (mut state, now) = state(Duration::ZERO);
    state.close(now, Some(SECOND * 30), now);
    assert_eq!(state.take(now + SECOND * 29), Err(now + SECOND * 30));
    // A shorter time of another answer does not open the gate early.
    state.close(now + SECOND, Some(SECOND), now + SECOND);
    assert_eq!(state.take(now + SECOND * 29), Err(now + SECOND * 30));
    assert_eq!(state.take(now + SECOND * 30), Ok(()));
}

#[test]
fn own_waits_double_up_to_a_minute_and_success_resets_them() {
    let (mut state, mut now) = state(Duration::ZERO);
    let mut waits = Vec::new();
    for _ in 0..8 {
        now += SECOND * 100;
        waits.push(state.close(now, None, now).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    now += SECOND * 100;
    state.succeed(now, None, now);
    assert_eq!(state.close(now, None, now), SECOND);
}

#[test]
fn refusals_of_requests_under_way_count_once() {
    let (mut state, now) = state(Duration::ZERO);
    let answered = now + SECOND;
    assert_eq!(state.close(now, None, answered), SECOND);
    assert_eq!(state.close(now, None, answered), SECOND);
    state.succeed(now, None, answered);
    assert_eq!(state.close(answered + SECOND, None, answered + SECOND), SECOND * 2);
}

#[test]
fn a_low_budget_is_spread_over_the_rest_of_the_window() {
    let (mut state, now) = state(Duration::ZERO);
    let budget = |remaining| Budget { limit: Some(600), remaining, window: SECOND * 20 };
    state.succeed(now, Some(budget(61)), now);
    assert_eq!(state.take(now), Ok(()));
    assert_eq!(state.take(now), Ok(()));
    state.succeed(now, Some(budget(9)), now);
    assert_eq!(state.take(now), Ok(()));
    assert_eq!(state.take(now), Err(now + SECOND * 2));
    // A new window is a new budget.
    assert_eq!(state.take(now + SECOND * 20), Ok(()));
    assert_eq!(state.take(now + SECOND * 20), Ok(()));
}

#[tokio::test]
async fn a_turn_given_up_leaves_no_trace() {
    let pacer = Pacer::new(SECOND * 3600, SECOND, SECOND * 7200);
    pacer.turn().await.unwrap();
    let next_slot = pacer.state().next_slot;
    let given_up = tokio::time::timeout(Duration::ZERO, pacer.turn()).await;
    assert!(given_up.is_err());
    assert_eq!(pacer.turnstile.available_permits(), 1);
    assert_eq!(pacer.state().next_slot, next_slot);
}

#[tokio::test]
async fn a_turn_too_far_away_is_refused() {
    let pacer = Pacer::new(Duration::ZERO, SECOND, SECOND * 60);
    let started = pacer.turn().await.unwrap();
    pacer.close(started, Some(SECOND * 3600));
    let TooLong(wait) = pacer.turn().await.unwrap_err();
    assert!(wait > SECOND * 60 && wait <= SECOND * 3600);
}

#[tokio::test]
async fn waiting_until_a_turn_is_free_takes_none() {
    let pacer = Pacer::new(SECOND * 3600, SECOND, SECOND * 7200);
    pacer.free().await;
    pacer.turn().await.unwrap();
    assert!(tokio::time::timeout(Duration::ZERO, pacer.free()).await.is_err());
    assert_eq!(pacer.turnstile.available_permits(), 1);
    // Whoever asks then is told that it is too far away.
    let impatient = Pacer::new(SECOND * 3600, SECOND, SECOND * 60);
    impatient.turn().await.unwrap();
    impatient.free().await;
}
