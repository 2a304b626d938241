#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;
use crate::model::{Bridge, Job, Pipeline, Project};

#[test]
fn the_first_list_with_elements_wins_and_else_the_last_value() {
    let job = object::<Job>(
        r#"{"artifacts":[],"name":"a","artifacts":[{"size":1}],"name":"b","id":1,
            "artifacts":[{"size":2}],"name":null,"id":7}"#,
    )
    .unwrap()
    .value;
    assert_eq!((job.id.0, job.name.as_deref()), (7, Some("b")));
    assert_eq!(job.artifacts[0].size, Some(1));
}

#[test]
fn escaped_keys_are_the_same_keys() {
    assert_eq!(object::<Job>(r#"{"\u0069d":7}"#).unwrap().value.id.0, 7);
}

#[test]
fn titles_are_found_and_made_harmless() {
    assert_eq!(title(b"<TITLE lang=x> 502\nBad\x1b </Title>").as_deref(), Some("502 Bad"));
    assert_eq!(title(b"<title></title>"), None);
    assert_eq!(title(b"<title>\xff"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = object::<Job>(&text);
        let _ = list::<Bridge>(&text);
        let _ = title(&bytes);
        let shown = message(&bytes).unwrap_or_default();
        prop_assert!(shown.chars().count() <= MAX_MESSAGE_CHARS + 1);
    }

    #[test]
    fn any_part_of_a_list_is_read_or_refused_whole(end in 0_usize..=130) {
        let text = r#"[{"id":1,"name":"aé","pipeline":{"id":2,"x":[1,{"y":null}]}},
            {"id":3,"artifacts":[{"file_type":"trace","size":4}]}]"#;
        if let Some(part) = text.get(..end.min(text.len())) {
            let whole = part.len() == text.len();
            prop_assert_eq!(list::<Job>(part).is_ok(), whole);
            prop_assert_eq!(list::<Pipeline>(part).is_ok(), whole);
            prop_assert_eq!(list::<Project>(part).is_ok(), whole);
        }
    }

    #[test]
    fn clean_text_is_one_short_line(text in "\\PC*|[\\x00-\\x20\\x7f]*|.*") {
        let cleaned = clean(&text);
        prop_assert!(!cleaned.chars().any(char::is_control));
        prop_assert!(cleaned.chars().count() <= MAX_MESSAGE_CHARS + 1);
    }
}
