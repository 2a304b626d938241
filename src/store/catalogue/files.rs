//! The server's list of a job's files, in two parts: what most lists share, and the sizes. Pure.
//!
//! The lists of jobs of one name differ in sizes alone, so the rest of the text is a word. Taking apart gives `None`
//! unless putting together gives the very text back.

use crate::store::packs::varint::{self, Reader};

/// What stands before each size.
const KEY: &str = "\"size\":";
/// A longer list is kept as it is: it is hardly like another.
const MAX_SHARED_BYTES: usize = 4096;

/// Takes a list apart into the text without its sizes, and these, coded.
pub(super) fn split(list: &str) -> Option<(String, Vec<u8>)> {
    let (mut shared, mut sizes, mut rest) = (String::with_capacity(list.len()), Vec::new(), list);
    while let Some(at) = rest.find(KEY) {
        let (before, after) = rest.split_at(at + KEY.len());
        shared.push_str(before);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if let Ok(size) = after[..digits].parse::<u64>() {
            varint::put(&mut sizes, size);
            shared.push('0');
        }
        rest = &after[digits..];
    }
    shared.push_str(rest);
    let fits = shared.len() <= MAX_SHARED_BYTES && join(&shared, &sizes).as_deref() == Some(list);
    fits.then_some((shared, sizes))
}

/// Puts a list together; `None` where the sizes are not those of the text.
pub(super) fn join(shared: &str, sizes: &[u8]) -> Option<String> {
    let mut sizes = Reader::new(sizes);
    let (mut list, mut rest) = (String::with_capacity(shared.len() + 16), shared);
    while let Some(at) = rest.find(KEY) {
        let (before, after) = rest.split_at(at + KEY.len());
        list.push_str(before);
        rest = match after.strip_prefix('0') {
            Some(after) => {
                list.push_str(&sizes.number()?.to_string());
                after
            }
            None => after,
        };
    }
    list.push_str(rest);
    sizes.is_empty().then_some(list)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_that_differ_in_sizes_share_the_rest() {
        let list = |log: u64, zip: u64| {
            format!(
                r#"[{{"file_type":"trace","size":{log}}},{{"file_type":"archive","size":{zip}}}]"#
            )
        };
        let (one, sizes) = split(&list(17, 4_000_000)).unwrap();
        let (two, _) = split(&list(0, 3)).unwrap();
        assert_eq!(one, two);
        assert_eq!(sizes.len(), 5);
        assert_eq!(join(&one, &sizes), Some(list(17, 4_000_000)));
    }

    #[test]
    fn what_would_not_come_back_is_not_taken_apart() {
        assert_eq!(split(r#"[{"size":007}]"#), None);
        assert_eq!(split(&"x".repeat(MAX_SHARED_BYTES + 1)), None);
        assert_eq!(join(r#"{"size":0}"#, &[]), None);
        let null = r#"[{"size":null,"size":99999999999999999999}]"#;
        assert!(
            split(null).is_none_or(|(text, sizes)| join(&text, &sizes).as_deref() == Some(null))
        );
    }

    proptest! {
        #[test]
        fn any_list_comes_back(list in r#"(\{"size":[0-9]{0,21}[,}x]|.){0,8}"#) {
            if let Some((shared, sizes)) = split(&list) {
                prop_assert_eq!(join(&shared, &sizes), Some(list));
            }
        }
    }
}
