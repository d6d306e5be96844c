//! A prover of our own that can be told to cheat: it makes labels, trees and vanilla proofs of a
//! 2 KiB sector by itself. Told to be honest it gives the library's proofs to the last byte.

use blstrs::Scalar;
use filecoin_hashers::{Domain, HashFunction, Hasher};
use filecoin_proofs::SectorShapeBase;
use filecoin_proofs::constants::{DefaultPieceHasher, DefaultTreeHasher};
use filecoin_proofs::parameters::public_params;
use filecoin_proofs_api::seal::VanillaSealProof;
use sealpool_prover::strict::{Claim, replica_id};
use sha2::{Digest, Sha256};
use storage_proofs_core::drgraph::Graph;
use storage_proofs_core::merkle::MerkleProof;
use storage_proofs_porep::stacked::{
    Column, ColumnProof, EncodingProof, LabelingProof, Proof, PublicInputs, PublicParams,
    ReplicaColumnProof, Tau,
};

use crate::sealed::NODES;

pub type Node = <DefaultTreeHasher as Hasher>::Domain;
type Leaf = <DefaultPieceHasher as Hasher>::Domain;
pub type Vanilla = Proof<SectorShapeBase, DefaultPieceHasher>;

/// What labels are hashed from. The library believes whatever parents a proof names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Labels {
    ByGraph,
    NoParents,
    Predecessor,
    BaseOnly,
    ExpanderOnly,
    FirstParentOnly,
    SameLayerExpanders,
    ParentsOnce,
    ReversedParents,
    OtherGraph,
    OtherNodeNumber,
    OtherLayerNumber,
    OtherReplica,
}

/// What the data is encoded with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Encoding {
    LastLabel,
    FirstLayer,
    InventedKey,
    Unencoded,
    OtherData,
}

/// A Merkle tree, leaves first.
pub struct Tree<D> {
    rows: Vec<Vec<D>>,
    arity: usize,
}

impl<D: Copy> Tree<D> {
    fn new(leaves: Vec<D>, arity: usize, hash: impl Fn(&[D]) -> D) -> Self {
        let mut rows = vec![leaves];
        while rows[rows.len() - 1].len() > 1 {
            rows.push(rows[rows.len() - 1].chunks(arity).map(&hash).collect());
        }
        Self { rows, arity }
    }

    pub fn root(&self) -> &D {
        &self.rows[self.rows.len() - 1][0]
    }

    fn path(&self, node: usize) -> Vec<(Vec<D>, usize)> {
        let (mut at, mut path) = (node, Vec::new());
        for row in &self.rows[..self.rows.len() - 1] {
            let (group, index) = (at / self.arity, at % self.arity);
            let mut siblings = row[group * self.arity..][..self.arity].to_vec();
            siblings.remove(index);
            path.push((siblings, index));
            at = group;
        }
        path
    }
}

/// The data's tree; its root is CommD.
pub fn data_tree(data: &[[u8; 32]]) -> Tree<[u8; 32]> {
    Tree::new(data.to_vec(), 2, |pair| {
        let mut hash: [u8; 32] = Sha256::digest(pair.concat()).into();
        hash[31] &= 0x3f;
        hash
    })
}

fn node_tree(leaves: Vec<Node>) -> Tree<Node> {
    Tree::new(leaves, 8, |group| {
        let bytes: Vec<u8> = group.iter().flat_map(|n| n.into_bytes()).collect();
        <DefaultTreeHasher as Hasher>::Function::hash(&bytes)
    })
}

pub struct Forger {
    pub claim: Claim,
    labels: Labels,
    encoding: Encoding,
    replica_id: Node,
    params: PublicParams<SectorShapeBase>,
    data: Vec<[u8; 32]>,
    layers: Vec<Vec<Node>>,
    replica: Tree<Node>,
    columns: Tree<Node>,
}

impl Forger {
    /// Seals `data` under `claim` the given way; the claim answered has the CommR that comes out.
    pub fn seal(mut claim: Claim, data: Vec<[u8; 32]>, labels: Labels, encoding: Encoding) -> Self {
        let params = public_params(&claim.seal_proof.as_v1_config()).unwrap();
        let mut forger = Self {
            replica_id: replica_id(&claim),
            params,
            layers: vec![vec![Node::default(); NODES]; 2],
            replica: node_tree(vec![Node::default(); NODES]),
            columns: node_tree(vec![Node::default(); NODES]),
            claim: claim.clone(),
            labels,
            encoding,
            data,
        };
        for layer in 1..=2 {
            for node in 0..NODES {
                let (said, parents) = forger.label_of(layer, node);
                forger.layers[layer - 1][node] = forger.hash(said, &parents);
            }
        }
        forger.columns = node_tree(
            (0..NODES)
                .map(|n| {
                    Column::<DefaultTreeHasher>::new(0, forger.rows(n))
                        .unwrap()
                        .hash()
                        .into()
                })
                .collect(),
        );
        forger.replica = node_tree((0..NODES).map(|n| forger.encoded(n)).collect());
        claim.comm_r = <DefaultTreeHasher as Hasher>::Function::hash2(
            forger.columns.root(),
            forger.replica.root(),
        )
        .into();
        forger.claim = claim;
        forger
    }

    /// The vanilla proofs that this prover answers the claim's seed with.
    pub fn prove(&self) -> VanillaSealProof {
        let inputs = PublicInputs {
            replica_id: self.replica_id,
            seed: Some(self.claim.seed),
            tau: Some(Tau {
                comm_d: Leaf::from(self.claim.comm_d),
                comm_r: Node::from(self.claim.comm_r),
            }),
            k: None,
        };
        let nodes = inputs.challenges(&self.params.challenges, NODES, Some(0));
        VanillaSealProof::StackedDrg2KiBV1(vec![
            nodes.into_iter().map(|n| self.prove_node(n)).collect(),
        ])
    }

