//! What can go wrong with parameters, in the codes and exit codes of `PROTOCOL.md`.

use std::fmt;
use std::io;
use std::path::Path;

/// A failure of a `params` command or of [`super::use_for`]. Each message is a full sentence: what
/// happened, then what to do.
#[derive(Debug, PartialEq, Eq)]
pub enum ParamsError {
    /// The arguments are wrong.
    BadRequest(String),
    /// A file is there and is not what it should be.
    Differs(String),
    /// A file is not there; the message names the command that gets it.
    Missing(String),
    /// The disk is full.
    OutOfDisk(String),
    /// Anything else.
    Internal(String),
}

impl ParamsError {
    /// The `code` of an answer.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::Differs(_) => "input_differs",
            Self::Missing(_) => "parameters_missing",
            Self::OutOfDisk(_) => "out_of_disk",
            Self::Internal(_) => "internal",
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::BadRequest(_) => 2,
            Self::Differs(_) => 3,
            Self::Missing(_) => 6,
            Self::OutOfDisk(_) => 8,
            Self::Internal(_) => 70,
        }
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        match self {
            Self::BadRequest(m)
            | Self::Differs(m)
            | Self::Missing(m)
            | Self::OutOfDisk(m)
            | Self::Internal(m) => m,
        }
    }

    /// An I/O failure on `path` while doing `what` ("write", "rename"…); a full disk keeps its own code.
    pub fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        let disk_full = error.kind() == io::ErrorKind::StorageFull
            || error.kind() == io::ErrorKind::QuotaExceeded
            || error.raw_os_error() == Some(libc::EFBIG);
        if disk_full {
            Self::OutOfDisk(format!(
                "could not {what} {}: the disk is full; free space there or choose another folder",
                path.display()
            ))
        } else {
            Self::Internal(format!(
                "could not {what} {}: {error}; check that the folder exists and is writable",
                path.display()
            ))
        }
    }
}

impl fmt::Display for ParamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for ParamsError {}
