//! Round after round.

use std::time::Duration;

use jobvault::sync::{Event, Options, Setup, watch};
use tokio::sync::Notify;

use super::{PROJECT, log, server_with};
use crate::util::archive::{Archive, client};
use crate::util::gitlab::{FakeGitLab, Fault, job_doc};

fn setup(archive: &Archive, server: &FakeGitLab, project: u64) -> Setup {
    let projects = vec![jobvault::model::ProjectId(project).into()];
    let options = Options { projects, ..archive.options(server) };
    Setup { client: client(server), options, every: Duration::from_millis(1) }
}

#[tokio::test]
async fn rounds_fetch_what_is_new_until_the_watch_is_stopped() {
    let server = FakeGitLab::start(server_with(20));
    let archive = Archive::new();
    let (store, mut index) = archive.open().await.unwrap();
    let (reload, stop) = (Notify::new(), archive.stop.clone());
    let mut rounds = Vec::new();
    let tell = |event| {
        let Event::Round(stats) = event else { panic!("{event:?}") };
        rounds.push((stats.archived, stats.requests));
        match rounds.len() {
            2 => server.data(|d| {
                *d = d.clone().job(PROJECT, job_doc(21, 90, "build", "success"), log(21));
            }),
            4 => stop.cancel(),
            _ => {}
        }
    };
    let make = async || Ok(setup(&archive, &server, PROJECT));
    watch(&store, &mut index, make, &reload, archive.stop.clone(), |_| {}, tell).await.unwrap();
    store.close().await;
    assert_eq!(rounds.iter().map(|r| r.0).collect::<Vec<_>>(), [20, 0, 1, 0]);
    assert_eq!((rounds[1].1, rounds[3].1), (1, 1), "an idle round is one request");
    assert_eq!(archive.raw(21).await, log(21));
}

#[tokio::test]
async fn a_server_that_is_away_is_reported_once_and_once_when_it_is_back() {
    let server = FakeGitLab::start(server_with(3));
    let archive = Archive::new();
    let (store, mut index) = archive.open().await.unwrap();
    let (reload, stop) = (Notify::new(), archive.stop.clone());
    // Each of three rounds has the patience of six tries.
    server.on("project", 18, Fault::json(502, "{}"));
    let mut told = Vec::new();
    let tell = |event| {
        told.push(match event {
            Event::Round(_) => "round",
            Event::Away(_) => "away",
            Event::Back => "back",
            Event::Reloaded => "reloaded",
            Event::Unusable(_) => "unusable",
        });
        if told.last() == Some(&"round") {
            stop.cancel();
        }
    };
    let make = async || Ok(setup(&archive, &server, PROJECT));
    watch(&store, &mut index, make, &reload, archive.stop.clone(), |_| {}, tell).await.unwrap();
    assert_eq!(told, ["away", "back", "round"]);
    assert_eq!(server.count("project"), 19);
}

#[tokio::test]
async fn the_configuration_is_read_again_when_asked_for_and_an_unusable_one_changes_nothing() {
    let server = FakeGitLab::start(server_with(3).project(9, "group/second"));
    server.data(|d| *d = d.clone().job(9, job_doc(50, 70, "build", "success"), log(50)));
    let archive = Archive::new();
    let (store, mut index) = archive.open().await.unwrap();
    let (reload, stop) = (Notify::new(), archive.stop.clone());
    let (mut read, mut rounds, mut unusable) = (0, Vec::new(), 0);
    let make = async || {
        read += 1;
        anyhow::ensure!(read != 2, "not a number");
        let project = if read < 3 { PROJECT } else { 9 };
        let every = if read < 3 { Duration::from_secs(3600) } else { Duration::from_millis(1) };
        Ok(Setup { every, ..setup(&archive, &server, project) })
    };
    let tell = |event| {
        match event {
            Event::Round(stats) => rounds.push(stats.archived),
            Event::Unusable(_) => unusable += 1,
            Event::Reloaded => return,
            other => panic!("{other:?}"),
        }
        // The wait of an hour ends at once.
        reload.notify_one();
        if rounds.last() == Some(&1) {
            stop.cancel();
        }
    };
    watch(&store, &mut index, make, &reload, archive.stop.clone(), |_| {}, tell).await.unwrap();
    assert_eq!((unusable, rounds.first(), rounds.last()), (1, Some(&3), Some(&1)));
}
