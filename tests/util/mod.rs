//! What several test areas share.

pub mod archive;
pub mod gitlab;
pub mod zips;
