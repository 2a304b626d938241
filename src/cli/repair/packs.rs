//! What still reads of damaged packs, written anew: the part of a repair that needs nobody else.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::cli::verify::line;
use crate::cli::{Context, units};
use crate::store::check::{Damage, Report};
use crate::store::mend::{MendOptions, Mended, MendedPack, mend};
use crate::store::{PackName, Store};

#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    pack: String,
    outcome: &'static str,
    reason: &'a str,
    traces: u64,
    traces_left: u64,
}

/// Writes anew what still reads of the packs that a check named, or tells what it would write.
pub(super) async fn mend_named(
    store: &Store,
    report: &Report,
    options: MendOptions,
    context: &Context<'_>,
) -> anyhow::Result<Mended> {
    let named: BTreeSet<PackName> = report.damaged.iter().filter_map(|d| d.pack).collect();
    Ok(mend(store, &named, options, context.now).await?)
}

/// Says what was done.
pub(super) fn tell(
    mended: &Mended,
    options: MendOptions,
    json: bool,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    for pack in &mended.packs {
        match json {
            true => context.out.json(&Json {
                v: 1,
                pack: pack.pack.name.to_string(),
                outcome: if options.dry_run { "would be written anew" } else { "written anew" },
                reason: &pack.what,
                traces: pack.traces,
                traces_left: pack.traces_left,
            })?,
            false => context.out.line(words(pack, options))?,
        }
    }
    for kept in &mended.kept {
        context.out.warn(line(kept));
    }
    Ok(())
}

fn words(pack: &MendedPack, options: MendOptions) -> String {
    let verb = if options.dry_run { "would be written anew" } else { "was written anew" };
    let mut words = format!("pack {}: {}: what still reads {verb}", pack.pack.name, pack.what);
    if pack.traces > 0 {
        words.push_str(&format!(", {} among it", units::count(pack.traces, "log")));
    }
    if pack.traces_left > 0 {
        let logs = units::count(pack.traces_left, "log");
        words.push_str(&format!("; {logs} of which a piece cannot be read stays"));
    }
    words
}

/// Counts the damage beside jobs, but for packs that nothing needs any more.
pub(super) async fn rest(store: &Store, report: &Report) -> anyhow::Result<usize> {
    let live: BTreeSet<PackName> =
        store.catalogue().live_packs().await?.into_iter().map(|pack| pack.name).collect();
    let listed = store.catalogue().packs().await?.into_iter().map(|(_, name, _)| name);
    let superseded: BTreeSet<PackName> = listed.filter(|name| !live.contains(name)).collect();
    let is_left = |damage: &&Damage| {
        damage.job.is_none() && damage.pack.is_none_or(|pack| !superseded.contains(&pack))
    };
    Ok(report.damaged.iter().filter(is_left).count())
}
