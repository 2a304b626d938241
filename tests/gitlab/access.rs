//! Who asks: tokens, refusals of tokens, and texts that never hold one.

use jobvault::gitlab::{Auth, Client, Cursor, Error};
use jobvault::model::JobId;
use secrecy::SecretString;

use super::{PROJECT, client, options, start};
use crate::util::gitlab::{Data, FakeGitLab, Fault, TOKEN};

#[tokio::test]
async fn the_user_and_the_version_are_known() {
    let (fake, client) = start(0);
    assert_eq!(client.whoami().await.unwrap().value.username.as_deref(), Some("root"));
    let version = client.version().await.unwrap().unwrap();
    assert_eq!(version.version.as_deref(), Some("17.5.0-ee"));
    fake.on("version", 1, Fault::json(404, r#"{"message":"404 Not found"}"#));
    assert_eq!(client.version().await.unwrap(), None);
    let agent = fake.seen()[0].request.header("user-agent").unwrap().to_owned();
    assert!(agent.starts_with("jobvault/"), "{agent}");
}

#[tokio::test]
async fn each_kind_of_token_has_its_header() {
    let (fake, _) = start(0);
    let secret = || SecretString::from(TOKEN.to_owned());
    let kinds = [
        (Auth::PrivateToken(secret()), "private-token", TOKEN.to_owned()),
        (Auth::Bearer(secret()), "authorization", format!("Bearer {TOKEN}")),
        (Auth::JobToken(secret()), "job-token", TOKEN.to_owned()),
    ];
    for (auth, name, value) in kinds {
        let mut options = options(fake.url());
        options.auth = auth;
        assert!(!format!("{options:?}").contains(TOKEN));
        let client = Client::new(options).unwrap();
        client.whoami().await.unwrap();
        assert!(!format!("{client:?}").contains(TOKEN));
        let seen = fake.seen();
        assert_eq!(seen.last().unwrap().request.header(name), Some(value.as_str()));
    }
}

#[tokio::test]
async fn one_refusal_of_a_token_is_not_believed() {
    let (fake, client) = start(1);
    fake.on("job", 1, Fault::json(401, r#"{"message":"401 Unauthorized"}"#));
    client.job(PROJECT, JobId(1)).await.unwrap();
    assert_eq!((fake.count("job"), fake.count("user")), (2, 0));
}

#[tokio::test]
async fn a_refusal_is_believed_when_the_user_is_refused_too() {
    let (fake, client) = start(1);
    fake.data(|data| data.token = "another".into());
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { token_accepted: false, .. }), "{error:?}");
    assert_eq!((fake.count("job"), fake.count("user")), (2, 5));
    fake.forget();
    assert!(matches!(client.whoami().await, Err(Error::Unauthorized { .. })));
    assert_eq!(fake.count("user"), 2);
}

#[tokio::test]
async fn refusals_by_chance_of_the_user_too_are_not_believed() {
    let (fake, client) = start(1);
    let refusal = || Fault::json(401, r#"{"message":"401 Unauthorized"}"#);
    fake.on("job", 2, refusal());
    fake.on("user", 4, refusal());
    client.job(PROJECT, JobId(1)).await.unwrap();
    assert_eq!((fake.count("job"), fake.count("user")), (3, 5));
}

#[tokio::test]
async fn a_refusal_is_doubted_while_the_user_is_accepted() {
    let (fake, client) = start(1);
    fake.on("job", 3, Fault::json(401, r#"{"message":"401 Unauthorized"}"#));
    client.job(PROJECT, JobId(1)).await.unwrap();
    fake.on("job", 99, Fault::json(401, r#"{"message":"401 Unauthorized"}"#));
    let error = client.job(PROJECT, JobId(1)).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { token_accepted: true, .. }), "{error:?}");
}

#[tokio::test]
async fn no_text_holds_the_token() {
    let echo = format!(r#"{{"message":"the token {TOKEN} is bad"}}"#);
    let page = format!("<title>{TOKEN}</title>");
    for status in [400, 401, 403, 404, 409, 500] {
        let (fake, client) = start(1);
        let html = vec![("Content-Type", "text/html".to_owned())];
        fake.on("job", 99, Fault::json(status, &echo));
        fake.on("jobs", 99, Fault::Status(status, page.clone(), html));
        let one = client.job(PROJECT, JobId(1)).await.unwrap_err();
        let two = client.jobs_page(PROJECT, &[], &Cursor::default()).await.unwrap_err();
        for error in [one, two] {
            assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_relative_root_and_a_given_api_path_are_kept() {
    let fake = FakeGitLab::start(Data::default());
    let url = fake.url();
    let roots = [
        ("", "/api/v4/user"),
        ("/", "/api/v4/user"),
        ("/gitlab", "/gitlab/api/v4/user"),
        ("/gitlab//", "/gitlab/api/v4/user"),
        ("/api/v4/", "/api/v4/user"),
        ("/gitlab/api/v4?private_token=x#y", "/gitlab/api/v4/user"),
    ];
    for (root, expected) in roots {
        fake.forget();
        let client = Client::new(options(&format!("{url}{root}"))).unwrap();
        let _ = client.whoami().await;
        let request = fake.seen()[0].request.clone();
        assert_eq!((request.path.as_str(), request.query.len()), (expected, 0));
    }
}

#[tokio::test]
async fn paths_are_encoded_whole() {
    let paths = ["group/sub.group/project", "a/..", "50%/ü b", "a/b?c#d"];
    let data = (1..).zip(paths).fold(Data::default(), |data, (id, path)| data.project(id, path));
    let fake = FakeGitLab::start(data);
    let client = client(&fake);
    for path in paths {
        let project = client.project(path).await.unwrap().value;
        assert_eq!(project.path_with_namespace.as_deref(), Some(path));
    }
    assert_eq!(fake.seen()[0].request.path, "/api/v4/projects/group%2Fsub%2Egroup%2Fproject");
}

#[test]
fn unusable_options_are_refused() {
    for url in ["ftp://example.com", "file:///x", "unix:/x"] {
        assert!(matches!(Client::new(options(url)), Err(Error::Options { .. })), "{url}");
    }
    for token in ["", "line\nfeed"] {
        let mut options = options("http://127.0.0.1:1");
        options.auth = Auth::PrivateToken(token.to_owned().into());
        assert!(matches!(Client::new(options), Err(Error::Options { .. })));
    }
    for pem in ["", "no certificate"] {
        let mut options = options("http://127.0.0.1:1");
        options.ca_pem = Some(pem.as_bytes().to_vec());
        assert!(matches!(Client::new(options), Err(Error::Options { .. })));
    }
}
