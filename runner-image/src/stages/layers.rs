//! Layers that were made before: do they belong to this replica?
//!
//! The library goes by file size alone. The first label of a layer is the hash of replica id and
//! layer number, so 32 bytes tell whose layer it is; some more labels, recomputed from their
//! parents, tell whether the file is a layer at all. Flipped bits are found by the file's hash.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use filecoin_hashers::Domain;
use filecoin_proofs::SectorShapeBase;
use filecoin_proofs::constants::DefaultTreeHasher;
use filecoin_proofs::parameters::public_params;
use storage_proofs_core::drgraph::Graph;
use storage_proofs_core::util::NODE_SIZE;
use storage_proofs_porep::stacked::{LabelingProof, StackedBucketGraph, TOTAL_PARENTS};

use crate::sector::{ReplicaDomain, Sector};
use crate::wire::answer::{Code, StageError};

/// Labels recomputed per layer, beside the first.
const SAMPLES: usize = 64;
/// Parents from the same layer; the others are of the layer below.
const BASE_PARENTS: usize = 6;

/// Checks layers of one replica.
pub struct LayerCheck {
    graph: StackedBucketGraph<DefaultTreeHasher>,
    replica_id: ReplicaDomain,
}

impl LayerCheck {
    pub fn new(sector: &Sector, replica_id: ReplicaDomain) -> Result<Self, StageError> {
        let params = public_params::<SectorShapeBase>(&sector.seal_proof.as_v1_config()).map_err(
            |error| {
                StageError::from_library(
                    Code::Internal,
                    "setting up the graph failed",
                    &error,
                    "report it",
                )
            },
        )?;
        Ok(LayerCheck {
            graph: params.graph,
            replica_id,
        })
    }

    /// Whether the file at `path` is layer number `layer` of this replica, as far as samples
    /// show; `below` is the layer below it (without it only the first label is checked).
    pub fn belongs(&self, layer: usize, path: &Path, below: Option<&Path>) -> io::Result<bool> {
        let file = File::open(path)?;
        if file.metadata()?.len() != (self.graph.size() * NODE_SIZE) as u64 {
            return Ok(false);
        }
        let first = LabelingProof::<DefaultTreeHasher>::new(layer as u32, 0, Vec::new());
        match read_node(&file, 0)? {
            Some(label) if first.verify(&self.replica_id, &label) => {}
            _ => return Ok(false),
        }
        let below = match (layer, below) {
            (1, _) => None,
            (_, Some(path)) => Some(File::open(path)?),
            (_, None) => return Ok(true),
        };
        for sample in 1..=SAMPLES {
            // Spread over the layer, its last node included.
            let node = sample * (self.graph.size() - 1) / SAMPLES;
            if node > 0 && !self.label_holds(layer, node, &file, below.as_ref())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn label_holds(
        &self,
        layer: usize,
        node: usize,
        file: &File,
        below: Option<&File>,
    ) -> io::Result<bool> {
        let mut parents = vec![0u32; self.graph.degree()];
        self.graph
            .parents(node, &mut parents)
            .map_err(io::Error::other)?;
        if below.is_none() {
            parents.truncate(BASE_PARENTS);
        }
        let mut labels = Vec::with_capacity(parents.len());
        for (index, parent) in parents.iter().enumerate() {
            let source = if index < BASE_PARENTS {
                file
            } else {
                below.unwrap_or(file)
            };
            match read_node(source, *parent as usize)? {
                Some(label) => labels.push(label),
                None => return Ok(false),
            }
        }
        let repeated: Vec<_> = labels.iter().copied().cycle().take(TOTAL_PARENTS).collect();
        let proof = LabelingProof::<DefaultTreeHasher>::new(layer as u32, node as u64, repeated);
        Ok(read_node(file, node)?.is_some_and(|label| proof.verify(&self.replica_id, &label)))
    }
}

/// A node of a file; `None` when its bytes are no field element.
fn read_node(file: &File, node: usize) -> io::Result<Option<ReplicaDomain>> {
    let mut bytes = [0; NODE_SIZE];
    file.read_exact_at(&mut bytes, (node * NODE_SIZE) as u64)?;
    Ok(ReplicaDomain::try_from_bytes(&bytes).ok())
}
