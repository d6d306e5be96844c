//! A sector as the proofs see it: miner, number, seal proof; and what follows from them.

use filecoin_hashers::Hasher;
use filecoin_proofs::constants::{DefaultPieceHasher, DefaultTreeHasher, LAYERS};
use filecoin_proofs_api::{RegisteredSealProof, RegisteredUpdateProof, SectorId};
use serde::Deserialize;
use storage_proofs_porep::stacked::generate_replica_id;

use crate::wire::decimal::DecimalU64;

/// A node of a replica's trees.
pub type ReplicaDomain = <DefaultTreeHasher as Hasher>::Domain;
/// A node of the data's tree.
pub type PieceDomain = <DefaultPieceHasher as Hasher>::Domain;

/// The seal proofs of Sealpool, by the names that chain and requests use.
const SEAL_PROOFS: [(&str, RegisteredSealProof, RegisteredUpdateProof); 10] = {
    use RegisteredSealProof as S;
    use RegisteredUpdateProof as U;
    [
        (
            "StackedDrg2KiBV1_1",
            S::StackedDrg2KiBV1_1,
            U::StackedDrg2KiBV1,
        ),
        (
            "StackedDrg8MiBV1_1",
            S::StackedDrg8MiBV1_1,
            U::StackedDrg8MiBV1,
        ),
        (
            "StackedDrg512MiBV1_1",
            S::StackedDrg512MiBV1_1,
            U::StackedDrg512MiBV1,
        ),
        (
            "StackedDrg32GiBV1_1",
            S::StackedDrg32GiBV1_1,
            U::StackedDrg32GiBV1,
        ),
        (
            "StackedDrg64GiBV1_1",
            S::StackedDrg64GiBV1_1,
            U::StackedDrg64GiBV1,
        ),
        (
            "StackedDrg2KiBV1_1_Feat_SyntheticPoRep",
            S::StackedDrg2KiBV1_1_Feat_SyntheticPoRep,
            U::StackedDrg2KiBV1,
        ),
        (
            "StackedDrg8MiBV1_1_Feat_SyntheticPoRep",
            S::StackedDrg8MiBV1_1_Feat_SyntheticPoRep,
            U::StackedDrg8MiBV1,
        ),
        (
            "StackedDrg512MiBV1_1_Feat_SyntheticPoRep",
            S::StackedDrg512MiBV1_1_Feat_SyntheticPoRep,
            U::StackedDrg512MiBV1,
        ),
        (
            "StackedDrg32GiBV1_1_Feat_SyntheticPoRep",
            S::StackedDrg32GiBV1_1_Feat_SyntheticPoRep,
            U::StackedDrg32GiBV1,
        ),
        (
            "StackedDrg64GiBV1_1_Feat_SyntheticPoRep",
            S::StackedDrg64GiBV1_1_Feat_SyntheticPoRep,
            U::StackedDrg64GiBV1,
        ),
    ]
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    miner: String,
    number: DecimalU64,
    seal_proof: String,
}

/// A sector's identity.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Wire")]
pub struct Sector {
    /// The number in `t0…` or `f0…`.
    pub miner_id: u64,
    pub number: u64,
    pub seal_proof: RegisteredSealProof,
    pub update_proof: RegisteredUpdateProof,
}

impl TryFrom<Wire> for Sector {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let digits = wire
            .miner
            .strip_prefix("t0")
            .or_else(|| wire.miner.strip_prefix("f0"));
        // Leading zeros are allowed: chains in their first minutes use t01000.
        let miner_id = digits
            .filter(|d| !d.is_empty() && d.len() <= 20 && d.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|d| d.parse().ok())
            .filter(|id| *id < 1 << 63)
            .ok_or_else(|| format!("miner {:?} is not t0… or f0… and a number", wire.miner))?;
        let (_, seal_proof, update_proof) = SEAL_PROOFS
            .into_iter()
            .find(|(name, _, _)| *name == wire.seal_proof)
            .ok_or_else(|| format!("there is no seal proof {:?}", wire.seal_proof))?;
        Ok(Sector {
            miner_id,
            number: wire.number.0,
            seal_proof,
            update_proof,
        })
    }
}

impl Sector {
    /// Padded size in bytes.
    pub fn size_bytes(&self) -> u64 {
        u64::from(self.seal_proof.sector_size())
    }

    /// Whether the seal proof is a synthetic one.
    pub fn synthetic(&self) -> bool {
        self.seal_proof
            .feature_enabled(filecoin_proofs_api::ApiFeature::SyntheticPoRep)
    }

    /// Layers of SDR: 2 for the small sizes, 11 for 32 and 64 GiB.
    pub fn layers(&self) -> usize {
        let table = LAYERS
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        table.get(&self.size_bytes()).copied().unwrap_or(11)
    }

    /// How many files tree-c and tree-r-last are split into.
    pub fn tree_files(&self) -> usize {
        match self.size_bytes() >> 30 {
            32 => 8,
            64 => 16,
            _ => 1,
        }
    }

    /// The miner's ID address payload (unsigned LEB128), zero-padded: what the proofs are bound to.
    pub fn prover_id(&self) -> [u8; 32] {
        let (mut out, mut rest, mut at) = ([0; 32], self.miner_id, 0);
        loop {
            let low = (rest & 0x7f) as u8;
            rest >>= 7;
            out[at] = if rest == 0 { low } else { low | 0x80 };
            at += 1;
            if rest == 0 {
                return out;
            }
        }
    }

    /// The sector number as the proofs take it.
    pub fn sector_id(&self) -> SectorId {
        SectorId::from(self.number)
    }

    /// The replica id: what binds layers to miner, number, ticket, data and seal proof.
    pub fn replica_id(&self, ticket: &[u8; 32], comm_d: &[u8; 32]) -> ReplicaDomain {
        generate_replica_id::<DefaultTreeHasher, _>(
            &self.prover_id(),
            self.number,
            ticket,
            comm_d,
            &self.seal_proof.as_v1_config().porep_id,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(miner: &str) -> Result<Sector, serde_json::Error> {
        serde_json::from_value(serde_json::json!({
            "miner": miner, "number": "7", "sealProof": "StackedDrg2KiBV1_1"
        }))
    }

    #[test]
    fn the_prover_id_is_the_address_payload() {
        assert_eq!(sector("t01000").unwrap().prover_id()[..3], [0xe8, 0x07, 0]);
        assert_eq!(sector("f0127").unwrap().prover_id()[..2], [0x7f, 0]);
        assert_eq!(sector("f0128").unwrap().prover_id()[..3], [0x80, 0x01, 0]);
    }

    #[test]
    fn other_addresses_are_refused() {
        for wrong in [
            "",
            "t0",
            "t1abc",
            "f3",
            "t0-1",
            "t0 1",
            "1000",
            "t099999999999999999999",
        ] {
            assert!(sector(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn every_seal_proof_has_its_size_and_feature() {
        for (name, proof, update) in SEAL_PROOFS {
            assert_eq!(format!("{proof:?}"), name);
            assert_eq!(
                u64::from(proof.sector_size()),
                u64::from(update.sector_size()),
                "{name}"
            );
        }
    }
}
