//! What a sync did, for people and as JSON.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::connect::NO_TOKEN;
use crate::cli::output::Out;
use crate::cli::{forecast, units};
use crate::export::sanitise;
use crate::sync::coverage::Estimate;
use crate::sync::{Failure, SyncStats};

/// Failures named one by one; the others are counted, and `--json` names them all.
const MAX_NAMED: usize = 20;

#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    #[serde(flatten)]
    stats: &'a SyncStats,
    estimate: &'a Estimate,
}

/// Gives the account of a run.
pub(super) fn give(
    stats: &SyncStats,
    left: &Estimate,
    json: bool,
    anonymous: bool,
    out: &mut Out,
) -> anyhow::Result<()> {
    if json {
        out.json(&Json { v: 1, stats, estimate: left })?;
        return Ok(());
    }
    for failure in stats.failed.iter().take(MAX_NAMED) {
        out.warn(named(failure));
    }
    if stats.failed.len() > MAX_NAMED {
        out.warn(format!("and {} more", stats.failed.len() - MAX_NAMED));
    }
    if anonymous && !stats.failed.is_empty() {
        out.hint(NO_TOKEN);
    }
    out.summary(summary(stats));
    if stats.spent {
        out.note("the budget of requests is spent; the same command goes on from here");
    }
    if let Some(words) = forecast::words(left, Timestamp::now()) {
        out.summary(words);
    }
    Ok(())
}

/// Says what could not be archived, and why.
pub(super) fn named(failure: &Failure) -> String {
    let job = failure.job.map(|job| format!(" job {job}")).unwrap_or_default();
    format!("{}{job}: {}", sanitise(&failure.project), sanitise(&failure.reason))
}

/// Puts a run into one line.
pub(super) fn summary(stats: &SyncStats) -> String {
    let mut parts = vec![format!("{} listed", units::count(stats.listed, "job"))];
    let archived = match stats.raw_bytes {
        0 => format!("{} archived", stats.archived),
        raw => {
            let (raw, stored) = (units::size(raw), units::size(stats.stored_bytes));
            format!("{} archived ({raw} -> {stored})", stats.archived)
        }
    };
    parts.push(archived);
    let others = [
        (stats.no_log, "without a log"),
        (stats.erased, "erased before capture"),
        (stats.forbidden, "forbidden"),
        (stats.truncated, "truncated at the runner's limit"),
        (stats.vanished, "vanished"),
        (stats.pending, "pending"),
        (stats.failed.len() as u64, "failed"),
    ];
    let counted = others.into_iter().filter(|(n, _)| *n > 0);
    parts.extend(counted.map(|(n, what)| format!("{n} {what}")));
    if !stats.artifacts.is_empty() {
        let states = stats.artifacts.iter().map(|(state, n)| format!("{n} {state}"));
        let states: Vec<String> = states.map(|state| state.replace('_', " ")).collect();
        parts.push(format!("artifacts: {}", states.join(", ")));
    }
    let mut requests = units::count(stats.requests, "request");
    if stats.retries > 0 {
        requests.push_str(&format!(" ({} repeated)", stats.retries));
    }
    let stopped = if stats.interrupted { "stopped early: " } else { "" };
    format!("{stopped}{}; {requests} in {:.1} s", parts.join(", "), stats.seconds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use super::*;

    #[test]
    fn the_json_begins_with_its_version() {
        let stats = SyncStats { listed: 3, ..SyncStats::default() };
        let text =
            serde_json::to_string(&Json { v: 1, stats: &stats, estimate: &Estimate::default() })
                .unwrap();
        assert!(text.starts_with(r#"{"v":1,"listed":3,"archived":0,"#), "{text}");
        assert!(!text.contains("interrupted"), "{text}");
    }

    #[test]
    fn the_summary_names_only_what_there_is() {
        let stats = SyncStats {
            listed: 12,
            archived: 10,
            no_log: 2,
            raw_bytes: 1 << 20,
            stored_bytes: 1 << 17,
            requests: 1,
            seconds: 1.25,
            ..SyncStats::default()
        };
        assert_eq!(
            summary(&stats),
            "12 jobs listed, 10 archived (1.0 MiB -> 128 KiB), 2 without a log; 1 request in 1.2 s"
        );
    }
}
