//! What the jobs with a hit have in common: counts by a property, compared with all runs of the same time.
//!
//! A share alone misleads: most hits are on the runner that runs most. So each value's share is set beside the share
//! among all runs (the lift), and whether the difference may be chance is told with it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use jiff::Timestamp;
use jobvault_index::query::FilterKey;
use jobvault_index::{Expr, Index, Query};

use super::{Detail, Found, Options, Summary, image, scope, search};
use crate::store::Store;
use crate::store::catalogue::{Column, Runs};

/// With fewer runs of a value, or fewer of them with a hit, nothing is concluded. Chosen, not derived.
const MIN_RUNS: u64 = 5;
const MIN_HITS: u64 = 3;
/// The quantile of the normal distribution for 95 % on both sides.
const Z: f64 = 1.96;

/// A property of jobs to count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// What the catalogue knows.
    Column(Column),
    /// The container image that the log names in its first lines.
    Image,
}

/// The jobs of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The value; `None` for the jobs without one.
    pub value: Option<String>,
    /// Jobs with a hit.
    pub jobs: u64,
    /// All archived jobs with a log, of the same time and under the same filters.
    pub runs: u64,
}

/// How a value's share of hits stands to the share among all runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Higher than chance explains.
    More,
    /// About the same; a difference may be chance.
    Alike,
    /// Lower than chance explains.
    Less,
    /// There are too few runs or hits to tell.
    Few,
}

impl Standing {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::More => "more",
            Self::Alike => "alike",
            Self::Less => "less",
            Self::Few => "few",
        }
    }
}

/// What the jobs with a hit have in common.
#[derive(Debug, Clone)]
pub struct Breakdown {
    /// The values: those with enough runs by lift, then the others by hits.
    pub groups: Vec<Group>,
    /// Jobs with a hit.
    pub jobs: u64,
    /// All runs compared with: of the time between the first and the last hit, under the same filters.
    pub runs: u64,
    /// That time.
    pub period: Option<(Timestamp, Timestamp)>,
    /// What the search did.
    pub summary: Summary,
}

impl Breakdown {
    /// Returns the share of a group's runs that have a hit.
    pub fn share(&self, group: &Group) -> f64 {
        ratio(group.jobs, group.runs)
    }

    /// Returns how many times as often as all runs a group's runs have a hit.
    pub fn lift(&self, group: &Group) -> f64 {
        let usual = ratio(self.jobs, self.runs);
        if usual > 0.0 { self.share(group) / usual } else { 0.0 }
    }

    /// Tells whether a group's share differs from that of all runs by more than chance would.
    pub fn standing(&self, group: &Group) -> Standing {
        let usual = ratio(self.jobs, self.runs);
        let (low, high) = interval(group.jobs, group.runs);
        // A value without a single hit says much if it had many runs.
        if group.runs < MIN_RUNS || (group.jobs < MIN_HITS && high >= usual) {
            return Standing::Few;
        }
        match (low > usual, high < usual) {
            (true, _) => Standing::More,
            (_, true) => Standing::Less,
            _ => Standing::Alike,
        }
    }

