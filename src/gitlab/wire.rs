//! JSON as GitLab sends it, read into the model.
//!
//! Owns what is forgiven: unknown and repeated keys, unknown words, a field of an unexpected
//! type (it counts as absent). Knows nothing of HTTP. Only an object without a usable id fails,
//! and in a list it fails alone: [`Page::bad`] names it. Nesting costs no stack, since inner
//! values are skipped over, not built.

mod entity;
mod fields;
#[cfg(test)]
mod tests;

pub(crate) use entity::Entity;
pub(crate) use fields::Fields;

use serde_json::Value;
use serde_json::value::RawValue;

use super::pages::Cursor;

/// Characters of a server's message that are kept; GitLab's longest are shorter.
const MAX_MESSAGE_CHARS: usize = 200;

/// A value together with the JSON it was read from, byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct Received<T> {
    /// What was understood.
    pub value: T,
    /// What was sent.
    pub raw: Box<str>,
}

/// An element of a list that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadItem {
    /// Its id, if that much can be read.
    pub id: Option<u64>,
    /// What is wrong with it.
    pub reason: String,
    /// What was sent.
    pub raw: Box<str>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The elements, in the order sent.
    pub items: Vec<Received<T>>,
    /// The elements which could not be understood.
    pub bad: Vec<BadItem>,
    /// Where the next page is; `None` at the end.
    pub next: Option<Cursor>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), bad: Vec::new(), next: None }
    }
}

/// Reads one object.
pub(crate) fn object<T: Entity>(text: &str) -> Result<Received<T>, String> {
    let fields = Fields::parse(text)?;
    Ok(Received { value: T::read(&fields)?, raw: text.trim().into() })
}

/// Reads a list of objects; the next page is the caller's to add.
pub(crate) fn list<T: Entity>(text: &str) -> Result<Page<T>, String> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| describe(&error))?;
    let mut page = Page { items: Vec::with_capacity(elements.len()), ..Page::default() };
    for element in elements {
        match object(element.get()) {
            Ok(received) => page.items.push(received),
            Err(reason) => page.bad.push(BadItem {
                id: Fields::parse(element.get()).ok().and_then(|fields| fields.u64("id")),
                reason,
                raw: element.get().into(),
            }),
        }
    }
    Ok(page)
}

/// Words for what is wrong with a JSON text, without any of the text.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof => "the JSON ends too early".into(),
        serde_json::error::Category::Data => "the JSON is not of the kind asked for".into(),
        _ => format!("the JSON is damaged at line {line}, column {column}"),
    }
}

/// Returns the message of an error body, short and harmless to print, or `None` without one.
///
/// GitLab sends `{"message": ...}` with a text, object or list, or `{"error": ...}`.
pub(crate) fn message(body: &[u8]) -> Option<String> {
    // A body nested too deeply for the parser has no message worth reading.
    let value: Value = serde_json::from_slice(body).ok()?;
    let mut parts = Vec::new();
    for key in ["message", "error", "error_description"] {
        if let Some(found) = value.get(key) {
            flatten(found, &mut parts);
        }
    }
    let text = clean(&parts.join(": "));
    (!text.is_empty()).then_some(text)
}

fn flatten(value: &Value, parts: &mut Vec<String>) {
    match value {
        Value::String(text) => parts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| flatten(value, parts)),
        Value::Object(map) => {
            for (key, value) in map {
                if key != "error" {
                    parts.push(key.clone());
                }
                flatten(value, parts);
            }
        }
        Value::Null => {}
        other => parts.push(other.to_string()),
    }
}

/// Makes outside text fit for one line: no control characters, not too long.
pub(crate) fn clean(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Returns whether a body is a page for people rather than an answer for programs.
pub(crate) fn is_html(content_type: Option<&str>, body: &[u8]) -> bool {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'<') => true,
        // Mislabelled JSON is still JSON.
        Some(b'{' | b'[') => false,
        _ => content_type.is_some_and(is_html_type),
    }
}

/// Returns whether a `Content-Type` is that of a page.
pub(crate) fn is_html_type(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "text/html" || kind == "application/xhtml+xml"
}

/// Returns the title of a page.
pub(crate) fn title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    // ASCII lower-casing keeps every offset.
    let lower = text.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    let title = clean(&text[start..end]);
    (!title.is_empty()).then_some(title)
}
