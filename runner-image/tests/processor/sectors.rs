//! Sectors of 2 KiB and damocles' tasks for them.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use filecoin_proofs_api::seal::{SealCommitPhase1Output, SealPreCommitPhase2Output, seal_commit_phase1};
use filecoin_proofs_api::update::{generate_partition_proofs, verify_partition_proofs};
use filecoin_proofs_api::{Commitment, PieceInfo, RegisteredSealProof, RegisteredUpdateProof, SectorId};
use sealpool_prover::strict::{self, Claim};
use serde_json::{Value, from_value, json};
use tempfile::TempDir;

/// Of miner t01000.
pub const PROVER_ID: [u8; 32] = {
    let mut id = [0; 32];
    id[0] = 0xe8;
    id[1] = 0x07;
    id
};
pub const TICKET: [u8; 32] = [3; 32];
pub const SEED: [u8; 32] = [4; 32];

const SEAL: RegisteredSealProof = RegisteredSealProof::StackedDrg2KiBV1_1;
const UPDATE: RegisteredUpdateProof = RegisteredUpdateProof::StackedDrg2KiBV1;

/// Folders of sectors 1, 2, …
pub struct Sectors {
    dir: TempDir,
    count: usize,
}

impl Sectors {
    pub fn new(count: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..count {
            fs::create_dir(dir.path().join(i.to_string())).unwrap();
        }
        Self { dir, count }
    }

    fn path(&self, i: usize, name: &str) -> PathBuf {
        self.dir.path().join(i.to_string()).join(name)
    }

    pub fn cache(&self, i: usize) -> PathBuf {
        self.path(i, "cache")
    }

    fn each(&self, task: impl Fn(usize) -> Value) -> Vec<Value> {
        (0..self.count).map(task).collect()
    }

    /// Two pieces with payloads of odd sizes, and zeros.
    pub fn add_pieces(&self) -> Vec<Value> {
        self.each(|i| self.pieces(i, "staged", 1))
    }

    /// Other pieces, for an update.
    pub fn add_new_pieces(&self) -> Vec<Value> {
        self.each(|i| self.pieces(i, "new-staged", 101))
    }

    fn pieces(&self, i: usize, staged: &str, salt: usize) -> Value {
        let piece = |name: &str, payload: usize, size: usize| {
            let path = self.path(i, name);
            let bytes: Vec<u8> = (0..payload).map(|at| (at * 7 + i * 13 + salt) as u8).collect();
            fs::write(&path, bytes).unwrap();
            json!({ "piece_file": { "local": path }, "payload_size": payload, "piece_size": size })
        };
        json!({
            "seal_proof_type": "StackedDrg2KiBV1_1",
            "pieces": [
                piece("a", 300 + i, 508),
                piece("b", 508, 508),
                { "piece_file": "pledge", "payload_size": 1016, "piece_size": 1016 },
            ],
            "staged_filepath": self.path(i, staged),
        })
    }

    pub fn tree_d(&self) -> Vec<Value> {
        self.each(|i| json!({ "registered_proof": SEAL, "staged_file": self.path(i, "staged"), "cache_dir": self.cache(i) }))
    }

    pub fn pc1(&self, staged: &[Value]) -> Vec<Value> {
        self.each(|i| {
            json!({
                "registered_proof": SEAL, "cache_path": self.cache(i), "in_path": self.path(i, "staged"),
                "out_path": self.path(i, "sealed"), "prover_id": PROVER_ID, "sector_id": i + 1, "ticket": TICKET,
                "piece_infos": staged[i],
            })
        })
    }

    pub fn pc2(&self, layers: &[Value]) -> Vec<Value> {
        self.each(|i| json!({ "pc1out": layers[i], "cache_dir": self.cache(i), "sealed_file": self.path(i, "sealed") }))
    }

    pub fn snap_encode(&self, staged: &[Value]) -> Vec<Value> {
        self.each(|i| {
            json!({
                "registered_proof": UPDATE, "new_replica_path": self.path(i, "update"),
                "new_cache_path": self.path(i, "update-cache"), "sector_path": self.path(i, "sealed"),
                "sector_cache_path": self.cache(i), "staged_data_path": self.path(i, "new-staged"),
                "piece_infos": staged[i],
            })
        })
    }

    /// C1 for the sector, made here, passes the strict check for PC2's CommR; answers C1's output.
    pub fn check_sealed(&self, i: usize, pieces: &Value, sealed: &Value) -> Value {
        let commitments: SealPreCommitPhase2Output = from_value(sealed.clone()).unwrap();
        let pieces: Vec<PieceInfo> = from_value(pieces.clone()).unwrap();
        let claim = Claim {
            seal_proof: SEAL,
            prover_id: PROVER_ID,
            sector_id: i as u64 + 1,
            ticket: TICKET,
            seed: SEED,
            comm_r: commitments.comm_r,
            comm_d: commitments.comm_d,
        };
        let (cache, sealed) = (self.cache(i), self.path(i, "sealed"));
        let number = SectorId::from(claim.sector_id);
        let output: SealCommitPhase1Output =
            seal_commit_phase1(&cache, &sealed, PROVER_ID, number, TICKET, SEED, commitments, &pieces).unwrap();
        strict::check_output(&output, &claim).unwrap();
        serde_json::to_value(output).unwrap()
    }

    /// Vanilla proofs of the update, made here, hold for the commitments; answers them.
    pub fn check_update(&self, i: usize, sealed: &Value, update: &Value) -> Vec<Vec<u8>> {
        let comm = |v: &Value| from_value::<Commitment>(v.clone()).unwrap();
        let (old, new, data) = (comm(&sealed["comm_r"]), comm(&update["comm_r_new"]), comm(&update["comm_d_new"]));
        let _last = comm(&update["comm_r_last_new"]);
        let proofs = generate_partition_proofs(
            UPDATE, old, new, data,
            &self.path(i, "sealed"), &self.cache(i), &self.path(i, "update"), &self.path(i, "update-cache"),
        )
        .unwrap();
        assert!(verify_partition_proofs(UPDATE, &proofs, old, new, data).unwrap());
        proofs.into_iter().map(|p| p.0).collect()
    }
}

/// A list of bytes as hexadecimal digits.
pub fn hex(bytes: &Value) -> String {
    hex::encode(from_value::<Vec<u8>>(bytes.clone()).unwrap())
}

/// A request of our own protocol that verifies a proof given as a list of bytes.
pub fn verify_request(stage: &str, mut params: Value, proof: &Value) -> Value {
    params["proof"] = json!(STANDARD.encode(from_value::<Vec<u8>>(proof.clone()).unwrap()));
    json!({
        "version": 1, "stage": stage, "network": "dev",
        "sector": { "miner": "t01000", "number": "1", "sealProof": "StackedDrg2KiBV1_1" },
        "inputs": {}, "outputDir": std::env::temp_dir(), "params": params,
    })
}
