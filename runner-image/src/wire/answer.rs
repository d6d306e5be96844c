//! Answers, and the errors that become answers.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decimal::DecimalU64;

/// Version of requests and answers.
pub const VERSION: u32 = 1;

/// Why a stage did not end well. The wire spelling is snake case; `exit` is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    BadRequest,
    InputDiffers,
    InputInvalid,
    ProofInvalid,
    ParametersMissing,
    OutOfMemory,
    OutOfDisk,
    Interrupted,
    Internal,
}

impl Code {
    /// The exit code of the process that answers with this code.
    pub fn exit(self) -> i32 {
        match self {
            Code::BadRequest => 2,
            Code::InputDiffers => 3,
            Code::InputInvalid => 4,
            Code::ProofInvalid => 5,
            Code::ParametersMissing => 6,
            Code::OutOfMemory => 7,
            Code::OutOfDisk => 8,
            Code::Interrupted => 9,
            Code::Internal => 70,
        }
    }
}

/// A stage's refusal or failure: a code and a sentence that says what happened, then what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageError {
    pub code: Code,
    pub message: String,
    /// The artifact name of the input that is at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
}

impl StageError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        StageError {
            code,
            message: message.into(),
            input: None,
        }
    }

    /// Names the input that is at fault.
    pub fn about(mut self, input: impl Into<String>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// An input/output error while doing `what` (a clause such as "writing sealed").
    pub fn from_io(what: &str, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => StageError::new(
                Code::OutOfDisk,
                format!(
                    "{what}: the disk is full, or files may not grow that large; free space there and run the stage again"
                ),
            ),
            Some(libc::ENOMEM) => StageError::new(
                Code::OutOfMemory,
                format!("{what}: memory ran out; run the stage on a machine with more"),
            ),
            _ => StageError::new(
                Code::Internal,
                format!("{what}: {error}; look at the machine's disk and run the stage again"),
            ),
        }
    }

    /// A library error: disk and memory errors keep their code, anything else gets `code`, whose
    /// advice is `advice`.
    pub fn from_library(code: Code, what: &str, error: &anyhow::Error, advice: &str) -> Self {
        for cause in error.chain() {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                if matches!(
                    io.raw_os_error(),
                    Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG | libc::ENOMEM)
                ) {
                    return StageError::from_io(what, io);
                }
            }
        }
        StageError::new(
            code,
            format!("{what} ({}); {advice}", one_line(&format!("{error:#}"))),
        )
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StageError {}

/// Text of a library on one line of at most 300 characters.
fn one_line(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match joined.char_indices().nth(300) {
        Some((cut, _)) => format!("{}…", &joined[..cut]),
        None => joined,
    }
}

/// Size and hash of a file, as requests and answers spell them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileSum {
    pub size_bytes: DecimalU64,
    /// `sha256:` and 64 lowercase hex digits.
    pub hash: String,
}

/// One answer: `ok` with outputs and result, or with an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    pub version: u32,
    /// `None` when the request could not be read that far.
    pub stage: Option<String>,
    pub ok: bool,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<BTreeMap<String, FileSum>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StageError>,
}

impl Answer {
    /// A done stage.
    pub fn done(
        stage: &str,
        duration_ms: u64,
        outputs: BTreeMap<String, FileSum>,
        result: Value,
    ) -> Self {
        Answer {
            version: VERSION,
            stage: Some(stage.to_owned()),
            ok: true,
            duration_ms,
            outputs: Some(outputs),
            result: Some(result),
            error: None,
        }
    }

    /// A refused or failed stage.
    pub fn failed(stage: Option<&str>, duration_ms: u64, error: StageError) -> Self {
        Answer {
            version: VERSION,
            stage: stage.map(str::to_owned),
            ok: false,
            duration_ms,
            outputs: None,
            result: None,
            error: Some(error),
        }
    }

    /// The exit code of a process that ends with this answer.
    pub fn exit(&self) -> i32 {
        self.error.as_ref().map_or(0, |error| error.code.exit())
    }
}
