//! c2: the Groth16 proof of a seal, from vanilla proofs alone.

use filecoin_proofs_api::seal::seal_commit_phase2;
use serde_json::json;

use super::progress::{Phase, Progress, cores};
use super::{Done, Job, vanilla};
use crate::artifact;
use crate::sector::Sector;
use crate::strict;
use crate::wire::answer::{Code, StageError};
use crate::wire::params::{SealParams, proof_text};

/// Constraints of one partition: measured for 2 KiB, known for 32 GiB; the other small sizes have
/// paths that are longer by a few levels.
fn constraints(sector: &Sector) -> f64 {
    let partitions = f64::from(sector.seal_proof.partitions());
    match sector.size_bytes() >> 20 {
        0 => 2_687_961.0,
        size if size < 1 << 14 => 5_000_000.0,
        _ => 130_000_000.0 * partitions,
    }
}

/// Writes `proof.bin` after the vanilla proofs have passed the strict check: minutes of a GPU are
/// not spent on proofs that cannot verify.
pub fn run(job: &Job, params: &SealParams) -> Result<Done, StageError> {
    if params.seed.0 == [0; 32] {
        let message = "the seed is zero; pass the chain's randomness for this sector";
        return Err(StageError::new(Code::BadRequest, message));
    }
    let claim = vanilla::claim(job, params);
    let proofs = vanilla::read(job, &claim)?;
    strict::check_output(&proofs, &claim).map_err(|refusal| {
        StageError::new(Code::InputInvalid, refusal.to_string()).about(artifact::VANILLA)
    })?;
    let progress = Progress::start("c2", proving_phases(constraints(job.sector)));
    let made = seal_commit_phase2(proofs, claim.prover_id, job.sector.sector_id());
    drop(progress);
    let proof = made
        .map_err(|error| {
            StageError::from_library(
                Code::Internal,
                "proving failed",
                &error,
                "run the stage again, if need be elsewhere",
            )
        })?
        .proof;
    write_proof(job, &proof)
}

/// Writes `proof.bin`; answers the proof.
pub fn write_proof(job: &Job, proof: &[u8]) -> Result<Done, StageError> {
    std::fs::write(job.work.join(artifact::PROOF), proof)
        .map_err(|error| StageError::from_io("writing proof.bin", &error))?;
    Ok(Done {
        outputs: vec![artifact::PROOF.to_owned()],
        result: json!({ "proof": proof_text(proof) }),
    })
}

/// The prover's phases, by the words it logs at their start; core-seconds per constraint were
/// measured on two cores (the product h is most of it).
pub fn proving_phases(constraints: f64) -> Vec<Phase> {
    let seconds = |micros: f64| constraints * micros * 1e-6 / cores();
    vec![
        Phase::new([], seconds(0.9)),
        Phase::new(["synthesis time"], seconds(11.5)),
        Phase::new(["multiexp h"], seconds(54.0)),
        Phase::new(["multiexp l"], seconds(3.0)),
        Phase::new(["multiexp a b_g1"], seconds(0.5)),
        Phase::new(["multiexp b_g2"], seconds(12.7)),
    ]
}
