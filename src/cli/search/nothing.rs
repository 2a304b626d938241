//! What to say to who found nothing: what was searched, and what is spelt nearly alike.

use jiff::Timestamp;
use jobvault_index::{Index, Query};

use crate::cli::{Context, units};
use crate::export::sanitise;
use crate::model::JobId;
use crate::search::{self, Scope};
use crate::store::Store;

/// Says it on standard error.
pub(in crate::cli) async fn say(
    query: &Query,
    jobs: &[JobId],
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let scope = search::scope(store, query, jobs, context.now).await?;
    let size = units::size(scope.raw_bytes);
    let logs = format!("{} ({size})", units::count(scope.logs, "log"));
    let who = match scope.filtered {
        true => "the filters leave",
        false => "the archive holds",
    };
    context.out.note(format!("nothing found; {who} {logs}{}", period(&scope)));
    if scope.logs == 0 || query.positive_terms() == 0 {
        return Ok(());
    }
    let index = Index::open(&store.index_dir())?;
    for near in search::near(&index, query)? {
        let instead: Vec<String> =
            near.instead.iter().map(|spelling| sanitise(&spelling.word)).collect();
        let instead = instead.join(", ");
        context
            .out
            .hint(format!("no log has the word {}; there is {instead}", sanitise(&near.word)));
    }
    Ok(())
}

/// Returns the days between which the jobs came to be, as the end of a sentence.
fn period(scope: &Scope) -> String {
    let Some((from, to)) = scope.period else { return String::new() };
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    match (day(from), day(to)) {
        (from, to) if from == to => format!(" of {from}"),
        (from, to) => format!(" from {from} to {to}"),
    }
}
