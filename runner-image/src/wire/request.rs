//! Reading a request: JSON in, a typed request or `bad_request` with a sentence out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::answer::{Code, FileSum, StageError, VERSION};
use super::decimal::DecimalU64;
use super::params::Params;
use super::twice::Once;
use crate::sector::Sector;

/// Longest request that is read. A proof is 1,920 bytes, a piece some 100: megabytes are enough.
pub const MAX_REQUEST_BYTES: u64 = 16 << 20;

/// The stages, as requests spell them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    AddPiece,
    TreeD,
    Pc1,
    Pc2,
    C1,
    VerifyVanilla,
    C2,
    VerifySeal,
    SnapEncode,
    SnapProve,
    VerifyUpdate,
    CheckSealed,
    UnsealPiece,
}

impl Stage {
    pub const ALL: [Stage; 13] = [
        Stage::AddPiece,
        Stage::TreeD,
        Stage::Pc1,
        Stage::Pc2,
        Stage::C1,
        Stage::VerifyVanilla,
        Stage::C2,
        Stage::VerifySeal,
        Stage::SnapEncode,
        Stage::SnapProve,
        Stage::VerifyUpdate,
        Stage::CheckSealed,
        Stage::UnsealPiece,
    ];

    /// The spelling in requests and answers.
    pub fn name(self) -> &'static str {
        match self {
            Stage::AddPiece => "add-piece",
            Stage::TreeD => "tree-d",
            Stage::Pc1 => "pc1",
            Stage::Pc2 => "pc2",
            Stage::C1 => "c1",
            Stage::VerifyVanilla => "verify-vanilla",
            Stage::C2 => "c2",
            Stage::VerifySeal => "verify-seal",
            Stage::SnapEncode => "snap-encode",
            Stage::SnapProve => "snap-prove",
            Stage::VerifyUpdate => "verify-update",
            Stage::CheckSealed => "check-sealed",
            Stage::UnsealPiece => "unseal-piece",
        }
    }

    /// The stage of that name.
    pub fn named(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

/// The network a request is for. Locally made parameters are used only with `dev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    Main,
    Calibration,
    Dev,
}

/// An input file: where it is, and what it must be.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputFile {
    pub path: PathBuf,
    pub size_bytes: DecimalU64,
    /// `sha256:` and 64 lowercase hex digits.
    pub hash: String,
}

impl InputFile {
    /// Size and hash that the request says.
    pub fn sum(&self) -> FileSum {
        FileSum {
            size_bytes: self.size_bytes,
            hash: self.hash.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope {
    version: u32,
    stage: String,
    network: Network,
    sector: Sector,
    inputs: BTreeMap<String, InputFile>,
    output_dir: PathBuf,
    params: Value,
}

/// A request that has the right shape. Whether its inputs fit the stage is checked later.
#[derive(Clone, Debug)]
pub struct Request {
    pub stage: Stage,
    pub network: Network,
    pub sector: Sector,
    pub inputs: BTreeMap<String, InputFile>,
    pub output_dir: PathBuf,
    pub params: Params,
}

/// Reads a request. The error comes with the stage's name when that could be read.
pub fn read(bytes: &[u8]) -> Result<Request, (Option<Stage>, StageError)> {
    if bytes.len() as u64 > MAX_REQUEST_BYTES {
        let message = format!(
            "the request is longer than {MAX_REQUEST_BYTES} bytes; pass files as inputs, not in the request"
        );
        return Err((None, StageError::new(Code::BadRequest, message)));
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| (None, wrong("it is not JSON", &error)))?;
    let stage = value
        .get("stage")
        .and_then(Value::as_str)
        .and_then(Stage::named);
    serde_json::from_slice::<Once>(bytes).map_err(|error| (stage, wrong("its form", &error)))?;
    let envelope: Envelope =
        serde_json::from_value(value).map_err(|error| (stage, wrong("its form", &error)))?;
    typed(envelope).map_err(|error| (stage, error))
}

fn typed(envelope: Envelope) -> Result<Request, StageError> {
    if envelope.version != VERSION {
        let message = format!(
            "the request has version {}, this program speaks version {VERSION}; use a program and a caller of one release",
            envelope.version
        );
        return Err(StageError::new(Code::BadRequest, message));
    }
    let Some(stage) = Stage::named(&envelope.stage) else {
        let names = Stage::ALL.map(Stage::name).join(", ");
        let message = format!("there is no stage {:?}; use one of {names}", envelope.stage);
        return Err(StageError::new(Code::BadRequest, message));
    };
    for (name, input) in &envelope.inputs {
        let digits = input.hash.strip_prefix("sha256:").unwrap_or("");
        let lowercase = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if digits.len() != 64 || !digits.bytes().all(lowercase) {
            let message = format!(
                "input {name}: hash {:?} is not `sha256:` and 64 lowercase hex digits; correct the request",
                input.hash
            );
            return Err(StageError::new(Code::BadRequest, message).about(name));
        }
    }
    let params = params(stage, envelope.params).map_err(|error| wrong("its params", &error))?;
    Ok(Request {
        stage,
        network: envelope.network,
        sector: envelope.sector,
        inputs: envelope.inputs,
        output_dir: envelope.output_dir,
        params,
    })
}

fn params(stage: Stage, value: Value) -> serde_json::Result<Params> {
    use serde_json::from_value as from;
    Ok(match stage {
        Stage::AddPiece => Params::AddPiece(from(value)?),
        Stage::TreeD => Params::TreeD(from(value)?),
        Stage::Pc1 => Params::Pc1(from(value)?),
        Stage::Pc2 => Params::Pc2(from(value)?),
        Stage::C1 => Params::C1(from(value)?),
        Stage::VerifyVanilla => Params::VerifyVanilla(from(value)?),
        Stage::C2 => Params::C2(from(value)?),
        Stage::VerifySeal => Params::VerifySeal(from(value)?),
        Stage::SnapEncode => Params::SnapEncode(from(value)?),
        Stage::SnapProve => Params::SnapProve(from(value)?),
        Stage::VerifyUpdate => Params::VerifyUpdate(from(value)?),
        Stage::CheckSealed => Params::CheckSealed(from(value)?),
        Stage::UnsealPiece => Params::UnsealPiece(from(value)?),
    })
}

/// `bad_request` for what serde says about a part of the request.
fn wrong(part: &str, error: &serde_json::Error) -> StageError {
    let mut said = error.to_string();
    if let Some((cut, _)) = said.char_indices().nth(300) {
        said.truncate(cut);
        said.push('…');
    }
    StageError::new(
        Code::BadRequest,
        format!("the request cannot be read, {part}: {said}; write it as PROTOCOL.md describes"),
    )
}
