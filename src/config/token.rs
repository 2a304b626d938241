//! Tokens: read late, checked for shape, never shown.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::SecretString;

use super::{ConfigError, file};

/// The bits of a file's mode that let others read it.
const READABLE_BY_OTHERS: u32 = 0o044;

/// Reads the token in a file; one that others may read is worth a warning.
pub(super) fn read(path: &Path, warnings: &mut Vec<String>) -> Result<SecretString, ConfigError> {
    let bytes = file::read_limited(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let origin = path.display().to_string();
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| ConfigError::Token { origin: origin.clone(), reason: "it is not UTF-8" })?;
    if fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.mode() & READABLE_BY_OTHERS != 0)
    {
        warnings.push(format!("the token file {origin} can be read by others; chmod 600 mends it"));
    }
    clean(text, &origin)
}

/// Takes a token out of a text of one line.
pub(super) fn clean(text: &str, origin: &str) -> Result<SecretString, ConfigError> {
    let token = text.trim();
    let reason = match token {
        "" => "it is empty",
        token if token.contains(char::is_whitespace) => "it has more than one word",
        token if !token.chars().all(|c| c.is_ascii_graphic()) => "it has characters no token has",
        token => return Ok(SecretString::from(token)),
    };
    Err(ConfigError::Token { origin: origin.to_owned(), reason })
}
