//! tree-d: the binary SHA-256 tree over the unsealed data; its root is CommD.

use std::fs::File;
use std::path::Path;

use filecoin_proofs::constants::DefaultPieceHasher;
use filecoin_proofs_api::Commitment;
use memmap2::MmapOptions;
use serde_json::json;
use storage_proofs_core::cache_key::CacheKey;
use storage_proofs_core::merkle::{BinaryMerkleTree, create_base_merkle_tree};
use storage_proofs_core::util::NODE_SIZE;

use super::{Done, Job, pieces};
use crate::artifact;
use crate::disk::work;
use crate::sector::Sector;
use crate::wire::answer::{Code, StageError};
use crate::wire::cid::UnsealedCid;
use crate::wire::params::TreeDParams;

/// Writes tree-d over `unsealed`, or over zeros when it is not given; answers CommD.
pub fn run(job: &Job, params: &TreeDParams) -> Result<Done, StageError> {
    let comm_d = match job.inputs.get(artifact::UNSEALED) {
        Some(unsealed) => build(job.sector, unsealed, &job.work.join("cache"))?,
        None => build_zeros(job)?,
    };
    if let Some(list) = &params.pieces {
        pieces::check(job.sector, list, comm_d)?;
    }
    Ok(Done {
        outputs: vec![artifact::TREE_D.to_owned()],
        result: json!({ "commD": UnsealedCid(comm_d) }),
    })
}

/// Tree-d of a committed-capacity sector.
pub fn build_zeros(job: &Job) -> Result<Commitment, StageError> {
    let zeros = job.work.join("zeros");
    let failed = |error| StageError::from_io("making a file of zeros", &error);
    work::zeros(&zeros, job.sector.size_bytes()).map_err(failed)?;
    let comm_d = build(job.sector, &zeros, &job.work.join("cache"))?;
    std::fs::remove_file(&zeros).map_err(failed)?;
    Ok(comm_d)
}

/// Writes tree-d of `unsealed` into the folder `cache`; returns its root.
pub fn build(sector: &Sector, unsealed: &Path, cache: &Path) -> Result<Commitment, StageError> {
    let failed = |error| StageError::from_io("reading unsealed", &error);
    let file = File::open(unsealed).map_err(failed)?;
    check_size(sector, &file, artifact::UNSEALED)?;
    // SAFETY: inputs are not written while a stage runs; a file that shrinks ends the process with
    // SIGBUS, which its parent answers.
    let data = unsafe { MmapOptions::new().map(&file) }.map_err(failed)?;
    let config = filecoin_proofs::StoreConfig::new(cache, CacheKey::CommDTree.to_string(), 0);
    let leafs = data.len() / NODE_SIZE;
    if let Some(at) = data.par_position_not_fr() {
        let message = format!(
            "input unsealed is not fr32-padded (node {at} has its two high bits set); make it with add-piece"
        );
        return Err(StageError::new(Code::InputInvalid, message).about(artifact::UNSEALED));
    }
    let tree =
        create_base_merkle_tree::<BinaryMerkleTree<DefaultPieceHasher>>(Some(config), leafs, &data)
            .map_err(|error| {
                StageError::from_library(
                    Code::Internal,
                    "building tree-d failed",
                    &error,
                    "run the stage again",
                )
            })?;
    Ok(tree.root().into())
}

/// Refuses a file that is not as large as the sector.
pub fn check_size(sector: &Sector, file: &File, name: &str) -> Result<(), StageError> {
    let have = file
        .metadata()
        .map_err(|error| StageError::from_io("reading an input", &error))?
        .len();
    if have == sector.size_bytes() {
        return Ok(());
    }
    let message = format!(
        "input {name} has {have} bytes, the sector has {}; give the file of this sector",
        sector.size_bytes()
    );
    Err(StageError::new(Code::InputInvalid, message).about(name))
}

/// Looks for data that was never padded: the library would panic on it.
trait Padded {
    fn par_position_not_fr(&self) -> Option<usize>;
}

impl Padded for [u8] {
    fn par_position_not_fr(&self) -> Option<usize> {
        use rayon::prelude::*;
        self.par_chunks_exact(NODE_SIZE)
            .position_any(|node| node[NODE_SIZE - 1] & 0b1100_0000 != 0)
    }
}
