//! The working folder of one run: a locked temporary folder inside the output folder, so that
//! finished files move to their names by a rename, and leftovers of killed runs can be told apart
//! from folders in use.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::wire::answer::{Code, StageError};

/// All temporary names begin so; nothing else in an output folder does.
pub const PREFIX: &str = ".sealpool-work-";

/// A working folder. Dropping it removes it.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    _lock: File,
}

impl WorkDir {
    /// Makes a working folder inside `output_dir`, and removes those of dead runs.
    pub fn make(output_dir: &Path) -> Result<WorkDir, StageError> {
        let meta = fs::metadata(output_dir);
        if !meta.is_ok_and(|meta| meta.is_dir()) {
            let message = format!(
                "outputDir {} is not a folder; make it before the stage is run",
                output_dir.display()
            );
            return Err(StageError::new(Code::BadRequest, message));
        }
        let failed =
            |error: io::Error| StageError::from_io("making a folder inside outputDir", &error);
        let root = fs::canonicalize(output_dir).map_err(failed)?;
        remove_dead(&root);
        let path = root.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&path).map_err(failed)?;
        let lock = File::open(&path).map_err(failed)?;
        // SAFETY: flock on a descriptor that `lock` keeps open.
        unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        for folder in ["cache", "update-cache"] {
            fs::create_dir(path.join(folder)).map_err(failed)?;
        }
        Ok(WorkDir { path, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes working folders whose run is gone: nobody holds their lock.
fn remove_dead(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(lock) = File::open(entry.path()) else {
            continue;
        };
        // SAFETY: flock on a descriptor that `lock` keeps open.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes an input visible below the working folder under its artifact name, by a symbolic link:
/// the file itself stays where it is and is not written.
pub fn link(work: &Path, name: &str, input: &Path) -> Result<PathBuf, StageError> {
    let at = work.join(name);
    symlink(input, &at)
        .map_err(|error| StageError::from_io(&format!("linking input {name}"), &error))?;
    Ok(at)
}

/// A copy that shares its blocks with the source where the file system can do that.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    /// `_IOW(0x94, 9, int)` of linux/fs.h.
    const FICLONE: libc::c_ulong = 0x4004_9409;
    let source = File::open(from)?;
    let target = File::create(to)?;
    // SAFETY: both descriptors are open; the call changes only the target.
    if unsafe { libc::ioctl(target.as_raw_fd(), FICLONE as _, source.as_raw_fd()) } == 0 {
        return Ok(());
    }
    io::copy(&mut &source, &mut &target)?;
    Ok(())
}

/// A sparse file of zeros.
pub fn zeros(at: &Path, size_bytes: u64) -> io::Result<()> {
    File::create(at)?.set_len(size_bytes)
}
