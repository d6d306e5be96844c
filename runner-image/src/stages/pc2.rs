//! pc2: the sealed file, tree-c, tree-r-last, CommR; for synthetic seal proofs the synthetic
//! vanilla proofs as well.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use filecoin_proofs::{Labels as SizedLabels, StoreConfig};
use filecoin_proofs_api::seal::{
    Labels, SealPreCommitPhase1Output, SealPreCommitPhase2Output, generate_synth_proofs,
    seal_pre_commit_phase2,
};
use serde_json::json;
use storage_proofs_core::cache_key::CacheKey;
use storage_proofs_core::util::NODE_SIZE;

use super::layers::LayerCheck;
use super::progress::{Phase, Progress, cores};
use super::{Done, Job, aux_files, pieces, tree_d};
use crate::artifact;
use crate::disk::work;
use crate::sector::Sector;
use crate::wire::answer::{Code, StageError};
use crate::wire::cid::{SealedCid, UnsealedCid};
use crate::wire::params::Pc2Params;

/// Core-seconds per node for hashing a node of an octree; a column costs about that per layer.
const HASH_SECONDS_PER_NODE: f64 = 12.7e-6;

/// What pc2 makes. A synthetic seal proof needs no tree-c after it.
pub fn outputs(sector: &Sector) -> Vec<String> {
    let mut out = vec![artifact::SEALED.to_owned()];
    if sector.synthetic() {
        out.push(artifact::SYNTHETIC.to_owned());
    } else {
        out.extend(artifact::tree_c(sector));
    }
    out.extend(artifact::tree_r_last(sector));
    out.extend([artifact::P_AUX, artifact::T_AUX].map(str::to_owned));
    out
}

/// Seals. `result.noLongerNeeded` names the inputs that no later stage of this sector reads.
pub fn run(job: &Job, params: &Pc2Params) -> Result<Done, StageError> {
    let sector = job.sector;
    let replica_id = sector.replica_id(&params.ticket.0, &params.comm_d.0);
    let check = LayerCheck::new(sector, replica_id)?;
    for (index, name) in artifact::layers(sector).iter().enumerate() {
        let path = job.inputs.path(name)?;
        let failed = |error| StageError::from_io(&format!("reading input {name}"), &error);
        if !check.belongs(index + 1, path, None).map_err(failed)? {
            let message = format!(
                "input {name} is not this replica's layer (miner, number, ticket, commD and seal proof make the replica); give the layers that pc1 made for it"
            );
            return Err(StageError::new(Code::InputInvalid, message).about(name));
        }
        work::link(job.work, name, path)?;
    }
    aux_files::take_t_aux(
        sector,
        job.inputs.path(artifact::T_AUX)?,
        artifact::T_AUX,
        &job.work.join(artifact::T_AUX),
    )?;
    data_tree(job, &params.comm_d.0)?;
    let sealed = job.work.join(artifact::SEALED);
    let copying = |error| StageError::from_io("copying unsealed", &error);
    match job.inputs.get(artifact::UNSEALED) {
        Some(unsealed) => work::copy(unsealed, &sealed).map_err(copying)?,
        None => work::zeros(&sealed, sector.size_bytes()).map_err(copying)?,
    }

    let progress = Progress::start("pc2", phases(sector));
    let comm_r = replicate(job, params.comm_d.0).map_err(library)?;
    if sector.synthetic() {
        let pre_commit = SealPreCommitPhase2Output {
            registered_proof: sector.seal_proof,
            comm_r,
            comm_d: params.comm_d.0,
        };
        generate_synth_proofs(
            short(job, "cache"),
            short(job, artifact::SEALED),
            sector.prover_id(),
            sector.sector_id(),
            params.ticket.0,
            pre_commit,
            &pieces::whole_sector(sector, params.comm_d.0)?,
        )
        .map_err(library)?;
    }
    drop(progress);
    aux_files::write_t_aux(
        &aux_files::t_aux_bytes(sector)?,
        &job.work.join(artifact::T_AUX),
    )?;
    aux_files::PersistentAux::read(&job.work.join(artifact::P_AUX), artifact::P_AUX)?
        .check(&comm_r, artifact::P_AUX)?;
    let mut unneeded = Vec::new();
    if sector.synthetic() {
        unneeded.extend(artifact::layers(sector));
        unneeded.push(artifact::TREE_D.to_owned());
    }
    let result = json!({
        "commR": SealedCid(comm_r),
        "commD": UnsealedCid(params.comm_d.0),
        "noLongerNeeded": unneeded,
    });
    Ok(Done {
        outputs: outputs(sector),
        result,
    })
}

/// A path below the working folder, relative when that is the process's current folder.
pub fn short(job: &Job, name: &str) -> std::path::PathBuf {
    let here = std::env::current_dir().is_ok_and(|here| here == job.work);
    if here {
        name.into()
    } else {
        job.work.join(name)
    }
}

