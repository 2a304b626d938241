//! The login of glab, GitLab's own command line, read where nothing else names a host or a token.
//!
//! Its file is another program's: whatever is odd in it is passed over with a warning.
//! Source: <https://docs.gitlab.com/cli/configuration/>.

use secrecy::SecretString;
use serde_norway::Value;
use url::Url;

use super::{Env, Token, file, parse_host};

/// What glab knows.
#[derive(Debug, Clone)]
pub(super) struct Glab {
    default: Option<String>,
    logins: Vec<Login>,
}

#[derive(Debug, Clone)]
struct Login {
    host: String,
    url: Url,
    token: Option<Token>,
}

impl Glab {
    /// Reads glab's file, or returns `None` where there is none to use.
    pub(super) fn find(env: &Env, warnings: &mut Vec<String>) -> Option<Self> {
        let folder = match env.os("GLAB_CONFIG_DIR") {
            Some(folder) => folder.into(),
            None => env.folder("XDG_CONFIG_HOME", ".config")?.join("glab-cli"),
        };
        let path = folder.join("config.yml");
        let bytes = file::read_limited(&path).ok()?;
        // glab tags tokens that look like numbers in a way that other readers of YAML refuse.
        let text = String::from_utf8_lossy(&bytes).replace("!!null ", "");
        match serde_norway::from_str::<Value>(&text) {
            Ok(value) => Some(Self::of(&value)),
            // The text of the error might quote a token.
            Err(_) => {
                warnings.push(format!("{} is not YAML and was passed over", path.display()));
                None
            }
        }
    }

    fn of(value: &Value) -> Self {
        let default = value.get("host").and_then(Value::as_str).map(str::to_owned);
        let hosts = value.get("hosts").and_then(Value::as_mapping);
        let login = |(name, entry): (&Value, &Value)| {
            let text = |key: &str| entry.get(key).and_then(Value::as_str);
            let host = name.as_str()?;
            let scheme = text("api_protocol").filter(|p| *p == "http").unwrap_or("https");
            let address = format!("{scheme}://{}", text("api_host").unwrap_or(host));
            let token = text("token").filter(|token| !token.is_empty());
            let oauth = text("is_oauth2") == Some("true")
                || entry.get("is_oauth2").and_then(Value::as_bool) == Some(true);
            Some(Login {
                host: host.to_owned(),
                url: parse_host(&address, "glab").ok()?,
                token: token.map(SecretString::from).map(match oauth {
                    true => Token::Bearer,
                    false => Token::Private,
                }),
            })
        };
        let logins = hosts.into_iter().flatten().filter_map(login).collect();
        Self { default, logins }
    }

    /// Returns the default host, or the only one that glab is signed in to.
    pub(super) fn host(&self) -> Option<Url> {
        let signed_in: Vec<&Login> = self.logins.iter().filter(|l| l.token.is_some()).collect();
        let default = signed_in.iter().find(|l| Some(&l.host) == self.default.as_ref());
        match (default, signed_in.as_slice()) {
            (Some(login), _) | (None, [login]) => Some(login.url.clone()),
            _ => None,
        }
    }

    /// Returns the token for a host.
    pub(super) fn token(&self, host: &Url) -> Option<Token> {
        let login = self.logins.iter().find(|login| login.url.origin() == host.origin());
        login?.token.clone()
    }
}
