//! What a search took, for `--explain`: on standard error, as hits are data.

use jobvault_index::{Query, describe};
use serde::Serialize;

use crate::cli::output::{Out, json_text};
use crate::cli::units;
use crate::export::sanitise;
use crate::search::Summary;

#[derive(Serialize)]
struct Json {
    v: u32,
    explain: Plan,
}

#[derive(Serialize)]
struct Plan {
    terms: Vec<Term>,
    documents: u64,
    segments: usize,
    candidates: u64,
    unindexed: u64,
    decoded: u64,
    decoded_bytes: u64,
    verified: u64,
    r#false: u64,
    lines: u64,
    jobs: u64,
    planned_ms: f64,
    took_ms: f64,
}

#[derive(Serialize)]
struct Term {
    term: String,
    ignore_case: bool,
    plan: String,
    lookups: usize,
    scans: usize,
    tokens: usize,
    documents: u64,
}

/// Says it in words or as one object.
pub(super) fn print(query: &Query, summary: &Summary, as_json: bool, out: &mut Out) {
    let plan = plan(query, summary);
    if as_json {
        return out.message(json_text(&Json { v: 1, explain: plan }));
    }
    for term in &plan.terms {
        let case = if term.ignore_case { " (any case)" } else { "" };
        out.message(format!("term {}{case}: {}", sanitise(&term.term), sanitise(&term.plan)));
        if term.lookups > 0 {
            out.message(format!(
                "  {} look-ups, {} scans of dictionaries, {} tokens matched, {} documents",
                term.lookups, term.scans, term.tokens, term.documents
            ));
        }
    }
    out.message(format!(
        "index: {} documents in {} segments, {} candidates, {} not indexed yet",
        plan.documents, plan.segments, plan.candidates, plan.unindexed
    ));
    out.message(format!(
        "read: {} documents decoded ({}), {} verified, {} false",
        plan.decoded,
        units::size(plan.decoded_bytes),
        plan.verified,
        plan.r#false
    ));
    out.message(format!(
        "found: {} in {}",
        units::count(plan.lines, "line"),
        units::count(plan.jobs, "job")
    ));
    out.message(format!("time: {:.1} ms to plan, {:.1} ms in all", plan.planned_ms, plan.took_ms));
}

fn plan(query: &Query, summary: &Summary) -> Plan {
    let explain = &summary.explain;
    let milliseconds = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let terms = query.terms.iter().zip(&explain.terms).map(|(term, stats)| Term {
        term: term.source.clone(),
        ignore_case: term.ignore_case,
        plan: describe(term),
        lookups: stats.lookups,
        scans: stats.scans,
        tokens: stats.tokens,
        documents: stats.documents,
    });
    Plan {
        terms: terms.collect(),
        documents: explain.documents,
        segments: explain.segments,
        candidates: explain.candidates,
        unindexed: explain.unindexed,
        decoded: explain.decoded,
        decoded_bytes: explain.decoded_bytes,
        verified: explain.decoded.saturating_sub(explain.false_candidates),
        r#false: explain.false_candidates,
        lines: summary.lines,
        jobs: summary.jobs,
        planned_ms: milliseconds(explain.planned),
        took_ms: milliseconds(explain.took),
    }
}
