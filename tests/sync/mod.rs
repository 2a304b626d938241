//! What a sync archives, what it costs, and what it survives: asserted against the loopback GitLab.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actions;
mod artifacts;
mod coverage;
mod pipelines;
mod scope;
mod states;
mod walks;
mod watch;

use crate::util::gitlab::{Data, job_doc};

/// The id of the project that all tests sync.
pub const PROJECT: u64 = 7;

/// A finished job's log that is unlike any other's.
pub fn log(job: u64) -> Vec<u8> {
    format!("\x1b[0Ksection_start:1700000000:step_script\r\x1b[0K$ make {job}\nunique-{job} done\nJob succeeded\n")
        .into_bytes()
}

/// A server with jobs 1 to `jobs`, all finished, each with a log.
pub fn server_with(jobs: u64) -> Data {
    (1..=jobs).fold(Data::default().project(PROJECT, "group/project"), |data, id| {
        data.job(PROJECT, job_doc(id, 1 + id / 10, "build", "success"), log(id))
    })
}
