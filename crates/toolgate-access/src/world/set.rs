//! A set of servers, as bits by their position in the world.

/// A set of servers of one world.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerSet(Vec<u64>);

impl ServerSet {
    /// Adds one.
    pub(crate) fn insert(&mut self, index: usize) {
        let word = index / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (index % 64);
    }

    /// Takes one away.
    pub(crate) fn remove(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }

    /// Whether it is in.
    pub(crate) fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// How many are in it.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Adds all of another.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, others) in self.0.iter_mut().zip(&other.0) {
            *word |= others;
        }
    }

    /// Keeps only what another has too.
    pub(crate) fn keep(&mut self, other: &Self) {
        self.0.truncate(other.0.len());
        for (word, others) in self.0.iter_mut().zip(&other.0) {
            *word &= others;
        }
    }

    /// Takes away what another has.
    pub(crate) fn take_away(&mut self, other: &Self) {
        for (word, others) in self.0.iter_mut().zip(&other.0) {
            *word &= !others;
        }
    }

    /// The positions in it, ascending.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(word, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let index = (bits != 0).then(|| word * 64 + bits.trailing_zeros() as usize);
                bits &= bits.wrapping_sub(1);
                index
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(of: &BTreeSet<usize>) -> ServerSet {
        let mut set = ServerSet::default();
        of.iter().for_each(|index| set.insert(*index));
        set
    }

    fn positions(set: &ServerSet) -> BTreeSet<usize> {
        set.positions().collect()
    }

    proptest! {
        #[test]
        fn it_is_a_set(one: BTreeSet<u8>, other: BTreeSet<u8>) {
            let one: BTreeSet<usize> = one.into_iter().map(usize::from).collect();
            let other: BTreeSet<usize> = other.into_iter().map(usize::from).collect();
            let with = |change: fn(&mut ServerSet, &ServerSet)| {
                let mut changed = set(&one);
                change(&mut changed, &set(&other));
                positions(&changed)
            };
            prop_assert_eq!(positions(&set(&one)), one.clone());
            prop_assert_eq!(set(&one).len(), one.len());
            prop_assert!((0..300).all(|index| set(&one).contains(index) == one.contains(&index)));
            prop_assert_eq!(with(ServerSet::add), &one | &other);
            prop_assert_eq!(with(ServerSet::keep), &one & &other);
            prop_assert_eq!(with(ServerSet::take_away), &one - &other);
        }
    }
}
