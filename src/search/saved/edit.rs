//! Adding and removing an entry in the text of the file, around what people wrote. Pure but for [`write`](fn@write).

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use toml::de::DeTable;

use super::{CaseRule, Saved};

/// What a new file begins with.
const HEADER: &str = "\
# Saved searches of jobvault, each a table with a name of your choice. Edit it as you like.
#   jobvault search --saved NAME      runs one; filters may be added
#   jobvault triage JOB               says which of them match a job
#   jobvault saved                    lists them
# Keys: query (as on the command line), fixed (texts as they are), regexp, case (smart, ignore or sensitive),
# same_line, tags, note.
";

/// Reads one text or a list of them.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct Texts;

    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = list.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }

    from.deserialize_any(Texts)
}

/// Returns the names of the tables and where each stands.
pub(super) fn places(text: &str) -> Vec<(String, usize)> {
    let Ok(table) = DeTable::parse(text) else { return Vec::new() };
    let table = table.into_inner();
    table.iter().map(|(key, _)| (key.get_ref().to_string(), key.span().start)).collect()
}

/// Returns the line of a place, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// Returns the text with an entry added at its end.
pub(super) fn with(text: &str, saved: &Saved) -> String {
    let mut new = match text.trim().is_empty() {
        true => HEADER.to_owned(),
        false => text.trim_end().to_owned() + "\n",
    };
    new.push_str(&format!("\n[{}]\n", saved.name));
    for (key, texts) in
        [("query", &saved.query), ("fixed", &saved.fixed), ("regexp", &saved.regexp)]
    {
        push(&mut new, key, texts);
    }
    match saved.case {
        CaseRule::Smart => {}
        CaseRule::Ignore => new.push_str("case = \"ignore\"\n"),
        CaseRule::Sensitive => new.push_str("case = \"sensitive\"\n"),
    }
    if saved.same_line {
        new.push_str("same_line = true\n");
    }
    push(&mut new, "tags", &saved.tags);
    if !saved.note.is_empty() {
        new.push_str(&format!("note = {}\n", quoted(&saved.note)));
    }
    new
}

fn push(new: &mut String, key: &str, texts: &[String]) {
    if !texts.is_empty() {
        let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
        new.push_str(&format!("{key} = [{}]\n", texts.join(", ")));
    }
}

/// Returns a basic string of TOML, whose escapes are those of JSON but for one more character that needs one.
/// Source: <https://toml.io/en/v1.1.0#string>.
fn quoted(text: &str) -> String {
    let json = serde_json::to_string(text).expect("a text is plain JSON");
    json.replace('\u{7f}', "\\u007f")
}

/// Returns the text without an entry and the comment right above it, or `None` where there is no such table.
pub(super) fn without(text: &str, name: &str) -> Option<String> {
    let mut starts: Vec<(usize, bool)> =
        places(text).into_iter().map(|(known, at)| (block(text, at), known == name)).collect();
    starts.sort_unstable();
    let at = starts.iter().position(|(_, own)| *own)?;
    let start = starts[at].0;
    let end = starts.get(at + 1).map_or(text.len(), |(next, _)| *next);
    Some(format!("{}{}", &text[..start], &text[end..]))
}

/// Returns where the lines of an entry begin, comments right above it included.
fn block(text: &str, at: usize) -> usize {
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |lf| lf + 1);
    let mut start = line_start(at);
    while start > 0 {
        let above = line_start(start - 1);
        if !text[above..start].trim_start().starts_with('#') {
            break;
        }
        start = above;
    }
    start
}

/// Writes the file anew, whole or not at all.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
