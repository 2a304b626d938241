//! `saved`: the saved searches of the archive. They are saved by `search --save`.

use serde::Serialize;

use super::output::Paint;
use super::table::{self, Align};
use super::{Context, Exit};
use crate::export::sanitise;
use crate::search::{CaseRule, Saved, SavedFile};

const AFTER_HELP: &str = "\
Examples:
  jobvault search --save oom --save-tag known 'out of memory' status:failed
  jobvault search --saved oom --since 7d
  jobvault triage 123456
  jobvault saved --remove oom

The searches are in searches.toml in the archive, or in the file that `searches` in the configuration
names. It is for editing by hand, too: comments stay.
Exit status: 0 there are some, 1 there are none, 2 the file cannot be read.";

/// Arguments of `saved`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Remove the search of that name (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tags", "json"])]
    remove: Vec<String>,
    /// Only searches with this tag (repeatable: with any of them)
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Print one object of JSON a search
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    saved: &'a str,
    query: &'a [String],
    fixed: &'a [String],
    regexp: &'a [String],
    case: &'static str,
    same_line: bool,
    tags: &'a [String],
    note: &'a str,
}

pub(super) fn run(args: Args, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.warn_of_config();
    let mut file = SavedFile::read(&context.searches())?;
    for name in &args.remove {
        file.remove(name)?;
        context.out.summary(format!("removed {name} from {}", file.path().display()));
    }
    if !args.remove.is_empty() {
        return Ok(Exit::Yes);
    }
    let shown: Vec<&Saved> = file.searches().iter().filter(|s| s.has_tag(&args.tags)).collect();
    if args.json {
        shown.iter().try_for_each(|saved| context.out.json(&json(saved)))?;
        return Ok(if shown.is_empty() { Exit::No } else { Exit::Yes });
    }
    if shown.is_empty() {
        context.out.note(format!("no such search in {}", file.path().display()));
        return Ok(Exit::No);
    }
    print(&shown, &mut context)?;
    context.out.note(format!("{} saved in {}", shown.len(), file.path().display()));
    Ok(Exit::Yes)
}

fn json(saved: &Saved) -> Json<'_> {
    Json {
        v: 1,
        saved: &saved.name,
        query: &saved.query,
        fixed: &saved.fixed,
        regexp: &saved.regexp,
        case: match saved.case {
            CaseRule::Smart => "smart",
            CaseRule::Ignore => "ignore",
            CaseRule::Sensitive => "sensitive",
        },
        same_line: saved.same_line,
        tags: &saved.tags,
        note: &saved.note,
    }
}

fn print(shown: &[&Saved], context: &mut Context<'_>) -> anyhow::Result<()> {
    let out = &mut *context.out;
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|saved| {
            let fixed = saved.fixed.iter().map(|text| format!("-F {text:?}"));
            let regexps = saved.regexp.iter().map(|text| format!("-e {text:?}"));
            let case = match saved.case {
                CaseRule::Smart => None,
                CaseRule::Ignore => Some("-i"),
                CaseRule::Sensitive => Some("-s"),
            };
            let flags = case.into_iter().chain(saved.same_line.then_some("--same-line"));
            let texts = fixed.chain(regexps).chain(saved.query.clone());
            let query: Vec<String> = flags.map(str::to_owned).chain(texts).collect();
            let parts = [saved.name.clone(), saved.tags.join(","), query.join(" ")];
            parts.map(sanitise).to_vec()
        })
        .collect();
    let align = [Align::Left; 3];
    let lines = table::table(&rows, &align, |_, column, cell| match column {
        0 => out.paint(Paint::Bold, cell),
        1 => out.paint(Paint::Cyan, cell),
        _ => cell.to_owned(),
    });
    for (line, saved) in lines.iter().zip(shown) {
        out.line(line)?;
        for note in saved.note.lines() {
            let note = out.paint(Paint::Dim, sanitise(note));
            out.line(format!("  {note}"))?;
        }
    }
    Ok(())
}
