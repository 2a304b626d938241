//! What fuzz targets call: readers of what a server sends. Tests try them too, so that they stay true.

use super::wire;
use crate::model::{Bridge, Job, Pipeline, Project, Runner};

/// Reads bytes as each thing that a server may send.
pub fn wire(data: &[u8]) {
    let _ = wire::message(data);
    let _ = wire::title(data);
    let _ = wire::is_html(None, data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = wire::clean(text);
    let _ = wire::object::<Job>(text);
    let _ = wire::object::<Runner>(text);
    let _ = wire::list::<Bridge>(text);
    let _ = wire::list::<Project>(text);
    let _ = wire::list::<Pipeline>(text);
    if let Ok(page) = wire::list::<Job>(text) {
        assert!(page.items.iter().all(|job| wire::object::<Job>(&job.raw).is_ok()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_target_holds(text in r#"[\[\]{}:,"\\eid0-9.nul-]{0,120}"#) {
            super::wire(text.as_bytes());
        }
    }
}
