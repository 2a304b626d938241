//! `man`: the manual page, made from the same words as `--help`.

use clap::CommandFactory;

use super::output::Out;
use super::{Cli, Exit};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  jobvault man | man -l -\n  jobvault man search | man -l -")]
pub struct Args {
    /// The command to describe; without it the whole program
    command: Option<String>,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    command.build();
    if let Some(name) = &args.command {
        let found = command.find_subcommand(name).cloned();
        let unknown = || super::Problem::new(format!("there is no command {name}"));
        command = found.ok_or_else(unknown)?;
        command = command.display_name(format!("jobvault-{name}"));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    out.bytes(&page)?;
    out.finish()?;
    Ok(Exit::Yes)
}
