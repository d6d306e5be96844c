//! What we say about a sector, and why a proof of it was refused.

use std::fmt;

use blstrs::Scalar;
use ff::PrimeField;
use filecoin_proofs_api::{ApiFeature, ApiVersion, RegisteredSealProof};

/// Our own values of a sector. Nothing in it may come from the one who made the proofs, except
/// CommR, which is what the proofs are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// V1_1 or synthetic; fixes size, layers, partitions, challenges and the graph.
    pub seal_proof: RegisteredSealProof,
    /// The miner's id as LEB128, filled up with zeros to 32 bytes.
    pub prover_id: [u8; 32],
    /// Sector number.
    pub sector_id: u64,
    /// Randomness that the replica id was made with.
    pub ticket: [u8; 32],
    /// Randomness that selects the challenges.
    pub seed: [u8; 32],
    /// Commitment to the replica.
    pub comm_r: [u8; 32],
    /// Commitment to the data.
    pub comm_d: [u8; 32],
}

impl Claim {
    /// Sector size in bytes.
    pub fn sector_bytes(&self) -> u64 {
        u64::from(self.seal_proof.sector_size())
    }

    /// Refuses seal proofs that this program does not seal with: the first version, whose graph
    /// is weak, and the non-interactive one, which has no seed.
    pub(super) fn supported(&self) -> Result<(), Refusal> {
        let old = self.seal_proof.version() == ApiVersion::V1_0_0;
        if old
            || self
                .seal_proof
                .feature_enabled(ApiFeature::NonInteractivePoRep)
        {
            return Err(Refusal::new(format!(
                "seal proof {:?} is not checked here; use a V1_1 or a synthetic one",
                self.seal_proof
            )));
        }
        Ok(())
    }
}

/// Why vanilla proofs were refused: one sentence, what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// The same with the place in the proofs before it.
    pub(super) fn at(self, partition: usize, index: usize, node: usize) -> Self {
        Self(format!(
            "partition {partition}, proof {index} (node {node}): {}",
            self.0
        ))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// `bytes` as a field element in its one canonical form; the library panics on others.
pub(super) fn field_element(what: &str, bytes: [u8; 32]) -> Result<Scalar, Refusal> {
    Scalar::from_repr_vartime(bytes).ok_or_else(|| {
        Refusal::new(format!(
            "{what} holds a value that is no field element; make the proofs again"
        ))
    })
}
