//! Many multiples of one point: a fixed-base comb with signed windows.
//!
//! The table holds d·2^(wc)·P for every window w and every digit d of 1 … 2^(c−1), so that a
//! multiple is the sum of one entry (or its negative) per window: additions only. A batch of
//! multiples is summed window by window in affine coordinates with one inversion per window.

use blstrs::Scalar;
use ff::PrimeField;

use super::curve::{Affine, Curve, Scratch, add_batch};

/// Multiples summed at once: small enough for its sums to stay in the second-level cache.
pub const BATCH: usize = 2048;

/// How many sums ahead table entries are asked for: they lie anywhere in megabytes of table.
const AHEAD: usize = 12;

/// Tells the processor that `entry` will be read soon; a hint, where there is one.
#[inline(always)]
fn prefetch<T>(entry: &T) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..size_of::<T>()).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address lies inside `entry`, and a prefetch never faults.
        unsafe {
            _mm_prefetch(
                std::ptr::from_ref(entry).cast::<i8>().add(line),
                _MM_HINT_T0,
            )
        };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = entry;
}

/// A comb table for one base point.
pub struct Comb<C: Curve> {
    /// Bits of a window, `c`.
    bits: usize,
    /// Windows needed for 255 bits and the carry out of the last one.
    windows: usize,
    /// `windows` rows of 2^(c−1) entries; entry d−1 of row w is d·2^(wc)·P.
    table: Vec<Affine<C::F>>,
}

impl<C: Curve> Comb<C> {
    /// The table of `base` with windows of `bits` bits (2 to 16).
    pub fn new(base: Affine<C::F>, bits: usize) -> Self {
        assert!((2..=16).contains(&bits), "windows of 2 to 16 bits");
        let windows = 256usize.div_ceil(bits);
        let row = 1 << (bits - 1);
        let mut table = Vec::with_capacity(windows * row);
        let mut scratch = Scratch::default();
        let mut unit = base;
        for _ in 0..windows {
            let start = table.len();
            table.push(unit);
            let mut have = 1;
            while have < row {
                // d + have for d = 1 … have; the last of them is a doubling, which add_batch knows.
                let top = table[start + have - 1];
                table.extend_from_within(start..start + have);
                add_batch::<C>(&mut table[start + have..], |_| Some(top), &mut scratch);
                have *= 2;
            }
            // 2^(c−1)·unit doubled is the next window's unit.
            let last = table[start + row - 1];
            unit = C::add(&last, &last);
        }
        Self {
            bits,
            windows,
            table,
        }
    }

    /// The multiples of the base by `scalars`, as uncompressed bytes one after the other.
    pub fn multiply(&self, scalars: &[Scalar]) -> Vec<u8> {
        let mut out = Vec::with_capacity(scalars.len() * C::BYTES);
        let mut scratch = Scratch::default();
        for batch in scalars.chunks(BATCH) {
            // Window by window, as the sums are made.
            let mut digits = vec![0i32; self.windows * batch.len()];
            for (i, scalar) in batch.iter().enumerate() {
                for (w, digit) in signed_digits(scalar, self.bits, self.windows).enumerate() {
                    digits[w * batch.len() + i] = digit;
                }
            }
            let mut sums = vec![Affine::default(); batch.len()];
            for (w, digits) in digits.chunks(batch.len()).enumerate() {
                let row = &self.table[w << (self.bits - 1)..(w + 1) << (self.bits - 1)];
                let entry = |digit: i32| &row[(digit.unsigned_abs() as usize).max(1) - 1];
                let addend = |i: usize| {
                    if let Some(&soon) = digits.get(i + AHEAD) {
                        prefetch(entry(soon));
                    }
                    let digit = digits[i];
                    (digit != 0).then(|| entry(digit).negate_if(digit < 0))
                };
                add_batch::<C>(&mut sums, addend, &mut scratch);
            }
            for sum in &sums {
                C::serialize(sum, &mut out);
            }
        }
        out
    }
}

/// The digits of a scalar in base 2^`bits`, each in −2^(bits−1) < d ≤ 2^(bits−1), lowest first.
pub fn signed_digits(scalar: &Scalar, bits: usize, windows: usize) -> impl Iterator<Item = i32> {
    let bytes = scalar.to_repr();
    let bit_window = move |w: usize| {
        let from = w * bits;
        let mut word = [0u8; 4];
        let first = from / 8;
        for (k, byte) in word.iter_mut().enumerate() {
            *byte = bytes.get(first + k).copied().unwrap_or(0);
        }
        ((u32::from_le_bytes(word) >> (from % 8)) & ((1 << bits) - 1)) as i32
    };
    let mut carry = 0;
    (0..windows).map(move |w| {
        let digit = bit_window(w) + carry;
        carry = i32::from(digit > 1 << (bits - 1));
        digit - (carry << bits)
    })
}
