//! Tests of behaviour through the public face, in one binary.
mod gitlab;
mod layers;
mod sync;
mod util;
