//! Files that appear whole or not at all: locks, temporary names, digests.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use blake2b_simd::{Params, State};

use super::ParamsError;

/// An exclusive lock on a name inside a folder, held until dropped or until the process ends,
/// however it ends. The lock file itself stays: removing it would race with a waiting process.
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Waits until this process alone holds `name` in `folder`, which is made when missing.
    pub fn acquire(folder: &Path, name: &str) -> Result<Self, ParamsError> {
        fs::create_dir_all(folder).map_err(|e| ParamsError::io("make the folder", folder, &e))?;
        let path = folder.join(format!(".{name}.lock"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| ParamsError::io("open the lock", &path, &e))?;
        loop {
            // SAFETY: the descriptor is open for as long as `file` lives.
            if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } == 0 {
                return Ok(Self { _file: file });
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(ParamsError::io("lock", &path, &error));
            }
        }
    }
}

/// The name under which `name` is made until it is whole. Fixed, so that the holder of the lock
/// finds, resumes or replaces what a killed process left.
pub fn partial_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}.partial"))
}

/// Gives a whole file its final name: its bytes reach the disk first, then the name does.
pub fn publish(folder: &Path, name: &str) -> Result<PathBuf, ParamsError> {
    let partial = partial_path(folder, name);
    let path = folder.join(name);
    let io = |what: &str, error: io::Error| ParamsError::io(what, &path, &error);
    File::open(&partial)
        .and_then(|f| f.sync_all())
        .map_err(|e| io("flush", e))?;
    fs::rename(&partial, &path).map_err(|e| io("rename", e))?;
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| io("flush the folder of", e))?;
    Ok(path)
}

/// A running BLAKE2b-512, written the way the proof library writes it: the first 32 hex digits.
pub struct Digest(State);

impl Default for Digest {
    fn default() -> Self {
        Self(Params::new().to_state())
    }
}

impl Digest {
    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything so far.
    pub fn hex(&self) -> String {
        self.0.finalize().to_hex()[..32].to_string()
    }
}

/// The digest of bytes in memory.
pub fn digest_of(bytes: &[u8]) -> String {
    let mut digest = Digest::default();
    digest.update(bytes);
    digest.hex()
}

/// Digest and size in bytes of a file; `seen` hears after each block how many bytes were read.
pub fn digest_file(path: &Path, mut seen: impl FnMut(u64)) -> Result<(String, u64), ParamsError> {
    let io = |error: io::Error| ParamsError::io("read", path, &error);
    let mut file = File::open(path).map_err(io)?;
    let mut digest = Digest::default();
    let mut block = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok((digest.hex(), size)),
            Ok(n) => {
                digest.update(&block[..n]);
                size += n as u64;
                seen(n as u64);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(io(e)),
        }
    }
}

/// Writes a small file under its temporary name; [`publish`] completes it.
pub fn write_partial(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), ParamsError> {
    let partial = partial_path(folder, name);
    File::create(&partial)
        .and_then(|mut f| f.write_all(bytes))
        .map_err(|e| ParamsError::io("write", &partial, &e))
}
