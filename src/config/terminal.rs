//! What the environment says about the terminal: the pager and the characters it can show.

use std::ffi::{OsStr, OsString};

use super::Env;

/// What shows long output on a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PagerChoice {
    /// `less` if it is there, else nothing.
    #[default]
    Usual,
    /// A command of the shell.
    Command {
        /// The command.
        command: OsString,
        /// `LESS` is not set, so that options may be given in it.
        set_less: bool,
    },
}

impl Env {
    /// Returns the pager to use, or `None` where none is wanted: `JOBVAULT_PAGER` decides, else `PAGER`; an empty value
    /// and `cat` mean none, as does a terminal that cannot move its cursor.
    pub fn pager(&self) -> Option<PagerChoice> {
        if self.os("TERM").is_some_and(|term| term == "dumb") {
            return None;
        }
        let named = ["JOBVAULT_PAGER", "PAGER"].iter().find_map(|name| self.variables.get(*name));
        match named {
            None => Some(PagerChoice::Usual),
            Some(command) if command.is_empty() || command == "cat" => None,
            Some(command) => Some(PagerChoice::Command {
                command: command.clone(),
                set_less: self.os("LESS").is_none(),
            }),
        }
    }

    /// Tells whether bars may be drawn with block characters: the locale is of UTF-8, by the first variable set of
    /// `LC_ALL`, `LC_CTYPE` and `LANG` (POSIX, 8.2), and nobody asked for plain output with `NO_COLOR`.
    pub fn wants_blocks(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| self.os(name));
        let utf8 = |locale: &OsStr| {
            let name = locale.to_string_lossy().to_ascii_lowercase();
            name.contains("utf-8") || name.contains("utf8")
        };
        self.os("NO_COLOR").is_none() && locale.is_some_and(|locale| utf8(locale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_variable_decides_before_the_common_one() {
        let pager =
            |variables: &[(&'static str, &'static str)]| Env::of(variables.iter().copied()).pager();
        let command = |command: &str, set_less| {
            Some(PagerChoice::Command { command: command.into(), set_less })
        };
        assert_eq!(pager(&[]), Some(PagerChoice::Usual));
        assert_eq!(pager(&[("PAGER", "more")]), command("more", true));
        assert_eq!(pager(&[("PAGER", "less"), ("LESS", "R")]), command("less", false));
        assert_eq!(pager(&[("PAGER", "more"), ("JOBVAULT_PAGER", "")]), None);
        assert_eq!(pager(&[("PAGER", "cat")]), None);
        assert_eq!(pager(&[("TERM", "dumb"), ("PAGER", "more")]), None);
    }

    #[test]
    fn blocks_need_a_locale_that_has_them() {
        let blocks = |variables: &[(&'static str, &'static str)]| {
            Env::of(variables.iter().copied()).wants_blocks()
        };
        assert!(blocks(&[("LANG", "de_DE.UTF-8")]) && blocks(&[("LC_ALL", "C.utf8")]));
        assert!(!blocks(&[("LANG", "C.UTF-8"), ("LC_ALL", "POSIX")]));
        assert!(!blocks(&[]) && !blocks(&[("LANG", "C.UTF-8"), ("NO_COLOR", "1")]));
    }
}
