//! Tests of behaviour through the public face, in one binary.
mod cli;
mod crash;
mod gitlab;
mod layers;
mod sync;
mod util;
