//! unseal-piece: a byte range of the data, from a sealed file or from an update.

use std::fs::File;
use std::io::{BufWriter, Write};

use filecoin_proofs_api::fr32::write_unpadded;
use serde_json::json;

use super::data_root::{DataRoot, chunk_bytes};
use super::decode::Decoder;
use super::progress::{Phase, Progress};
use super::{Done, Job, pieces, tree_d};
use crate::artifact;
use crate::wire::answer::{Code, StageError};
use crate::wire::params::UnsealPieceParams;

/// Updates of sectors up to this size are decoded whole, so that the data can be compared with
/// CommD; of larger ones only the range is.
const CHECKED_UPDATE_BYTES: u64 = 512 << 20;

/// Writes `piece`; answers whether the data was compared with CommD. From a sealed file it always
/// is: making the labels again dwarfs the rest.
pub fn run(job: &Job, params: &UnsealPieceParams) -> Result<Done, StageError> {
    let sector = job.sector;
    let (offset, size) = (params.offset_bytes.0, params.size_bytes.0);
    let total = pieces::unpadded(sector.size_bytes());
    let end = offset.checked_add(size).filter(|end| size > 0 && *end <= total).ok_or_else(|| {
        let message = format!("{size} bytes from {offset} are no part of the {total} bytes of the sector; ask for a part of them");
        StageError::new(Code::BadRequest, message)
    })?;
    let sealed = job.inputs.path(artifact::SEALED)?;
    let mut whole = true;
    for name in [artifact::SEALED, artifact::UPDATE] {
        if let Some(path) = job.inputs.get(name) {
            let file = File::open(path)
                .map_err(|error| StageError::from_io(&format!("reading {name}"), &error))?;
            tree_d::check_size(sector, &file, name)?;
        }
    }
    let phase = Phase::new(
        [],
        sector.size_bytes() as f64 / 32.0 * 1.0e-6 * sector.layers() as f64,
    );
    let progress = Progress::start("unseal-piece", vec![phase]);
    let decoder = match job.inputs.get(artifact::UPDATE) {
        Some(update) => {
            let old = params
                .comm_r_old
                .ok_or_else(|| missing("commROld", "the data of an update"))?;
            whole = sector.size_bytes() <= CHECKED_UPDATE_BYTES || size == total;
            Decoder::update(sector, update, sealed, params.comm_d.0, old.0)
                .map_err(|error| StageError::from_io("reading the update", &error))?
        }
        None => {
            let ticket = params
                .ticket
                .ok_or_else(|| missing("ticket", "the data of a sealed file"))?;
            let replica_id = sector.replica_id(&ticket.0, &params.comm_d.0);
            Decoder::sealed(job, sealed, replica_id).map_err(library)?
        }
    };
    let root = decode(job, &decoder, (offset, end), whole)?;
    drop(progress);
    if root.is_some_and(|root| root != params.comm_d.0) {
        let message = "the data that came out does not have the request's commD; check ticket, commD and files, or take the sector from a copy";
        return Err(StageError::new(Code::InputInvalid, message));
    }
    Ok(Done {
        outputs: vec![artifact::PIECE.to_owned()],
        result: json!({ "checked": whole }),
    })
}

/// Writes the unpadded bytes from `range.0` to `range.1`; with `whole` also returns the root over
/// all data.
fn decode(
    job: &Job,
    decoder: &Decoder,
    range: (u64, u64),
    whole: bool,
) -> Result<Option<[u8; 32]>, StageError> {
    let failed = |error| StageError::from_io("writing piece", &error);
    let sector_bytes = job.sector.size_bytes();
    let step = chunk_bytes(sector_bytes) as u64;
    let mut out = BufWriter::new(File::create(job.work.join(artifact::PIECE)).map_err(failed)?);
    let mut root = DataRoot::default();
    for at in (0..sector_bytes).step_by(step as usize) {
        // 127 payload bytes stand in every 128.
        let (first, last) = (pieces::unpadded(at), pieces::unpadded(at + step));
        let (from, to) = (range.0.max(first), range.1.min(last));
        if !whole && from >= to {
            continue;
        }
        let padded = decoder.read(at, step as usize).map_err(library)?;
        if whole {
            root.push(&padded);
        }
        if from < to {
            let mut payload = Vec::with_capacity((last - first) as usize);
            write_unpadded(&padded, &mut payload, 0, (last - first) as usize).map_err(failed)?;
            out.write_all(&payload[(from - first) as usize..(to - first) as usize])
                .map_err(failed)?;
        }
    }
    out.flush().map_err(failed)?;
    Ok(root.finish())
}

fn missing(param: &str, what: &str) -> StageError {
    StageError::new(
        Code::BadRequest,
        format!("params lack {param}, without which {what} cannot be read; add it"),
    )
}

fn library(error: anyhow::Error) -> StageError {
    StageError::from_library(
        Code::InputInvalid,
        "the replica cannot be decoded",
        &error,
        "check that the files are of this sector",
    )
}
