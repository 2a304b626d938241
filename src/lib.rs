//! jobvault.
pub mod gitlab;
pub mod model;
