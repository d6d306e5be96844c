//! verify-vanilla, and reading C1's output from a file that others made.

use std::fs;

use filecoin_proofs_api::seal::SealCommitPhase1Output;
use serde_json::json;

use super::{Done, Job};
use crate::artifact;
use crate::strict::{self, Claim};
use crate::wire::answer::{Code, StageError};
use crate::wire::params::SealParams;

/// What we say about the sector.
pub fn claim(job: &Job, params: &SealParams) -> Claim {
    Claim {
        seal_proof: job.sector.seal_proof,
        prover_id: job.sector.prover_id(),
        sector_id: job.sector.number,
        ticket: params.ticket.0,
        seed: params.seed.0,
        comm_r: params.comm_r.0,
        comm_d: params.comm_d.0,
    }
}

/// Reads `vanilla-proofs.json`; refuses what is too large or no C1 output with `input_invalid`.
pub fn read(job: &Job, claim: &Claim) -> Result<SealCommitPhase1Output, StageError> {
    let invalid =
        |message: String| StageError::new(Code::InputInvalid, message).about(artifact::VANILLA);
    let path = job.inputs.path(artifact::VANILLA)?;
    let failed = |error| StageError::from_io("reading vanilla-proofs.json", &error);
    let (size, limit) = (
        fs::metadata(path).map_err(failed)?.len(),
        strict::json_limit_bytes(claim),
    );
    if size > limit {
        return Err(invalid(format!(
            "the vanilla proofs have {size} bytes where {limit} are the most for this seal proof; run c1 again"
        )));
    }
    strict::read(&fs::read(path).map_err(failed)?, claim)
        .map_err(|refusal| invalid(refusal.to_string()))
}

/// The strict check of somebody's vanilla proofs against our own values.
pub fn run(job: &Job, params: &SealParams) -> Result<Done, StageError> {
    let claim = claim(job, params);
    let proofs = read(job, &claim)?;
    strict::check_output(&proofs, &claim).map_err(|refusal| {
        StageError::new(Code::ProofInvalid, refusal.to_string()).about(artifact::VANILLA)
    })?;
    Ok(Done {
        outputs: Vec::new(),
        result: json!({ "valid": true }),
    })
}
