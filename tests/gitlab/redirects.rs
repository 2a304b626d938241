//! Redirects, and who must never see the token.

use jobvault::gitlab::{Error, ProjectRef};
use jobvault::model::JobId;

use super::{PROJECT, start};
use crate::util::gitlab::{Data, FakeGitLab, Fault};

#[tokio::test]
async fn a_moved_project_is_found_with_one_more_request() {
    let (fake, client) = start(2);
    fake.data(|data| data.projects.get_mut(&1).unwrap().former.push("old/path".into()));
    let project = client.project(&ProjectRef::Path("old/path".into())).await.unwrap().value;
    assert_eq!(project.id, PROJECT);
    let seen = fake.seen();
    assert_eq!(seen.iter().map(|seen| seen.status).collect::<Vec<_>>(), [301, 200]);
    assert!(seen.iter().all(|seen| seen.had_token()));
    assert_eq!(seen[0].request.path, "/api/v4/projects/old%2Fpath");
    assert_eq!(client.job("old/path", JobId(2)).await.unwrap().value.id, JobId(2));
}

#[tokio::test]
async fn another_host_gets_no_token_and_may_serve() {
    let (fake, client) = start(1);
    let other = FakeGitLab::start(Data::default());
    let text = vec![("Content-Type", "text/plain".to_owned())];
    other.on("*", 9, Fault::Status(200, "from the storage\n".into(), text));
    fake.on("trace", 9, Fault::Redirect(302, format!("{}/bucket/1.log?sig=s3cret", other.url())));
    let mut log = Vec::new();
    client.trace(PROJECT, JobId(1), &mut log).await.unwrap();
    assert_eq!(log, b"from the storage\n");
    for seen in other.seen() {
        assert!(!seen.had_token());
        assert!(!format!("{seen:?}").contains("glpat-test"), "{seen:?}");
    }
}

#[tokio::test]
async fn another_host_that_refuses_is_named() {
    let (fake, client) = start(1);
    let other = FakeGitLab::start(Data::default());
    fake.on("job", 99, Fault::Redirect(301, format!("{}/api/v4/user", other.url())));
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    let Error::Elsewhere { host, status: 401, .. } = &error else { panic!("{error:?}") };
    assert_eq!(host, other.url());
    assert!(other.seen().iter().all(|seen| !seen.had_token()));
    assert_eq!(fake.count("user"), 0, "the token is not in doubt");
}

#[tokio::test]
async fn what_another_host_cannot_find_without_a_token_may_be_there() {
    let (fake, client) = start(1);
    let other = FakeGitLab::start(Data::default());
    other.on("*", 99, Fault::json(404, "{\"message\":\"404 Project Not Found\"}"));
    fake.on("job", 1, Fault::Redirect(301, format!("{}/api/v4/projects/1/jobs/1", other.url())));
    assert_eq!(client.job(PROJECT, JobId(1)).await.unwrap().value.id, JobId(1));
    fake.on("job", 99, Fault::Redirect(301, format!("{}/api/v4/projects/1/jobs/1", other.url())));
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    assert!(matches!(error, Error::Elsewhere { status: 404, .. }), "{error:?}");
}

#[tokio::test]
async fn another_name_of_the_same_server_is_another_host() {
    let (fake, client) = start(1);
    let other = fake.url().replace("127.0.0.1", "localhost");
    fake.on("job", 99, Fault::Redirect(301, format!("{other}/api/v4/user")));
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    assert!(error.to_string().contains(&other), "{error}");
    assert!(fake.seen().iter().filter(|seen| seen.route == "user").all(|seen| !seen.had_token()));
}

#[tokio::test]
async fn circles_and_long_ways_end() {
    let (fake, client) = start(1);
    let here = format!("{}/api/v4/projects/1/jobs/1", fake.url());
    fake.on("job", 99, Fault::Redirect(302, here));
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error:?}");
    assert_eq!(fake.count("job"), 3 * 2, "it may pass, so it is tried again");

    let (fake, client) = start(9);
    for hop in 2..9 {
        fake.on("job", 1, Fault::Redirect(307, format!("/api/v4/projects/1/jobs/{hop}")));
    }
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error:?}");
    assert_eq!(fake.count("job"), 6);
}

#[tokio::test]
async fn a_detour_to_the_same_place_is_no_circle() {
    let (fake, client) = start(1);
    fake.on("job", 1, Fault::Redirect(302, "/api/v4/projects/1/jobs/1".into()));
    client.job(PROJECT, JobId(1)).await.unwrap();
}

#[tokio::test]
async fn places_which_are_none_are_not_followed() {
    for location in ["ftp://example.com/x", "http://", "file:///etc/passwd"] {
        let (fake, client) = start(1);
        fake.on("job", 9, Fault::Redirect(302, location.into()));
        let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_action_is_never_redirected() {
    let (fake, client) = start(1);
    fake.on("erase", 9, Fault::Redirect(307, "/api/v4/projects/1/jobs/1/erase".into()));
    let error = client.erase(PROJECT, JobId(1)).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error:?}");
    assert_eq!(fake.count("erase"), 1);
}

#[tokio::test]
async fn a_circle_that_passes_is_followed_out_of() {
    let (fake, client) = start(1);
    // Two visits and the one too many make a circle; the next try meets none.
    fake.on("job", 2, Fault::Redirect(302, "/api/v4/projects/1/jobs/1".into()));
    assert_eq!(client.job(PROJECT, JobId(1)).await.unwrap().value.id, JobId(1));
    assert_eq!(fake.count("job"), 3);
}
