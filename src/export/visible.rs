//! Text made safe to look at.
//!
//! Owns which characters are shown by name instead of being sent. Knows no colours.

/// Makes text from outside safe for a terminal.
///
/// Control bytes show in caret notation (`^[`), the tab stays; C1 controls and the characters that
/// turn the direction of writing show as `\u{9b}`; bytes that are not UTF-8 as U+FFFD.
pub fn sanitise(text: impl AsRef<[u8]>) -> String {
    let mut out = Vec::with_capacity(text.as_ref().len());
    sanitise_into(text.as_ref(), &mut out);
    String::from_utf8(out).expect("only whole characters were written")
}

/// Appends what [`sanitise`] returns.
pub(super) fn sanitise_into(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid();
        let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
        if valid.as_bytes().iter().all(plain) {
            out.extend_from_slice(valid.as_bytes());
        } else {
            valid.chars().for_each(|char| push(out, char));
        }
        if !chunk.invalid().is_empty() {
            push(out, char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Appends a character or, if it must not reach a terminal, its name.
pub(super) fn push(out: &mut Vec<u8>, char: char) {
    match char {
        '\t' | ' '..='~' => out.push(char as u8),
        // The caret form of a control byte is the letter 64 places on, of DEL the `?`.
        '\0'..='\x7f' => out.extend_from_slice(&[b'^', char as u8 ^ 0x40]),
        _ if !is_shown(char) => {
            out.extend_from_slice(format!("\\u{{{:x}}}", u32::from(char)).as_bytes());
        }
        _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Tells whether a terminal shows a character: controls act on it, and some characters turn the direction of writing.
pub fn is_shown(char: char) -> bool {
    !char.is_control() && !matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes text so that HTML shows it as it is, in elements and in quoted attributes.
///
/// Bytes that are not UTF-8 and control bytes that HTML forbids show as U+FFFD.
pub fn escape_html(text: impl AsRef<[u8]>) -> String {
    let text = String::from_utf8_lossy(text.as_ref());
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(char),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => out.push(char::REPLACEMENT_CHARACTER),
            _ => out.push(char),
        }
    }
    out
}
