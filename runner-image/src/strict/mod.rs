//! The strict check of a sector's vanilla proofs.
//!
//! The proofs library verifies vanilla proofs only as a guard against its own mistakes: it believes
//! the prover about how many proofs, parents and siblings there are, hashes labels from parents
//! that the proof itself supplies, and panics on some inputs. Here the prover is a stranger whose
//! CommR we are about to put a deposit on, so nothing is taken from the proof but values that are
//! then hashed or compared:
//!
//! ```text
//! claim (ours) ── replica id ── challenges ── parents by the graph
//!                                   │               │
//! proof (theirs) ── count, shape ── openings of CommD, CommRLast, 1 + 14 columns
//!                                   │
//!                 labels and encoding rebuilt from the opened columns, hash2(CommC, CommRLast) = CommR
//! ```
//!
//! What it cannot see: it samples (2 challenges for test sizes, 180 for 32 and 64 GiB), so faults
//! in few leaves can escape it. Path lengths, parents and labels are checked at every sample.

mod challenge;
mod claim;
mod merkle;
mod read;

use std::panic::{AssertUnwindSafe, catch_unwind};

use filecoin_hashers::Hasher;
use filecoin_proofs::constants::{DefaultPieceHasher, DefaultTreeHasher};
use filecoin_proofs::{MerkleTreeTrait, SectorShapeBase, SectorShapeSub8, SectorShapeTop2};
use filecoin_proofs_api::seal::{SealCommitPhase1Output, VanillaSealProof};
use rayon::prelude::*;
use storage_proofs_core::drgraph::Graph;
use storage_proofs_porep::stacked::{Proof, PublicInputs, PublicParams, Tau, generate_replica_id};

pub use claim::{Claim, Refusal};
pub use read::{json_limit_bytes, read};

use challenge::Sample;
use claim::field_element;

/// The tree hasher's node, as replica ids, labels and CommR are made of.
type TreeDomain = <DefaultTreeHasher as Hasher>::Domain;
type PieceDomain = <DefaultPieceHasher as Hasher>::Domain;

/// Says whether `proof` shows, for the challenges that the claim's seed selects, that a sector with
/// the claim's prover, number, ticket and CommD was encoded into the claim's CommR.
///
/// Never panics: what the library would panic on is refused first, and a panic that is left becomes
/// a refusal too.
///
/// # Errors
/// The first thing that stands against the proof, as a sentence.
pub fn check(proof: &VanillaSealProof, claim: &Claim) -> Result<(), Refusal> {
    catch_unwind(AssertUnwindSafe(|| by_size(proof, claim))).unwrap_or_else(|_| {
        Err(Refusal::new(
            "the vanilla proofs make the proofs library panic; ask the prover for new ones",
        ))
    })
}

/// [`check`] for all that C1 hands on: the header that C2 would read (seal proof, commitments,
/// replica id, seed, ticket) must be the claim's own as well.
///
/// # Errors
/// As [`check`], or the header field that differs.
pub fn check_output(output: &SealCommitPhase1Output, claim: &Claim) -> Result<(), Refusal> {
    let differs = [
        ("seal proof", output.registered_proof != claim.seal_proof),
        ("CommR", output.comm_r != claim.comm_r),
        ("CommD", output.comm_d != claim.comm_d),
        ("seed", output.seed != claim.seed),
        ("ticket", output.ticket != claim.ticket),
        ("replica id", output.replica_id != replica_id(claim)),
    ];
    if let Some((name, _)) = differs.iter().find(|(_, differs)| *differs) {
        return Err(Refusal::new(format!(
            "the vanilla proofs were made for another {name} than ours; run C1 again with our values"
        )));
    }
    check(&output.vanilla_proofs, claim)
}

/// The replica id that the claim's prover, sector, ticket and CommD give.
pub fn replica_id(claim: &Claim) -> TreeDomain {
    generate_replica_id::<DefaultTreeHasher, _>(
        &claim.prover_id,
        claim.sector_id,
        &claim.ticket,
        claim.comm_d,
        &claim.seal_proof.as_v1_config().porep_id,
    )
}

/// Sizes that share a tree shape share a Rust type, so the variant is matched with the size.
fn by_size(proof: &VanillaSealProof, claim: &Claim) -> Result<(), Refusal> {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    use VanillaSealProof::*;

    claim.supported()?;
    match (proof, claim.sector_bytes()) {
        (StackedDrg2KiBV1(p), s) if s == 2 * KIB => all::<SectorShapeBase>(p, claim),
        (StackedDrg8MiBV1(p), s) if s == 8 * MIB => all::<SectorShapeBase>(p, claim),
        (StackedDrg512MiBV1(p), s) if s == 512 * MIB => all::<SectorShapeBase>(p, claim),
        (StackedDrg32GiBV1(p), s) if s == 32 * GIB => all::<SectorShapeSub8>(p, claim),
        (StackedDrg64GiBV1(p), s) if s == 64 * GIB => all::<SectorShapeTop2>(p, claim),
        (_, s) => Err(Refusal::new(format!(
            "the vanilla proofs are of another sector size than the claim's {s} bytes; run C1 on the right sector"
        ))),
    }
}

fn all<Tree>(
    partitions: &[Vec<Proof<Tree, DefaultPieceHasher>>],
    claim: &Claim,
) -> Result<(), Refusal>
where
    Tree: 'static + MerkleTreeTrait<Hasher = DefaultTreeHasher>,
{
    let config = claim.seal_proof.as_v1_config();
    let params: PublicParams<Tree> =
        filecoin_proofs::parameters::public_params(&config).map_err(|e| {
            Refusal::new(format!(
                "the seal proof's parameters cannot be set up: {e}; check the seal proof"
            ))
        })?;
    let comm_r: TreeDomain = field_element("CommR", claim.comm_r)?.into();
    let comm_d: PieceDomain = field_element("CommD", claim.comm_d)?.into();
    let inputs = PublicInputs {
        replica_id: replica_id(claim),
        seed: Some(claim.seed),
        tau: Some(Tau { comm_d, comm_r }),
        k: None,
    };

    let wanted = usize::from(config.partitions);
    if partitions.len() != wanted {
        return Err(Refusal::new(format!(
            "{} partitions of vanilla proofs were given where the seal proof has {wanted}; run C1 again",
            partitions.len()
        )));
    }
    for (k, proofs) in partitions.iter().enumerate() {
        let challenges = inputs.challenges(&params.challenges, params.graph.size(), Some(k));
        if proofs.len() != challenges.len() {
            return Err(Refusal::new(format!(
                "partition {k} holds {} proofs where our seed gives {} challenges; run C1 again",
                proofs.len(),
                challenges.len()
            )));
        }
        proofs
            .par_iter()
            .zip(&challenges)
            .enumerate()
            .try_for_each(|(i, (proof, &node))| {
                let sample = Sample {
                    params: &params,
                    inputs: &inputs,
                    comm_d,
                    comm_r,
                    node,
                };
                sample.check(proof).map_err(|r| r.at(k, i, node))
            })?;
    }
    Ok(())
}
