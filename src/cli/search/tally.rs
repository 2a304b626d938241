//! `search --histogram` and `--by`: how often something occurs over time, and what those jobs have in common.

use jobvault_index::Query;
use serde::Serialize;

use super::nothing;
use crate::cli::bar::bar;
use crate::cli::output::{Out, Paint};
use crate::cli::table::{self, Align};
use crate::cli::{Context, Exit, archive, units};
use crate::export::sanitise;
use crate::search::{
    self, Breakdown, Bucket, By, Group, Options, Standing, Summary, Timeline, Unit,
};
use crate::store::Store;
use crate::store::catalogue::Column;

/// Values shown unless another limit is asked for.
const USUAL_VALUES: u64 = 20;
/// A value is shown at least this wide, even if the line is longer then.
const MIN_VALUE: usize = 12;
/// What is between the columns and beside the bar.
const GAPS: usize = 2;

/// A property to count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Field {
    /// The job's name
    Name,
    /// The branch or tag
    Ref,
    /// The runner's description
    Runner,
    /// The project's path
    Project,
    /// The stage
    Stage,
    /// The status
    Status,
    /// Why the job failed
    Reason,
    /// Who started the job
    User,
    /// The tag, of jobs that ran for one
    Tag,
    /// The container image, where the log names it
    Image,
}

impl Field {
    fn by(self) -> By {
        By::Column(match self {
            Self::Name => Column::Name,
            Self::Ref => Column::Ref,
            Self::Runner => Column::Runner,
            Self::Project => Column::Project,
            Self::Stage => Column::Stage,
            Self::Status => Column::Status,
            Self::Reason => Column::Reason,
            Self::User => Column::User,
            Self::Tag => Column::Tag,
            Self::Image => return By::Image,
        })
    }

    fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map_or(String::new(), |v| v.get_name().to_owned())
    }
}

/// What to count.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tally {
    /// Over time, in buckets of this length or of one that suits.
    Histogram(Option<Unit>),
    /// By a property.
    By(Field),
}

#[derive(Serialize)]
struct BucketJson {
    v: u32,
    unit: &'static str,
    from: String,
    to: String,
    lines: u64,
    jobs: u64,
    runs: u64,
    share: Option<f64>,
}

#[derive(Serialize)]
struct GroupJson<'a> {
    v: u32,
    by: &'a str,
    value: Option<&'a str>,
    jobs: u64,
    runs: u64,
    share: f64,
    lift: f64,
    standing: &'static str,
    all_jobs: u64,
    all_runs: u64,
}

/// Counts and shows it. `limit` is of values.
pub(super) async fn run(
    tally: Tally,
    query: &Query,
    options: &Options,
    (as_json, limit): (bool, Option<u64>),
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    let store = context.open().await?;
    let index = archive::open_index(&store).await?;
    let now = context.now;
    let summary = match tally {
        Tally::Histogram(unit) => {
            let found = search::timeline(&store, &index, query, options, unit, now).await?;
            timeline(&found, query, as_json, context.out)?;
            found.summary
        }
        Tally::By(field) => {
            let found = search::breakdown(&store, &index, query, options, field.by(), now).await?;
            let limit = usize::try_from(limit.unwrap_or(USUAL_VALUES)).unwrap_or(usize::MAX);
            breakdown(&found, field, as_json, limit, context.out)?;
            found.summary
        }
    };
    finish(&summary, query, options, as_json, &store, context).await
}

