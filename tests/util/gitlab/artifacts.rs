//! Artifacts archives: from the server itself, or by a signed address of a storage.
//!
//! The storage takes a token for a second way of signing in, and refuses both, as the real ones do.

use super::data::Data;
use super::routes::{message, token};
use super::wire::{Answer, Request};

/// Answers for an archive as the server does.
pub fn archive(data: &Data, project: u64, job: &str, request: &Request) -> Answer {
    let Some(bytes) = find(data, project, job) else { return message(404, "404 Not Found") };
    match &data.storage {
        None => ranged(bytes, request, data.ranges),
        Some(storage) => {
            let to = format!("{storage}/bucket/{project}/{job}/artifacts.zip?signature=good");
            let mut answer =
                Answer::new(302, "text/plain", "This resource has been moved temporarily");
            answer.set("Location", to);
            answer
        }
    }
}

/// Answers as a storage does.
pub fn storage(data: &Data, path: &str, request: &Request) -> Answer {
    let refused = |status, text: &str| Answer::new(status, "application/xml", text);
    if token(request).is_some() {
        return refused(400, "<Error><Code>InvalidArgument</Code></Error>");
    }
    if request.param("signature") != Some("good") {
        return refused(403, "<Error><Code>AccessDenied</Code></Error>");
    }
    let parts: Vec<&str> = path.split('/').collect();
    match find(data, parts[0].parse().unwrap_or_default(), parts[1]) {
        Some(bytes) => ranged(bytes, request, data.ranges),
        None => refused(404, "<Error><Code>NoSuchKey</Code></Error>"),
    }
}

fn find<'a>(data: &'a Data, project: u64, job: &str) -> Option<&'a [u8]> {
    let job = data.projects.get(&project)?.jobs.get(&job.parse().ok()?)?;
    job.archive.as_deref()
}

fn ranged(bytes: &[u8], request: &Request, ranges: bool) -> Answer {
    let kind = "application/octet-stream";
    let tag = format!("\"{}\"", blake3::hash(bytes).to_hex());
    let same = request.header("if-range").is_none_or(|given| given == tag);
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
    let mut answer = match range.filter(|_| ranges && same).and_then(|range| range.split_once('-'))
    {
        None => Answer::new(200, kind, bytes),
        Some((first, last)) => {
            let len = bytes.len();
            let number = |text: &str| text.parse::<usize>().ok();
            let (from, to) = match (number(first), number(last)) {
                (None, last) => (len.saturating_sub(last.unwrap_or(0)), len),
                (Some(first), last) => (first, last.map_or(len, |last| (last + 1).min(len))),
            };
            if from >= to {
                return Answer::new(416, "text/plain", "invalid range");
            }
            let mut part = Answer::new(206, kind, &bytes[from..to]);
            part.set("Content-Range", format!("bytes {from}-{}/{len}", to - 1));
            part
        }
    };
    answer.set("ETag", tag);
    answer
}
