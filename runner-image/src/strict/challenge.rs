//! All that is checked at one challenged node.

use filecoin_hashers::{HashFunction, Hasher};
use filecoin_proofs::MerkleTreeTrait;
use filecoin_proofs::constants::{DefaultPieceHasher, DefaultTreeHasher};
use storage_proofs_core::drgraph::{BASE_DEGREE, Graph};
use storage_proofs_core::merkle::{MerkleProof, MerkleProofTrait};
use storage_proofs_porep::stacked::{
    ColumnProof, EXP_DEGREE, EncodingProof, LabelingProof, Proof, PublicInputs, PublicParams,
    TOTAL_PARENTS,
};

use super::claim::{Refusal, field_element};
use super::merkle::{Opening, bytes};
use super::{PieceDomain, TreeDomain};

type Column<Tree> = ColumnProof<
    MerkleProof<
        DefaultTreeHasher,
        <Tree as MerkleTreeTrait>::Arity,
        <Tree as MerkleTreeTrait>::SubTreeArity,
        <Tree as MerkleTreeTrait>::TopTreeArity,
    >,
>;

/// One challenge: the node that our seed selects, and our values to hold a proof against.
pub(super) struct Sample<'a, Tree: 'static + MerkleTreeTrait> {
    pub(super) params: &'a PublicParams<Tree>,
    pub(super) inputs: &'a PublicInputs<TreeDomain, PieceDomain>,
    pub(super) comm_d: PieceDomain,
    pub(super) comm_r: TreeDomain,
    pub(super) node: usize,
}

