//! Bases kept decoded, so that the frames of one log, or of one search, decode their base once.
//!
//! Bounded by bytes; what was not used for the longest time goes first. Knows nothing of files and cannot fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::codec::BaseDict;

/// Decoded bases are kept up to this many bytes together: six of the largest. A sync over many series stays under 200 MB with it.
const MAX_BYTES: usize = 24 * 1024 * 1024;

/// Decoded bases by their number. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct BaseCache {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    bases: HashMap<u64, (Arc<BaseDict>, u64)>,
    bytes: usize,
    uses: u64,
}

impl BaseCache {
    /// Returns a base that is kept.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<BaseDict>> {
        let mut inner = self.inner.lock().unwrap_or_else(|e| e.into_inner());
        inner.uses += 1;
        let uses = inner.uses;
        let (base, used) = inner.bases.get_mut(&id)?;
        *used = uses;
        Some(base.clone())
    }

    /// Keeps a base, and drops others where there is no room for it.
    pub(crate) fn put(&self, id: u64, base: Arc<BaseDict>) {
        let mut inner = self.inner.lock().unwrap_or_else(|e| e.into_inner());
        inner.uses += 1;
        inner.bytes += base.bytes();
        let uses = inner.uses;
        if let Some((before, _)) = inner.bases.insert(id, (base, uses)) {
            inner.bytes -= before.bytes();
        }
        while inner.bytes > MAX_BYTES {
            let oldest = inner.bases.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            let Some((gone, _)) = oldest.and_then(|id| inner.bases.remove(&id)) else { break };
            inner.bytes -= gone.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_least_used_goes_first_and_memory_is_bounded() {
        let cache = BaseCache::default();
        const LARGEST: usize = 4 * 1024 * 1024;
        let base = Arc::new(BaseDict::new(&vec![b'x'; LARGEST]).unwrap());
        let room = (MAX_BYTES / LARGEST) as u64;
        for id in 0..room {
            cache.put(id, base.clone());
        }
        assert!(cache.get(0).is_some());
        cache.put(room, base.clone());
        assert!(cache.get(0).is_some());
        assert!(cache.get(1).is_none());
        assert!(cache.inner.lock().unwrap().bytes <= MAX_BYTES);
    }
}
