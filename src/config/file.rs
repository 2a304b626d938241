//! The configuration file: TOML with a few keys.
//!
//! An unknown key is an error, because a misspelt one would be ignored for ever.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::scope::{AllKey, Scope, Written};
use super::{ConfigError, MAX_CONCURRENCY, is_contact, meant, parse_size};
use crate::model::ArtifactMode;

/// A configuration, token or certificate file is read to this length; a longer one is none.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) archive: Option<PathBuf>,
    pub(super) host: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) searches: Option<PathBuf>,
    #[serde(default)]
    projects: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    all: AllKey,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    archived: bool,
    since: Option<Spanned<String>>,
    pipelines: Option<bool>,
    every: Option<Spanned<String>>,
    pub(super) concurrency: Option<usize>,
    pub(super) rate: Option<f64>,
    pub(super) contact: Option<String>,
    pub(super) artifacts: Option<String>,
    pub(super) artifact_limit: Option<String>,
    pub(super) report_limit: Option<String>,
    /// What the keys about projects say together.
    #[serde(skip)]
    pub(super) scope: Scope,
    #[serde(skip)]
    path: PathBuf,
}

impl File {
    /// Reads a file; its paths come back as meant.
    pub(super) fn read(path: &Path, home: Option<&Path>) -> Result<Self, ConfigError> {
        let bytes = read_limited(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let wrong =
            |line, message: String| ConfigError::File { path: path.to_owned(), line, message };
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(e) => return Err(wrong(line_of(&bytes, e.valid_up_to()), "not UTF-8".to_owned())),
        };
        let mut file: Self = toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            wrong(line_of(&bytes, at), words(e.message()))
        })?;
        let at_key = |key: &str, message: &str| wrong(line_of_key(text, key), message.to_owned());
        if file.concurrency.is_some_and(|n| n == 0 || n > MAX_CONCURRENCY) {
            let message = format!("concurrency is not between 1 and {MAX_CONCURRENCY}");
            return Err(at_key("concurrency", &message));
        }
        if file.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return Err(at_key("rate", "rate is not a positive number of requests a second"));
        }
        if file.contact.as_deref().is_some_and(|contact| !is_contact(contact)) {
            return Err(at_key("contact", super::NO_CONTACT));
        }
        file.scope = file.take_scope(&bytes, path);
        for (key, size) in
            [("artifact_limit", &file.artifact_limit), ("report_limit", &file.report_limit)]
        {
            if size.as_ref().is_some_and(|size| parse_size(size).is_none()) {
                return Err(at_key(key, &format!("{key} is no size such as 500M or 1G")));
            }
        }
        if let Some(Err(e)) = file.artifacts.as_ref().map(|mode| mode.parse::<ArtifactMode>()) {
            return Err(at_key("artifacts", &format!("artifacts: {e}")));
        }
        let paths =
            [&mut file.archive, &mut file.token_file, &mut file.ca_file, &mut file.searches];
        for own in paths.into_iter().flatten() {
            *own = meant(std::mem::take(own), path, home);
        }
        file.path = path.to_owned();
        Ok(file)
    }

    fn take_scope(&mut self, bytes: &[u8], path: &Path) -> Scope {
        let written = |value| Written::new(value, bytes, path);
        Scope {
            projects: std::mem::take(&mut self.projects),
            groups: std::mem::take(&mut self.groups),
            all: self.all.0,
            include: std::mem::take(&mut self.include),
            exclude: std::mem::take(&mut self.exclude),
            archived: self.archived,
            since: self.since.take().map(written),
            pipelines: self.pipelines,
            every: self.every.take().map(written),
        }
    }

    /// Names a key for messages.
    pub(super) fn key(&self, key: &str) -> String {
        format!("`{key}` in {}", self.path.display())
    }
}

/// Reads a small file whole.
pub(super) fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large"));
    }
    Ok(bytes)
}

/// Puts the parser's words into ours and on one line.
fn words(message: &str) -> String {
    message.replace("unknown field", "unknown key").replace('\n', ", ")
}

pub(super) fn line_of(bytes: &[u8], at: usize) -> usize {
    let before = &bytes[..at.min(bytes.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

fn line_of_key(text: &str, key: &str) -> usize {
    let at = text.lines().position(|line| line.trim_start().starts_with(key));
    at.map_or(1, |line| line + 1)
}
