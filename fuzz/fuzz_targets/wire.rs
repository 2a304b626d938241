//! JSON and pages as a server may send them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| jobvault::gitlab::fuzz::wire(data));
