//! What a sync is told: which projects, how much of them, how fast.

use jiff::Timestamp;

use crate::gitlab::{GroupRef, ProjectRef};
use crate::model::ArtifactMode;

/// Requests under way at once unless the options say otherwise.
const CONCURRENCY: usize = 8;
/// Archives are kept up to this length unless the options say otherwise: the limit of gitlab.com.
pub const ARTIFACT_LIMIT: u64 = 1 << 30;
/// Reports are kept up to this length unless the options say otherwise.
pub const REPORT_LIMIT: u64 = 10 << 20;

/// Which projects count as all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Everything {
    /// Those that the token's user is a member of.
    Membership,
    /// Those that the token sees; on a public instance that is every public project.
    Visible,
}

/// What to sync, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Projects by name.
    pub projects: Vec<ProjectRef>,
    /// Groups whose projects are wanted, those of subgroups included.
    pub groups: Vec<GroupRef>,
    /// All projects are wanted.
    pub everything: Option<Everything>,
    /// Of groups and of all projects only those whose path fits one of these globs; empty for every path.
    pub include: Vec<String>,
    /// Of groups and of all projects those whose path fits one of these globs are left out.
    pub exclude: Vec<String>,
    /// Of groups and of all projects the archived ones too.
    pub archived: bool,
    /// Jobs that came to be before are left alone.
    pub since: Option<Timestamp>,
    /// Pipelines are walked for bridges, for what those start, and for what changed.
    pub pipelines: bool,
    /// How much of artifacts is fetched.
    pub artifacts: ArtifactMode,
    /// Archives over this length are not kept, in bytes.
    pub artifact_limit: u64,
    /// Reports over this length are not kept by themselves, in bytes.
    pub report_limit: u64,
    /// Requests under way at once, at most.
    pub concurrency: usize,
    /// The server's address as the archive records it.
    pub host: String,
    /// The server moved: its new address replaces the one recorded.
    pub host_moved: bool,
    /// Nothing is fetched or written: what would be fetched is told.
    pub dry_run: bool,
    /// What failed before waits for its time, instead of being tried at once.
    pub patient: bool,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
}

impl Options {
    /// Returns options for a server that name no project yet.
    #[must_use]
    pub fn new(host: impl Into<String>, clock: fn() -> Timestamp) -> Self {
        Self {
            projects: Vec::new(),
            groups: Vec::new(),
            everything: None,
            include: Vec::new(),
            exclude: Vec::new(),
            archived: false,
            since: None,
            pipelines: true,
            artifacts: ArtifactMode::None,
            artifact_limit: ARTIFACT_LIMIT,
            report_limit: REPORT_LIMIT,
            concurrency: CONCURRENCY,
            host: host.into(),
            host_moved: false,
            dry_run: false,
            patient: false,
            clock,
        }
    }

    /// Returns whether a project of a group, or of all, is wanted.
    pub(super) fn wants(&self, path: &str, archived: bool) -> bool {
        let fits = |globs: &[String]| globs.iter().any(|glob| is_match(glob, path));
        (self.archived || !archived)
            && (self.include.is_empty() || fits(&self.include))
            && !fits(&self.exclude)
    }
}

/// Tells whether `text` fits a glob of `*`, which stands for any characters, slashes too, and `?`.
fn is_match(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    // Where the last star stood, and what it is taken to cover so far.
    let mut star = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (g, t) = (g + 1, t + 1),
            _ => {
                let Some((at, covered)) = star else { return false };
                star = Some((at, covered + 1));
                (g, t) = (at + 1, covered + 1);
            }
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_cover_paths() {
        for (glob, text, fits) in [
            ("*", "a/b", true),
            ("group/*", "group/sub/x", true),
            ("*/x", "group/sub/x", true),
            ("group/*", "groups/x", false),
            ("a?c", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(is_match(glob, text), fits, "{glob} {text}");
        }
    }

    #[test]
    fn exclusion_wins_and_archived_projects_are_asked_for() {
        let mut options = Options::new("https://gitlab.example.com", Timestamp::now);
        options.include = vec!["group/*".to_owned()];
        options.exclude = vec!["*/old-*".to_owned()];
        assert!(options.wants("group/app", false));
        assert!(!options.wants("group/old-app", false));
        assert!(!options.wants("other/app", false));
        assert!(!options.wants("group/app", true));
        options.archived = true;
        assert!(options.wants("group/app", true));
    }
}
