//! The root of the SHA-256 tree over data that streams by: piece commitments and CommD, with
//! memory that does not grow with the data.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Data is taken in chunks of this size; smaller data in one chunk.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Size of the chunks in which data of that size (a power of two) is to be pushed.
pub fn chunk_bytes(size_bytes: u64) -> usize {
    size_bytes.min(CHUNK_BYTES as u64) as usize
}

/// Collects roots of chunks: one waiting subtree per height, as in a binary counter.
#[derive(Debug, Default)]
pub struct DataRoot {
    waiting: Vec<Option<[u8; 32]>>,
}

impl DataRoot {
    /// Adds the next chunk: fr32-padded data, as long as [`chunk_bytes`] says.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut row: Vec<[u8; 32]> = chunk
            .par_chunks_exact(64)
            .with_min_len(256)
            .map(hash)
            .collect();
        while row.len() > 1 {
            row = row
                .par_chunks_exact(2)
                .with_min_len(256)
                .map(|pair| hash(pair.as_flattened()))
                .collect();
        }
        let Some(mut root) = row.pop() else { return };
        for slot in &mut self.waiting {
            match slot.take() {
                Some(left) => root = hash([left, root].as_flattened()),
                None => {
                    *slot = Some(root);
                    return;
                }
            }
        }
        self.waiting.push(Some(root));
    }

    /// The root; `None` unless the number of chunks was a power of two.
    pub fn finish(mut self) -> Option<[u8; 32]> {
        let root = self.waiting.pop()??;
        self.waiting.iter().all(Option::is_none).then_some(root)
    }
}

/// SHA-256 with the two highest bits of the last byte cleared, so that it is a field element.
fn hash(pair: &[u8]) -> [u8; 32] {
    let mut out: [u8; 32] = Sha256::digest(pair).into();
    out[31] &= 0b0011_1111;
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_have_the_known_commitments() {
        for size in [128u64, 2048, 8 << 20] {
            let chunk = vec![0; chunk_bytes(size)];
            let mut root = DataRoot::default();
            for _ in 0..size / chunk.len() as u64 {
                root.push(&chunk);
            }
            assert_eq!(
                root.finish().unwrap(),
                crate::stages::pieces::zero_commitment(size).unwrap(),
                "{size}"
            );
        }
    }

    #[test]
    fn three_chunks_have_no_root() {
        let mut root = DataRoot::default();
        for _ in 0..3 {
            root.push(&[0; 128]);
        }
        assert_eq!(root.finish(), None);
    }
}
