//! The questions of a postmortem: since when, how often, what they have in common, is it known.

use jiff::Timestamp;
use jobvault::search::{
    Breakdown, By, End, Options, Saved, Standing, Timeline, Unit, breakdown, scope, timeline,
    triage,
};
use jobvault::store::catalogue::Column;
use jobvault_index::{Case, Index, Query};
use serde_json::json;

use super::ask;
use crate::util::archive::Archive;
use crate::util::gitlab::{Data, FakeGitLab, job_doc};

/// Jobs 1 to 60, one a day from 2026-01-01 on; every second one of runner-7 fails with the message.
async fn archive() -> (FakeGitLab, Archive) {
    let mut data = Data::default().project(7, "group/project");
    for id in 1..=60u64 {
        let runner = if id % 3 == 0 { "runner-7" } else { "runner-1" };
        let bad = id % 6 == 0;
        let mut doc = job_doc(id, 10 + id, "build", if bad { "failed" } else { "success" });
        let day: jiff::civil::Date = "2026-01-01".parse().unwrap();
        let day = day.checked_add(jiff::Span::new().days(id as i64 - 1)).unwrap();
        doc["finished_at"] = json!(format!("{day}T12:00:00Z"));
        doc["runner"]["description"] = json!(runner);
        doc["commit"]["author_name"] = json!(if id % 2 == 0 { "Ada" } else { "Grace" });
        let image = if runner == "runner-7" { "old:1" } else { "new:2" };
        let text = format!(
            "Using Docker executor with image {image} ...\nok\n{}",
            if bad { "disk fell off\ndisk fell off again\n" } else { "" }
        );
        data = data.job(7, doc, text);
    }
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    archive.sync(&server, "group/project").await.unwrap();
    (server, archive)
}

fn query(text: &str) -> Query {
    Query::parse(&[text.to_owned()], Case::Smart).unwrap()
}

async fn over_time(archive: &Archive, text: &str, unit: Option<Unit>) -> Timeline {
    let store = archive.store().await;
    let index = Index::open(&store.index_dir()).unwrap();
    let options = Options::default();
    timeline(&store, &index, &query(text), &options, unit, Timestamp::now()).await.unwrap()
}

async fn by(archive: &Archive, text: &str, by: By) -> Breakdown {
    let store = archive.store().await;
    let index = Index::open(&store.index_dir()).unwrap();
    let options = Options::default();
    breakdown(&store, &index, &query(text), &options, by, Timestamp::now()).await.unwrap()
}

#[tokio::test]
async fn a_timeline_counts_lines_jobs_and_all_runs() {
    let (_server, archive) = archive().await;
    let months = over_time(&archive, "disk fell off", Some(Unit::Month)).await;
    let counts: Vec<_> = months.buckets.iter().map(|b| (b.lines, b.jobs, b.runs)).collect();
    assert_eq!(counts, [(10, 5, 31), (8, 4, 28), (2, 1, 1)]);
    assert_eq!(months.buckets[0].from.to_string(), "2026-01-01");
    let days = over_time(&archive, "disk fell off since:2026-01-05 until:2026-01-07", None).await;
    let counts: Vec<_> = days.buckets.iter().map(|b| (b.lines, b.jobs, b.runs)).collect();
    assert_eq!((days.unit, counts), (Unit::Day, vec![(0, 0, 1), (2, 1, 1), (0, 0, 1)]));
    let narrow = over_time(&archive, "disk fell off runner:runner-7", Some(Unit::Month)).await;
    assert_eq!(narrow.buckets[0].share(), Some(0.5), "the filters hold for the runs as well");
    // A query without text is compared with the runs that ended otherwise, too.
    let failed = over_time(&archive, "status:failed", Some(Unit::Month)).await;
    assert_eq!((failed.buckets[0].jobs, failed.buckets[0].runs), (5, 31));
}

#[tokio::test]
async fn what_the_hits_have_in_common_stands_out() {
    let (_server, archive) = archive().await;
    for of in [By::Column(Column::Runner), By::Image] {
        let found = by(&archive, "disk fell off", of).await;
        // Of the time from the first hit to the last one.
        assert_eq!((found.jobs, found.runs), (10, 55));
        let value = if of == By::Image { "old:1" } else { "runner-7" };
        let first = &found.groups[0];
        assert_eq!((first.value.as_deref(), first.jobs, first.runs), (Some(value), 10, 19));
        assert_eq!(found.standing(first), Standing::More);
        assert!((found.lift(first) - 55.0 / 19.0).abs() < 1e-9);
        assert_eq!(found.groups[1].jobs, 0);
    }
    let none = by(&archive, "disk fell off", By::Column(Column::Tag)).await;
    assert_eq!((none.groups.len(), &none.groups[0].value), (1, &None));
    assert_eq!(by(&archive, "never said", By::Column(Column::Name)).await.jobs, 0);
}

