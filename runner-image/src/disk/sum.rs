//! Sizes and SHA-256 of files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::wire::answer::FileSum;
use crate::wire::decimal::DecimalU64;

const BUFFER_BYTES: usize = 1 << 20;

/// Size and hash of a file, read once from start to end.
pub fn of_file(path: &Path) -> io::Result<FileSum> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
    Ok(FileSum {
        size_bytes: DecimalU64(size),
        hash: format!("sha256:{}", hex::encode(hasher.finalize())),
    })
}
