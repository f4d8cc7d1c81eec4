//! The ids of words that were seen lately. Of a fixed size: a word takes the place of another whose
//! hash ends alike.

use std::sync::RwLock;

const WORD_BYTES_MAX: usize = 23;
const IDS_MAX: usize = 5;
const SLOTS: usize = 1 << 14; // 48 bytes each

#[derive(Clone, Copy, PartialEq)]
pub struct Key([u64; 3]);

impl Key {
    /// Nothing for a word that is too long to be kept.
    pub fn of(word: &[u8]) -> Option<Key> {
        if word.len() > WORD_BYTES_MAX {
            return None;
        }
        let mut bytes = [0u8; 24];
        bytes[..word.len()].copy_from_slice(word);
        bytes[23] = word.len() as u8; // never 0: an empty slot is no word
        let part = |at: usize| {
            let mut eight = [0u8; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(eight)
        };
        Some(Key([part(0), part(8), part(16)]))
    }

    fn slot(&self) -> usize {
        let [a, b, c] = self.0;
        let mixed = (a ^ b.rotate_left(23) ^ c.rotate_left(47)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 50) as usize
    }
}

#[derive(Clone, Copy)]
struct Slot {
    key: Key,
    count: u32,
    ids: [u32; IDS_MAX],
}

pub struct WordCache {
    slots: RwLock<Vec<Slot>>,
}

/// Looks words up while nobody writes.
pub struct Lookup<'a>(Option<std::sync::RwLockReadGuard<'a, Vec<Slot>>>);

impl Lookup<'_> {
    pub fn get(&self, key: &Key) -> Option<&[u32]> {
        let slot = &self.0.as_ref()?[key.slot()];
        (slot.key == *key).then(|| &slot.ids[..slot.count as usize])
    }
}

impl WordCache {
    pub fn new() -> Self {
        let empty = Slot { key: Key([0; 3]), count: 0, ids: [0; IDS_MAX] };
        WordCache { slots: RwLock::new(vec![empty; SLOTS]) }
    }

    pub fn read(&self) -> Lookup<'_> {
        Lookup(self.slots.try_read().ok())
    }

    /// Keeps words, unless somebody else is at it: nobody waits for this.
    pub fn keep<'a>(&self, words: impl Iterator<Item = (Key, &'a [u32])>) {
        let Ok(mut slots) = self.slots.try_write() else { return };
        for (key, ids) in words {
            let Ok(count) = u32::try_from(ids.len()) else { continue };
            let slot = &mut slots[key.slot()];
            let Some(room) = slot.ids.get_mut(..ids.len()) else { continue };
            room.copy_from_slice(ids);
            slot.key = key;
            slot.count = count;
        }
    }
}
