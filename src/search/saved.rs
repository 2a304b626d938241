//! Saved searches: a file of TOML that people write as well as we do, so what they wrote around an entry stays.
//!
//! An entry is a table whose name is the search's. Text is changed only where an entry is added or removed, and only
//! if the file then says just that; else it is left to its owner. Knows no archive. Every error names the file.

mod edit;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jobvault_index::{Case, Query, QueryError};
use serde::Deserialize;

/// A larger file is none of saved searches.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The longest name of a search.
const MAX_NAME: usize = 64;

/// How the case of letters counts, in the file's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseRule {
    /// Only where a term has an upper-case letter.
    #[default]
    Smart,
    /// Never.
    Ignore,
    /// Always.
    Sensitive,
}

/// A saved search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Saved {
    /// Its name; in the file that of the table.
    #[serde(skip)]
    pub name: String,
    /// The query as on the command line, one text or an argument each.
    #[serde(deserialize_with = "edit::one_or_many")]
    pub query: Vec<String>,
    /// Texts as they are.
    #[serde(deserialize_with = "edit::one_or_many")]
    pub fixed: Vec<String>,
    /// Regular expressions.
    #[serde(deserialize_with = "edit::one_or_many")]
    pub regexp: Vec<String>,
    /// How case counts.
    pub case: CaseRule,
    /// All of it must hold of one line.
    pub same_line: bool,
    /// What the search is a case of, such as `known` or `infra`.
    #[serde(deserialize_with = "edit::one_or_many")]
    pub tags: Vec<String>,
    /// What it means or what to do, for people.
    pub note: String,
}

impl Saved {
    /// Returns the query; `case` overrules the entry's own.
    pub fn query(&self, case: Option<Case>) -> Result<Query, QueryError> {
        let own = match self.case {
            CaseRule::Smart => Case::Smart,
            CaseRule::Ignore => Case::Ignore,
            CaseRule::Sensitive => Case::Sensitive,
        };
        let fixed: Vec<Vec<u8>> = self.fixed.iter().map(|text| text.clone().into_bytes()).collect();
        Query::from_parts(&fixed, &self.regexp, &self.query, case.unwrap_or(own))
    }

    /// Tells whether it bears one of the tags; without any asked for, every search does.
    pub fn has_tag(&self, tags: &[String]) -> bool {
        tags.is_empty() || self.tags.iter().any(|tag| tags.contains(tag))
    }
}

/// Why saved searches cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// The file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// The file says something that cannot be meant.
    #[error("{}:{line}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A search of that name is there.
    #[error("a search is saved as {name} already")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is no search of that name.
    #[error("no search is saved as {name} in {}", path.display())]
    Unknown {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The name could not stand in the file.
    #[error("{name:?} is no name: letters, digits, - and _ make one, {MAX_NAME} at most")]
    Name {
        /// The name.
        name: String,
    },
    /// The file is written in a way that is not for us to change.
    #[error("{} cannot be changed without spoiling it", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
    },
}

/// A file of saved searches, as it was read.
#[derive(Debug, Clone)]
pub struct SavedFile {
    path: PathBuf,
    text: String,
    searches: Vec<Saved>,
}

impl SavedFile {
    /// Reads a file; one that is not there holds no search.
    pub fn read(path: &Path) -> Result<Self, SavedError> {
        let io = |source| SavedError::Io { action: "read", path: path.to_owned(), source };
        let mut text = String::new();
        match fs::File::open(path) {
            Ok(file) => {
                file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(io)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(io(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large")));
        }
        let searches = parse(&text).map_err(|(line, message)| SavedError::File {
            path: path.to_owned(),
            line,
            message,
        })?;
        Ok(Self { path: path.to_owned(), text, searches })
    }

    /// Returns where the file is, or would be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the searches in the order of the file.
    pub fn searches(&self) -> &[Saved] {
        &self.searches
    }

    /// Returns the search of that name.
    pub fn get(&self, name: &str) -> Result<&Saved, SavedError> {
        let found = self.searches.iter().find(|saved| saved.name == name);
        found.ok_or_else(|| self.unknown(name))
    }

    /// Adds a search at the end and writes the file.
    pub fn add(&mut self, saved: Saved) -> Result<(), SavedError> {
        let char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name = &saved.name;
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(char) {
            return Err(SavedError::Name { name: name.clone() });
        }
        if self.get(name).is_ok() {
            return Err(SavedError::Exists { name: name.clone() });
        }
        let text = edit::with(&self.text, &saved);
        let mut searches = self.searches.clone();
        searches.push(saved);
        self.replace(text, searches)
    }

    /// Removes a search, with the comment right above it, and writes the file.
    pub fn remove(&mut self, name: &str) -> Result<(), SavedError> {
        self.get(name)?;
        let text = edit::without(&self.text, name)
            .ok_or_else(|| SavedError::Edit { path: self.path.clone() })?;
        let searches = self.searches.iter().filter(|saved| saved.name != name).cloned().collect();
        self.replace(text, searches)
    }

    fn unknown(&self, name: &str) -> SavedError {
        SavedError::Unknown { name: name.to_owned(), path: self.path.clone() }
    }

    /// Writes a text if it says just what it shall, whole or not at all.
    fn replace(&mut self, text: String, searches: Vec<Saved>) -> Result<(), SavedError> {
        if parse(&text).ok().as_ref() != Some(&searches) {
            return Err(SavedError::Edit { path: self.path.clone() });
        }
        // The target of a link is replaced, not the link.
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        edit::write(&target, &text).map_err(|source| SavedError::Io {
            action: "write",
            path: self.path.clone(),
            source,
        })?;
        (self.text, self.searches) = (text, searches);
        Ok(())
    }
}

/// Reads the searches of a text in its order; an error tells the line.
fn parse(text: &str) -> Result<Vec<Saved>, (usize, String)> {
    let searches: BTreeMap<String, Saved> = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let words = error.message().replace("unknown field", "unknown key").replace('\n', ", ");
        (edit::line_of(text, at), words)
    })?;
    let mut placed: Vec<(usize, Saved)> = Vec::with_capacity(searches.len());
    let places = edit::places(text);
    for (name, saved) in searches {
        let at = places.iter().find(|(known, _)| *known == name).map_or(0, |(_, at)| *at);
        if saved.query.is_empty() && saved.fixed.is_empty() && saved.regexp.is_empty() {
            let message = format!("{name} has no query, fixed or regexp");
            return Err((edit::line_of(text, at), message));
        }
        placed.push((at, Saved { name, ..saved }));
    }
    placed.sort_by_key(|(at, _)| *at);
    Ok(placed.into_iter().map(|(_, saved)| saved).collect())
}

#[cfg(test)]
mod tests;
