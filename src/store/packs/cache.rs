//! Bases kept decoded, so that the frames of one log, or of one search, decode their base once.
//!
//! Bounded by bytes; what was not used for the longest time goes first. Two threads that need the same base do not both
//! decode it: the second waits. Knows nothing of files and fails only as the decoding does.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::codec::Base;

/// Decoded bases are kept up to this many bytes together: six of the largest. A sync over many series stays under 200 MB with it.
const MAX_BYTES: usize = 24 * 1024 * 1024;

/// Decoded bases by their number. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct BaseCache {
    inner: Arc<(Mutex<Inner>, Condvar)>,
}

#[derive(Debug, Default)]
struct Inner {
    bases: HashMap<u64, (Arc<Base>, u64)>,
    /// Those somebody is decoding.
    coming: HashSet<u64>,
    bytes: usize,
    uses: u64,
}

impl BaseCache {
    /// Returns a base that is kept, or the one that `make` makes, which is kept then.
    pub(crate) fn get<E>(
        &self,
        id: u64,
        make: impl FnOnce() -> Result<Base, E>,
    ) -> Result<Arc<Base>, E> {
        let mut inner = self.lock();
        loop {
            if let Some(base) = inner.used(id) {
                return Ok(base);
            }
            if inner.coming.insert(id) {
                break;
            }
            inner = self.inner.1.wait(inner).unwrap_or_else(|e| e.into_inner());
        }
        drop(inner);
        let _coming = Coming { cache: self, id };
        let base = Arc::new(make()?);
        self.lock().put(id, base.clone());
        Ok(base)
    }

    /// Forgets a base, which turned out to be damaged.
    pub(crate) fn forget(&self, id: u64) {
        let mut inner = self.lock();
        if let Some((gone, _)) = inner.bases.remove(&id) {
            inner.bytes -= gone.bytes();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Tells those who wait for a base that it is there, or that nobody decodes it any more.
struct Coming<'a> {
    cache: &'a BaseCache,
    id: u64,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.cache.lock().coming.remove(&self.id);
        self.cache.inner.1.notify_all();
    }
}

impl Inner {
    fn used(&mut self, id: u64) -> Option<Arc<Base>> {
        self.uses += 1;
        let (base, used) = self.bases.get_mut(&id)?;
        *used = self.uses;
        Some(base.clone())
    }

    /// Keeps a base, and drops others where there is no room for it.
    fn put(&mut self, id: u64, base: Arc<Base>) {
        self.uses += 1;
        self.bytes += base.bytes();
        if let Some((before, _)) = self.bases.insert(id, (base, self.uses)) {
            self.bytes -= before.bytes();
        }
        while self.bytes > MAX_BYTES {
            let oldest = self.bases.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            let Some((gone, _)) = oldest.and_then(|id| self.bases.remove(&id)) else { break };
            self.bytes -= gone.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_least_used_goes_first_and_memory_is_bounded() {
        const LARGEST: usize = 4 * 1024 * 1024;
        let cache = BaseCache::default();
        let base = || Ok::<_, ()>(Base::new(vec![b'x'; LARGEST]).unwrap());
        let kept = |id| cache.get(id, || Err(())).is_ok();
        let room = (MAX_BYTES / LARGEST) as u64;
        for id in 0..room {
            cache.get(id, base).unwrap();
        }
        assert!(kept(0));
        cache.get(room, base).unwrap();
        assert!(kept(0));
        assert!(!kept(1));
        assert!(cache.lock().bytes <= MAX_BYTES);
        cache.forget(0);
        assert!(!kept(0));
    }

    #[test]
    fn threads_that_need_one_base_decode_it_once() {
        let cache = BaseCache::default();
        let made = std::sync::atomic::AtomicUsize::new(0);
        let get = || {
            cache.get(7, || {
                made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok::<_, ()>(Base::new(vec![b'x'; 1000]).unwrap())
            })
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (0..4).map(|_| scope.spawn(get)).collect();
            others.into_iter().for_each(|other| drop(other.join().unwrap().unwrap()));
        });
        assert_eq!(made.into_inner(), 1);
        assert!(cache.get(8, || Err(())).is_err());
        assert!(cache.get(8, || Ok::<_, ()>(Base::new(vec![b'x'; 8]).unwrap())).is_ok());
    }
}