async fn finish(
    summary: &Summary,
    query: &Query,
    options: &Options,
    as_json: bool,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    super::warn_unreadable(&summary.unreadable, context.out);
    if summary.jobs == 0 && !as_json {
        nothing::say(query, &options.jobs, store, context).await?;
    }
    Ok(match (summary.unreadable.is_empty(), summary.jobs) {
        (false, _) => Exit::Failed,
        (true, 0) => Exit::No,
        (true, _) => Exit::Yes,
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn timeline(found: &Timeline, query: &Query, as_json: bool, out: &mut Out) -> anyhow::Result<()> {
    if as_json {
        for bucket in &found.buckets {
            out.json(&BucketJson {
                v: 1,
                unit: found.unit.name(),
                from: bucket.from.to_string(),
                to: bucket.to.to_string(),
                lines: bucket.lines,
                jobs: bucket.jobs,
                runs: bucket.runs,
                share: bucket.share(),
            })?;
        }
        return Ok(());
    }
    if found.summary.jobs == 0 {
        return Ok(());
    }
    let heads = [found.unit.name(), "jobs", "of runs", "share", "lines"].map(str::to_owned);
    let mut rows = vec![heads.to_vec()];
    rows.extend(found.buckets.iter().map(|bucket| {
        vec![
            label(found.unit, bucket),
            bucket.jobs.to_string(),
            bucket.runs.to_string(),
            bucket.share().map_or(String::new(), percent),
            bucket.lines.to_string(),
        ]
    }));
    let mut align = vec![Align::Left, Align::Right, Align::Right, Align::Right, Align::Right];
    if query.positive_terms() == 0 {
        // There is no text whose lines could be counted.
        align.pop();
        rows.iter_mut().for_each(|row| row.truncate(align.len()));
    }
    let lines = table::table(&rows, &align, |row, _, cell| match row {
        0 => out.paint(Paint::Bold, cell),
        _ => cell.to_owned(),
    });
    let widest = (0..align.len()).filter_map(|c| rows.iter().map(|row| row[c].len()).max());
    let taken = widest.sum::<usize>() + align.len() * GAPS;
    let most = found.buckets.iter().map(|bucket| bucket.jobs).max().unwrap_or(0);
    out.line(&lines[0])?;
    for (line, bucket) in lines[1..].iter().zip(&found.buckets) {
        let drawn = bar(bucket.jobs, most, out.columns().saturating_sub(taken), out.has_blocks());
        let drawn = out.paint(Paint::Cyan, drawn);
        out.line(format!("{line}  {drawn}").trim_end())?;
    }
    out.note(said(found, query));
    Ok(())
}

/// Returns how a bucket is called: by its first day, or by its month.
fn label(unit: Unit, bucket: &Bucket) -> String {
    match unit {
        Unit::Month => bucket.from.strftime("%Y-%m").to_string(),
        Unit::Day | Unit::Week => bucket.from.to_string(),
    }
}

/// Returns the sum of it all.
fn said(found: &Timeline, query: &Query) -> String {
    let jobs = units::count(found.summary.jobs, "job");
    let what = match query.positive_terms() {
        0 => jobs,
        _ => format!("{} in {jobs}", units::count(found.summary.lines, "line")),
    };
    let runs: u64 = found.buckets.iter().map(|bucket| bucket.runs).sum();
    let undated = match found.undated {
        0 => String::new(),
        n => format!("; {} without a time", units::count(n, "job")),
    };
    format!(
        "{what} of {} with a log under the same filters, in UTC{undated}",
        units::count(runs, "run")
    )
}

fn breakdown(
    found: &Breakdown,
    field: Field,
    as_json: bool,
    limit: usize,
    out: &mut Out,
) -> anyhow::Result<()> {
    let name = field.name();
    if as_json {
        for group in &found.groups {
            out.json(&GroupJson {
                v: 1,
                by: &name,
                value: group.value.as_deref(),
                jobs: group.jobs,
                runs: group.runs,
                share: found.share(group),
                lift: found.lift(group),
                standing: found.standing(group).name(),
                all_jobs: found.jobs,
                all_runs: found.runs,
            })?;
        }
        return Ok(());
    }
    if found.jobs == 0 {
        return Ok(());
    }
    let (hit, bare): (Vec<&Group>, Vec<&Group>) =
        found.groups.iter().partition(|group| group.jobs > 0);
    let shown = &hit[..hit.len().min(limit)];
    groups(found, &name, shown, out)?;
    if hit.len() > shown.len() {
        let more = units::count((hit.len() - shown.len()) as u64, "more value");
        out.note(format!("{more} with a hit; --limit N shows them"));
    }
    let days =
        found.period.map(|(from, to)| [from, to].map(|t| t.strftime("%Y-%m-%d").to_string()));
    let days = days.map_or(String::new(), |[from, to]| format!(" from {from} to {to}"));
    out.note(format!(
        "{} of {}{days} under the same filters{}",
        units::count(found.jobs, "job"),
        units::count(found.runs, "run"),
        without(&bare)
    ));
    Ok(())
}

/// Returns how much there is without a hit, as the end of a sentence.
fn without(bare: &[&Group]) -> String {
    if bare.is_empty() {
        return String::new();
    }
    let runs = bare.iter().map(|group| group.runs).sum();
    let values = units::count(bare.len() as u64, "other value");
    format!("; {values} with {} and no hit", units::count(runs, "run"))
}

fn groups(found: &Breakdown, name: &str, shown: &[&Group], out: &mut Out) -> anyhow::Result<()> {
    let heads = [name, "jobs", "of runs", "share", "lift", ""].map(str::to_owned);
    let mut rows = vec![heads.to_vec()];
    rows.extend(shown.iter().map(|group| {
        vec![
            group.value.as_deref().map_or("(none)".to_owned(), sanitise),
            group.jobs.to_string(),
            group.runs.to_string(),
            percent(found.share(group)),
            format!("{:.1}x", found.lift(group)),
            remark(found, group).to_owned(),
        ]
    }));
    // The value is what may be long: it gets what the others leave.
    let others = (1..heads.len()).filter_map(|c| rows.iter().map(|row| row[c].len()).max());
    let taken = others.sum::<usize>() + (heads.len() - 1) * GAPS;
    let room = out.columns().saturating_sub(taken).max(MIN_VALUE);
    rows.iter_mut().for_each(|row| row[0] = table::cut(&row[0], room));
    let right = Align::Right;
    let align = [Align::Left, right, right, right, right, Align::Left];
    let lines = table::table(&rows, &align, |row, column, cell| {
        let Some(group) = row.checked_sub(1).and_then(|row| shown.get(row)) else {
            return out.paint(Paint::Bold, cell);
        };
        match (found.standing(group), column) {
            (Standing::More, 0 | 4) => out.paint(Paint::Red, cell),
            (Standing::Few, _) | (_, 5) => out.paint(Paint::Dim, cell),
            _ => cell.to_owned(),
        }
    });
    lines.iter().try_for_each(|line| out.line(line.trim_end()))?;
    Ok(())
}

/// Returns what may be concluded, and nothing more.
fn remark(found: &Breakdown, group: &Group) -> &'static str {
    match found.standing(group) {
        Standing::More if group.jobs == found.jobs => "only here",
        Standing::More => "stands out",
        Standing::Alike => "may be chance",
        Standing::Less => "rarer here",
        Standing::Few => "too few to say",
    }
}
