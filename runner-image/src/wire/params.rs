//! The `params` of every stage. Unknown fields are refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::cid::{SealedCid, UnsealedCid};
use super::decimal::DecimalU64;

/// 32 bytes of chain randomness (ticket or seed), as 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Randomness(pub [u8; 32]);

impl<'de> Deserialize<'de> for Randomness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = (text.len() == 64)
            .then(|| hex::decode(&text).ok())
            .flatten();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Randomness)
            .ok_or_else(|| de::Error::custom(format!("randomness is not 64 hex digits: {text:?}")))
    }
}

/// A Groth16 proof: base64, 192 bytes a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofBytes(pub Vec<u8>);

impl<'de> Deserialize<'de> for ProofBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD
            .decode(&text)
            .map_err(|_| de::Error::custom("a proof is not base64"))?;
        Ok(ProofBytes(bytes))
    }
}

/// Base64 of a proof, as answers carry it.
pub fn proof_text(proof: &[u8]) -> String {
    STANDARD.encode(proof)
}

/// A piece to be written by add-piece.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PieceToAdd {
    /// Name of the input with the raw payload, `piece-0` and so on.
    pub input: String,
    /// A power of two, at least 128; the smallest that fits the payload when absent.
    #[serde(default)]
    pub padded_size_bytes: Option<DecimalU64>,
    /// Compared with what the payload gives.
    #[serde(default)]
    pub cid: Option<UnsealedCid>,
}

/// A piece as add-piece answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PieceInSector {
    /// The piece CID.
    pub cid: String,
    pub padded_size_bytes: DecimalU64,
    /// Where it begins in the sector, in padded bytes.
    pub offset_bytes: DecimalU64,
    /// Zeros that fill a gap.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filler: bool,
}

macro_rules! params {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name { $($(#[$attr])* pub $field: $type),* }
    )*};
}

params! {
    AddPieceParams {
        /// In sector order; empty for committed capacity (zeros).
        pieces: Vec<PieceToAdd>,
    }
    TreeDParams {
        /// Compared with the root when present.
        #[serde(default)]
        pieces: Option<Vec<PieceInSector>>,
    }
    Pc1Params {
        ticket: Randomness,
        #[serde(rename = "commD")]
        comm_d: UnsealedCid,
    }
    Pc2Params {
        ticket: Randomness,
        #[serde(rename = "commD")]
        comm_d: UnsealedCid,
    }
    /// Also of verify-vanilla and c2: everything that a seal proof is about.
    SealParams {
        ticket: Randomness,
        seed: Randomness,
        #[serde(rename = "commR")]
        comm_r: SealedCid,
        #[serde(rename = "commD")]
        comm_d: UnsealedCid,
    }
    VerifySealParams {
        ticket: Randomness,
        seed: Randomness,
        #[serde(rename = "commR")]
        comm_r: SealedCid,
        #[serde(rename = "commD")]
        comm_d: UnsealedCid,
        proof: ProofBytes,
    }
    SnapEncodeParams {
        /// Of the sector as it is now.
        #[serde(rename = "commR")]
        comm_r: SealedCid,
        /// Of the new data.
        #[serde(rename = "commD")]
        comm_d: UnsealedCid,
        #[serde(default)]
        pieces: Option<Vec<PieceInSector>>,
    }
    SnapProveParams {
        #[serde(rename = "commROld")]
        comm_r_old: SealedCid,
        #[serde(rename = "commRNew")]
        comm_r_new: SealedCid,
        #[serde(rename = "commDNew")]
        comm_d_new: UnsealedCid,
    }
    VerifyUpdateParams {
        #[serde(rename = "commROld")]
        comm_r_old: SealedCid,
        #[serde(rename = "commRNew")]
        comm_r_new: SealedCid,
        #[serde(rename = "commDNew")]
        comm_d_new: UnsealedCid,
        proof: ProofBytes,
    }
    CheckSealedParams {
        #[serde(rename = "commR")]
        comm_r: SealedCid,
    }
    UnsealPieceParams {
        /// Needed unless the data comes from an update.
        #[serde(default)]
        ticket: Option<Randomness>,
        /// Of the data asked for: the new data for an update.
        #[serde(rename = "commD")]
        comm_d: UnsealedCid,
        /// Of the unpadded data.
        offset_bytes: DecimalU64,
        size_bytes: DecimalU64,
        /// Needed for an update: the CommR that was encoded over.
        #[serde(rename = "commROld", default)]
        comm_r_old: Option<SealedCid>,
        #[serde(rename = "commRNew", default)]
        comm_r_new: Option<SealedCid>,
    }
}

/// A stage and its parameters.
#[derive(Clone, Debug)]
pub enum Params {
    AddPiece(AddPieceParams),
    TreeD(TreeDParams),
    Pc1(Pc1Params),
    Pc2(Pc2Params),
    C1(SealParams),
    VerifyVanilla(SealParams),
    C2(SealParams),
    VerifySeal(VerifySealParams),
    SnapEncode(SnapEncodeParams),
    SnapProve(SnapProveParams),
    VerifyUpdate(VerifyUpdateParams),
    CheckSealed(CheckSealedParams),
    UnsealPiece(UnsealPieceParams),
}
