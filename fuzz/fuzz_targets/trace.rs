//! Cutting a trace into frames and reading its text: both ways to the text agree.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| jobvault::trace::fuzz::trace(data));
