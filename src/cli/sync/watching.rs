//! `sync --watch`: signals in, one line out for each thing that happens, and how it ended.
//!
//! A round in which nothing was archived says nothing, and what goes wrong is said once, not once a round.

mod complaints;

use std::cell::RefCell;
use std::io::IsTerminal;

use anyhow::Context as _;
use jiff::Timestamp;
use jobvault_index::Index;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Args, Prepared, account};
use crate::cli::connect::NO_TOKEN;
use crate::cli::hint::Report;
use crate::cli::output::{Out, OutputError};
use crate::cli::progress::Progress;
use crate::cli::{Context, Exit, Problem, forecast, units};
use crate::config::Config;
use crate::export::sanitise;
use crate::store::Store;
use crate::sync::coverage::{Counted, Estimate, estimate};
use crate::sync::{self, Event, Setup, SyncStats};
use complaints::Complaints;

/// What is drawn while nothing is done.
const IDLE: &str = "watching";

/// What happened, as an object of JSON.
#[derive(Serialize)]
struct Json<'a> {
    v: u32,
    event: &'a str,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(flatten)]
    stats: Option<&'a SyncStats>,
}

pub(super) async fn run(
    args: &Args,
    prepared: Prepared,
    store: &Store,
    mut index: Index,
    context: &mut Context<'_>,
) -> anyhow::Result<Exit> {
    let progress = Progress::new(context.out, 0, "{spinner} {msg}");
    let config = context.config.clone();
    let (reload, stop) = (Notify::new(), CancellationToken::new());
    let teller = RefCell::new(Teller::new(context.out, args.json, &progress, &stop));
    let mut reading = Reading { args, config, host: prepared.server.host.clone() };
    let anonymous = prepared.server.clone();
    let mut first = Some(prepared);
    let setup = async || match first.take() {
        Some(prepared) => Ok(into_setup(prepared)),
        None => reading.again(&teller).await,
    };
    let shown = progress.clone();
    let on_progress = move |p: sync::Progress| {
        let (size, of) = (units::size(p.raw_bytes), p.listed.max(p.done + p.waiting));
        if of > 0 {
            shown.say(format!("{} of {of} jobs  {size}  {} waiting", p.done, p.waiting));
        }
    };
    let tell = |event| teller.borrow_mut().take(event);
    let watching = sync::watch(store, &mut index, setup, &reload, stop.clone(), on_progress, tell);
    let ended = until_told(watching, &reload, &stop, &teller).await?;
    progress.finish();
    match ended {
        Some(ended) => ended.map_err(|error| anonymous.explain(error, NO_TOKEN))?,
        None => return Ok(Exit::Killed),
    }
    let left = estimate(store, &Counted::default(), Timestamp::now()).await?;
    Ok(teller.into_inner().end(&left)?)
}

fn into_setup(prepared: Prepared) -> Setup {
    Setup { client: prepared.server.client, options: prepared.options, every: prepared.every }
}

/// Runs until told to stop by a signal, and passes on what else signals tell. `None` after the second one to stop.
async fn until_told<T>(
    watching: impl Future<Output = T>,
    reload: &Notify,
    stop: &CancellationToken,
    teller: &RefCell<Teller<'_>>,
) -> anyhow::Result<Option<T>> {
    let on = |kind| signal(kind).context("watch for signals");
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut terminate = on(SignalKind::terminate())?;
    let mut hangup = on(SignalKind::hangup())?;
    let terminal = std::io::stderr().is_terminal();
    tokio::pin!(watching);
    loop {
        tokio::select! {
            ended = &mut watching => return Ok(Some(ended)),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {
                // A terminal that was closed sends the same signal, and is none any more.
                if !terminal || std::io::stderr().is_terminal() {
                    reload.notify_one();
                    continue;
                }
            }
        }
        if stop.is_cancelled() {
            return Ok(None);
        }
        stop.cancel();
        teller.borrow_mut().say("stopping: what was fetched is being made durable");
    }
}

/// Reads the configuration again.
struct Reading<'a> {
    args: &'a Args,
    config: Config,
    host: Url,
}

impl Reading<'_> {
    async fn again(&mut self, teller: &RefCell<Teller<'_>>) -> anyhow::Result<Setup> {
        let mut config = self.config.reload()?;
        let fixed = |what| {
            Problem::new(format!("the {what} cannot change while it is watched"))
                .hint("stop the watch and start it anew")
        };
        if config.archive != self.config.archive {
            return Err(fixed("archive").into());
        }
        let prepared = self.args.prepare(&mut config, Timestamp::now()).await?;
        if prepared.server.host != self.host {
            return Err(fixed("server").into());
        }
        for warning in std::mem::take(&mut config.warnings) {
            teller.borrow_mut().warn(&sanitise(warning));
        }
        self.config = config;
        Ok(into_setup(prepared))
    }
}

