//! The two small files beside a sector: `p_aux` (CommC and CommRLast) and `t_aux` (how its trees
//! are stored).

use std::fs;
use std::path::Path;

use filecoin_hashers::{Domain, HashFunction, Hasher};
use filecoin_proofs::constants::{DefaultPieceHasher, DefaultTreeHasher};
use filecoin_proofs::{SectorShapeBase, StoreConfig, TemporaryAux};
use storage_proofs_core::cache_key::CacheKey;
use storage_proofs_core::util::{NODE_SIZE, default_rows_to_discard};
use storage_proofs_porep::stacked::Labels;

use crate::sector::{ReplicaDomain, Sector};
use crate::wire::answer::{Code, StageError};

/// `t_aux` names a folder; the library replaces it by the folder it reads from. One fixed word
/// there makes the file the same bytes on every machine.
const NEUTRAL_FOLDER: &str = "cache";
/// Arity of the trees below sub- and top trees.
const TREE_ARITY: usize = 8;

/// CommC and CommRLast of a replica.
#[derive(Clone, Copy, Debug)]
pub struct PersistentAux {
    pub comm_c: ReplicaDomain,
    pub comm_r_last: ReplicaDomain,
}

impl PersistentAux {
    /// Reads a `p_aux`: two field elements of 32 bytes.
    pub fn read(path: &Path, name: &str) -> Result<Self, StageError> {
        let bytes = fs::read(path)
            .map_err(|error| StageError::from_io(&format!("reading {name}"), &error))?;
        let node = |part: &[u8]| ReplicaDomain::try_from_bytes(part).ok();
        let both = (bytes.len() == 64).then(|| (node(&bytes[..32]), node(&bytes[32..])));
        match both {
            Some((Some(comm_c), Some(comm_r_last))) => Ok(PersistentAux {
                comm_c,
                comm_r_last,
            }),
            _ => {
                let message = format!(
                    "input {name} is no p_aux (64 bytes, two field elements); give the sector's own"
                );
                Err(StageError::new(Code::InputInvalid, message).about(name))
            }
        }
    }

    /// CommR, as these two give it.
    pub fn comm_r(&self) -> [u8; 32] {
        comm_r(&self.comm_c, &self.comm_r_last)
    }

    /// Refuses a `p_aux` of another replica.
    pub fn check(&self, want: &[u8; 32], name: &str) -> Result<(), StageError> {
        if self.comm_r() == *want {
            return Ok(());
        }
        let message = format!(
            "input {name} belongs to another CommR than the request's; give the sector's own"
        );
        Err(StageError::new(Code::InputInvalid, message).about(name))
    }
}

/// CommR is the Poseidon hash of CommC and the root of tree-r-last.
pub fn comm_r(comm_c: &ReplicaDomain, comm_r_last: &ReplicaDomain) -> [u8; 32] {
    <DefaultTreeHasher as Hasher>::Function::hash2(comm_c, comm_r_last)
        .into_bytes()
        .try_into()
        .unwrap_or([0; 32])
}

/// The bytes of a sector's `t_aux`.
pub fn t_aux_bytes(sector: &Sector) -> Result<Vec<u8>, StageError> {
    let failed = |what: String| {
        StageError::new(
            Code::Internal,
            format!("describing the trees failed ({what}); report it"),
        )
    };
    let nodes = sector.size_bytes() as usize / NODE_SIZE;
    let base_nodes = nodes / sector.tree_files();
    let (tree_len, data_len) = (tree_nodes(base_nodes, TREE_ARITY), tree_nodes(nodes, 2));
    let store = |id: String, size: usize, rows_to_discard: usize| StoreConfig {
        path: NEUTRAL_FOLDER.into(),
        id,
        size: Some(size),
        rows_to_discard,
    };
    let labels = (1..=sector.layers())
        .map(|layer| store(CacheKey::label_layer(layer), nodes, 0))
        .collect();
    // The tree shape is a type parameter that leaves no trace in the bytes.
    let t_aux: TemporaryAux<SectorShapeBase, DefaultPieceHasher> = TemporaryAux {
        labels: Labels::new(labels),
        tree_d_config: store(CacheKey::CommDTree.to_string(), data_len, 0),
        tree_r_last_config: store(
            CacheKey::CommRLastTree.to_string(),
            tree_len,
            default_rows_to_discard(base_nodes, TREE_ARITY),
        ),
        tree_c_config: store(CacheKey::CommCTree.to_string(), tree_len, 0),
        _g: Default::default(),
    };
    bincode::serialize(&t_aux).map_err(|error| failed(error.to_string()))
}

/// Nodes of a full tree; `leafs` is a power of `arity`, as it is for every sector size.
pub fn tree_nodes(leafs: usize, arity: usize) -> usize {
    std::iter::successors(Some(leafs), |row| (*row > 1).then(|| row / arity)).sum()
}

/// Checks a given `t_aux` (whatever folder it names) and writes the neutral one of the sector to
/// `at`: the library takes file names from it, so a foreign one must not get that far.
pub fn take_t_aux(sector: &Sector, given: &Path, name: &str, at: &Path) -> Result<(), StageError> {
    let io = |error| StageError::from_io(&format!("reading {name}"), &error);
    let wrong = || {
        let message = format!(
            "input {name} is no t_aux of this sector's size and tree layout; give the sector's own"
        );
        StageError::new(Code::InputInvalid, message).about(name)
    };
    if fs::metadata(given).map_err(io)?.len() > 1 << 20 {
        return Err(wrong());
    }
    let mut t_aux: TemporaryAux<SectorShapeBase, DefaultPieceHasher> =
        bincode::deserialize(&fs::read(given).map_err(io)?).map_err(|_| wrong())?;
    t_aux.set_cache_path(NEUTRAL_FOLDER);
    let neutral = t_aux_bytes(sector)?;
    if bincode::serialize(&t_aux).ok().as_ref() != Some(&neutral) {
        return Err(wrong());
    }
    write_t_aux(&neutral, at)
}

/// Writes the bytes of a `t_aux`.
pub fn write_t_aux(bytes: &[u8], at: &Path) -> Result<(), StageError> {
    fs::write(at, bytes).map_err(|error| StageError::from_io("writing t_aux", &error))
}