    fn prove_node(&self, node: usize) -> Vanilla {
        let data = data_tree(&self.data);
        let path = data
            .path(node)
            .into_iter()
            .map(|(s, i)| (s.into_iter().map(Leaf::from).collect(), i))
            .collect();
        let parents = self.parents(node);
        let (base, expander) = parents.split_at(6);
        Proof {
            comm_d_proofs: MerkleProof::from_parts(
                Leaf::from(self.data[node]),
                Leaf::from(*data.root()),
                path,
            ),
            comm_r_last_proof: self.open(&self.replica, node),
            replica_column_proofs: ReplicaColumnProof {
                c_x: self.column(node),
                drg_parents: base.iter().map(|&p| self.column(p as usize)).collect(),
                exp_parents: expander.iter().map(|&p| self.column(p as usize)).collect(),
            },
            labeling_proofs: (1..=2)
                .map(|layer| {
                    let ((said_layer, said_node), parents) = self.label_of(layer, node);
                    LabelingProof::new(said_layer, said_node, parents)
                })
                .collect(),
            encoding_proof: self.encoding_proof(node),
        }
    }

    fn open(&self, tree: &Tree<Node>, node: usize) -> MerkleProof<DefaultTreeHasher, OctArity> {
        MerkleProof::from_parts(tree.rows[0][node], *tree.root(), tree.path(node))
    }

    fn column(&self, node: usize) -> ColumnProof<MerkleProof<DefaultTreeHasher, OctArity>> {
        ColumnProof::new(node as u32, self.rows(node), self.open(&self.columns, node))
    }

    fn rows(&self, node: usize) -> Vec<Node> {
        self.layers.iter().map(|layer| layer[node]).collect()
    }

    fn parents(&self, node: usize) -> [u32; 14] {
        let mut parents = [0; 14];
        self.params.graph.parents(node, &mut parents).unwrap();
        parents
    }

    /// Layer and node numbers and the parents' labels that go into the label of `node`.
    fn label_of(&self, layer: usize, node: usize) -> ((u32, u64), Vec<Node>) {
        let said = match self.labels {
            Labels::OtherNodeNumber => (layer as u32, node as u64 + 1),
            Labels::OtherLayerNumber => (layer as u32 + 1, node as u64),
            _ => (layer as u32, node as u64),
        };
        if node == 0 {
            return (said, vec![]);
        }
        let mut parents = self.parents(node);
        if self.labels == Labels::OtherGraph {
            parents = self.parents(NODES - node).map(|p| p % node as u32);
        }
        let base = parents[..6]
            .iter()
            .map(|&p| self.layers[layer - 1][p as usize]);
        let from = if self.labels == Labels::SameLayerExpanders {
            layer - 1
        } else {
            layer.saturating_sub(2)
        };
        let expander = parents[6..].iter().map(|&p| self.layers[from][p as usize]);
        let mut once: Vec<Node> = match self.labels {
            Labels::NoParents => return (said, vec![]),
            Labels::Predecessor => vec![self.layers[layer - 1][node - 1]],
            Labels::FirstParentOnly => base.take(1).collect(),
            Labels::ExpanderOnly if layer > 1 => expander.collect(),
            Labels::BaseOnly => base.collect(),
            _ if layer == 1 => base.collect(),
            _ => base.chain(expander).collect(),
        };
        if self.labels == Labels::ReversedParents {
            once.reverse();
        }
        let count = if self.labels == Labels::ParentsOnce {
            once.len()
        } else {
            37
        };
        (said, once.into_iter().cycle().take(count).collect())
    }

    fn hash(&self, (layer, node): (u32, u64), parents: &[Node]) -> Node {
        let mut id = self.replica_id;
        if self.labels == Labels::OtherReplica {
            id = Node::from([3; 32]);
        }
        label(&id, layer, node, parents)
    }

    fn encoding_proof(&self, node: usize) -> EncodingProof<DefaultTreeHasher> {
        let layer = if self.encoding == Encoding::FirstLayer {
            1
        } else {
            2
        };
        let ((layer, said_node), parents) = self.label_of(layer, node);
        match self.encoding {
            Encoding::InventedKey => EncodingProof::new(99, said_node, vec![]),
            _ => EncodingProof::new(layer, said_node, parents),
        }
    }

    fn encoded(&self, node: usize) -> Node {
        let key = match self.encoding {
            Encoding::FirstLayer => self.layers[0][node],
            Encoding::InventedKey => label(&self.replica_id, 99, node as u64, &[]),
            Encoding::Unencoded => Node::default(),
            Encoding::LastLabel | Encoding::OtherData => self.layers[1][node],
        };
        let mut data = self.data[node];
        if self.encoding == Encoding::OtherData {
            data[3] ^= 1;
        }
        let (key, data): (Scalar, Scalar) = (key.into(), Leaf::from(data).into());
        (key + data).into()
    }
}

type OctArity = <SectorShapeBase as filecoin_proofs::MerkleTreeTrait>::Arity;

fn label(replica_id: &Node, layer: u32, node: u64, parents: &[Node]) -> Node {
    let mut head = [0; 64];
    head[..32].copy_from_slice(&replica_id.into_bytes());
    head[32..36].copy_from_slice(&layer.to_be_bytes());
    head[36..44].copy_from_slice(&node.to_be_bytes());
    let mut hasher = Sha256::new_with_prefix(head);
    for parent in parents {
        hasher.update(parent.into_bytes());
    }
    let mut hash: [u8; 32] = hasher.finalize().into();
    hash[31] &= 0x3f;
    Node::from(hash)
}
