//! The program: parse, logging, runtime, the error chain once, the exit code. Everything else is the library's.

use std::io::Write;
use std::process::ExitCode;

use jiff::Timestamp;
use jobvault::cli::hint::Report;
use jobvault::cli::output::Out;
use jobvault::cli::{Cli, Exit};
use jobvault::config::Env;
use tracing_subscriber::EnvFilter;

/// What is logged where nobody asks for more.
const USUAL_LOG: &str = "warn";

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // What damage to the index makes its engine do is told as an error, with what to do about it.
        if !jobvault_index::makes_errors_of_panics() {
            usual(panic);
        }
    }));
    let env = Env::process();
    let mut out = cli.out(&env);
    let json = cli.is_json();
    start_logging(&cli, &env, &mut out);
    // A command that only reads is over before the threads of a larger runtime have begun.
    let mut runtime = match cli.is_light() {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = anyhow::Error::from(error).context("cannot start threads");
            return ExitCode::from(report(&error, json, &mut out).code());
        }
    };
    let ended = runtime.block_on(cli.run(&env, &mut out, Timestamp::now()));
    // Nothing durable depends on what still runs: a command that ended has waited for what it needs.
    runtime.shutdown_background();
    let exit = ended.unwrap_or_else(|error| report(&error, json, &mut out));
    ExitCode::from(exit.code())
}

/// Prints help, version, or what is wrong with the arguments.
fn usage(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|arg| arg == "--json");
    if json && error.use_stderr() {
        let text = error.to_string();
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let first = lines.next().unwrap_or_default().trim_start_matches("error: ");
        let tip = lines.find_map(|line| line.trim().strip_prefix("tip: "));
        let report = Report {
            error: first.to_owned(),
            detail: None,
            hint: Some(tip.unwrap_or("see --help").to_owned()),
            exit: Exit::Failed,
        };
        // Where standard error is closed there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "{}", report.json());
    } else {
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { Exit::Failed } else { Exit::Yes }.code())
}

/// Logs to standard error what `JOBVAULT_LOG` says, else what the flags say.
fn start_logging(cli: &Cli, env: &Env, out: &mut Out) {
    let flags = cli.log_level();
    let wanted = env.log_filter().filter(|_| flags.is_none());
    let filter = match wanted.as_deref().map(EnvFilter::try_new) {
        Some(Ok(filter)) => filter,
        Some(Err(_)) => {
            out.warn(
                "JOBVAULT_LOG cannot be read and is passed over; it looks like jobvault=debug",
            );
            EnvFilter::new(USUAL_LOG)
        }
        None => EnvFilter::new(flags.unwrap_or(USUAL_LOG)),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(out.colours_messages())
        .with_target(false)
        .without_time()
        .compact()
        .init();
}

/// Prints an error once, and returns how the program ends.
fn report(error: &anyhow::Error, json: bool, out: &mut Out) -> Exit {
    let Some(report) = Report::of(error) else {
        return Exit::Yes;
    };
    if json {
        out.message(report.json());
        return report.exit;
    }
    out.error(&report.error);
    if let Some(detail) = &report.detail {
        out.message(detail);
    }
    if let Some(hint) = &report.hint {
        out.hint(hint);
    }
    report.exit
}
