//! The secrets of a setup, which are no secret here: they follow from a seed, so that the same
//! parameters come out on every machine. Whoever knows the seed can forge proofs. That is why
//! parameters made here are for dev networks only.

use blake2b_simd::Params;
use blstrs::Scalar;
use ff::Field;

/// The published seed, whose parameters' digests stand in the source.
pub const PUBLISHED_SEED: &str =
    "sealpool dev-network parameters 1: anyone can forge proofs under these";

/// α, β, γ, δ and τ of Groth16.
#[derive(Clone, Copy)]
pub struct Trapdoor {
    /// α
    pub alpha: Scalar,
    /// β
    pub beta: Scalar,
    /// γ, which divides the public inputs' query.
    pub gamma: Scalar,
    /// δ, which divides the H and L queries.
    pub delta: Scalar,
    /// τ, where the polynomials are evaluated.
    pub tau: Scalar,
}

impl Trapdoor {
    /// The secrets of `seed` for one circuit. Hashing cannot give zero but with odds of 2^-255, so
    /// callers need no second try.
    pub fn from_seed(seed: &str, circuit_identifier: &str) -> Self {
        let secret = |label: &str| {
            let mut hash = Params::new().personal(b"sealpool-dev-par").to_state();
            for part in [circuit_identifier, label, seed] {
                hash.update(&(part.len() as u64).to_le_bytes());
                hash.update(part.as_bytes());
            }
            wide(hash.finalize().as_bytes())
        };
        Self {
            alpha: secret("alpha"),
            beta: secret("beta"),
            gamma: secret("gamma"),
            delta: secret("delta"),
            tau: secret("tau"),
        }
    }
}

/// A big-endian number of any length, modulo the field's order.
fn wide(bytes: &[u8]) -> Scalar {
    let base = Scalar::from(256);
    bytes.iter().fold(Scalar::ZERO, |sum, byte| {
        sum * base + Scalar::from(u64::from(*byte))
    })
}
