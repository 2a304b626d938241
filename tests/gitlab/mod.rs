//! The client against a GitLab on loopback: what it asks, what it believes, and what it gives up.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod actions;
mod examples;
mod paging;
mod rate;
mod redirects;
mod retries;
mod traces;

use std::time::Duration;

use jobvault::gitlab::{Auth, Client, ClientOptions};
use jobvault::model::ProjectId;
use url::Url;

use crate::util::gitlab::{Data, FakeGitLab, TOKEN, job_doc};

const PROJECT: ProjectId = ProjectId(1);

/// Options for a server, which lose no time.
fn options(url: &str) -> ClientOptions {
    let auth = Auth::PrivateToken(TOKEN.to_owned().into());
    let mut options = ClientOptions::new(Url::parse(url).unwrap(), auth);
    options.retries.base_delay = Duration::from_millis(1);
    options.retries.max_delay = Duration::from_millis(4);
    options.retries.rate_limit_delay = Duration::from_millis(1);
    options
}

fn client(fake: &FakeGitLab) -> Client {
    Client::new(options(fake.url())).unwrap()
}

/// One project with jobs 1 to `jobs`, all ended.
fn data(jobs: u64) -> Data {
    (1..=jobs).fold(Data::default().project(1, "group/sub.group/project"), |data, id| {
        data.job(1, job_doc(id, 1 + id / 10, "rspec", "success"), format!("log of {id}\n"))
    })
}

fn start(jobs: u64) -> (FakeGitLab, Client) {
    let fake = FakeGitLab::start(data(jobs));
    let client = client(&fake);
    (fake, client)
}
