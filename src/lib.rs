//! jobvault.

pub mod export;
pub mod trace;
