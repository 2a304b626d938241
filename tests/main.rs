//! Tests of behaviour through the public face, in one binary.
mod care;
mod cli;
mod crash;
mod formats;
mod gitlab;
mod layers;
mod search;
mod sync;
mod util;
