//! The container image of jobs, which no list of GitLab's names: the runner writes it into the log.
//!
//! Source of the wording: `Using Docker executor with image %s ...` and `Using Kubernetes executor with image %s ...`
//! in <https://gitlab.com/gitlab-org/gitlab-runner> (executors/docker and executors/kubernetes, version 18).

use std::collections::HashMap;
use std::ops::ControlFlow;

use anyhow::Context;
use jiff::Timestamp;
use jobvault_index::{Case, Index, Query};

use super::{Detail, Found, Options, search};
use crate::model::JobId;
use crate::store::Store;
use crate::store::catalogue::Runs;

/// The line in which a runner names the image.
const LINE: &str = r"^\s*Using (?:Docker|Kubernetes) executor with image \S+";
/// What stands before the image there.
const BEFORE: &str = "executor with image ";
/// A longer name of an image is cut.
const MAX_IMAGE_BYTES: usize = 500;

/// Puts the image in the place of what the runs had as their value; the logs that name none have none.
pub(super) async fn replace(
    store: &Store,
    index: &Index,
    runs: &mut Runs,
    now: Timestamp,
) -> anyhow::Result<()> {
    runs.values.clear();
    runs.list.iter_mut().for_each(|run| run.value = None);
    if runs.list.is_empty() {
        return Ok(());
    }
    let query = Query::from_parts(&[], &[LINE.to_owned()], &[], Case::Sensitive)
        .context("the query for images")?;
    let jobs = runs.list.iter().map(|run| JobId(run.id)).collect();
    let options = Options { jobs, each: Some(1), detail: Detail::Lines, ..Options::default() };
    let mut images: HashMap<u64, String> = HashMap::new();
    search(store, index, &query, &options, now, |found| {
        if let Found::Hits { job, hits, .. } = found
            && let Some(image) = hits.first().and_then(|hit| image(&hit.text))
        {
            images.entry(job.id.0).or_insert(image);
        }
        ControlFlow::Continue(())
    })
    .await?;
    let mut places: HashMap<String, usize> = HashMap::new();
    for run in &mut runs.list {
        let Some(image) = images.remove(&run.id) else { continue };
        let next = places.len();
        run.value = Some(*places.entry(image).or_insert(next));
    }
    let mut values: Vec<(String, usize)> = places.into_iter().collect();
    values.sort_by_key(|(_, place)| *place);
    runs.values = values.into_iter().map(|(image, _)| image).collect();
    Ok(())
}

fn image(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let (_, rest) = text.split_once(BEFORE)?;
    let image = rest.split_whitespace().next()?.trim_end_matches("...");
    Some(image.chars().take(MAX_IMAGE_BYTES).collect()).filter(|image: &String| !image.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_the_word_after_the_executor() {
        let of = |line: &str| image(line.as_bytes());
        let docker = "Using Docker executor with image ruby:3.1 ...";
        assert_eq!(of(docker).as_deref(), Some("ruby:3.1"));
        assert_eq!(
            of("Using Kubernetes executor with image a/b@sha256:0...").as_deref(),
            Some("a/b@sha256:0")
        );
        assert_eq!(of("Using Docker executor with image "), None);
    }
}
