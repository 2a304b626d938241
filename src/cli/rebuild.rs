//! `rebuild`: catalogue and index anew from the packs alone. Only when told to where the old ones are sound.

use std::io::IsTerminal;

use serde::Serialize;

use super::progress::Progress;
use super::verify::{JsonDamage, line};
use super::{Context, Exit, Problem, units};
use crate::store::rebuild::Rebuilt;
use crate::store::{Store, StoreError};
use crate::sync::{self, Rebuilding};

/// Arguments of `rebuild`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "For an archive whose catalogue is lost or damaged: the packs alone say all that the catalogue and the\n\
        index repeat. Both are made beside the old ones and take their places at the end; stopped before, nothing\n\
        has changed.\n\
        Exit status: 0 rebuilt, 1 rebuilt without what is damaged (each is named), 2 failed."
)]
pub struct Args {
    /// Replace a sound catalogue without asking
    #[arg(long)]
    yes: bool,
    /// Print one object of JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Json {
    v: u32,
    packs: u64,
    traces: u64,
    documents: u64,
    damaged: Vec<JsonDamage>,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let root = context.config.archive.clone();
    if !args.yes && is_sound(&context).await? && !confirmed(&mut context)? {
        context.out.summary("nothing was changed");
        return Ok(Exit::No);
    }
    let template = "rebuild {bar:30} {percent:>3} %  {msg}";
    let progress = Progress::new(context.out, 0, template);
    let rebuilt = sync::rebuild(&root, context.now, |now| match now {
        Rebuilding::Catalogue(done, all) => {
            progress.set(done, all, format!("{done} of {all} packs read"));
        }
        Rebuilding::Index(logs, _) => {
            progress.set(1, 1, format!("{} indexed", units::count(logs, "log")));
        }
    })
    .await;
    progress.finish();
    let rebuilt = rebuilt?;
    match args.json {
        true => context.out.json(&json(&rebuilt))?,
        false => print(&rebuilt, &mut context)?,
    }
    Ok(if rebuilt.damaged.is_empty() { Exit::Yes } else { Exit::No })
}

/// Tells whether there is a catalogue that nothing is wrong with.
async fn is_sound(context: &Context<'_>) -> anyhow::Result<bool> {
    match Store::open(&context.config.archive).await {
        Ok(store) => Ok(store.catalogue().is_sound(false).await),
        Err(StoreError::Catalogue(_) | StoreError::Unmarked { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Asks on a terminal; refuses where nobody can answer.
fn confirmed(context: &mut Context<'_>) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Problem::new("the archive has a sound catalogue, and there is nobody to ask")
            .hint("say --yes to replace it by one made from the packs")
            .into());
    }
    context.confirms("the catalogue is sound. Replace it by one made from the packs?")
}

fn json(rebuilt: &Rebuilt) -> Json {
    Json {
        v: 1,
        packs: rebuilt.packs,
        traces: rebuilt.traces,
        documents: rebuilt.documents,
        damaged: rebuilt.damaged.iter().map(JsonDamage::of).collect(),
    }
}

fn print(rebuilt: &Rebuilt, context: &mut Context<'_>) -> anyhow::Result<()> {
    for damage in &rebuilt.damaged {
        context.out.line(line(damage))?;
    }
    let made = format!(
        "{} and {} out of {}",
        units::count(rebuilt.traces, "log"),
        units::count(rebuilt.documents, "job document"),
        units::count(rebuilt.packs, "pack")
    );
    match rebuilt.damaged.len() as u64 {
        0 => context.out.summary(made),
        damaged => {
            context.out.summary(format!("{made}; {damaged} damaged"));
            context.out.note("the next sync lists all jobs again, and fetches what is missing");
        }
    }
    Ok(())
}
