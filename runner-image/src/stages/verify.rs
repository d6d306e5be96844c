//! verify-seal and verify-update: does a Groth16 proof hold for our own values?

use filecoin_proofs_api::seal::verify_seal;
use filecoin_proofs_api::update::verify_empty_sector_update_proof;
use serde_json::json;

use super::{Done, Job};
use crate::wire::answer::{Code, StageError};
use crate::wire::params::{VerifySealParams, VerifyUpdateParams};

/// Bytes of a proof of one partition.
const PARTITION_PROOF_BYTES: usize = 192;

/// Verifies a seal proof; `proof_invalid` when it does not hold.
pub fn seal(job: &Job, params: &VerifySealParams) -> Result<Done, StageError> {
    let partitions = usize::from(job.sector.seal_proof.partitions());
    check_length(&params.proof.0, partitions)?;
    let holds = verify_seal(
        job.sector.seal_proof,
        params.comm_r.0,
        params.comm_d.0,
        job.sector.prover_id(),
        job.sector.sector_id(),
        params.ticket.0,
        params.seed.0,
        &params.proof.0,
    );
    answer(holds, "seal proof")
}

/// Verifies an update proof; `proof_invalid` when it does not hold.
pub fn update(job: &Job, params: &VerifyUpdateParams) -> Result<Done, StageError> {
    let partitions = filecoin_proofs::partition_count(job.sector.size_bytes() as usize / 32);
    check_length(&params.proof.0, partitions)?;
    let holds = verify_empty_sector_update_proof(
        job.sector.update_proof,
        &params.proof.0,
        params.comm_r_old.0,
        params.comm_r_new.0,
        params.comm_d_new.0,
    );
    answer(holds, "update proof")
}

fn check_length(proof: &[u8], partitions: usize) -> Result<(), StageError> {
    let want = partitions * PARTITION_PROOF_BYTES;
    if proof.len() == want {
        return Ok(());
    }
    let message = format!(
        "the proof has {} bytes, one of this sector has {want}; make it again",
        proof.len()
    );
    Err(StageError::new(Code::ProofInvalid, message))
}

/// The verifying key was loaded before: what the library cannot read now is the proof.
fn answer(holds: anyhow::Result<bool>, what: &str) -> Result<Done, StageError> {
    match holds {
        Ok(true) => Ok(Done {
            outputs: Vec::new(),
            result: json!({ "valid": true }),
        }),
        Ok(false) => {
            let message = format!(
                "the {what} does not hold for these values; make it again, with these values"
            );
            Err(StageError::new(Code::ProofInvalid, message))
        }
        Err(error) => Err(StageError::from_library(
            Code::ProofInvalid,
            &format!("the {what} cannot be read"),
            &error,
            "make it again",
        )),
    }
}
