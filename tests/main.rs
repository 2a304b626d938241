//! Tests.
mod gitlab;
mod util;
