//! Configuration: flags, environment, file and, where nothing else says it, the surroundings (CI, glab).
//!
//! The only module that reads the environment; what it reads goes through [`Env`], so that tests give their own.
//! Precedence is flag, environment, file, surroundings. Knows no command and sends nothing. Every error names the
//! variable, file or flag that is wrong, and no text ever holds a token.

mod error;
mod file;
mod glab;
mod host;
mod scope;
mod size;
mod terminal;
#[cfg(test)]
mod tests;
mod token;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

use crate::model::ArtifactMode;

pub use error::ConfigError;
use file::File;
pub use host::parse_host;
pub use scope::{All, Scope, Written};
pub use size::parse_size;
pub use terminal::PagerChoice;

/// Requests under way at once unless something else is asked for.
pub const DEFAULT_CONCURRENCY: usize = 8;
/// More requests at once than this gain nothing and are no politeness; a larger number is refused.
pub const MAX_CONCURRENCY: usize = 64;
/// Where the archive is, below the folder for data of a user.
const ARCHIVE_FOLDER: &str = "jobvault";
/// Where the file is, below the folder for configuration of a user.
const FILE: &str = "jobvault/config.toml";

/// Bytes of a contact; it goes along with every request.
const MAX_CONTACT: usize = 200;
/// What is wrong with a contact that is none.
pub const NO_CONTACT: &str =
    "contact is no address such as https://example.com/bots or mailto:ci@example.com";

/// Tells whether a text can stand as a contact in the header `User-Agent`.
pub fn is_contact(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '(' | ')' | '\\'));
    plain && text.contains(':') && text.len() <= MAX_CONTACT
}

/// The environment of the process, or one made for a test.
#[derive(Debug, Clone, Default)]
pub struct Env {
    variables: HashMap<String, OsString>,
    home: Option<PathBuf>,
}

/// The variables that are looked at; no other is kept.
const VARIABLES: [&str; 20] = [
    "CI_JOB_TOKEN",
    "CI_SERVER_URL",
    "CLICOLOR_FORCE",
    "GITLAB_HOST",
    "GITLAB_TOKEN",
    "GLAB_CONFIG_DIR",
    "HOME",
    "JOBVAULT_ARCHIVE",
    "JOBVAULT_CONFIG",
    "JOBVAULT_LOG",
    "JOBVAULT_PAGER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LESS",
    "NO_COLOR",
    "PAGER",
    "TERM",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
];

impl Env {
    /// Reads the environment of the process.
    pub fn process() -> Self {
        let read = |name: &str| Some((name.to_owned(), std::env::var_os(name)?));
        Self {
            variables: VARIABLES.into_iter().filter_map(read).collect(),
            home: etcetera::home_dir().ok(),
        }
    }

    /// Makes an environment of these variables alone.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), OsString::from(value));
        let variables: HashMap<_, _> = variables.into_iter().map(own).collect();
        let home = variables.get("HOME").map(PathBuf::from);
        Self { variables, home }
    }

    /// Returns a variable's value; an empty one counts as unset.
    fn os(&self, name: &str) -> Option<&OsString> {
        self.variables.get(name).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &'static str) -> Result<Option<&str>, ConfigError> {
        let Some(value) = self.os(name) else { return Ok(None) };
        value.to_str().map(Some).ok_or(ConfigError::NotText { name })
    }

    /// Returns a folder of the user: the variable if it holds an absolute path, as the XDG rules demand, else a
    /// folder below home.
    fn folder(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        let set = self.os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        set.or_else(|| Some(self.home.as_ref()?.join(below_home)))
    }

    /// Returns what `JOBVAULT_LOG` asks to log.
    pub fn log_filter(&self) -> Option<String> {
        Some(self.os("JOBVAULT_LOG")?.to_string_lossy().into_owned())
    }

    /// Tells whether output in colour is wanted, by the conventions of <https://no-color.org> and
    /// <https://bixense.com/clicolors/>.
    pub fn wants_colour(&self, terminal: bool) -> bool {
        if self.os("NO_COLOR").is_some() {
            return false;
        }
        if self.os("CLICOLOR_FORCE").is_some_and(|force| force != "0") {
            return true;
        }
        terminal && self.os("TERM").is_none_or(|term| term != "dumb")
    }
}

/// What the command line says; `None` where it says nothing.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The archive's directory.
    pub archive: Option<PathBuf>,
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The GitLab instance.
    pub host: Option<String>,
    /// The server of a pasted address, which counts where neither flag, variable nor file names one.
    pub page_host: Option<Url>,
    /// A file that holds the token.
    pub token_file: Option<PathBuf>,
    /// Further certificates to trust, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Requests under way at once.
    pub concurrency: Option<usize>,
    /// Requests a second.
    pub rate: Option<f64>,
    /// Whom the server's people may turn to.
    pub contact: Option<String>,
}

/// A token and how it is sent.
#[derive(Debug, Clone)]
pub enum Token {
    /// A personal, group or project access token.
    Private(SecretString),
    /// An OAuth token.
    Bearer(SecretString),
    /// The token of the CI job that we run in.
    Job(SecretString),
}

/// Everything that was configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// The archive's directory.
    pub archive: PathBuf,
    /// The GitLab instance; `None` where nothing names one.
    pub host: Option<Url>,
    /// Further certificates to trust, as PEM.
    pub ca_file: Option<PathBuf>,
    /// The file of saved searches; `None` for the one in the archive.
    pub searches: Option<PathBuf>,
    /// What is synced where the command line names nothing.
    pub scope: Scope,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Requests a second at most.
    pub rate: Option<f64>,
    /// Whom the server's people may turn to: an address that every request names.
    pub contact: Option<String>,
    /// How much of artifacts is fetched.
    pub artifacts: ArtifactMode,
    /// Archives over this length are not kept, in bytes; `None` where nothing says so.
    pub artifact_limit: Option<u64>,
    /// Reports over this length are not kept, in bytes; `None` where nothing says so.
    pub report_limit: Option<u64>,
    /// What is odd but no error, for a warning.
    pub warnings: Vec<String>,
    token_file: Option<PathBuf>,
    token_file_flag: Option<PathBuf>,
    flags: Flags,
    env: Env,
    glab: Option<glab::Glab>,
}