impl<Tree> Sample<'_, Tree>
where
    Tree: 'static + MerkleTreeTrait<Hasher = DefaultTreeHasher>,
{
    /// Checks the proof of this challenge whole.
    pub(super) fn check(&self, proof: &Proof<Tree, DefaultPieceHasher>) -> Result<(), Refusal> {
        let leaves = self.params.graph.size();

        let data = Opening::new(&proof.comm_d_proofs, leaves, "the data's tree")?;
        demand(
            data.root() == self.comm_d,
            "the data's tree is not the one of our CommD",
        )?;
        demand(
            data.opens(self.node),
            "the data's leaf is not in its tree at the challenged node",
        )?;

        let replica = Opening::new(&proof.comm_r_last_proof, leaves, "the replica's tree")?;
        demand(
            replica.opens(self.node),
            "the replica's leaf is not in its tree at the challenged node",
        )?;

        let columns = self.columns(proof, leaves)?;
        let comm_c = columns.own.root();
        let comm_r = <DefaultTreeHasher as Hasher>::Function::hash2(&comm_c, &replica.root());
        demand(
            comm_r == self.comm_r,
            "column tree and replica tree do not hash to our CommR",
        )?;

        self.labels(proof, &columns, &replica.leaf(), &data.leaf())
    }

    /// The challenged column and its parents', each opened in one column tree at the node where
    /// the graph puts it.
    fn columns(
        &self,
        proof: &Proof<Tree, DefaultPieceHasher>,
        leaves: usize,
    ) -> Result<Columns<Tree>, Refusal> {
        let given = &proof.replica_column_proofs;
        let (drg, exp) = (given.drg_parents.len(), given.exp_parents.len());
        if (drg, exp) != (BASE_DEGREE, EXP_DEGREE) {
            return Err(Refusal::new(format!(
                "{drg} base and {exp} expander parents were given where the graph has {BASE_DEGREE} and {EXP_DEGREE}; run C1 again"
            )));
        }
        let mut nodes = [0u32; BASE_DEGREE + EXP_DEGREE];
        self.params
            .graph
            .parents(self.node, &mut nodes)
            .map_err(|e| {
                Refusal::new(format!(
                    "the graph gives no parents: {e}; check the seal proof"
                ))
            })?;

        let own = self.column(
            &given.c_x,
            self.node as u32,
            None,
            leaves,
            "the challenged column",
        )?;
        let comm_c = own.root();
        let parents = given
            .drg_parents
            .iter()
            .chain(&given.exp_parents)
            .zip(nodes)
            .enumerate()
            .map(|(i, (p, node))| {
                self.column(p, node, Some(comm_c), leaves, &format!("parent {i}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Columns { own, parents })
    }

    /// One column, taken apart, checked and built again at the node where it must be.
    fn column(
        &self,
        given: &Column<Tree>,
        node: u32,
        comm_c: Option<TreeDomain>,
        leaves: usize,
        what: &str,
    ) -> Result<Column<Tree>, Refusal> {
        let (rows, path) = parts(given, what)?;
        if rows.len() != self.params.num_layers {
            return Err(Refusal::new(format!(
                "{what} has {} rows where the sector has {} layers; run C1 again",
                rows.len(),
                self.params.num_layers
            )));
        }
        for row in &rows {
            field_element(what, *row)?;
        }
        let opening = Opening::new(&path, leaves, what)?;
        let rows = rows.into_iter().map(TreeDomain::from).collect();
        let column = ColumnProof::new(node, rows, opening.into_proof());
        if bytes(&column)? != bytes(given)? {
            return Err(Refusal::new(format!(
                "{what} says another node than {node}, where the graph has it; run C1 again"
            )));
        }
        let root = comm_c.unwrap_or_else(|| column.root());
        if !column.verify(node, &root) {
            return Err(Refusal::new(format!(
                "{what} is not in the column tree at node {node}; run C1 again"
            )));
        }
        Ok(column)
    }

    /// Labels of every layer and the encoding, from the opened columns alone. What the proof says
    /// about them itself must be the same, since C2 would prove that.
    fn labels(
        &self,
        proof: &Proof<Tree, DefaultPieceHasher>,
        columns: &Columns<Tree>,
        encoded: &TreeDomain,
        data: &PieceDomain,
    ) -> Result<(), Refusal> {
        let layers = self.params.num_layers;
        let node = self.node as u64;
        let replica_id = &self.inputs.replica_id;
        let mut labelings = Vec::with_capacity(layers);
        for layer in 1..=layers {
            let labeling = LabelingProof::<DefaultTreeHasher>::new(
                layer as u32,
                node,
                columns.parent_labels(layer)?,
            );
            let label = columns.label(&columns.own, layer)?;
            if !labeling.verify(replica_id, &label) {
                return Err(Refusal::new(format!(
                    "the label of layer {layer} is not the hash of its parents' labels; the sector was not sealed by the graph, seal it again elsewhere"
                )));
            }
            labelings.push(labeling);
        }
        let encoding = EncodingProof::<DefaultTreeHasher>::new(
            layers as u32,
            node,
            columns.parent_labels(layers)?,
        );
        demand(
            encoding.verify::<DefaultPieceHasher>(replica_id, encoded, data),
            "the replica's leaf is not the data's leaf encoded with the last label",
        )?;
        demand(
            bytes(&labelings)? == bytes(&proof.labeling_proofs)?
                && bytes(&encoding)? == bytes(&proof.encoding_proof)?,
            "the labelling and encoding that the proof carries are not those of its columns",
        )
    }
}

struct Columns<Tree: 'static + MerkleTreeTrait<Hasher = DefaultTreeHasher>> {
    own: Column<Tree>,
    /// Base parents, then expander parents, in the graph's order.
    parents: Vec<Column<Tree>>,
}

impl<Tree: 'static + MerkleTreeTrait<Hasher = DefaultTreeHasher>> Columns<Tree> {
    fn label(&self, column: &Column<Tree>, layer: usize) -> Result<TreeDomain, Refusal> {
        column
            .get_node_at_layer(layer)
            .copied()
            .map_err(|e| Refusal::new(format!("a column has no layer {layer}: {e}; run C1 again")))
    }

    /// What a label of `layer` hashes: base parents of the same layer, from the second layer on
    /// also expander parents of the layer before, repeated to [`TOTAL_PARENTS`] labels.
    fn parent_labels(&self, layer: usize) -> Result<Vec<TreeDomain>, Refusal> {
        let (base, expander) = self.parents.split_at(BASE_DEGREE);
        let mut once = Vec::with_capacity(self.parents.len());
        for column in base {
            once.push(self.label(column, layer)?);
        }
        if layer > 1 {
            for column in expander {
                once.push(self.label(column, layer - 1)?);
            }
        }
        Ok(once.into_iter().cycle().take(TOTAL_PARENTS).collect())
    }
}

/// Rows and Merkle path of a column proof. The library keeps them private, so they are read from
/// the serialised form: index, rows, path.
fn parts<P: MerkleProofTrait>(
    column: &ColumnProof<P>,
    what: &str,
) -> Result<(Vec<[u8; 32]>, P), Refusal> {
    let (_index, rows, path): (u32, _, P) = bincode::deserialize(&bytes(column)?)
        .map_err(|e| Refusal::new(format!("{what} cannot be read: {e}; run C1 again")))?;
    Ok((rows, path))
}

fn demand(holds: bool, otherwise: &str) -> Result<(), Refusal> {
    if holds {
        Ok(())
    } else {
        Err(Refusal::new(format!(
            "{otherwise}; run C1 again on the right files"
        )))
    }
}
