//! check-sealed: CommR again, from the sealed (or update) file and CommC, and the stored
//! tree-r-last compared.

use std::fs::File;

use filecoin_hashers::Domain;
use filecoin_proofs_api::seal::generate_tree_r_last;
use serde_json::json;

use super::pc2::short;
use super::progress::{Phase, Progress, cores};
use super::{Done, Job, aux_files, tree_d};
use crate::artifact;
use crate::disk::{sum, work};
use crate::sector::ReplicaDomain;
use crate::wire::answer::{Code, StageError};
use crate::wire::cid::SealedCid;
use crate::wire::params::CheckSealedParams;

/// Recomputes tree-r-last (hours of one core for 32 GiB); `proof_invalid` when the file is not the
/// replica of that CommR.
pub fn run(job: &Job, params: &CheckSealedParams) -> Result<Done, StageError> {
    let sector = job.sector;
    let updated = job.inputs.get(artifact::UPDATE).is_some();
    let (replica, p_aux, trees) = if updated {
        (
            artifact::UPDATE,
            artifact::UPDATE_P_AUX,
            artifact::update_tree_r_last(sector),
        )
    } else {
        (
            artifact::SEALED,
            artifact::P_AUX,
            artifact::tree_r_last(sector),
        )
    };
    let aux = aux_files::PersistentAux::read(job.inputs.path(p_aux)?, p_aux)?;
    aux.check(&params.comm_r.0, p_aux)?;
    let path = job.inputs.path(replica)?;
    let file = File::open(path)
        .map_err(|error| StageError::from_io(&format!("reading {replica}"), &error))?;
    tree_d::check_size(sector, &file, replica)?;
    work::link(job.work, replica, path)?;

    let phase = Phase::new([], sector.size_bytes() as f64 / 32.0 * 12.7e-6 / cores());
    let progress = Progress::start("check-sealed", vec![phase]);
    // Both kinds of tree-r-last have the same names; this one is thrown away after the comparison.
    let root = generate_tree_r_last(sector.seal_proof, short(job, replica), short(job, "cache"));
    drop(progress);
    let root = root.map_err(|error| {
        StageError::from_library(
            Code::InputInvalid,
            "the replica cannot be read as nodes",
            &error,
            "take the file from a copy, or seal the sector again",
        )
        .about(replica)
    })?;
    let root = ReplicaDomain::try_from_bytes(&root).map_err(|error| {
        StageError::from_library(
            Code::Internal,
            "the tree has no root",
            &error,
            "run the stage again",
        )
    })?;
    let comm_r = aux_files::comm_r(&aux.comm_c, &root);
    if comm_r != params.comm_r.0 {
        let message = format!(
            "{replica} has CommR {}, the request says {}; the file is damaged or another sector's, take it from a copy or seal again",
            SealedCid(comm_r).cid(),
            params.comm_r.cid()
        );
        return Err(StageError::new(Code::ProofInvalid, message).about(replica));
    }
    for (given, made) in trees.iter().zip(artifact::tree_r_last(sector)) {
        let failed = |error| StageError::from_io("comparing tree-r-last", &error);
        let want = sum::of_file(&job.work.join(&made)).map_err(failed)?;
        if sum::of_file(job.inputs.path(given)?).map_err(failed)? != want {
            let message = format!(
                "{given} is not the tree of {replica}; make it again from the replica or take it from a copy"
            );
            return Err(StageError::new(Code::ProofInvalid, message).about(given));
        }
    }
    let result = json!({ "commR": SealedCid(comm_r), "treeRLastMatches": true });
    Ok(Done {
        outputs: Vec::new(),
        result,
    })
}
