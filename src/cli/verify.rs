//! `verify`: packs, entries and rows are read and compared with their hashes; damage is named by job.

mod position;

use clap::ArgGroup;
use jiff::{SignedDuration, Timestamp};
use jobvault_index::{Error as IndexError, Index};
use serde::Serialize;

use super::progress::Progress;
use super::{Context, Exit, units};
use crate::export::sanitise;
use crate::model::JobId;
use crate::store::Store;
use crate::store::check::{self, Damage, Report, VerifyOptions, words};
use position::Position;

const AFTER_HELP: &str = "\
Without options every byte is read. In parts, each run goes on where the one before ended, so that a run a night
covers all in turn; the place is kept in the archive, as verify.json.

Examples:
  jobvault verify                  everything
  jobvault verify --sample 2%      the next fiftieth
  jobvault verify --bytes 10G      the next ten gigabytes
  jobvault verify --fast           structure only: every row finds its entries; nothing is decoded

Exit status: 0 all is well, 1 damage was found, 2 it could not be checked.";

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, group = ArgGroup::new("part"))]
pub struct Args {
    /// Read that share of the packs, going on where the last such run ended: 2%
    #[arg(long, value_name = "PERCENT", value_parser = percent, group = "part")]
    sample: Option<f64>,
    /// Read that much of the packs, going on where the last such run ended: 500M, 10G
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, group = "part")]
    bytes: Option<u64>,
    /// Check structure only: footers, and that every row refers to entries that are there
    #[arg(long, group = "part")]
    fast: bool,
    /// Print one object of JSON
    #[arg(long)]
    pub(super) json: bool,
}

fn percent(text: &str) -> Result<f64, &'static str> {
    let number: Option<f64> = text.strip_suffix('%').unwrap_or(text).trim().parse().ok();
    let fits = |n: &f64| *n > 0.0 && *n <= 100.0;
    number.filter(fits).ok_or("it is not a share between 0% and 100%")
}

#[derive(Serialize)]
struct Json {
    v: u32,
    checked: u64,
    bytes: u64,
    /// Of a check in parts: whether the last pack of all was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<bool>,
    damaged: Vec<JsonDamage>,
    /// Packs later than all that the catalogue lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    later: Vec<JsonDamage>,
}

/// Something damaged, as JSON says it.
#[derive(Serialize)]
pub(super) struct JsonDamage {
    job: Option<JobId>,
    pack: Option<String>,
    what: String,
}

impl JsonDamage {
    /// Makes it of what was found.
    pub(super) fn of(damage: &Damage) -> Self {
        Self {
            job: damage.job,
            pack: damage.pack.map(|pack| pack.to_string()),
            what: damage.what.clone(),
        }
    }
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let store = context.open().await?;
    let total = store.catalogue().packs().await?.iter().map(|(_, _, bytes)| bytes).sum();
    let share = args.sample.map(|percent| (total as f64 * percent / 100.0).ceil() as u64);
    let max_bytes = args.bytes.or(share);
    let position = max_bytes.map(|_| Position::read(store.root())).unwrap_or_default();
    let settled_before = settled_before(context.now);
    let options =
        VerifyOptions { fast: args.fast, max_bytes, after: position.after, settled_before };
    let report = checked(&store, options, max_bytes.unwrap_or(total).min(total), &mut context);
    let mut report = report.await?;
    let complete = max_bytes.map(|_| report.through == 0);
    if max_bytes.is_some()
        && let Err(error) = (Position { after: report.through }).write(store.root())
    {
        context.out.warn(format!("the next run in parts begins here again: {error}"));
    }
    // In parts, the index has its turn when all packs had theirs.
    if !args.fast && complete != Some(false) {
        check_index(&store, &mut report, &mut context)?;
    }
    match args.json {
        true => context.out.json(&json(&report, complete))?,
        false => print(&report, complete, total, &mut context)?,
    }
    Ok(if report.damaged.is_empty() { Exit::Yes } else { Exit::No })
}

/// A pack later than all that the catalogue lists is given so long: a writer beside us may be about to list it.
const UNLISTED_GRACE: SignedDuration = SignedDuration::from_hours(1);

