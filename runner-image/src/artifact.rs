//! Artifact names: what files are called in requests and answers, and below a working folder.

use crate::sector::Sector;

pub const UNSEALED: &str = "unsealed";
pub const SEALED: &str = "sealed";
pub const UPDATE: &str = "update";
pub const P_AUX: &str = "cache/p_aux";
pub const T_AUX: &str = "cache/t_aux";
pub const TREE_D: &str = "cache/sc-02-data-tree-d.dat";
pub const SYNTHETIC: &str = "cache/syn-porep-vanilla-proofs.dat";
pub const VANILLA: &str = "vanilla-proofs.json";
pub const UPDATE_P_AUX: &str = "update-cache/p_aux";
pub const UPDATE_T_AUX: &str = "update-cache/t_aux";
pub const UPDATE_TREE_D: &str = "update-cache/sc-02-data-tree-d.dat";
pub const UPDATE_VANILLA: &str = "update-vanilla-proofs.json";
pub const PROOF: &str = "proof.bin";
pub const PIECE: &str = "piece";

/// `cache/sc-02-data-layer-1.dat` and so on; layers count from 1.
pub fn layer(layer: usize) -> String {
    format!("cache/sc-02-data-layer-{layer}.dat")
}

/// All layers of a sector, lowest first.
pub fn layers(sector: &Sector) -> Vec<String> {
    (1..=sector.layers()).map(layer).collect()
}

/// The files of tree-c.
pub fn tree_c(sector: &Sector) -> Vec<String> {
    split(sector, "cache/sc-02-data-tree-c")
}

/// The files of tree-r-last.
pub fn tree_r_last(sector: &Sector) -> Vec<String> {
    split(sector, "cache/sc-02-data-tree-r-last")
}

/// The files of an update's tree-r-last.
pub fn update_tree_r_last(sector: &Sector) -> Vec<String> {
    split(sector, "update-cache/sc-02-data-tree-r-last")
}

fn split(sector: &Sector, stem: &str) -> Vec<String> {
    match sector.tree_files() {
        1 => vec![format!("{stem}.dat")],
        count => (0..count).map(|i| format!("{stem}-{i}.dat")).collect(),
    }
}
