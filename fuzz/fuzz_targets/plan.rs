//! Tokens of a text and the plan of a term: no text that holds the term is missed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| jobvault_index::fuzz::plan(data));
