//! What fuzz targets call of the flat dictionary. Tests try them too, so that they stay true.

use std::collections::BTreeSet;

use super::{Builder, Flat, MAGIC, OwnedBytes, checksum};
use crate::plan::Lookup;

/// Tokens that a scan of a hostile file may give before it is stopped.
const MAX_FOUND: usize = 1000;

/// Reads bytes as a file whose checksum is right, and scans it.
pub(crate) fn hostile(rest: &[u8], lookup: &Lookup) {
    let Some(tokens) = rest.first_chunk::<8>() else { return };
    let tokens = u64::from_le_bytes(*tokens);
    let file = [MAGIC, checksum(rest).to_le_bytes().as_slice(), rest].concat();
    if let Some(flat) = Flat::parse(OwnedBytes::new(file), tokens) {
        let mut found = 0;
        flat.scan(lookup, |_| {
            found += 1;
            found < MAX_FOUND
        });
    }
}

/// Returns what a scan of a dictionary of these tokens finds.
pub(crate) fn scan(tokens: &BTreeSet<Vec<u8>>, lookup: &Lookup) -> BTreeSet<Vec<u8>> {
    let mut builder = Builder::new();
    tokens.iter().for_each(|token| builder.push(token));
    let flat = Flat::parse(OwnedBytes::new(builder.finish()), builder.tokens);
    let flat = flat.expect("what was just made is whole");
    let mut found = BTreeSet::new();
    flat.scan(lookup, |token| found.insert(token.to_vec()));
    found
}
