//! add_pieces: pieces one after another into the staged file, as damocles laid them out.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};

use filecoin_proofs::pieces::zero_padding;
use filecoin_proofs_api::seal::write_and_preprocess;
use filecoin_proofs_api::{PaddedBytesAmount, PieceInfo};

use super::tasks::{AddPieces, Piece, PieceFile};
use crate::wire::answer::{Code, StageError};

/// Writes the staged file anew; answers each piece's commitment and unpadded size. Without pieces
/// the sector is zeros, one piece of its size.
pub fn add(task: AddPieces) -> Result<Vec<PieceInfo>, StageError> {
    let failed = |e: io::Error| StageError::from_io("writing the staged file", &e);
    let sector_bytes = u64::from(task.seal_proof_type.sector_size());
    let padded = |piece: &Piece| u64::from(PaddedBytesAmount::from(piece.piece_size));
    let total = task.pieces.iter().try_fold(0u64, |sum, piece| sum.checked_add(padded(piece)));
    if total.is_none_or(|total| total > sector_bytes) {
        return Err(bad(format!("the pieces do not fit into {sector_bytes} bytes; put fewer into this sector")));
    }
    let staged = OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&task.staged_filepath)
        .map_err(failed)?;
    if task.pieces.is_empty() {
        staged.set_len(sector_bytes).map_err(failed)?;
        let zeros = zero_padding(PaddedBytesAmount(sector_bytes).into()).map_err(|e| library(&e))?;
        return Ok(vec![zeros]);
    }
    let mut infos = Vec::with_capacity(task.pieces.len());
    for piece in task.pieces {
        let size = piece.piece_size;
        let (info, _) = write_and_preprocess(task.seal_proof_type, source(piece)?, &staged, size)
            .map_err(|e| library(&e))?;
        infos.push(info);
    }
    Ok(infos)
}

/// A piece's payload, then zeros up to its size.
fn source(piece: Piece) -> Result<Box<dyn Read>, StageError> {
    let size = u64::from(piece.piece_size);
    let payload = piece.payload_size;
    if payload > size {
        return Err(bad(format!("a piece of {size} bytes cannot hold {payload} bytes of payload; give its true size")));
    }
    match piece.piece_file {
        PieceFile::Pledge => Ok(Box::new(io::repeat(0).take(size))),
        PieceFile::Local(path) => {
            let failed = |e: io::Error| StageError::from_io(&format!("reading piece {}", path.display()), &e);
            let file = File::open(&path).map_err(failed)?;
            let have = file.metadata().map_err(failed)?.len();
            if have < payload {
                return Err(bad(format!(
                    "piece {} has {have} bytes, the task says {payload} of payload; fetch it again",
                    path.display()
                )));
            }
            Ok(Box::new(file.take(payload).chain(io::repeat(0).take(size - payload))))
        }
        PieceFile::Url(url) => Err(bad(format!(
            "piece {url:?} would have to be fetched, and this program uses no network; fetch it and give it as \"local\""
        ))),
    }
}

fn bad(message: String) -> StageError {
    StageError::new(Code::BadRequest, message)
}

fn library(error: &anyhow::Error) -> StageError {
    StageError::from_library(Code::BadRequest, "the piece cannot be written", error, "correct its size")
}
