//! JSON for people's terminals too: what would act there instead of being shown is escaped, as JSON itself escapes
//! control bytes. The value stays the same.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::export::is_shown;

/// Writes a value as JSON without a line end.
pub(super) fn write(value: &impl Serialize, writer: impl Write) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(writer, Escaping))?)
}

/// Returns a value as JSON. It must be plain data, which cannot fail to be written into memory.
pub(crate) fn json_text(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    write(value, &mut text).expect("memory takes everything, and plain data is JSON");
    String::from_utf8(text).expect("JSON of texts is text")
}

/// The compact form of `serde_json`, with more characters escaped.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        escaped(fragment, writer)
    }

    /// Writes what is JSON already. What is escaped here can stand only in its strings.
    fn write_raw_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        escaped(fragment, writer)
    }
}

fn escaped<W: ?Sized + Write>(text: &str, writer: &mut W) -> io::Result<()> {
    if text.bytes().all(|byte| byte < 0x7f) {
        return writer.write_all(text.as_bytes());
    }
    let mut written = 0;
    for (at, char) in text.char_indices() {
        // White space between the tokens of raw JSON is no concern.
        if char < '\x7f' || is_shown(char) && !matches!(char, '\u{2028}' | '\u{2029}') {
            continue;
        }
        writer.write_all(&text.as_bytes()[written..at])?;
        // All of them have 16 bits.
        write!(writer, "\\u{:04x}", u32::from(char))?;
        written = at + char.len_utf8();
    }
    writer.write_all(&text.as_bytes()[written..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test states what must hold.

    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn nothing_in_json_acts_on_a_terminal_and_no_value_changes() {
        let odd = "é\u{9b}31m \u{7f}\u{202e}abc\u{2066}\u{2029}\u{2028}\u{80} 日本 \u{1b}[m \"\\\n";
        let value = json!({ odd: [odd, 1, null] });
        let text = json_text(&value);
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{2028}', '\u{2029}']), "{text:?}");
        assert!(text.contains("é\\u009b31m \\u007f\\u202eabc") && text.contains("日本"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        let raw = RawValue::from_string("[ \"a\u{7f}\u{9b}\",\n 1]".to_owned()).unwrap();
        assert_eq!(json_text(&raw), "[ \"a\\u007f\\u009b\",\n 1]");
        assert_eq!(
            json_text(&json!({"a": "plain"})),
            serde_json::to_string(&json!({"a": "plain"})).unwrap()
        );
    }
}
