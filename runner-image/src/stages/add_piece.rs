//! add-piece: pieces into the unsealed file, fr32-padded and aligned, the rest zeros.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use filecoin_proofs_api::fr32::Fr32Reader;
use serde_json::json;

use super::data_root::{self, DataRoot};
use super::pieces::{self, MIN_PADDED_BYTES, Stretch};
use super::{Done, Job};
use crate::artifact;
use crate::disk::work;
use crate::wire::answer::{Code, StageError};
use crate::wire::cid::UnsealedCid;
use crate::wire::decimal::DecimalU64;
use crate::wire::params::{AddPieceParams, PieceInSector, PieceToAdd};

/// Writes `unsealed`; answers the pieces with their CIDs and places, and CommD.
pub fn run(job: &Job, params: &AddPieceParams) -> Result<Done, StageError> {
    let sizes = params
        .pieces
        .iter()
        .map(|piece| padded_size(job, piece))
        .collect::<Result<Vec<_>, _>>()?;
    let sector_bytes = job.sector.size_bytes();
    let stretches = pieces::lay_out(&sizes, sector_bytes).ok_or_else(|| {
        let message = format!(
            "the pieces, each on a multiple of its padded size, do not fit into {sector_bytes} bytes; put fewer into this sector"
        );
        StageError::new(Code::BadRequest, message)
    })?;
    let path = job.work.join(artifact::UNSEALED);
    let failed = |error: io::Error| StageError::from_io("writing unsealed", &error);
    work::zeros(&path, sector_bytes).map_err(failed)?;
    let mut file = OpenOptions::new().write(true).open(&path).map_err(failed)?;

    let (mut known, mut answer) = (Vec::new(), Vec::new());
    for stretch in &stretches {
        let commitment = match stretch.piece {
            None => pieces::zero_commitment(stretch.padded_bytes)?,
            Some(index) => write_piece(job, &params.pieces[index], stretch, &mut file)?,
        };
        known.push((commitment, stretch.padded_bytes));
        answer.push(PieceInSector {
            cid: UnsealedCid(commitment).cid(),
            padded_size_bytes: DecimalU64(stretch.padded_bytes),
            offset_bytes: DecimalU64(stretch.offset),
            filler: stretch.piece.is_none(),
        });
    }
    let comm_d = UnsealedCid(pieces::comm_d(job.sector, &known)?);
    Ok(Done {
        outputs: vec![artifact::UNSEALED.to_owned()],
        result: json!({ "pieces": answer, "commD": comm_d }),
    })
}

/// Padded size of a piece, checked against its payload.
fn padded_size(job: &Job, piece: &PieceToAdd) -> Result<u64, StageError> {
    let wrong = |what: String| StageError::new(Code::BadRequest, what).about(&piece.input);
    let payload = payload_size(job, piece)?;
    let smallest = pieces::smallest_padded(payload)
        .filter(|_| payload > 0)
        .ok_or_else(|| {
            wrong(format!(
                "piece {} has {payload} bytes of payload, which no piece can have; leave it out",
                piece.input
            ))
        })?;
    let padded = piece.padded_size_bytes.map_or(smallest, |size| size.0);
    if padded < MIN_PADDED_BYTES || !padded.is_power_of_two() || padded < smallest {
        return Err(wrong(format!(
            "piece {} with {payload} bytes of payload cannot have {padded} padded bytes; give a power of two of at least {smallest}, or none",
            piece.input
        )));
    }
    Ok(padded)
}

fn payload_size(job: &Job, piece: &PieceToAdd) -> Result<u64, StageError> {
    let path = job.inputs.path(&piece.input)?;
    let meta =
        std::fs::metadata(path).map_err(|error| StageError::from_io("reading a piece", &error))?;
    Ok(meta.len())
}

/// Writes one piece at its place, followed by zeros up to its padded size; returns its commitment.
fn write_piece(
    job: &Job,
    piece: &PieceToAdd,
    stretch: &Stretch,
    file: &mut File,
) -> Result<[u8; 32], StageError> {
    let failed =
        |error: io::Error| StageError::from_io(&format!("writing piece {}", piece.input), &error);
    let payload = payload_size(job, piece)?;
    let raw = File::open(job.inputs.path(&piece.input)?).map_err(failed)?;
    let zeros = pieces::unpadded(stretch.padded_bytes) - payload;
    let source = BufReader::new(raw)
        .take(payload)
        .chain(io::repeat(0).take(zeros));
    let mut reader = Fr32Reader::new(source);
    file.seek(SeekFrom::Start(stretch.offset)).map_err(failed)?;
    let mut chunk = vec![0; data_root::chunk_bytes(stretch.padded_bytes)];
    let mut root = DataRoot::default();
    for _ in 0..stretch.padded_bytes / chunk.len() as u64 {
        reader.read_exact(&mut chunk).map_err(failed)?;
        root.push(&chunk);
        file.write_all(&chunk).map_err(failed)?;
    }
    let Some(commitment) = root.finish() else {
        let message = format!("piece {} has no commitment; report it", piece.input);
        return Err(StageError::new(Code::Internal, message));
    };
    match piece.cid {
        Some(want) if want.0 != commitment => {
            let message = format!(
                "piece {} has the CID {}, the request says {}; fetch the right piece",
                piece.input,
                UnsealedCid(commitment).cid(),
                want.cid()
            );
            Err(StageError::new(Code::InputInvalid, message).about(&piece.input))
        }
        _ => Ok(commitment),
    }
}
