//! The stored bytes of an entry, the stream of stamps, a ledger, a list of frames.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| jobvault::store::fuzz::entry(data));
