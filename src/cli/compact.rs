//! `compact`: packs written anew, like beside like, so that they take less.

use std::time::Duration;

use jiff::SignedDuration;
use jobvault_index::query::parse_duration;
use serde::Serialize;

use super::progress::Progress;
use super::{Context, Exit, units};
use crate::store::compact::{CompactOptions, Compacted, compact};
use crate::sync;

/// Arguments of `compact`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Readers and other programs may go on meanwhile. It can be stopped at any time; the next run goes on.\n\
        A second run finds nothing to do."
)]
pub struct Args {
    /// How long old packs stay for readers and backups under way: 1h, 30m, 0s
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    grace: Duration,
    /// Write everything anew, what was compacted before too: like logs are found over the whole history
    #[arg(long)]
    all: bool,
    /// Say what it would gain, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one object of JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Json {
    v: u32,
    dry_run: bool,
    packs_before: u64,
    bytes_before: u64,
    packs_after: u64,
    bytes_after: u64,
    traces: u64,
    unreadable: u64,
    deleted: u64,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let store = context.open_for_writing("jobvault compact").await?;
    let total = store.catalogue().status().await?.iter().map(|row| row.raw_bytes).sum();
    let template = "compact {bar:30} {bytes} of {total_bytes}  {eta} left";
    let progress = Progress::new(context.out, total, template);
    let options = CompactOptions {
        grace: signed(args.grace),
        dry_run: args.dry_run,
        all: args.all,
        max_raw_bytes: None,
    };
    let done = compact(&store, options, context.now, |bytes| {
        progress.set(bytes, total.max(bytes), String::new());
    })
    .await;
    progress.finish();
    let done = done?;
    if !args.dry_run {
        sync::merge(&store).await?;
    }
    store.close().await;
    match args.json {
        true => context.out.json(&json(&done, args.dry_run))?,
        false => context.out.summary(words(&done, args.dry_run)),
    }
    Ok(if done.unreadable > 0 { Exit::No } else { Exit::Yes })
}

/// Returns a duration as the store takes it; one beyond all archives is as good as the longest.
pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn words(done: &Compacted, dry_run: bool) -> String {
    let mut words = match (done.packs_before, dry_run) {
        (0, _) => "nothing to compact".to_owned(),
        (packs, dry_run) => format!(
            "{} of {} {} {} of {}",
            units::count(packs, "pack"),
            units::size(done.bytes_before),
            if dry_run { "would become" } else { "became" },
            units::count(done.packs_after, "pack"),
            units::size(done.bytes_after),
        ),
    };
    if done.deleted > 0 {
        words.push_str(&format!("; {} deleted", units::count(done.deleted, "old pack")));
    }
    if done.unreadable > 0 {
        let damaged = units::count(done.unreadable, "log or ledger");
        words.push_str(&format!("; {damaged} could not be read and stays: see jobvault verify"));
    }
    words
}

fn json(done: &Compacted, dry_run: bool) -> Json {
    Json {
        v: 1,
        dry_run,
        packs_before: done.packs_before,
        bytes_before: done.bytes_before,
        packs_after: done.packs_after,
        bytes_after: done.bytes_after,
        traces: done.traces,
        unreadable: done.unreadable,
        deleted: done.deleted,
    }
}
