//! What several test areas share.

pub mod gitlab;
pub mod archive;
