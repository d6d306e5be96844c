//! Where pieces lie in a sector, and what their commitments give.

use filecoin_proofs_api::{Commitment, PaddedBytesAmount, PieceInfo, UnpaddedBytesAmount};

use crate::sector::Sector;
use crate::wire::answer::{Code, StageError};
use crate::wire::cid::{self, Kind};
use crate::wire::decimal::DecimalU64;
use crate::wire::params::PieceInSector;

/// Smallest piece: four nodes, 127 bytes of payload.
pub const MIN_PADDED_BYTES: u64 = 128;

/// Payload bytes that fit into a padded size: 127 of every 128.
pub fn unpadded(padded_bytes: u64) -> u64 {
    padded_bytes / 128 * 127
}

/// The smallest padded piece size that holds a payload; `None` when none below 2^63 does.
pub fn smallest_padded(payload_bytes: u64) -> Option<u64> {
    let quads = payload_bytes.div_ceil(127).max(1);
    quads
        .checked_next_power_of_two()?
        .checked_mul(128)
        .filter(|size| *size <= 1 << 62)
}

/// A stretch of a sector: a piece (by its place in the list) or zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub offset: u64,
    pub padded_bytes: u64,
    pub piece: Option<usize>,
}

/// Lays pieces out in order, each on a multiple of its size, and fills the gaps and the rest of
/// the sector with zero pieces. `None` when they do not fit.
pub fn lay_out(sizes: &[u64], sector_bytes: u64) -> Option<Vec<Stretch>> {
    let (mut out, mut at) = (Vec::new(), 0u64);
    for (index, size) in sizes.iter().enumerate() {
        let start = at.checked_next_multiple_of(*size)?;
        let end = start
            .checked_add(*size)
            .filter(|end| *end <= sector_bytes)?;
        fill(&mut out, at, start);
        out.push(Stretch {
            offset: start,
            padded_bytes: *size,
            piece: Some(index),
        });
        at = end;
    }
    fill(&mut out, at, sector_bytes);
    Some(out)
}

/// Zero pieces from `at` to `end`, each the largest that is aligned and fits.
fn fill(out: &mut Vec<Stretch>, mut at: u64, end: u64) {
    while at < end {
        let room = 1 << (end - at).ilog2();
        let padded_bytes = if at == 0 {
            room
        } else {
            room.min(1 << at.trailing_zeros())
        };
        out.push(Stretch {
            offset: at,
            padded_bytes,
            piece: None,
        });
        at += padded_bytes;
    }
}

/// Commitment of a piece of zeros.
pub fn zero_commitment(padded_bytes: u64) -> Result<Commitment, StageError> {
    let size = UnpaddedBytesAmount::from(PaddedBytesAmount(padded_bytes));
    let info = filecoin_proofs::pieces::zero_padding(size).map_err(library)?;
    Ok(info.commitment)
}

/// One piece that covers the whole sector has the sector's CommD for commitment: what the
/// library's functions want when only CommD is known.
pub fn whole_sector(sector: &Sector, comm_d: Commitment) -> Result<Vec<PieceInfo>, StageError> {
    let size = UnpaddedBytesAmount::from(PaddedBytesAmount(sector.size_bytes()));
    Ok(vec![PieceInfo::new(comm_d, size).map_err(library)?])
}

/// The CommD that pieces give, fillers included.
pub fn comm_d(sector: &Sector, pieces: &[(Commitment, u64)]) -> Result<Commitment, StageError> {
    let infos = pieces
        .iter()
        .map(|(commitment, padded)| PieceInfo::new(*commitment, PaddedBytesAmount(*padded).into()))
        .collect::<anyhow::Result<Vec<_>>>()
        .map_err(library)?;
    filecoin_proofs_api::seal::compute_comm_d(sector.seal_proof, &infos).map_err(library)
}

/// Compares pieces, as add-piece answered them, with a CommD.
pub fn check(
    sector: &Sector,
    pieces: &[PieceInSector],
    root: Commitment,
) -> Result<(), StageError> {
    let wrong = |what: String| {
        StageError::new(
            Code::BadRequest,
            format!("pieces: {what}; pass them as add-piece answered them"),
        )
    };
    let (mut known, mut at) = (Vec::with_capacity(pieces.len()), 0u64);
    for piece in pieces {
        let size = piece.padded_size_bytes.0;
        if size < MIN_PADDED_BYTES
            || !size.is_power_of_two()
            || piece.offset_bytes != DecimalU64(at)
        {
            return Err(wrong(format!(
                "{size} bytes at {} do not follow on the piece before",
                piece.offset_bytes.0
            )));
        }
        let commitment = cid::decode(Kind::Unsealed, &piece.cid)
            .ok_or_else(|| wrong(format!("{:?} is no piece CID", piece.cid)))?;
        at = at
            .checked_add(size)
            .ok_or_else(|| wrong("they are larger than any sector".to_owned()))?;
        known.push((commitment, size));
    }
    if at != sector.size_bytes() {
        return Err(wrong(format!(
            "they cover {at} bytes of {}",
            sector.size_bytes()
        )));
    }
    if comm_d(sector, &known)? != root {
        let message = "the data does not have the CommD that the pieces give; run add-piece again";
        return Err(StageError::new(Code::InputInvalid, message));
    }
    Ok(())
}

fn library(error: anyhow::Error) -> StageError {
    StageError::from_library(
        Code::BadRequest,
        "the pieces do not fit the sector",
        &error,
        "correct their sizes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(unpadded(2048), 2032);
        assert_eq!(smallest_padded(1), Some(128));
        assert_eq!(smallest_padded(127), Some(128));
        assert_eq!(smallest_padded(128), Some(256));
        assert_eq!(smallest_padded(2032), Some(2048));
        assert_eq!(smallest_padded(u64::MAX), None);
    }

    #[test]
    fn a_layout_covers_the_sector_and_aligns_every_piece() {
        let out = lay_out(&[128, 512, 256], 2048).unwrap();
        assert_eq!(out.iter().map(|s| s.padded_bytes).sum::<u64>(), 2048);
        assert_eq!(
            out.iter()
                .filter(|s| s.piece.is_some())
                .map(|s| s.offset)
                .collect::<Vec<_>>(),
            [0, 512, 1024]
        );
        let mut at = 0;
        for stretch in &out {
            assert_eq!(stretch.offset, at);
            assert_eq!(at % stretch.padded_bytes, 0, "{stretch:?}");
            at += stretch.padded_bytes;
        }
        assert_eq!(
            lay_out(&[], 2048).unwrap(),
            [Stretch {
                offset: 0,
                padded_bytes: 2048,
                piece: None
            }]
        );
    }

    #[test]
    fn too_much_does_not_fit() {
        assert_eq!(lay_out(&[1024, 2048], 2048), None);
        assert_eq!(lay_out(&[128; 17], 2048), None);
    }
}
