//! Reading C1's output from a stranger.

use filecoin_proofs_api::seal::SealCommitPhase1Output;

use super::claim::{Claim, Refusal};

/// Characters that one 32-byte value takes in JSON at most, its share of names and brackets
/// included: `[255,` … `255],` are 130.
const CHARS_PER_VALUE: u64 = 160;

/// Reads `vanilla-proofs.json`, C1's output as the library writes it.
///
/// Size and number of arrays are looked at before anything is allocated; nesting is limited by the
/// parser. A honest file of 32 GiB has 51 MB.
///
/// # Errors
/// A file that is too large for the claim's seal proof, or not C1's output.
pub fn read(json: &[u8], claim: &Claim) -> Result<SealCommitPhase1Output, Refusal> {
    claim.supported()?;
    let limit = json_limit_bytes(claim);
    if json.len() as u64 > limit {
        return Err(Refusal::new(format!(
            "the vanilla proofs have {} bytes where {limit} are the most for {:?}; run C1 again",
            json.len(),
            claim.seal_proof
        )));
    }
    // Empty arrays cost two characters and a whole vector each.
    let arrays = json.iter().filter(|&&c| c == b'[').count() as u64;
    if arrays > limit / CHARS_PER_VALUE {
        return Err(Refusal::new(format!(
            "the vanilla proofs have {arrays} lists, more than {:?} can need; run C1 again",
            claim.seal_proof
        )));
    }
    serde_json::from_slice(json).map_err(|e| {
        Refusal::new(format!(
            "the vanilla proofs are not C1's output: {e}; run C1 again"
        ))
    })
}

/// The largest file that [`read`] takes: twice what a honest one can need, and 64 KiB.
pub fn json_limit_bytes(claim: &Claim) -> u64 {
    let nodes = claim.sector_bytes() / 32;
    let data_levels = u64::from(nodes.ilog2());
    let tree_levels = data_levels.div_ceil(3) + 2;
    let (layers, challenges) = if nodes >= 1 << 30 { (11, 180) } else { (2, 2) };
    let path = 8 * tree_levels + 2;
    let values = (data_levels * 2 + 2) + path + 15 * (layers + path) + 37 * (layers + 1);
    2 * challenges * values * CHARS_PER_VALUE + (64 << 10)
}
