//! `reindex`: the full-text index anew from the packs.

use super::progress::Progress;
use super::{Context, Exit, units};
use crate::sync;

/// Arguments of `reindex`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The index is derived from the archive: it may be deleted and built anew at any time.\n\
        Exit status: 0 indexed, 1 some of a log cannot be read, 2 failed."
)]
pub struct Args {}

pub(super) async fn run(_: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let store = context.open_for_writing("jobvault reindex").await?;
    let total = store.catalogue().status().await?.iter().map(|row| row.raw_bytes).sum();
    let template = "reindex {bar:30} {percent:>3} %  {msg}  {eta} left";
    let progress = Progress::new(context.out, total, template);
    let made = sync::reindex(&store, |logs, bytes| {
        progress.set(bytes, total.max(bytes), units::count(logs, "log"));
    })
    .await;
    progress.finish();
    let (index, indexed) = made?;
    let size = units::size(index.bytes()?);
    store.close().await;
    context.out.summary(format!("indexed {} in {size}", units::count(indexed.traces, "log")));
    if indexed.unread.is_empty() {
        return Ok(Exit::Yes);
    }
    let unread = units::count(indexed.unread.len() as u64, "log");
    context.out.warn(format!("{unread} cannot be read; every search says so"));
    context.out.hint("jobvault verify names the damage");
    Ok(Exit::No)
}
