//! c1: the vanilla proofs that a seed asks for.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use filecoin_proofs_api::seal::{SealPreCommitPhase2Output, seal_commit_phase1};
use serde_json::json;

use super::pc2::{short, tree_root};
use super::{Done, Job, aux_files, pieces, tree_d, vanilla};
use crate::artifact;
use crate::disk::work;
use crate::strict;
use crate::wire::answer::{Code, StageError};
use crate::wire::params::SealParams;

/// Writes `vanilla-proofs.json`: the library's `SealCommitPhase1Output` as JSON.
pub fn run(job: &Job, params: &SealParams) -> Result<Done, StageError> {
    let sector = job.sector;
    let p_aux = job.inputs.path(artifact::P_AUX)?;
    aux_files::PersistentAux::read(p_aux, artifact::P_AUX)?
        .check(&params.comm_r.0, artifact::P_AUX)?;
    let sealed = job.inputs.path(artifact::SEALED)?;
    let opened =
        File::open(sealed).map_err(|error| StageError::from_io("reading sealed", &error))?;
    tree_d::check_size(sector, &opened, artifact::SEALED)?;
    work::link(job.work, artifact::SEALED, sealed)?;
    work::link(job.work, artifact::P_AUX, p_aux)?;
    let t_aux = job.inputs.path(artifact::T_AUX)?;
    aux_files::take_t_aux(
        sector,
        t_aux,
        artifact::T_AUX,
        &job.work.join(artifact::T_AUX),
    )?;
    let mut names = artifact::tree_r_last(sector);
    if sector.synthetic() {
        names.push(artifact::SYNTHETIC.to_owned());
    } else {
        names.push(artifact::TREE_D.to_owned());
        names.extend(artifact::layers(sector));
        names.extend(artifact::tree_c(sector));
        if tree_root(sector, job.inputs.path(artifact::TREE_D)?)? != params.comm_d.0 {
            let message =
                "input tree-d has another root than the request's commD; give the sector's own";
            return Err(StageError::new(Code::InputInvalid, message).about(artifact::TREE_D));
        }
    }
    for name in &names {
        work::link(job.work, name, job.inputs.path(name)?)?;
    }

    let pre_commit = SealPreCommitPhase2Output {
        registered_proof: sector.seal_proof,
        comm_r: params.comm_r.0,
        comm_d: params.comm_d.0,
    };
    let proofs = seal_commit_phase1(
        short(job, "cache"),
        short(job, artifact::SEALED),
        sector.prover_id(),
        sector.sector_id(),
        params.ticket.0,
        params.seed.0,
        pre_commit,
        &pieces::whole_sector(sector, params.comm_d.0)?,
    )
    .map_err(|error| {
        StageError::from_library(
            Code::InputInvalid,
            "these files give no valid vanilla proofs",
            &error,
            "check that all are of this sector and whole, else seal it again",
        )
    })?;
    // The library's own check believes what it made; ours is the one that decides later.
    strict::check_output(&proofs, &vanilla::claim(job, params)).map_err(|refusal| {
        let message = format!("these files give no valid vanilla proofs: {refusal}");
        StageError::new(Code::InputInvalid, message)
    })?;
    let failed = |error| StageError::from_io("writing vanilla-proofs.json", &error);
    let file = File::create(job.work.join(artifact::VANILLA)).map_err(failed)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    serde_json::to_writer(&mut writer, &proofs).map_err(|error| failed(error.into()))?;
    writer.flush().map_err(failed)?;
    Ok(Done {
        outputs: vec![artifact::VANILLA.to_owned()],
        result: json!({}),
    })
}
