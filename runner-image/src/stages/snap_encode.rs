//! snap-encode: new data into a sealed sector, and the update's vanilla proofs.

use std::fs::File;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use filecoin_proofs_api::update::{empty_sector_update_encode_into, generate_partition_proofs};
use serde_json::json;

use super::pc2::short;
use super::progress::{Phase, Progress, cores};
use super::{Done, Job, aux_files, pieces, tree_d};
use crate::artifact;
use crate::disk::work;
use crate::sector::Sector;
use crate::wire::answer::{Code, StageError};
use crate::wire::cid::{SealedCid, UnsealedCid};
use crate::wire::params::SnapEncodeParams;

/// What snap-encode makes.
pub fn outputs(sector: &Sector) -> Vec<String> {
    let mut out = vec![artifact::UPDATE.to_owned()];
    out.extend(
        [
            artifact::UPDATE_P_AUX,
            artifact::UPDATE_T_AUX,
            artifact::UPDATE_TREE_D,
        ]
        .map(str::to_owned),
    );
    out.extend(artifact::update_tree_r_last(sector));
    out.push(artifact::UPDATE_VANILLA.to_owned());
    out
}

/// Encodes, and proves what it encoded without a circuit; answers the new CommR and CommD.
pub fn run(job: &Job, params: &SnapEncodeParams) -> Result<Done, StageError> {
    let sector = job.sector;
    if let Some(list) = &params.pieces {
        pieces::check(sector, list, params.comm_d.0)?;
    }
    let p_aux = job.inputs.path(artifact::P_AUX)?;
    aux_files::PersistentAux::read(p_aux, artifact::P_AUX)?
        .check(&params.comm_r.0, artifact::P_AUX)?;
    let t_aux = job.inputs.path(artifact::T_AUX)?;
    aux_files::take_t_aux(
        sector,
        t_aux,
        artifact::T_AUX,
        &job.work.join(artifact::T_AUX),
    )?;
    work::link(job.work, artifact::P_AUX, p_aux)?;
    for name in artifact::tree_r_last(sector) {
        work::link(job.work, &name, job.inputs.path(&name)?)?;
    }
    for name in [artifact::SEALED, artifact::UNSEALED] {
        let path = job.inputs.path(name)?;
        let file = File::open(path)
            .map_err(|error| StageError::from_io(&format!("reading {name}"), &error))?;
        tree_d::check_size(sector, &file, name)?;
        work::link(job.work, name, path)?;
    }
    work::zeros(&job.work.join(artifact::UPDATE), sector.size_bytes())
        .map_err(|error| StageError::from_io("writing update", &error))?;

    let progress = Progress::start("snap-encode", phases(sector));
    let encoded = empty_sector_update_encode_into(
        sector.update_proof,
        short(job, artifact::UPDATE),
        short(job, "update-cache"),
        short(job, artifact::SEALED),
        short(job, "cache"),
        short(job, artifact::UNSEALED),
        &pieces::whole_sector(sector, params.comm_d.0)?,
    )
    .map_err(library)?;
    aux_files::write_t_aux(
        &aux_files::t_aux_bytes(sector)?,
        &job.work.join(artifact::UPDATE_T_AUX),
    )?;
    let proofs = generate_partition_proofs(
        sector.update_proof,
        params.comm_r.0,
        encoded.comm_r_new,
        encoded.comm_d_new,
        short(job, artifact::SEALED),
        short(job, "cache"),
        short(job, artifact::UPDATE),
        short(job, "update-cache"),
    )
    .map_err(library)?;
    drop(progress);
    let texts: Vec<String> = proofs
        .iter()
        .map(|proof| STANDARD.encode(&proof.0))
        .collect();
    let failed = |error| StageError::from_io("writing update-vanilla-proofs.json", &error);
    let json = serde_json::to_vec(&texts).map_err(|error| failed(error.into()))?;
    std::fs::write(job.work.join(artifact::UPDATE_VANILLA), json).map_err(failed)?;
    let result = json!({
        "commR": SealedCid(encoded.comm_r_new),
        "commD": UnsealedCid(encoded.comm_d_new),
    });
    Ok(Done {
        outputs: outputs(sector),
        result,
    })
}

fn library(error: anyhow::Error) -> StageError {
    StageError::from_library(
        Code::InputInvalid,
        "the library could not encode with these files",
        &error,
        "check that all are of this sector and that commD is that of the new data",
    )
}

fn phases(sector: &Sector) -> Vec<Phase> {
    let nodes = sector.size_bytes() as f64 / 32.0;
    vec![
        Phase::new([], nodes * 16.0e-6 / cores()),
        Phase::new(["generate_partition_proofs:start"], 5.0),
    ]
}
