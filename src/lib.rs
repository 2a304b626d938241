//! jobvault.
pub mod model;
pub mod store;
