//! jobvault.
pub mod cli;
pub mod config;
pub mod export;
pub mod gitlab;
pub mod model;
pub mod search;
pub mod store;
pub mod sync;
pub mod trace;
