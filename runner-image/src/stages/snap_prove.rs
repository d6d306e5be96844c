//! snap-prove: the Groth16 proof of an update, from its vanilla proofs alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use filecoin_proofs_api::PartitionProofBytes;
use filecoin_proofs_api::update::{
    generate_empty_sector_update_proof_with_vanilla, verify_empty_sector_update_proof,
    verify_partition_proofs,
};

use super::c2::{proving_phases, write_proof};
use super::progress::Progress;
use super::{Done, Job};
use crate::artifact;
use crate::wire::answer::{Code, StageError};
use crate::wire::params::SnapProveParams;

/// Largest file that is read: a 64 GiB sector's proofs are some tens of megabytes.
const MAX_JSON_BYTES: u64 = 512 << 20;

/// Constraints of one partition of the update circuit: measured for 2 KiB, known for 32 GiB.
fn constraints(sector_bytes: u64, partitions: usize) -> f64 {
    let one = if sector_bytes < 1 << 34 {
        1_705_044.0
    } else {
        81_049_499.0
    };
    one * partitions as f64
}

/// Writes `proof.bin`, after the vanilla proofs verify and before it is said to hold itself.
pub fn run(job: &Job, params: &SnapProveParams) -> Result<Done, StageError> {
    let (old, new, data) = (
        params.comm_r_old.0,
        params.comm_r_new.0,
        params.comm_d_new.0,
    );
    let proof_type = job.sector.update_proof;
    let partitions = filecoin_proofs::partition_count(job.sector.size_bytes() as usize / 32);
    let proofs = read(job)?;
    let invalid = |message: String| {
        StageError::new(Code::InputInvalid, message).about(artifact::UPDATE_VANILLA)
    };
    if proofs.len() != partitions {
        return Err(invalid(format!(
            "there are {} vanilla proofs, an update of this size has {partitions}; run snap-encode again",
            proofs.len()
        )));
    }
    match verify_partition_proofs(proof_type, &proofs, old, new, data) {
        Ok(true) => {}
        Ok(false) => {
            let message =
                "the vanilla proofs do not hold for these commitments; run snap-encode again";
            return Err(invalid(message.to_owned()));
        }
        Err(error) => {
            let error = StageError::from_library(
                Code::InputInvalid,
                "the vanilla proofs cannot be read",
                &error,
                "run snap-encode again",
            );
            return Err(error.about(artifact::UPDATE_VANILLA));
        }
    }
    let phases = proving_phases(constraints(job.sector.size_bytes(), partitions));
    let progress = Progress::start("snap-prove", phases);
    let made = generate_empty_sector_update_proof_with_vanilla(proof_type, proofs, old, new, data);
    drop(progress);
    let failed = |error: anyhow::Error| {
        StageError::from_library(
            Code::Internal,
            "proving failed",
            &error,
            "run the stage again, if need be elsewhere",
        )
    };
    let proof = made.map_err(failed)?.0;
    // The library returns update proofs unverified.
    if !verify_empty_sector_update_proof(proof_type, &proof, old, new, data).map_err(failed)? {
        let message =
            "the proof that was made does not verify; run the stage again on another machine";
        return Err(StageError::new(Code::Internal, message));
    }
    write_proof(job, &proof)
}

/// Reads `update-vanilla-proofs.json`: a list of base64 strings, one a partition.
fn read(job: &Job) -> Result<Vec<PartitionProofBytes>, StageError> {
    let path = job.inputs.path(artifact::UPDATE_VANILLA)?;
    let failed = |error| StageError::from_io("reading update-vanilla-proofs.json", &error);
    let wrong = || {
        let message = "the file is no list of base64 strings, as snap-encode writes it; run snap-encode again";
        StageError::new(Code::InputInvalid, message).about(artifact::UPDATE_VANILLA)
    };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_JSON_BYTES {
        return Err(wrong());
    }
    let texts: Vec<String> =
        serde_json::from_slice(&std::fs::read(path).map_err(failed)?).map_err(|_| wrong())?;
    texts
        .iter()
        .map(|text| {
            STANDARD
                .decode(text)
                .map(PartitionProofBytes)
                .map_err(|_| wrong())
        })
        .collect()
}
