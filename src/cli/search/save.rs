//! `search --save` and `--saved`: to and from the file of saved searches.

use jobvault_index::Query;

use crate::cli::address::JobAddress;
use crate::cli::query::QueryArgs;
use crate::cli::{Context, Exit, Problem, archive};
use crate::search::{Saved, SavedFile};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Saved searches")]
pub(super) struct SaveArgs {
    /// Search as saved; more text and filters may be added
    #[arg(long, value_name = "NAME")]
    pub(super) saved: Option<String>,
    /// Save the query under this name instead of searching
    #[arg(long, value_name = "NAME", conflicts_with = "saved")]
    pub(super) save: Option<String>,
    /// What the saved search is a case of, such as known (repeatable)
    #[arg(long = "save-tag", value_name = "TAG", requires = "save")]
    tags: Vec<String>,
    /// What it means or what to do, kept with the saved search
    #[arg(long = "save-note", value_name = "TEXT", requires = "save")]
    note: Option<String>,
}

/// Returns the query of the command line and of the saved search it names, and whether one line must hold it.
pub(super) fn query(
    args: &QueryArgs,
    save: &SaveArgs,
    jobs: &mut Vec<JobAddress>,
    context: &Context<'_>,
) -> anyhow::Result<(Query, bool)> {
    let own = args.query(jobs)?;
    let Some(name) = &save.saved else { return Ok((own, false)) };
    let file = SavedFile::read(&context.searches())?;
    let saved = file.get(name)?;
    let mut query = saved.query(args.case()).map_err(|error| {
        let mut problem = Problem::from(error);
        problem.message = format!("saved search {name}: {}", problem.message);
        problem
    })?;
    query.and(own).map_err(Problem::from)?;
    Ok((query, saved.same_line))
}

/// Saves the query of the command line.
pub(super) async fn save(
    args: &QueryArgs,
    save: &SaveArgs,
    same_line: bool,
    jobs: &[JobAddress],
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    if !jobs.is_empty() {
        return Err(Problem::new("a saved search is for all jobs, not for one")
            .hint("jobvault triage JOB asks it of one job")
            .into());
    }
    let typed = args.query(&mut Vec::new())?;
    let odd = || Problem::new("this query cannot be saved").hint("write it into the file by hand");
    let saved = args.saved().ok_or_else(odd)?;
    let saved = Saved {
        name: save.save.clone().unwrap_or_default(),
        same_line,
        tags: save.tags.clone(),
        note: save.note.clone().unwrap_or_default(),
        ..saved
    };
    // What is read back must be what was typed.
    let again = saved.query(None).ok();
    let same = |again: &Query| {
        again.terms == typed.terms && again.filters().len() == typed.filters().len()
    };
    if typed.terms.is_empty() && typed.filters().is_empty() {
        return Err(Problem::new("there is nothing to save: the query is empty").into());
    }
    if !again.is_some_and(|again| same(&again)) {
        return Err(odd().into());
    }
    // The archive is to be there: a mistyped directory must not get a file.
    archive::find_jobs(&context.open().await?, &[], args.page()).await?;
    let mut file = SavedFile::read(&context.searches())?;
    let name = saved.name.clone();
    file.add(saved)?;
    context.out.summary(format!("saved as {name} in {}", file.path().display()));
    Ok(Exit::Yes)
}