    fn sort(&mut self) {
        let mut groups = std::mem::take(&mut self.groups);
        groups.sort_by(|a, b| {
            let few = |group: &Group| self.standing(group) == Standing::Few;
            let lift = self.lift(b).total_cmp(&self.lift(a));
            let by_lift = if few(a) { std::cmp::Ordering::Equal } else { lift };
            few(a)
                .cmp(&few(b))
                .then(by_lift)
                .then(b.jobs.cmp(&a.jobs))
                .then(b.runs.cmp(&a.runs))
                .then(a.value.cmp(&b.value))
        });
        self.groups = groups;
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Returns the interval in which a share lies with 95 %, by Wilson's score.
/// Source: <https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval>.
fn interval(part: u64, whole: u64) -> (f64, f64) {
    if whole == 0 {
        return (0.0, 1.0);
    }
    let (n, share, z2) = (whole as f64, ratio(part, whole), Z * Z);
    let middle = share + z2 / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    ((middle - spread) / (1.0 + z2 / n), (middle + spread) / (1.0 + z2 / n))
}

/// Counts the jobs with a hit by a property. Of `options` the jobs and the same line count.
pub async fn breakdown(
    store: &Store,
    index: &Index,
    query: &Query,
    options: &Options,
    by: By,
    now: Timestamp,
) -> anyhow::Result<Breakdown> {
    let (found, summary) = matches(store, index, query, options, Some(1), now).await?;
    let column = match by {
        By::Column(column) => column,
        By::Image => Column::Name,
    };
    // Listed after the search, so that every job found is among them while a sync goes on.
    let base = compared_with(query);
    let mut runs = scope::runs(store, &base, &options.jobs, column, now).await?;
    let hit = |id: u64| found.contains_key(&id);
    let times = || runs.list.iter().filter(|run| hit(run.id)).filter_map(|run| run.time);
    let period = times().min().zip(times().max());
    runs.list.retain(|run| {
        let within = |(from, to)| run.time.is_some_and(|time| (from..=to).contains(&time));
        hit(run.id) || period.is_some_and(within)
    });
    if by == By::Image {
        image::replace(store, index, &mut runs, now).await?;
    }
    let mut breakdown = Breakdown { groups: groups(&runs, hit), jobs: 0, runs: 0, period, summary };
    breakdown.jobs = breakdown.groups.iter().map(|group| group.jobs).sum();
    breakdown.runs = breakdown.groups.iter().map(|group| group.runs).sum();
    breakdown.sort();
    Ok(breakdown)
}

fn groups(runs: &Runs, hit: impl Fn(u64) -> bool) -> Vec<Group> {
    let none = runs.values.len();
    let texts = runs.values.iter().cloned().map(Some).chain([None]);
    let mut groups: Vec<Group> = texts.map(|value| Group { value, jobs: 0, runs: 0 }).collect();
    for run in &runs.list {
        let group = &mut groups[run.value.unwrap_or(none)];
        group.runs += 1;
        group.jobs += u64::from(hit(run.id));
    }
    groups.retain(|group| group.runs > 0);
    groups
}

/// Returns the jobs that a query finds with the lines of each, at most `each` of one.
pub(super) async fn matches(
    store: &Store,
    index: &Index,
    query: &Query,
    options: &Options,
    each: Option<u64>,
    now: Timestamp,
) -> anyhow::Result<(HashMap<u64, u64>, Summary)> {
    let mut found: HashMap<u64, u64> = HashMap::new();
    let options = Options {
        jobs: options.jobs.clone(),
        same_line: options.same_line,
        detail: Detail::Count,
        each,
        ..Options::default()
    };
    let summary = search(store, index, query, &options, now, |one| {
        let (job, lines) = match one {
            Found::Count { job, lines } => (job, lines),
            Found::Hits { job, hits, .. } => (job, hits.len() as u64),
            Found::Job(job) => (job, 0),
        };
        *found.entry(job.id.0).or_default() += lines;
        ControlFlow::Continue(())
    })
    .await?;
    Ok((found, summary))
}

/// Returns the query of the runs that hits are compared with. A query without text asks how jobs ended: what it says
/// of that is left out, since all of its own runs meet it.
pub(super) fn compared_with(query: &Query) -> Query {
    let mut base = query.clone();
    if !query.terms.is_empty() {
        return base;
    }
    let outcome = |part: &Expr| {
        let Expr::Filter(filter) = part else { return false };
        matches!(filter.key, FilterKey::Status | FilterKey::Reason | FilterKey::Took)
    };
    match &mut base.expr {
        Expr::And(parts) => parts.retain(|part| !outcome(part)),
        expr if outcome(expr) => *expr = Expr::All,
        _ => {}
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breakdown(groups: &[(&str, u64, u64)]) -> Breakdown {
        let group = |(value, jobs, runs): &(&str, u64, u64)| Group {
            value: Some((*value).to_owned()),
            jobs: *jobs,
            runs: *runs,
        };
        let mut breakdown = Breakdown {
            groups: groups.iter().map(group).collect(),
            jobs: groups.iter().map(|g| g.1).sum(),
            runs: groups.iter().map(|g| g.2).sum(),
            period: None,
            summary: Summary::default(),
        };
        breakdown.sort();
        breakdown
    }

    #[test]
    fn what_stands_out_comes_first_and_small_numbers_prove_nothing() {
        let shown = breakdown(&[
            ("busy", 6, 600),
            ("runner-7", 8, 10),
            ("lucky", 2, 2),
            ("usual", 3, 110),
            ("never", 0, 900),
        ]);
        let order: Vec<_> = shown.groups.iter().filter_map(|g| g.value.as_deref()).collect();
        assert_eq!(order, ["runner-7", "usual", "busy", "never", "lucky"]);
        let standing = |at: usize| shown.standing(&shown.groups[at]);
        assert_eq!((standing(0), standing(1)), (Standing::More, Standing::Alike));
        assert_eq!((standing(3), standing(4)), (Standing::Less, Standing::Few));
        assert!(shown.lift(&shown.groups[0]) > 50.0);
    }

    #[test]
    fn an_interval_holds_its_share_and_narrows() {
        let (low, high) = interval(50, 100);
        assert!((0.40..0.41).contains(&low) && (0.59..0.60).contains(&high), "{low} {high}");
        assert_eq!(interval(0, 0), (0.0, 1.0));
        assert!(interval(0, 10).0 < 0.001 && interval(0, 10).1 < 0.31);
    }
}