/// Tells what happens.
struct Teller<'a> {
    out: &'a mut Out,
    json: bool,
    progress: &'a Progress,
    complaints: Complaints,
    /// Since when no round succeeds.
    away: Option<Timestamp>,
    /// How the latest whole round ended; `None` before the first.
    latest: Option<SyncStats>,
    /// Nobody reads any more, so that there is nothing to go on for.
    closed: Option<OutputError>,
    stop: &'a CancellationToken,
}

impl<'a> Teller<'a> {
    fn new(
        out: &'a mut Out,
        json: bool,
        progress: &'a Progress,
        stop: &'a CancellationToken,
    ) -> Self {
        let complaints = Complaints::default();
        Self { out, json, progress, complaints, away: None, latest: None, closed: None, stop }
    }

    fn say(&mut self, text: &str) {
        let (progress, out) = (self.progress, &mut *self.out);
        progress.pause(|| out.summary(stamped(text)));
    }

    fn warn(&mut self, text: &str) {
        let (progress, out) = (self.progress, &mut *self.out);
        progress.pause(|| out.warn(stamped(text)));
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Round(stats) => self.round(stats),
            Event::Away(error) => {
                self.away = Some(Timestamp::now());
                self.trouble("away", "rounds fail and become rarer until one succeeds", &error);
            }
            Event::Back => {
                let now = Timestamp::now();
                let since = self.away.take().unwrap_or(now);
                let took = units::duration(now.duration_since(since).as_secs_f64());
                self.event("back", None, None);
                self.tell(&format!("rounds succeed again, after {took}"));
            }
            Event::Reloaded => {
                // What was complained of may be what was put right.
                self.complaints = Complaints::default();
                self.event("reloaded", None, None);
                self.tell("the configuration was read again");
            }
            Event::Unusable(error) => {
                let text = "the configuration is not usable, and the former one stays";
                self.trouble("unusable", text, &error);
            }
        }
        self.progress.say(IDLE.to_owned());
    }

    fn round(&mut self, stats: SyncStats) {
        self.event("round", Some(&stats), None);
        let new = self.complaints.take(&stats);
        if !self.json {
            for failure in &new {
                self.warn(&account::named(failure));
            }
            if stats.done() > 0 || !new.is_empty() {
                self.say(&account::summary(&stats));
            }
        }
        if !stats.interrupted || self.latest.is_none() {
            self.latest = Some(stats);
        }
    }

    fn trouble(&mut self, event: &str, what: &str, error: &anyhow::Error) {
        let Some(report) = Report::of(error) else { return };
        self.event(event, None, Some(&report));
        if !self.json {
            self.warn(&format!("{what}: {}", report.error));
            if let Some(hint) = &report.hint {
                let (progress, out) = (self.progress, &mut *self.out);
                progress.pause(|| out.hint(hint));
            }
        }
    }

    /// Says something that JSON says otherwise.
    fn tell(&mut self, text: &str) {
        if !self.json {
            self.say(text);
        }
    }

    fn event(&mut self, event: &str, stats: Option<&SyncStats>, report: Option<&Report>) {
        if !self.json || self.closed.is_some() {
            return;
        }
        let error = report.map(|report| report.error.as_str());
        let hint = report.and_then(|report| report.hint.as_deref());
        let json = Json { v: 1, event, at: Timestamp::now(), error, hint, stats };
        // Each event counts at once for whoever follows.
        let written = self.out.json(&json).and_then(|()| self.out.finish());
        if let Err(error) = written {
            self.closed = Some(error);
            self.stop.cancel();
        }
    }

    /// Says what is left, and decides how the command ends.
    fn end(self, left: &Estimate) -> Result<Exit, OutputError> {
        if let Some(closed) = self.closed {
            return Err(closed);
        }
        let missing = match &self.latest {
            _ if self.away.is_some() => Some("GitLab was away".to_owned()),
            None => Some("no round came to its end".to_owned()),
            Some(stats) if !stats.failed.is_empty() => {
                Some("some could not be archived".to_owned())
            }
            _ => forecast::words(left, Timestamp::now()),
        };
        match missing {
            None => {
                self.out.summary("stopped; nothing is missing that could be got");
                Ok(Exit::Yes)
            }
            Some(what) => {
                self.out.summary(format!("stopped; {what}"));
                Ok(Exit::Partial)
            }
        }
    }
}

/// Puts the time before a text, because a watch is read afterwards.
fn stamped(text: &str) -> String {
    format!("{}  {text}", units::time(Timestamp::now()))
}