fn replicate(job: &Job, comm_d: [u8; 32]) -> anyhow::Result<[u8; 32]> {
    let (cache, sealed) = (short(job, "cache"), short(job, artifact::SEALED));
    let nodes = job.sector.size_bytes() as usize / NODE_SIZE;
    let store = |id: String, size: usize| StoreConfig {
        path: cache.clone(),
        id,
        size: Some(size),
        rows_to_discard: 0,
    };
    let layers = (1..=job.sector.layers())
        .map(|layer| store(CacheKey::label_layer(layer), nodes))
        .collect();
    let phase1 = SealPreCommitPhase1Output {
        registered_proof: job.sector.seal_proof,
        labels: labels(job.sector, layers),
        config: store(
            CacheKey::CommDTree.to_string(),
            aux_files::tree_nodes(nodes, 2),
        ),
        comm_d,
    };
    Ok(seal_pre_commit_phase2(phase1, cache, sealed)?.comm_r)
}

/// The layers' list in the type of their sector size.
fn labels(sector: &Sector, layers: Vec<StoreConfig>) -> Labels {
    match sector.size_bytes() {
        0x800 => Labels::StackedDrg2KiBV1(SizedLabels::new(layers)),
        0x80_0000 => Labels::StackedDrg8MiBV1(SizedLabels::new(layers)),
        0x2000_0000 => Labels::StackedDrg512MiBV1(SizedLabels::new(layers)),
        0x8_0000_0000 => Labels::StackedDrg32GiBV1(SizedLabels::new(layers)),
        _ => Labels::StackedDrg64GiBV1(SizedLabels::new(layers)),
    }
}

/// Brings tree-d: links the given one after comparing it with CommD and the data, or builds it.
fn data_tree(job: &Job, comm_d: &[u8; 32]) -> Result<(), StageError> {
    let unsealed = job.inputs.get(artifact::UNSEALED);
    let root = match (job.inputs.get(artifact::TREE_D), unsealed) {
        (None, None) => tree_d::build_zeros(job)?,
        (None, Some(unsealed)) => tree_d::build(job.sector, unsealed, &job.work.join("cache"))?,
        (Some(tree), unsealed) => {
            let root = tree_root(job.sector, tree)?;
            same_leafs(job.sector, tree, unsealed)?;
            work::link(job.work, artifact::TREE_D, tree)?;
            root
        }
    };
    if root == *comm_d {
        return Ok(());
    }
    let name = if unsealed.is_some() {
        artifact::UNSEALED
    } else {
        artifact::TREE_D
    };
    let message = "the data has another CommD than the request says (without unsealed it is zeros); give the data that the layers were made for";
    Err(StageError::new(Code::InputInvalid, message).about(name))
}

/// The last node of a tree-d of the right size.
pub fn tree_root(sector: &Sector, tree: &Path) -> Result<[u8; 32], StageError> {
    let failed = |error| StageError::from_io("reading tree-d", &error);
    let file = File::open(tree).map_err(failed)?;
    let nodes = aux_files::tree_nodes(sector.size_bytes() as usize / NODE_SIZE, 2) as u64;
    if file.metadata().map_err(failed)?.len() != nodes * NODE_SIZE as u64 {
        let message =
            "input tree-d has another size than this sector's tree; build it again with tree-d";
        return Err(StageError::new(Code::InputInvalid, message).about(artifact::TREE_D));
    }
    let mut root = [0; 32];
    file.read_exact_at(&mut root, (nodes - 1) * NODE_SIZE as u64)
        .map_err(failed)?;
    Ok(root)
}

/// The tree's leafs are the data itself, byte for byte.
fn same_leafs(sector: &Sector, tree: &Path, unsealed: Option<&Path>) -> Result<(), StageError> {
    let failed = |error| StageError::from_io("comparing tree-d with the data", &error);
    let mut leafs = File::open(tree).map_err(failed)?.take(sector.size_bytes());
    let mut data: Box<dyn Read> = match unsealed {
        Some(path) => {
            let file = File::open(path).map_err(failed)?;
            tree_d::check_size(sector, &file, artifact::UNSEALED)?;
            Box::new(file)
        }
        None => Box::new(std::io::repeat(0)),
    };
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut rest = sector.size_bytes() as usize;
    while rest > 0 {
        let size = rest.min(left.len());
        leafs.read_exact(&mut left[..size]).map_err(failed)?;
        data.read_exact(&mut right[..size]).map_err(failed)?;
        if left[..size] != right[..size] {
            let message = "input tree-d was built over other data than unsealed (without unsealed: than zeros); build it again with tree-d";
            return Err(StageError::new(Code::InputInvalid, message).about(artifact::TREE_D));
        }
        rest -= size;
    }
    Ok(())
}

fn library(error: anyhow::Error) -> StageError {
    StageError::from_library(
        Code::InputInvalid,
        "the library could not seal with these files",
        &error,
        "make the layers again with pc1",
    )
}

fn phases(sector: &Sector) -> Vec<Phase> {
    let tree = sector.size_bytes() as f64 / 32.0 * HASH_SECONDS_PER_NODE / cores();
    let mut out = vec![
        Phase::new([], tree * (1.0 + 0.5 * sector.layers() as f64)),
        Phase::new(["tree_c done"], tree * 0.05),
        Phase::new(["building tree_r_last"], tree),
    ];
    if sector.synthetic() {
        out.push(Phase::new(["seal_gen_synth_proofs:start"], tree * 0.5));
    }
    out
}
