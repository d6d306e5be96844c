//! Openings of Merkle trees: shape first, then hashes.

use filecoin_hashers::{Hasher, PoseidonArity};
use storage_proofs_core::merkle::{MerkleProof, MerkleProofTrait};

use super::claim::{Refusal, field_element};

/// An opening whose shape was checked: the right number of levels, siblings and positions for a
/// tree with `leaves` leaves, all values canonical. Hashing it cannot panic.
pub(super) struct Opening<H: Hasher, A: PoseidonArity, B: PoseidonArity, C: PoseidonArity> {
    proof: MerkleProof<H, A, B, C>,
}

impl<H, A, B, C> Opening<H, A, B, C>
where
    H: Hasher,
    A: 'static + PoseidonArity,
    B: 'static + PoseidonArity,
    C: 'static + PoseidonArity,
{
    /// Takes `given` apart, checks each level and puts it together again the way the library does
    /// for this tree shape, so that nothing of the sender's own layout is left.
    ///
    /// # Errors
    /// A path that is too short or too long, a level with too many or too few siblings, a position
    /// outside its level, a value that is no field element, a layout that is not the library's.
    pub(super) fn new(
        given: &MerkleProof<H, A, B, C>,
        leaves: usize,
        what: &str,
    ) -> Result<Self, Refusal> {
        let path = given.path();
        let expected = given.expected_len(leaves);
        if path.len() != expected {
            return Err(Refusal::new(format!(
                "the path of {what} has {} levels where the tree has {expected}; run C1 again",
                path.len()
            )));
        }
        for (level, (siblings, index)) in path.iter().enumerate() {
            let arity = arity_at::<A, B, C>(level, expected);
            if siblings.len() + 1 != arity || *index >= arity {
                return Err(Refusal::new(format!(
                    "level {level} of {what} has {} siblings and position {index} in a tree of arity {arity}; run C1 again",
                    siblings.len()
                )));
            }
            for sibling in siblings {
                canonical(what, sibling)?;
            }
        }
        canonical(what, &given.leaf())?;
        canonical(what, &given.root())?;

        let proof = MerkleProof::from_parts(given.leaf(), given.root(), path);
        if bytes(&proof)? != bytes(given)? {
            return Err(Refusal::new(format!(
                "the path of {what} is divided into sub-trees in another way than this tree; run C1 again"
            )));
        }
        Ok(Self { proof })
    }

    /// Whether the path leads from its leaf at `node` to its root.
    pub(super) fn opens(&self, node: usize) -> bool {
        self.proof.validate(node)
    }

    pub(super) fn leaf(&self) -> H::Domain {
        self.proof.leaf()
    }

    pub(super) fn root(&self) -> H::Domain {
        self.proof.root()
    }

    pub(super) fn into_proof(self) -> MerkleProof<H, A, B, C> {
        self.proof
    }
}

/// Refuses a tree's node that is no field element.
fn canonical<D: AsRef<[u8]>>(what: &str, node: &D) -> Result<(), Refusal> {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(node.as_ref());
    field_element(what, bytes).map(|_| ())
}

/// Arity of a level counted from the leaves: sub-trees and the top tree are one level each.
fn arity_at<A: PoseidonArity, B: PoseidonArity, C: PoseidonArity>(
    level: usize,
    levels: usize,
) -> usize {
    let from_top = levels - 1 - level;
    match (B::to_usize(), C::to_usize()) {
        (_, top) if top > 0 && from_top == 0 => top,
        (sub, top) if sub > 0 && from_top == usize::from(top > 0) => sub,
        _ => A::to_usize(),
    }
}

/// The one serialised form of a value; two values of the proofs are equal when these are.
pub(super) fn bytes<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Refusal> {
    bincode::serialize(value).map_err(|e| {
        Refusal::new(format!(
            "the vanilla proofs cannot be written again: {e}; run C1 again"
        ))
    })
}

#[cfg(test)]
mod tests {
    use filecoin_hashers::{Domain, HashFunction};
    use filecoin_proofs::constants::DefaultTreeHasher;
    use filecoin_proofs::{MerkleTreeTrait, SectorShapeSub8, SectorShapeTop2};

    use super::*;

    type Node = <DefaultTreeHasher as Hasher>::Domain;
    type Of<T> = MerkleProof<
        DefaultTreeHasher,
        <T as MerkleTreeTrait>::Arity,
        <T as MerkleTreeTrait>::SubTreeArity,
        <T as MerkleTreeTrait>::TopTreeArity,
    >;
    type Path = Vec<(Vec<Node>, usize)>;

    /// Opens leaf `at` of a tree whose levels have these arities, from the leaves up.
    fn open(arities: &[usize], mut at: usize) -> (Node, Node, Path) {
        let count: usize = arities.iter().product();
        let mut row: Vec<Node> = (0..count).map(|i| blstrs::Scalar::from(i as u64).into()).collect();
        let (leaf, mut path) = (row[at], Vec::new());
        for &arity in arities {
            let mut siblings = row[at / arity * arity..][..arity].to_vec();
            siblings.remove(at % arity);
            path.push((siblings, at % arity));
            let hash = |group: &[Node]| {
                let bytes: Vec<u8> = group.iter().flat_map(|n| n.into_bytes()).collect();
                <DefaultTreeHasher as Hasher>::Function::hash(&bytes)
            };
            row = row.chunks(arity).map(hash).collect();
            at /= arity;
        }
        (leaf, row[0], path)
    }

    #[test]
    fn trees_of_sub_trees_open_at_the_right_node_only() {
        // The shapes of 32 and 64 GiB sectors with two levels below instead of nine.
        for at in [0, 1, 8, 63, 64, 300, 511] {
            let (leaf, root, path) = open(&[8, 8, 8], at);
            let opening = Opening::new(&Of::<SectorShapeSub8>::from_parts(leaf, root, path), 512, "it").unwrap();
            assert!(opening.opens(at) && !opening.opens(at ^ 1) && !opening.opens(at ^ 64));
        }
        for at in [0, 1, 63, 64, 511, 512, 700, 1023] {
            let (leaf, root, path) = open(&[8, 8, 8, 2], at);
            let opening = Opening::new(&Of::<SectorShapeTop2>::from_parts(leaf, root, path), 1024, "it").unwrap();
            assert!(opening.opens(at) && !opening.opens(at ^ 1) && !opening.opens(at ^ 512));
        }
    }

    #[test]
    fn trees_of_sub_trees_of_another_shape_are_refused() {
        let refused = |path: Path| {
            let (leaf, root, _) = open(&[8, 8, 8, 2], 700);
            Opening::new(&Of::<SectorShapeTop2>::from_parts(leaf, root, path), 1024, "it").is_err()
        };
        let (_, _, honest) = open(&[8, 8, 8, 2], 700);
        assert!(!refused(honest.clone()));
        let edit = |f: fn(&mut Path)| {
            let mut path = honest.clone();
            f(&mut path);
            path
        };
        assert!(refused(edit(|p| p.swap(2, 3))), "sub-tree and top tree exchanged");
        assert!(refused(edit(|p| drop(p.remove(0)))), "a level left out");
        assert!(refused(edit(|p| p.push(p[3].clone()))), "a level more");
        assert!(refused(edit(|p| p[3].1 = 2)), "a position beyond the top tree");
        assert!(refused(edit(|p| p[3].0.clear())), "no sibling at the top");
        assert!(refused(edit(|p| p[2].0.push(Node::default()))), "a sibling more below the top");
    }
}
