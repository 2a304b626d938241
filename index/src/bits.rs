//! Sets of document numbers of one segment, as bits.
//!
//! Pure; a number beyond the size given at creation is ignored rather than stored.

/// A set of numbers below a fixed size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    size: u32,
}

impl Bits {
    /// Makes the empty set of numbers below `size`.
    pub(crate) fn none(size: u32) -> Bits {
        let words = vec![0; (size as usize).div_ceil(64)];
        Bits { words, size }
    }

    /// Makes the set of all numbers below `size`.
    pub(crate) fn all(size: u32) -> Bits {
        let mut bits = Bits::none(size);
        bits.words.fill(u64::MAX);
        let rest = size % 64;
        if let (true, Some(last)) = (rest > 0, bits.words.last_mut()) {
            *last = (1 << rest) - 1;
        }
        bits
    }

    pub(crate) fn insert(&mut self, number: u32) {
        if number < self.size {
            self.words[number as usize / 64] |= 1 << (number % 64);
        }
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        let word = self.words.get(number as usize / 64);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(crate) fn union(&mut self, other: &Bits) {
        let pairs = self.words.iter_mut().zip(&other.words);
        pairs.for_each(|(word, other)| *word |= other);
    }

    pub(crate) fn intersect(&mut self, other: &Bits) {
        let pairs = self.words.iter_mut().zip(&other.words);
        pairs.for_each(|(word, other)| *word &= other);
    }

    pub(crate) fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Returns the numbers in rising order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let words = (0u32..).step_by(64).zip(&self.words);
        words.flat_map(|(base, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let next = (left != 0).then(|| base + left.trailing_zeros());
                left &= left.wrapping_sub(1);
                next
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ends_at_the_size() {
        for size in [0, 1, 63, 64, 65, 130] {
            let all = Bits::all(size);
            assert_eq!(all.count(), size);
            assert!(all.iter().eq(0..size));
            assert!(!all.contains(size));
        }
    }

    #[test]
    fn sets_join_and_meet() {
        let mut left = Bits::none(200);
        let mut right = Bits::none(200);
        [3, 64, 199].iter().for_each(|number| left.insert(*number));
        [64, 100, 200].iter().for_each(|number| right.insert(*number));
        let mut both = left.clone();
        both.intersect(&right);
        assert_eq!(both.iter().collect::<Vec<_>>(), [64]);
        left.union(&right);
        assert_eq!(left.iter().collect::<Vec<_>>(), [3, 64, 100, 199]);
        assert!(Bits::none(0).is_empty());
    }
}
