//! The footer of a pack: hostile ones are refused, those of today come back.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| jobvault::store::fuzz::pack(data));
