//! Real 2 KiB sectors, sealed in this process with the proofs library.

use std::fs;

use filecoin_proofs_api::seal::{
    SealCommitPhase1Output, generate_synth_proofs, seal_commit_phase1, seal_pre_commit_phase1,
    seal_pre_commit_phase2,
};
use filecoin_proofs_api::{PieceInfo, RegisteredSealProof, SectorId, UnpaddedBytesAmount};
use sealpool_prover::strict::Claim;

use crate::forger::data_tree;

pub const INTERACTIVE: RegisteredSealProof = RegisteredSealProof::StackedDrg2KiBV1_1;
pub const SYNTHETIC: RegisteredSealProof =
    RegisteredSealProof::StackedDrg2KiBV1_1_Feat_SyntheticPoRep;
pub const NODES: usize = 64;

/// Data of a sector: 64 leaves of 254 bits, different for each `salt`.
pub fn data(salt: u8) -> Vec<[u8; 32]> {
    (0..NODES as u8)
        .map(|leaf| {
            let mut bytes: [u8; 32] =
                std::array::from_fn(|i| (i as u8).wrapping_mul(31) ^ leaf ^ salt.rotate_left(3));
            bytes[0] = leaf;
            bytes[1] = salt;
            bytes[31] &= 0x3f;
            bytes
        })
        .collect()
}

/// A claim without CommR for the data of `salt`.
pub fn claim(seal_proof: RegisteredSealProof, salt: u8) -> Claim {
    let mut prover_id = [0; 32];
    prover_id[..2].copy_from_slice(&[0xe8, 0x07]);
    Claim {
        seal_proof,
        prover_id,
        sector_id: 7,
        ticket: [17; 32],
        seed: [23; 32],
        comm_r: [0; 32],
        comm_d: *data_tree(&data(salt)).root(),
    }
}

/// Seals the data of `salt` under `claim`, fills CommR in and answers C1's output for the claim's
/// seed and for each of `more_seeds`.
pub fn seal(claim: &mut Claim, salt: u8, more_seeds: &[[u8; 32]]) -> Vec<SealCommitPhase1Output> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (cache, unsealed, sealed) = (
        dir.path().join("cache"),
        dir.path().join("unsealed"),
        dir.path().join("sealed"),
    );
    fs::create_dir(&cache).unwrap();
    fs::write(&unsealed, data(salt).concat()).unwrap();
    fs::write(&sealed, []).unwrap(); // the library wants it to be there
    let sector = SectorId::from(claim.sector_id);
    let pieces = [PieceInfo {
        commitment: claim.comm_d,
        size: UnpaddedBytesAmount(2032),
    }];
    let layers = seal_pre_commit_phase1(
        claim.seal_proof,
        &cache,
        &unsealed,
        &sealed,
        claim.prover_id,
        sector,
        claim.ticket,
        &pieces,
    )
    .expect("PC1");
    let commitments = seal_pre_commit_phase2(layers, &cache, &sealed).expect("PC2");
    assert_eq!(
        commitments.comm_d, claim.comm_d,
        "our tree over the data is the library's"
    );
    claim.comm_r = commitments.comm_r;
    if claim.seal_proof == SYNTHETIC {
        generate_synth_proofs(
            &cache,
            &sealed,
            claim.prover_id,
            sector,
            claim.ticket,
            commitments.clone(),
            &pieces,
        )
        .expect("synthetic proofs");
    }
    std::iter::once(&claim.seed)
        .chain(more_seeds)
        .map(|seed| {
            seal_commit_phase1(
                &cache,
                &sealed,
                claim.prover_id,
                sector,
                claim.ticket,
                *seed,
                commitments.clone(),
                &pieces,
            )
            .expect("C1")
        })
        .collect()
}
