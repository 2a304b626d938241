//! The address of a GitLab instance as people write it.

use url::Url;

use super::ConfigError;

/// The path of the API, which some people copy along.
const API_PATH: &str = "/api/v4";

/// Reads a host: an http or https address, or a bare name, which means https.
///
/// `origin` is the flag, variable or key that gave it, for the error. The result has neither user nor query, and no
/// slash at the end of a path.
pub fn parse_host(text: &str, origin: &str) -> Result<Url, ConfigError> {
    let wrong = |reason| ConfigError::Host { origin: origin.to_owned(), reason };
    let text = text.trim();
    let with_scheme = match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    };
    let mut url = Url::parse(&with_scheme).map_err(|_| wrong("it cannot be read"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a user or a password"));
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(API_PATH).unwrap_or(path).trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}
