//! A table of counts that stays bounded and still merges exactly.

use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

/// Rows that a table keeps at the most, unless it says another number.
pub const MOST_ROWS: usize = 1 << 14;

/// Values by key; beyond `MOST` keys, an even sample of the keys with their exact values.
///
/// A key stays while its hash begins with `level` zero bits, and the level rises when the table is full (Gibbons'
/// distinct sampling). Which keys stay depends on the set of keys alone, not on their order, so folding and merging
/// give the same table.
#[derive(Clone, Debug)]
pub struct Sampled<K, V, const MOST: usize = MOST_ROWS> {
    rows: HashMap<K, V, FixedState>,
    level: u32,
}

impl<K, V, const MOST: usize> Default for Sampled<K, V, MOST> {
    fn default() -> Self {
        Sampled { rows: HashMap::default(), level: 0 }
    }
}

impl<K: Hash + Eq + Ord + Clone, V: Default, const MOST: usize> Sampled<K, V, MOST> {
    /// The value of `key` to be changed; `None` where the key is not in the sample.
    pub fn entry(&mut self, key: K) -> Option<&mut V> {
        if !self.keeps(&key) {
            return None;
        }
        if self.rows.len() >= MOST && !self.rows.contains_key(&key) {
            self.rows.insert(key.clone(), V::default());
            self.shrink();
            return self.rows.get_mut(&key);
        }
        Some(self.rows.entry(key).or_default())
    }

    /// Adds another table's rows; `add` joins two values of one key.
    pub fn merge(&mut self, other: Self, mut add: impl FnMut(&mut V, V)) {
        self.level = self.level.max(other.level);
        let level = self.level;
        self.rows.retain(|key, _| kept(key, level));
        for (key, value) in other.rows {
            if let Some(own) = self.entry(key) {
                add(own, value);
            }
        }
    }

    /// The value of `key`, where there is one.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// All rows, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    /// All rows, in the order of their keys.
    pub fn sorted(&self) -> Vec<(&K, &V)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by(|a, b| a.0.cmp(b.0));
        rows
    }

    /// What share of all keys is kept: 1 unless the table was full.
    #[must_use]
    pub fn share(&self) -> f64 {
        0.5f64.powi(self.level as i32)
    }

    fn keeps(&self, key: &K) -> bool {
        self.level == 0 || kept(key, self.level)
    }

    fn shrink(&mut self) {
        while self.rows.len() > MOST {
            self.level += 1;
            let level = self.level;
            self.rows.retain(|key, _| kept(key, level));
        }
    }
}

fn kept(key: &impl Hash, level: u32) -> bool {
    FixedState::with_seed(1).hash_one(key).leading_zeros() >= level
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(keys: &[u32]) -> Sampled<u32, u64> {
        let mut table = Sampled::default();
        for key in keys {
            if let Some(n) = table.entry(*key) {
                *n += 1;
            }
        }
        table
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn merging_parts_gives_the_whole(seed in any::<u32>(), n in 0usize..60_000, cut in 0.0f64..1.0) {
            let keys: Vec<u32> = (0..n as u32).map(|i| i.wrapping_mul(2_654_435_761).wrapping_add(seed) % 50_000).collect();
            let cut = (n as f64 * cut) as usize;
            let mut merged = count(&keys[..cut]);
            merged.merge(count(&keys[cut..]), |a, b| *a += b);
            let whole = count(&keys);
            prop_assert!(whole.sorted().len() <= MOST_ROWS);
            prop_assert_eq!((merged.level, merged.sorted()), (whole.level, whole.sorted()));
        }
    }
}