#[tokio::test]
async fn a_history_names_the_commits_between_and_the_runs_since() {
    let (_server, archive) = archive().await;
    let first = ask(&archive, "disk fell off", End::First).await.unwrap();
    assert_eq!((first.at.job.id.0, first.clean.as_ref().unwrap().id.0), (6, 5));
    let changes = first.changes.unwrap();
    assert_eq!((changes.commits.len(), changes.jobs, changes.more), (1, 1, false));
    assert_eq!(changes.authors(), [("Ada", 1)]);
    assert_eq!(changes.commits[0].title.as_deref(), Some("Test"));
    assert_eq!((first.since.runs, first.since.hits), (55, 10));
    let wide = ask(
        &archive,
        "disk fell off since:2026-01-20 OR \"image new\" until:2026-01-02",
        End::Last,
    );
    assert!(wide.await.is_some());
    let last = ask(&archive, "disk fell off until:2026-02-01", End::Last).await.unwrap();
    assert_eq!((last.at.job.id.0, last.clean.as_ref().unwrap().id.0), (30, 31));
    // Of the runs after it those count as well that the filter left out.
    assert_eq!((last.since.runs, last.since.hits), (30, 5));
}

#[tokio::test]
async fn triage_says_which_saved_searches_match_and_survives_a_bad_one() {
    let (_server, archive) = archive().await;
    let store = archive.store().await;
    let index = Index::open(&store.index_dir()).unwrap();
    let saved = |name: &str, query: &str| Saved {
        name: name.into(),
        query: vec![query.into()],
        ..Saved::default()
    };
    let searches = [
        saved("disk", "disk fell"),
        saved("bad", "(never closed"),
        saved("network", "unreachable"),
        saved("failed", "status:failed"),
    ];
    let now = Timestamp::now();
    let found = triage(&store, &index, &searches, jobvault::model::JobId(6), now).await;
    let line = found[0].matches.as_ref().unwrap().as_ref().unwrap().as_ref().unwrap();
    assert_eq!((line.line, line.text.as_slice()), (3, b"disk fell off".as_slice()));
    assert!(found[1].matches.is_err());
    assert!(found[2].matches.as_ref().unwrap().is_none());
    assert!(found[3].matches.as_ref().unwrap().as_ref().unwrap().is_none(), "no line, but a match");
    let clean = triage(&store, &index, &searches, jobvault::model::JobId(5), now).await;
    let names = clean.iter().filter(|d| matches!(d.matches, Ok(Some(_)))).count();
    assert_eq!(names, 0);
}

#[tokio::test]
async fn every_filter_narrows_to_its_jobs() {
    let (_server, archive) = archive().await;
    let cases = [
        ("disk fell off took:>2m", 0),
        ("disk fell off took:<2m", 20),
        ("disk fell off reason:script_*", 20),
        ("disk fell off reason:runner*", 0),
        ("disk fell off job:6", 2),
        ("disk fell off job:#12", 2),
        ("disk fell off job:https://gitlab.example.com/x/-/jobs/18#L3", 2),
        ("disk fell off job:build", 20),
        ("disk fell off since:2026-02-01", 10),
        ("disk fell off until:2026-01-31", 10),
        ("disk fell off runner:runner-1", 0),
        ("disk fell off -runner:runner-1", 20),
        ("disk fell off section:build", 0),
    ];
    for (text, hits) in cases {
        assert_eq!(archive.search(text).await.len(), hits, "{text}");
    }
}

#[tokio::test]
async fn a_day_ends_before_the_next_one_begins() {
    let mut data = Data::default().project(7, "group/project");
    for (id, time) in [(1, "2026-01-31T23:59:59.999Z"), (2, "2026-02-01T00:00:00Z")] {
        let mut doc = job_doc(id, 10 + id, "build", "success");
        doc["finished_at"] = json!(time);
        data = data.job(7, doc, "ok\n");
    }
    let server = FakeGitLab::start(data);
    let archive = Archive::new();
    archive.sync(&server, "group/project").await.unwrap();
    for (text, hits) in [
        ("ok until:2026-01-31", vec![(1, 1)]),
        ("ok since:2026-02-01", vec![(2, 1)]),
        ("ok -until:2026-01-31", vec![(2, 1)]),
        ("ok until:2026-02-01T00:00:00Z", vec![(2, 1), (1, 1)]),
    ] {
        assert_eq!(archive.search(text).await, hits, "{text}");
    }
}

#[tokio::test]
async fn the_scope_of_a_search_is_what_its_filters_leave() {
    let (_server, archive) = archive().await;
    let store = archive.store().await;
    let of = async |text: &str, jobs: &[u64]| {
        let jobs: Vec<_> = jobs.iter().map(|id| jobvault::model::JobId(*id)).collect();
        scope(&store, &query(text), &jobs, Timestamp::now()).await.unwrap()
    };
    let all = of("nothing", &[]).await;
    assert_eq!((all.logs, all.filtered), (60, false));
    let some = of("nothing runner:runner-7", &[]).await;
    assert_eq!((some.logs, some.filtered), (20, true));
    assert!(some.raw_bytes > 0 && some.raw_bytes < all.raw_bytes);
    let days = some.period.map(|(from, to)| [from, to].map(|t| t.to_string()[..10].to_owned()));
    assert_eq!(days.unwrap(), ["2026-01-03", "2026-03-01"]);
    assert_eq!(of("nothing", &[5]).await.logs, 1);
    assert_eq!(of("nothing OR runner:runner-7", &[]).await.logs, 60);
}
