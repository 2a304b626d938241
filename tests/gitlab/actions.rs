//! The four actions, which are never sent twice once a server may have seen them.

use jobvault::gitlab::{Error, JobVariable};
use jobvault::model::{JobId, Status};
use serde_json::json;

use super::{PROJECT, start};
use crate::util::gitlab::{Fault, job_doc};

#[tokio::test]
async fn cancel_retry_and_erase_do_as_the_server_says() {
    let (fake, client) = start(1);
    fake.data(|data| data.add_job(1, job_doc(2, 1, "slow", "running"), Vec::new()));
    let job = client.cancel(PROJECT, JobId(2)).await.unwrap().value;
    assert_eq!(job.status, Some(Status::Canceled));
    let retried = client.retry(PROJECT, JobId(1)).await.unwrap().value;
    assert_ne!(retried.id, JobId(1));
    let erased = client.erase(PROJECT, JobId(1)).await.unwrap().value;
    assert!(erased.erased_at.is_some());
    let error = client.erase(PROJECT, JobId(1)).await.unwrap_err();
    let Error::Forbidden { message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(message, "403 Forbidden - Job is not erasable!");
    assert!(fake.seen().iter().all(|seen| seen.request.method == "POST" && seen.had_token()));
}

#[tokio::test]
async fn play_sends_its_variables() {
    let (fake, client) = start(0);
    fake.data(|data| data.add_job(1, job_doc(2, 1, "deploy", "manual"), Vec::new()));
    let variable = JobVariable { key: "ENV".into(), value: "pro\"d".to_owned().into() };
    assert!(!format!("{variable:?}").contains("pro"));
    let job = client.play(PROJECT, JobId(2), &[variable]).await.unwrap().value;
    assert_eq!(job.status, Some(Status::Pending));
    let played_with = fake.data(|data| data.job_mut(1, 2).doc["played_with"].clone());
    assert_eq!(played_with, json!([{"key": "ENV", "value": "pro\"d"}]));
    let error = client.play(PROJECT, JobId(2), &[]).await.unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert!(error.to_string().contains("Unplayable Job"), "{error}");
}

#[tokio::test]
async fn an_action_of_unknown_outcome_is_not_sent_again() {
    for fault in [Fault::Gone, Fault::json(502, "{}"), Fault::TruncatedJson, Fault::Html] {
        let (fake, client) = start(1);
        fake.on("retry", 1, fault);
        client.retry(PROJECT, JobId(1)).await.unwrap_err();
        assert_eq!(fake.count("retry"), 1);
    }
}

#[tokio::test]
async fn an_action_refused_by_a_rate_limit_is_sent_again() {
    let (fake, client) = start(1);
    fake.on("retry", 2, Fault::json(429, "{}"));
    client.retry(PROJECT, JobId(1)).await.unwrap();
    assert_eq!(fake.count("retry"), 3);
}
