//! The flat dictionary: hostile files are refused or harmless, scans find what is there.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| jobvault_index::fuzz::flat(data));
