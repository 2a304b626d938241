//! `prune`: deletes packs that nothing refers to, and rewrites those of which little is needed. Only when told to.

use std::io::IsTerminal;
use std::time::Duration;

use jobvault_index::query::parse_duration;
use serde::Serialize;

use super::compact::signed;
use super::verify::{JsonDamage, line};
use super::{Context, Exit, Problem, units};
use crate::store::prune::{PruneOptions, Pruned, prune};

/// Arguments of `prune`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Deletes what a crash left behind and what compact has superseded; never a log that the archive knows, nor\n\
        a pack that may hold one which stands nowhere else: that one is named, and stays.\n\
        Exit status: 0 done, 1 some of it cannot be read and stays, 2 failed."
)]
pub struct Args {
    /// How long superseded packs stay for readers and backups under way: 1h, 30m, 0s
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    grace: Duration,
    /// Say what would be deleted, and delete nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Delete without asking
    #[arg(long)]
    yes: bool,
    /// Print one object of JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Json {
    v: u32,
    dry_run: bool,
    packs: u64,
    bytes: u64,
    rewritten: u64,
    spare_bytes: u64,
    kept: Vec<JsonDamage>,
    failed: Vec<JsonDamage>,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let store = context.open_for_writing("jobvault prune").await?;
    let options = |dry_run| PruneOptions { grace: signed(args.grace), dry_run };
    let found = prune(&store, options(true), context.now).await?;
    let dry_run =
        args.dry_run || (count(&found) > 0 && !args.yes && !confirmed(&found, &mut context)?);
    let pruned = match dry_run {
        true => found,
        false => prune(&store, options(false), context.now).await?,
    };
    store.close().await;
    match args.json {
        true => context.out.json(&Json {
            v: 1,
            dry_run,
            packs: pruned.deleted().count() as u64,
            bytes: pruned.bytes(),
            rewritten: pruned.rewritten.len() as u64,
            spare_bytes: pruned.spare_bytes,
            kept: pruned.kept.iter().map(JsonDamage::of).collect(),
            failed: pruned.failed.iter().map(JsonDamage::of).collect(),
        })?,
        false => {
            for kept in &pruned.kept {
                context
                    .out
                    .warn(format!("the catalogue does not list it, and it stays: {}", line(kept)));
            }
            for failed in &pruned.failed {
                context.out.warn(line(failed));
            }
            context.out.summary(words(&pruned, dry_run));
        }
    }
    Ok(if pruned.failed.is_empty() { Exit::Yes } else { Exit::No })
}

/// Asks on a terminal; refuses where nobody can answer.
fn confirmed(found: &Pruned, context: &mut Context<'_>) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Problem::new("there is nobody to ask whether to delete packs")
            .hint("say --yes to delete them, --dry-run to see what would go")
            .into());
    }
    context.confirms(&format!("{}. Go on?", words(found, true)))
}

fn count(pruned: &Pruned) -> u64 {
    (pruned.deleted().count() + pruned.rewritten.len()) as u64
}

fn words(pruned: &Pruned, dry_run: bool) -> String {
    let verb = |done: &str| if dry_run { format!("would be {done}") } else { done.to_owned() };
    let mut words = Vec::new();
    let packs = pruned.deleted().count() as u64;
    if packs > 0 {
        let size = units::size(pruned.bytes());
        words.push(format!("{} {}, {size}", units::count(packs, "pack"), verb("deleted")));
    }
    if !pruned.rewritten.is_empty() {
        let packs = units::count(pruned.rewritten.len() as u64, "pack");
        let spare = units::size(pruned.spare_bytes);
        words.push(format!("{packs} {} without {spare} that nothing needs", verb("rewritten")));
    }
    match words.is_empty() {
        true => "nothing to prune".to_owned(),
        false => words.join("; "),
    }
}
