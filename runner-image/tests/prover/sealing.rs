//! A sector's way through the stages up to its vanilla proofs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Files, Ran, set_up};

pub const TICKET: &str = "1111111111111111111111111111111111111111111111111111111111111111";
pub const SEED: &str = "2222222222222222222222222222222222222222222222222222222222222222";

/// Bytes that are the same on every run and look random.
pub fn payload(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(step).collect()
}

/// One stage's run in a sector's life, kept so that its folder stays.
pub struct Sealed {
    pub seal_proof: String,
    pub add_piece: Ran,
    pub tree_d: Ran,
    pub pc1: Ran,
    pub pc2: Ran,
    pub c1: Ran,
    pub comm_d: Value,
    pub comm_r: Value,
    /// Everything that any stage made, by artifact name.
    pub files: Files,
    _pieces: TempDir,
}

/// Writes pieces into files and runs add-piece on them.
pub fn add_pieces(seal_proof: &str, payloads: &[Vec<u8>]) -> (TempDir, Ran) {
    let dir = tempfile::tempdir().unwrap();
    let (mut files, mut list) = (Files::new(), Vec::new());
    for (index, bytes) in payloads.iter().enumerate() {
        let name = format!("piece-{index}");
        fs::write(dir.path().join(&name), bytes).unwrap();
        files.insert(name.clone(), dir.path().join(&name));
        list.push(json!({ "input": name }));
    }
    let ran = set_up("add-piece", seal_proof, &files, json!({ "pieces": list }))
        .run()
        .ok();
    (dir, ran)
}

/// Picks files by name.
pub fn pick(files: &Files, names: &[&str]) -> Files {
    names
        .iter()
        .map(|name| ((*name).to_owned(), files[*name].clone()))
        .collect()
}

pub const LAYERS: [&str; 2] = [
    "cache/sc-02-data-layer-1.dat",
    "cache/sc-02-data-layer-2.dat",
];
pub const TREE_D: &str = "cache/sc-02-data-tree-d.dat";
pub const TREE_C: &str = "cache/sc-02-data-tree-c.dat";
pub const TREE_R_LAST: &str = "cache/sc-02-data-tree-r-last.dat";
pub const KEPT: [&str; 4] = ["sealed", "cache/p_aux", "cache/t_aux", TREE_R_LAST];

/// The inputs that PROTOCOL.md lists for pc2.
pub fn pc2_inputs(files: &Files) -> Files {
    let mut names = LAYERS.to_vec();
    names.extend(["cache/t_aux", TREE_D, "unsealed"]);
    pick(files, &names)
}

/// The inputs that PROTOCOL.md lists for c1: five files for a synthetic seal proof.
pub fn c1_inputs(files: &Files, synthetic: bool) -> Files {
    let mut names = KEPT.to_vec();
    if synthetic {
        names.push("cache/syn-porep-vanilla-proofs.dat");
    } else {
        names.extend(LAYERS);
        names.extend([TREE_D, TREE_C]);
    }
    pick(files, &names)
}

/// Seals a sector with those pieces, add-piece to c1, each stage in its own process and folder.
pub fn seal(seal_proof: &str, payloads: &[Vec<u8>]) -> Sealed {
    let (pieces, add_piece) = add_pieces(seal_proof, payloads);
    let comm_d = add_piece.result()["commD"]["cid"].clone();
    let mut files = add_piece.files();
    let params = json!({ "pieces": add_piece.result()["pieces"] });
    let tree_d = set_up("tree-d", seal_proof, &pick(&files, &["unsealed"]), params)
        .run()
        .ok();
    assert_eq!(tree_d.result()["commD"]["cid"], comm_d);
    files.extend(tree_d.files());
    let replica = json!({ "ticket": TICKET, "commD": comm_d });
    let pc1 = set_up("pc1", seal_proof, &Files::new(), replica.clone())
        .run()
        .ok();
    files.extend(pc1.files());
    let pc2 = set_up("pc2", seal_proof, &pc2_inputs(&files), replica)
        .run()
        .ok();
    let comm_r = pc2.result()["commR"]["cid"].clone();
    assert!(same_bytes(
        &files["cache/t_aux"],
        &pc2.files()["cache/t_aux"]
    ));
    files.extend(pc2.files());
    let synthetic = seal_proof.contains("Synthetic");
    let params = json!({"ticket": TICKET, "seed": SEED, "commR": comm_r, "commD": comm_d});
    let c1 = set_up("c1", seal_proof, &c1_inputs(&files, synthetic), params)
        .run()
        .ok();
    files.extend(c1.files());
    let seal_proof = seal_proof.to_owned();
    Sealed {
        seal_proof,
        add_piece,
        tree_d,
        pc1,
        pc2,
        c1,
        comm_d,
        comm_r,
        files,
        _pieces: pieces,
    }
}

impl Sealed {
    /// What a seal proof of this sector is about.
    pub fn claim(&self) -> Value {
        json!({"ticket": TICKET, "seed": SEED, "commR": self.comm_r, "commD": self.comm_d})
    }

    /// Runs a stage of this sector.
    pub fn run(&self, stage: &str, inputs: &[&str], params: Value) -> Ran {
        set_up(stage, &self.seal_proof, &pick(&self.files, inputs), params).run()
    }
}

pub fn same_bytes(left: &Path, right: &Path) -> bool {
    fs::read(left).unwrap() == fs::read(right).unwrap()
}
