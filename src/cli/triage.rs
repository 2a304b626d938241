//! `triage`: which saved searches match a job, and where.

use serde::Serialize;

use super::address::JobAddress;
use super::output::{Out, Paint};
use super::search::{heading, json};
use super::{Context, Exit, archive};
use crate::export::{self, Style, sanitise};
use crate::search::{Diagnosis, Hit, SavedFile, triage};
use crate::store::JobRow;

const AFTER_HELP: &str = "\
Examples:
  jobvault search --save oom --save-tag known 'out of memory'     a known failure
  jobvault triage https://gitlab.com/group/project/-/jobs/123     is it one of the known?
  jobvault triage 123 --tag known --json

Exit status: 0 a search matches, 1 none does, 2 it failed.";

/// Arguments of `triage`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The job: id or address
    #[arg(value_name = "JOB")]
    job: JobAddress,
    /// Only searches with this tag (repeatable: with any of them)
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Print one object of JSON a search that matches
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    saved: &'a str,
    tags: &'a [String],
    note: &'a str,
    #[serde(flatten)]
    line: json::Line<'a>,
}

pub(super) async fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let file = SavedFile::read(&context.searches())?;
    let store = context.open().await?;
    let job = archive::find_job(&store, &args.job).await?;
    let index = archive::open_index(&store).await?;
    let asked: Vec<_> = file.searches().iter().filter(|s| s.has_tag(&args.tags)).collect();
    if asked.is_empty() {
        if !args.json {
            context.out.note(format!("no such search in {}", file.path().display()));
            context.out.hint("jobvault search --save NAME QUERY saves one");
        }
        return Ok(Exit::No);
    }
    if job.trace.is_none() {
        context.out.warn(format!(
            "the archive has no log of job {}: {}",
            job.id,
            sanitise(&job.reason)
        ));
    }
    let diagnoses = triage(&store, &index, asked.iter().copied(), job.id, context.now).await;
    let (mut matched, mut failed) = (0, 0);
    for diagnosis in &diagnoses {
        match &diagnosis.matches {
            Ok(Some(hit)) => {
                if matched == 0 && !args.json && context.out.is_terminal() {
                    let heading = heading::heading(context.out, &job, context.now);
                    heading.iter().try_for_each(|line| context.out.line(line))?;
                }
                matched += 1;
                show(diagnosis, &job, hit.as_ref(), args.json, context.out)?;
            }
            Ok(None) => {}
            Err(error) => {
                failed += 1;
                let name = sanitise(&diagnosis.saved.name);
                context
                    .out
                    .warn(format!("saved search {name}: {}", sanitise(format!("{error:#}"))));
            }
        }
    }
    if matched == 0 && !args.json {
        context.out.note(format!("no saved search matches; {} asked", asked.len()));
    }
    Ok(match (matched, failed) {
        (0, 0) => Exit::No,
        (0, _) => Exit::Failed,
        _ => Exit::Yes,
    })
}

fn show(
    diagnosis: &Diagnosis<'_>,
    job: &JobRow,
    hit: Option<&Hit>,
    as_json: bool,
    out: &mut Out,
) -> anyhow::Result<()> {
    let saved = diagnosis.saved;
    if as_json {
        let line = json::line(job, hit);
        return Ok(out.json(&Json {
            saved: &saved.name,
            tags: &saved.tags,
            note: &saved.note,
            line,
        })?);
    }
    let style = Style { colour: out.has_colour(), sanitise: true };
    let text = hit.map(|hit| export::highlight(&hit.text, &hit.ranges, style)).unwrap_or_default();
    let number = hit.map_or(String::new(), |hit| hit.line.to_string());
    if !out.is_terminal() {
        let name = sanitise(&saved.name);
        // Filters, or texts that are missing, match no line.
        let head = if hit.is_some() { format!("{name}:{number}:") } else { name };
        return Ok(out.line([head.as_bytes(), &text].concat())?);
    }
    out.line("")?;
    let mut head = vec![out.paint(Paint::Bold, sanitise(&saved.name))];
    if !saved.tags.is_empty() {
        head.push(out.paint(Paint::Cyan, sanitise(saved.tags.join(","))));
    }
    head.push(out.paint(Paint::Dim, sanitise(saved.note.lines().next().unwrap_or_default())));
    out.line(head.join("  ").trim_end())?;
    if hit.is_some() {
        let number = out.paint(Paint::Green, format!("{number:>4}"));
        out.line([format!("{number}: ").as_bytes(), &text].concat())?;
    }
    Ok(())
}