impl Config {
    /// Puts flags, environment and file together. Secrets are read only by [`Config::token`].
    pub fn load(flags: Flags, env: &Env) -> Result<Self, ConfigError> {
        let file = read_file(&flags, env)?;
        let mut warnings = Vec::new();
        let archive = archive(&flags, env, &file)?;
        let mut host = host(&flags, env, &file)?;
        let own_token = flags.token_file.is_some()
            || env.os("GITLAB_TOKEN").is_some()
            || file.token_file.is_some();
        // The login of another program is looked at only where ours says too little.
        let glab = match host.is_none() || !own_token {
            true => glab::Glab::find(env, &mut warnings),
            false => None,
        };
        if host.is_none() {
            host = glab.as_ref().and_then(glab::Glab::host);
        }
        Ok(Self {
            archive,
            host,
            ca_file: flags.ca_file.clone().or(file.ca_file),
            searches: file.searches,
            scope: file.scope,
            concurrency: flags.concurrency.or(file.concurrency).unwrap_or(DEFAULT_CONCURRENCY),
            rate: flags.rate.or(file.rate),
            contact: flags.contact.clone().or(file.contact),
            artifacts: file.artifacts.and_then(|mode| mode.parse().ok()).unwrap_or_default(),
            artifact_limit: file.artifact_limit.as_deref().and_then(parse_size),
            report_limit: file.report_limit.as_deref().and_then(parse_size),
            warnings,
            token_file: file.token_file,
            token_file_flag: flags.token_file.clone(),
            flags,
            env: env.clone(),
            glab,
        })
    }

    /// Reads the file again; flags and environment stay what they were.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn reload(&self) -> Result<Self, ConfigError> {
        Self::load(self.flags.clone(), &self.env)
    }

    /// Returns the token for `host`, or `None` where none is configured.
    ///
    /// The token of a CI job goes to its own server alone, and a login of glab to the host it is for.
    pub fn token(&mut self, host: &Url) -> Result<Option<Token>, ConfigError> {
        if let Some(path) = &self.token_file_flag {
            return Ok(Some(Token::Private(token::read(path, &mut self.warnings)?)));
        }
        if let Some(text) = self.env.text("GITLAB_TOKEN")? {
            return Ok(Some(Token::Private(token::clean(text, "GITLAB_TOKEN")?)));
        }
        if let Some(path) = &self.token_file {
            return Ok(Some(Token::Private(token::read(path, &mut self.warnings)?)));
        }
        let server = self.env.text("CI_SERVER_URL")?;
        if let (Some(server), Some(text)) = (server, self.env.text("CI_JOB_TOKEN")?)
            && parse_host(server, "CI_SERVER_URL")?.origin() == host.origin()
        {
            return Ok(Some(Token::Job(token::clean(text, "CI_JOB_TOKEN")?)));
        }
        Ok(self.glab.as_ref().and_then(|glab| glab.token(host)))
    }

    /// Reads the certificates to trust besides the system's.
    pub fn ca_pem(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        let read = file::read_limited(path);
        read.map(Some).map_err(|source| ConfigError::Read { path: path.clone(), source })
    }
}

fn archive(flags: &Flags, env: &Env, file: &File) -> Result<PathBuf, ConfigError> {
    let variable = || env.os("JOBVAULT_ARCHIVE").map(PathBuf::from);
    let usual = || Some(env.folder("XDG_DATA_HOME", ".local/share")?.join(ARCHIVE_FOLDER));
    let given = flags.archive.clone().or_else(variable).or_else(|| file.archive.clone());
    given.or_else(usual).ok_or(ConfigError::NoHome)
}

fn host(flags: &Flags, env: &Env, file: &File) -> Result<Option<Url>, ConfigError> {
    if let Some(flag) = &flags.host {
        return parse_host(flag, "--host").map(Some);
    }
    if let Some(variable) = env.text("GITLAB_HOST")? {
        return parse_host(variable, "GITLAB_HOST").map(Some);
    }
    if let Some(text) = &file.host {
        return parse_host(text, &file.key("host")).map(Some);
    }
    if flags.page_host.is_some() {
        return Ok(flags.page_host.clone());
    }
    let server = env.text("CI_SERVER_URL")?;
    server.map(|url| parse_host(url, "CI_SERVER_URL")).transpose()
}

/// Reads the file; only the usual one may be missing.
fn read_file(flags: &Flags, env: &Env) -> Result<File, ConfigError> {
    let named = flags.config.clone().or_else(|| env.os("JOBVAULT_CONFIG").map(PathBuf::from));
    if let Some(path) = named {
        return File::read(&path, env.home.as_deref());
    }
    let Some(folder) = env.folder("XDG_CONFIG_HOME", ".config") else {
        return Ok(File::default());
    };
    match File::read(&folder.join(FILE), env.home.as_deref()) {
        Err(error) if error.is_missing() => Ok(File::default()),
        other => other,
    }
}

/// Returns a path of a file as meant: `~/` is home, and a relative one starts where the file is.
fn meant(path: PathBuf, beside: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => beside.parent().map_or(path.clone(), |folder| folder.join(&path)),
    }
}
