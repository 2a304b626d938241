#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

#[test]
fn ids_are_digits_up_to_the_largest_signed_number() {
    assert_eq!("9223372036854775807".parse(), Ok(JobId(MAX_ID)));
    for bad in ["", "+7", " 7", "-1", "7.0", "9223372036854775808", "99999999999999999999"] {
        assert_eq!(bad.parse::<JobId>(), Err(InvalidId), "{bad:?}");
    }
    assert_eq!(serde_json::to_string(&JobId(7)).unwrap(), "7");
}

#[test]
fn every_status_survives_its_name_and_unknown_ones_are_not_finished() {
    let words = [
        "created",
        "waiting_for_resource",
        "preparing",
        "waiting_for_callback",
        "pending",
        "running",
        "success",
        "failed",
        "canceling",
        "canceled",
        "skipped",
        "manual",
        "scheduled",
        "started",
    ];
    let finished: Vec<_> = words.iter().filter(|word| Status::from(**word).is_finished()).collect();
    assert_eq!(finished, [&"success", &"failed", &"canceled", &"skipped"]);
    for word in words {
        assert_eq!(Status::from(word).as_str(), word);
    }
    assert_eq!(Status::from("started"), Status::Other("started".into()));
}

#[test]
fn trace_states_survive_their_names() {
    for state in TraceState::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    assert!("lost".parse::<TraceState>().is_err());
}

#[test]
fn the_trace_size_is_that_of_the_trace_entry() {
    let artifact =
        |kind: &str, size| Artifact { file_type: Some(kind.into()), size, ..Artifact::default() };
    let mut job = Job { artifacts: vec![artifact("archive", Some(9))], ..Job::default() };
    assert_eq!(job.trace_size(), None);
    job.artifacts.push(artifact("trace", Some(1500)));
    assert_eq!(job.trace_size(), Some(1500));
}
