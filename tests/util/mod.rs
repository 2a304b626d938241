//! What several test areas share.

pub mod gitlab;