/// Returns before when a pack was written that is of no writer at work.
pub(super) fn settled_before(now: Timestamp) -> Option<Timestamp> {
    now.checked_sub(UNLISTED_GRACE).ok()
}

/// Checks the archive under a bar.
pub(super) async fn checked(
    store: &Store,
    options: VerifyOptions,
    total: u64,
    context: &mut Context<'_>,
) -> anyhow::Result<Report> {
    let template = "verify {bar:30} {percent:>3} %  {bytes} of {total_bytes}  {eta} left";
    let progress = Progress::new(context.out, total, template);
    let checked = check::verify_with(store, options, |bytes| {
        progress.set(bytes, total.max(bytes), String::new());
    })
    .await;
    progress.finish();
    Ok(checked?)
}

/// Adds the damaged files of the index, which costs no job but hits.
fn check_index(
    store: &Store,
    report: &mut Report,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let damaged = match Index::open(&store.index_dir()).and_then(|index| index.verify()) {
        Ok(files) => files.into_iter().map(|f| format!("index file {}", f.display())).collect(),
        Err(error @ IndexError::Damaged { .. }) => vec![error.to_string()],
        Err(IndexError::Missing { .. } | IndexError::Version { .. }) => {
            context.out.warn("there is no full-text index to check; jobvault reindex makes one");
            Vec::new()
        }
        // A file of it that cannot be opened costs hits, and no log is the worse for it.
        Err(error) => vec![words(&error)],
    };
    if !damaged.is_empty() {
        context.out.hint("jobvault reindex builds the index anew; no log is lost");
    }
    report.damaged.extend(damaged.into_iter().map(|what| Damage { job: None, pack: None, what }));
    Ok(())
}

fn json(report: &Report, complete: Option<bool>) -> Json {
    Json {
        v: 1,
        checked: report.checked,
        bytes: report.bytes,
        complete,
        damaged: report.damaged.iter().map(JsonDamage::of).collect(),
        later: report.later.iter().map(JsonDamage::of).collect(),
    }
}

/// Says in one line what is damaged.
pub(super) fn line(damage: &Damage) -> String {
    let job = damage.job.map(|job| format!("job {job}: ")).unwrap_or_default();
    let named = |pack: &String| !damage.what.contains(pack.as_str());
    let pack = damage.pack.map(|pack| pack.to_string()).filter(named);
    let pack = pack.map(|pack| format!(" (pack {pack})")).unwrap_or_default();
    format!("{job}{}{pack}", sanitise(&damage.what))
}

fn print(
    report: &Report,
    complete: Option<bool>,
    total: u64,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    for damage in &report.damaged {
        context.out.line(line(damage))?;
    }
    for later in &report.later {
        context.out.warn(line(later));
    }
    if !report.later.is_empty() {
        context.out.note("jobvault rebuild takes in what the catalogue does not know yet");
    }
    let read = format!(
        "{} checked, {} of packs read",
        units::count(report.checked, "log"),
        units::size(report.bytes)
    );
    let part = match complete {
        None => String::new(),
        Some(true) => ", and with that the last of all".to_owned(),
        Some(false) => format!(" of {}; the next run goes on from here", units::size(total)),
    };
    match report.damaged.len() as u64 {
        0 => context.out.summary(format!("{read}{part}: all is well")),
        damaged => {
            context.out.summary(format!("{read}{part}: {damaged} damaged"));
            if report.in_catalogue {
                context.out.note("jobvault rebuild makes the catalogue anew from the packs");
            } else if report.in_packs {
                let hint = "jobvault repair writes anew what still reads of damaged packs; with --from-gitlab it \
                            fetches the rest again";
                context.out.note(hint);
            } else if report.damaged.iter().any(|d| d.job.is_some()) {
                let hint = "jobvault repair --from-gitlab fetches again what the server still has";
                context.out.note(hint);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_more_than_nothing_and_at_most_all() {
        assert_eq!(percent("2%"), Ok(2.0));
        assert_eq!(percent("0.5 %"), Ok(0.5));
        assert_eq!(percent("100"), Ok(100.0));
        for wrong in ["0%", "101%", "-1", "x%", "nan", ""] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
