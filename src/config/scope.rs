//! What the file says about the scope of a sync: which projects, how much of them, how often.
//!
//! Knows no times: what is written in a notation of the command line stays text, with its place for messages.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use toml::Spanned;

use super::ConfigError;

/// Which projects count as all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum All {
    /// Those that the token's user is a member of.
    Member,
    /// Those that the token sees.
    Visible,
}

/// What is synced where the command line names nothing.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Projects by id, path or address.
    pub projects: Vec<String>,
    /// Groups by id or path, those below them included.
    pub groups: Vec<String>,
    /// All projects.
    pub all: Option<All>,
    /// Of groups and of all projects only those whose path fits one of these globs.
    pub include: Vec<String>,
    /// Of groups and of all projects none whose path fits one of these globs.
    pub exclude: Vec<String>,
    /// Of groups and of all projects the archived ones too.
    pub archived: bool,
    /// Only jobs that came to be since, as written.
    pub since: Option<Written>,
    /// Whether pipelines are walked.
    pub pipelines: Option<bool>,
    /// How often a watch begins a round, as written.
    pub every: Option<Written>,
}

/// A text of the file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The text.
    pub text: String,
    path: PathBuf,
    /// From 1.
    line: usize,
}

impl Written {
    /// Takes a value of the file at `path`, whose bytes are `bytes`.
    pub(super) fn new(value: Spanned<String>, bytes: &[u8], path: &Path) -> Self {
        let line = super::file::line_of(bytes, value.span().start);
        Self { text: value.into_inner(), path: path.to_owned(), line }
    }

    /// Says what is wrong with it, at its place.
    pub fn wrong(&self, message: impl fmt::Display) -> ConfigError {
        ConfigError::File { path: self.path.clone(), line: self.line, message: message.to_string() }
    }
}

/// The key `all`: a truth value, or the word for what is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct AllKey(pub(super) Option<All>);

impl<'de> Deserialize<'de> for AllKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = AllKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, \"member\" or \"visible\"")
            }

            fn visit_bool<E: de::Error>(self, all: bool) -> Result<AllKey, E> {
                Ok(AllKey(all.then_some(All::Member)))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<AllKey, E> {
                match word {
                    "member" => Ok(AllKey(Some(All::Member))),
                    "visible" => Ok(AllKey(Some(All::Visible))),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(Words)
    }
}
