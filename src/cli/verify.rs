//! `verify`: every pack, entry and row is read and compared with its hash; damage is named by job.

use jobvault_index::{Error as IndexError, Index};
use serde::Serialize;

use super::progress::Progress;
use super::{Context, Exit, units};
use crate::export::sanitise;
use crate::model::JobId;
use crate::store::Store;
use crate::store::check::{self, Damage, Report};

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 all is well, 1 damage was found, 2 it could not be checked."
)]
pub struct Args {
    /// Print one object of JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Json {
    v: u32,
    checked: u64,
    bytes: u64,
    damaged: Vec<JsonDamage>,
}

#[derive(Serialize)]
struct JsonDamage {
    job: Option<JobId>,
    pack: Option<String>,
    what: String,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let store = context.open().await?;
    let total = store.catalogue().packs().await?.iter().map(|(_, _, bytes)| bytes).sum();
    let template = "verify {bar:30} {percent:>3} %  {bytes} of {total_bytes}  {eta} left";
    let progress = Progress::new(context.out, total, template);
    let checked = check::verify(&store, |bytes| {
        progress.set(bytes, total.max(bytes), String::new());
    })
    .await;
    progress.finish();
    let mut report = checked?;
    check_index(&store, &mut report, &mut context)?;
    match args.json {
        true => context.out.json(&json(&report))?,
        false => print(&report, &mut context)?,
    }
    Ok(if report.damaged.is_empty() { Exit::Yes } else { Exit::No })
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
        Err(error) => return Err(error.into()),
    };
    if !damaged.is_empty() {
        context.out.hint("jobvault reindex builds the index anew; no log is lost");
    }
    report.damaged.extend(damaged.into_iter().map(|what| Damage { job: None, pack: None, what }));
    Ok(())
}

fn json(report: &Report) -> Json {
    let damage = |d: &Damage| JsonDamage {
        job: d.job,
        pack: d.pack.map(|pack| pack.to_string()),
        what: d.what.clone(),
    };
    Json {
        v: 1,
        checked: report.checked,
        bytes: report.bytes,
        damaged: report.damaged.iter().map(damage).collect(),
    }
}

fn print(report: &Report, context: &mut Context<'_>) -> anyhow::Result<()> {
    for damage in &report.damaged {
        let job = damage.job.map(|job| format!("job {job}: ")).unwrap_or_default();
        let named = |pack: &String| !damage.what.contains(pack.as_str());
        let pack = damage.pack.map(|pack| pack.to_string()).filter(named);
        let pack = pack.map(|pack| format!(" (pack {pack})")).unwrap_or_default();
        context.out.line(format!("{job}{}{pack}", sanitise(&damage.what)))?;
    }
    let read = format!(
        "{} checked, {} of packs read",
        units::count(report.checked, "log"),
        units::size(report.bytes)
    );
    match report.damaged.len() as u64 {
        0 => context.out.summary(format!("{read}: all is well")),
        damaged => context.out.summary(format!("{read}: {damaged} damaged")),
    }
    Ok(())
}
