//! `completions`: what a shell needs to complete our arguments.

use clap::CommandFactory;

use super::output::Out;
use super::{Cli, Exit};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  jobvault completions bash > ~/.local/share/bash-completion/completions/jobvault"
)]
pub struct Args {
    /// The shell: bash, zsh, fish, elvish or powershell
    #[arg(value_enum, hide_possible_values = true)]
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "jobvault", &mut script);
    out.bytes(&script)?;
    out.finish()?;
    Ok(Exit::Yes)
}
