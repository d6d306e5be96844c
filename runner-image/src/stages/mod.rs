//! The stages. Each takes checked inputs and a working folder, and leaves its outputs there under
//! their artifact names; `run` does the rest (hashes, names, answer).

pub mod add_piece;
pub mod aux_files;
pub mod c1;
pub mod c2;
pub mod check_sealed;
pub mod data_root;
pub mod decode;
pub mod layers;
pub mod listen;
pub mod pc1;
pub mod pc2;
pub mod pieces;
pub mod progress;
pub mod snap_encode;
pub mod snap_prove;
pub mod tree_d;
pub mod unseal_piece;
pub mod vanilla;
pub mod verify;

use std::path::Path;

use serde_json::Value;

use crate::artifact;
use crate::disk::inputs::{Inputs, Wanted};
use crate::params::Need;
use crate::sector::Sector;
use crate::wire::answer::{FileSum, StageError};
use crate::wire::params::Params;
use crate::wire::request::Request;

/// What a stage works on.
pub struct Job<'a> {
    pub sector: &'a Sector,
    pub inputs: &'a Inputs,
    /// Folder for outputs and temporary files, with empty folders `cache` and `update-cache`.
    /// The process's current folder may be this one: the library puts `-0` before each `.dat` of a
    /// path, so paths handed to it should be short and relative.
    pub work: &'a Path,
    /// Called when an output is whole while the stage goes on; gives it its final name.
    pub publish: &'a (dyn Fn(&str) -> Result<FileSum, StageError> + Sync),
}

/// What a stage made: names of outputs in the working folder, and the answer's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub outputs: Vec<String>,
    pub result: Value,
}

/// Runs one stage.
pub fn run(params: &Params, job: &Job) -> Result<Done, StageError> {
    match params {
        Params::AddPiece(p) => add_piece::run(job, p),
        Params::TreeD(p) => tree_d::run(job, p),
        Params::Pc1(p) => pc1::run(job, p),
        Params::Pc2(p) => pc2::run(job, p),
        Params::C1(p) => c1::run(job, p),
        Params::VerifyVanilla(p) => vanilla::run(job, p),
        Params::C2(p) => c2::run(job, p),
        Params::VerifySeal(p) => verify::seal(job, p),
        Params::SnapEncode(p) => snap_encode::run(job, p),
        Params::SnapProve(p) => snap_prove::run(job, p),
        Params::VerifyUpdate(p) => verify::update(job, p),
        Params::CheckSealed(p) => check_sealed::run(job, p),
        Params::UnsealPiece(p) => unseal_piece::run(job, p),
    }
}

/// The inputs that a request's stage needs and can use.
pub fn wanted(request: &Request) -> Wanted {
    let sector = &request.sector;
    let own = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let mut wanted = Wanted::default();
    match &request.params {
        Params::AddPiece(p) => wanted.required = p.pieces.iter().map(|p| p.input.clone()).collect(),
        Params::TreeD(_) => wanted.optional = own(&[artifact::UNSEALED]),
        Params::Pc1(_) => wanted.replaceable = artifact::layers(sector),
        Params::Pc2(_) => {
            wanted.required = artifact::layers(sector);
            wanted.required.push(artifact::T_AUX.to_owned());
            wanted.optional = own(&[artifact::TREE_D, artifact::UNSEALED]);
        }
        Params::C1(_) => {
            wanted.required = own(&[artifact::SEALED, artifact::P_AUX, artifact::T_AUX]);
            wanted.required.extend(artifact::tree_r_last(sector));
            if sector.synthetic() {
                wanted.required.push(artifact::SYNTHETIC.to_owned());
            } else {
                wanted.required.push(artifact::TREE_D.to_owned());
                wanted.required.extend(artifact::layers(sector));
                wanted.required.extend(artifact::tree_c(sector));
            }
        }
        Params::VerifyVanilla(_) | Params::C2(_) => wanted.required = own(&[artifact::VANILLA]),
        Params::VerifySeal(_) | Params::VerifyUpdate(_) => {}
        Params::SnapEncode(_) => {
            wanted.required = own(&[
                artifact::SEALED,
                artifact::P_AUX,
                artifact::T_AUX,
                artifact::UNSEALED,
            ]);
            wanted.required.extend(artifact::tree_r_last(sector));
        }
        Params::SnapProve(_) => wanted.required = own(&[artifact::UPDATE_VANILLA]),
        Params::CheckSealed(_) => {
            if request.inputs.contains_key(artifact::UPDATE) {
                wanted.required = own(&[artifact::UPDATE, artifact::UPDATE_P_AUX]);
                wanted.required.extend(artifact::update_tree_r_last(sector));
            } else {
                wanted.required = own(&[artifact::SEALED, artifact::P_AUX]);
                wanted.required.extend(artifact::tree_r_last(sector));
            }
        }
        Params::UnsealPiece(_) => {
            wanted.required = own(&[artifact::SEALED]);
            wanted.optional = own(&[artifact::UPDATE]);
        }
    }
    wanted
}

/// What a request's stage needs from the parameter folders.
pub fn needs(request: &Request) -> &'static [Need] {
    match &request.params {
        Params::Pc1(_) => &[Need::Parents],
        Params::UnsealPiece(_) if !request.inputs.contains_key(artifact::UPDATE) => {
            &[Need::Parents]
        }
        Params::C2(_) => &[Need::SealProve],
        Params::VerifySeal(_) => &[Need::SealVerify],
        Params::SnapProve(_) => &[Need::UpdateProve],
        Params::VerifyUpdate(_) => &[Need::UpdateVerify],
        _ => &[],
    }
}

/// The outputs that a request's stage makes, as far as they are known before it runs.
pub fn outputs(request: &Request, given: &Inputs) -> Vec<String> {
    let sector = &request.sector;
    let own = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    match &request.params {
        Params::AddPiece(_) => own(&[artifact::UNSEALED]),
        Params::TreeD(_) => own(&[artifact::TREE_D]),
        Params::Pc1(_) => pc1::outputs(sector, given),
        Params::Pc2(_) => pc2::outputs(sector),
        Params::C1(_) => own(&[artifact::VANILLA]),
        Params::C2(_) | Params::SnapProve(_) => own(&[artifact::PROOF]),
        Params::SnapEncode(_) => snap_encode::outputs(sector),
        Params::UnsealPiece(_) => own(&[artifact::PIECE]),
        Params::VerifyVanilla(_)
        | Params::VerifySeal(_)
        | Params::VerifyUpdate(_)
        | Params::CheckSealed(_) => Vec::new(),
    }
}
