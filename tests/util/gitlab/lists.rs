//! Lists of the loopback server, by keyset and by number, with the headers of the real one.
//!
//! Owns paging alone.

use serde_json::{Value, json};

use super::wire::{Answer, Request};

/// The most elements of a page, as on the real server.
const MAX_PER_PAGE: usize = 100;
/// Elements of a page when the client asks for no number.
const PER_PAGE: usize = 20;

fn refused(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({ "error": text }))
}

fn link(base: &str, request: &Request, changed: &[(&str, String)], rel: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let kept = |key: &str| !changed.iter().any(|(name, _)| *name == key);
    query.extend_pairs(request.query.iter().filter(|(key, _)| kept(key)));
    query.extend_pairs(changed);
    format!("<{base}{}?{}>; rel=\"{rel}\"", request.path, query.finish())
}

/// Answers with a page of elements, which come newest first.
pub fn page(base: &str, request: &Request, all: Vec<Value>, keyset: bool, total: bool) -> Answer {
    let number = |name: &str, default| match request.param(name) {
        None => Ok(default),
        Some(text) => text.parse::<usize>().ok().filter(|n| *n > 0).ok_or(()),
    };
    let (Ok(per_page), Ok(page)) = (number("per_page", PER_PAGE), number("page", 1)) else {
        return refused(400, "per_page does not have a valid value");
    };
    let per_page = per_page.min(MAX_PER_PAGE);
    if keyset && request.param("pagination") == Some("keyset") {
        return by_keyset(base, request, all, per_page);
    }
    let count = all.len();
    let items: Vec<_> = all.into_iter().skip((page - 1) * per_page).take(per_page).collect();
    let more = count > page * per_page;
    let mut answer = Answer::json(200, &Value::Array(items));
    answer.set("X-Per-Page", per_page.to_string());
    answer.set("X-Page", page.to_string());
    answer.set("X-Next-Page", if more { (page + 1).to_string() } else { String::new() });
    answer.set("X-Prev-Page", if page > 1 { (page - 1).to_string() } else { String::new() });
    let mut links = Vec::new();
    if more {
        links.push(link(base, request, &[("page", (page + 1).to_string())], "next"));
    }
    links.push(link(base, request, &[("page", "1".to_owned())], "first"));
    answer.set("Link", links.join(", "));
    if total {
        answer.set("X-Total", count.to_string());
        answer.set("X-Total-Pages", count.div_ceil(per_page).max(1).to_string());
    }
    answer
}

fn by_keyset(base: &str, request: &Request, all: Vec<Value>, per_page: usize) -> Answer {
    if request.param("sort") == Some("asc") {
        let text = "Keyset pagination is not yet available for this type of request";
        return refused(405, text);
    }
    let below = match request.param("cursor") {
        None => u64::MAX,
        Some(cursor) => match u64::from_str_radix(cursor, 36) {
            Ok(id) => id,
            Err(_) => return refused(400, "cursor is invalid"),
        },
    };
    let mut rest = all.into_iter().filter(|doc| doc["id"].as_u64().is_some_and(|id| id < below));
    let items: Vec<_> = rest.by_ref().take(per_page).collect();
    let last = items.last().and_then(|doc| doc["id"].as_u64());
    let more = rest.next().is_some();
    let mut answer = Answer::json(200, &Value::Array(items));
    if let (true, Some(last)) = (more, last) {
        let cursor = ("cursor", base36(last));
        answer.set("Link", link(base, request, &[cursor], "next"));
    }
    answer
}

/// Writes an id as a cursor: something a client cannot take for a number.
fn base36(mut id: u64) -> String {
    let mut digits = Vec::new();
    while id > 0 || digits.is_empty() {
        digits.push(char::from_digit((id % 36) as u32, 36).unwrap());
        id /= 36;
    }
    digits.iter().rev().collect()
}
