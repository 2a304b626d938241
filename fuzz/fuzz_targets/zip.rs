//! An artifacts archive as anyone may upload it: its directory, and each member that it lists.
#![no_main]

use std::io::Cursor;

use jobvault::artifact;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut archive = Cursor::new(data);
    if let Ok(mut listing) = artifact::read(&mut archive) {
        let entries = listing.entries.len() as u64 + listing.more;
        let checked = artifact::check(&mut archive, &mut listing);
        assert!(checked.good + checked.bad + checked.unchecked <= entries);
    }
});
