//! The sectors that forgeries start from, sealed once.

use std::sync::OnceLock;

use filecoin_proofs_api::RegisteredSealProof;
use filecoin_proofs_api::seal::SealCommitPhase1Output;
use sealpool_prover::strict::Claim;
use serde_json::Value;

use crate::edits::Stock;
use crate::sealed::{INTERACTIVE, SYNTHETIC, claim, seal};

/// A sealed sector, its claim, C1's output for the claim's seed, and pieces of others.
pub struct World {
    pub kind: &'static str,
    pub claim: Claim,
    pub output: SealCommitPhase1Output,
    pub proofs: Value,
    pub stock: Stock,
}

fn world(kind: &'static str, seal_proof: RegisteredSealProof) -> World {
    let mut own = claim(seal_proof, 1);
    let mut other = Claim {
        sector_id: 8,
        ..claim(seal_proof, 2)
    };
    let outputs = seal(&mut own, 1, &[[24; 32]]);
    let others = seal(&mut other, 2, &[]);
    let json = |o: &SealCommitPhase1Output| serde_json::to_value(&o.vanilla_proofs).unwrap();
    World {
        kind,
        claim: own,
        proofs: json(&outputs[0]),
        stock: Stock {
            other_seed: json(&outputs[1]),
            other_sector: json(&others[0]),
        },
        output: outputs.into_iter().next().unwrap(),
    }
}

/// An interactive and a synthetic sector.
pub fn worlds() -> &'static [World; 2] {
    static WORLDS: OnceLock<[World; 2]> = OnceLock::new();
    WORLDS.get_or_init(|| {
        [
            world("interactive", INTERACTIVE),
            world("synthetic", SYNTHETIC),
        ]
    })
}
