//! What outlives the program: packs read by their written specification alone, and archives of earlier versions.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it skips"
)]

mod by_hand;
mod fixed;
