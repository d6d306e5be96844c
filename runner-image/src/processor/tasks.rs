//! damocles' tasks, by field names and spellings of its `vc-processors` (version 0.1).
//!
//! Numbers are JSON numbers, 32-byte values lists of numbers, proof types their Rust names: what
//! serde makes of the proofs API's own types.

use std::path::PathBuf;

use filecoin_proofs_api::seal::{SealCommitPhase1Output, SealPreCommitPhase1Output};
use filecoin_proofs_api::{
    Commitment, PieceInfo, ProverId, RegisteredSealProof, RegisteredUpdateProof, SectorId, Ticket, UnpaddedBytesAmount,
};
use serde::{Deserialize, Serialize};

/// Where a piece's bytes are.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PieceFile {
    Url(String),
    Local(PathBuf),
    /// Zeros.
    Pledge,
}

/// A piece: `payload_size` bytes of its file, then zeros up to `piece_size` unpadded bytes.
#[derive(Clone, Debug, Deserialize)]
pub struct Piece {
    pub piece_file: PieceFile,
    pub payload_size: u64,
    pub piece_size: UnpaddedBytesAmount,
}

/// Answers a list of [`PieceInfo`]; without pieces, the sector is filled with zeros.
#[derive(Clone, Debug, Deserialize)]
pub struct AddPieces {
    pub seal_proof_type: RegisteredSealProof,
    pub pieces: Vec<Piece>,
    pub staged_filepath: PathBuf,
}

/// Answers `true`.
#[derive(Clone, Debug, Deserialize)]
pub struct TreeD {
    pub registered_proof: RegisteredSealProof,
    pub staged_file: PathBuf,
    pub cache_dir: PathBuf,
}

/// Answers the library's `SealPreCommitPhase1Output`.
#[derive(Clone, Debug, Deserialize)]
pub struct Pc1 {
    pub registered_proof: RegisteredSealProof,
    pub cache_path: PathBuf,
    pub in_path: PathBuf,
    pub out_path: PathBuf,
    pub prover_id: ProverId,
    pub sector_id: SectorId,
    pub ticket: Ticket,
    pub piece_infos: Vec<PieceInfo>,
}

/// Answers the library's `SealPreCommitPhase2Output`.
#[derive(Clone, Debug, Deserialize)]
pub struct Pc2 {
    pub pc1out: SealPreCommitPhase1Output,
    pub cache_dir: PathBuf,
    pub sealed_file: PathBuf,
}

/// Answers the library's `SealCommitPhase2Output`. `miner_id` says what `prover_id` does.
#[derive(Clone, Debug, Deserialize)]
pub struct C2 {
    pub c1out: SealCommitPhase1Output,
    pub prover_id: ProverId,
    pub sector_id: SectorId,
    pub miner_id: u64,
}

/// Answers a [`SnapEncoded`].
#[derive(Clone, Debug, Deserialize)]
pub struct SnapEncode {
    pub registered_proof: RegisteredUpdateProof,
    pub new_replica_path: PathBuf,
    pub new_cache_path: PathBuf,
    pub sector_path: PathBuf,
    pub sector_cache_path: PathBuf,
    pub staged_data_path: PathBuf,
    pub piece_infos: Vec<PieceInfo>,
}

/// Commitments of an update.
#[derive(Clone, Debug, Serialize)]
pub struct SnapEncoded {
    pub comm_r_new: Commitment,
    pub comm_r_last_new: Commitment,
    pub comm_d_new: Commitment,
}

/// Answers the proof as a list of numbers. The spelling of `vannilla_proofs` is damocles' own.
#[derive(Clone, Debug, Deserialize)]
pub struct SnapProve {
    pub registered_proof: RegisteredUpdateProof,
    pub vannilla_proofs: Vec<Vec<u8>>,
    pub comm_r_old: Commitment,
    pub comm_r_new: Commitment,
    pub comm_d_new: Commitment,
}
