//! One file from a list of gateways: resumed, verified, renamed.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ureq::Agent;

use super::gateway::{self, Refusal, Stream};
use super::{Fetched, Options, Wanted};
use crate::params::progress::{Progress, log};
use crate::params::{ParamsError, files};

/// Attempts in a row that bring nothing new before the next gateway is asked.
const FRUITLESS: u32 = 3;
/// Pause before another attempt, times the number of fruitless ones.
const PAUSE: Duration = Duration::from_millis(100);
/// A gateway that sends fewer bytes than this in the idle time only dribbles.
const DRIBBLE: u64 = 1024;
/// Larger than any official file of its kind, so that no gateway can fill the disk.
const LARGEST_PARAMS: u64 = 256 << 30;
const LARGEST_VK: u64 = 1 << 20;

/// Why an attempt ended.
enum End {
    /// As far as the gateway is concerned, the file is whole.
    Complete,
    /// It may go on from where it is.
    Broken(String),
    /// The gateway is no good for this file.
    Useless(String),
}

/// A download under way.
struct Download<'a> {
    file: &'a Wanted,
    options: &'a Options,
    progress: &'a Progress,
    agent: Agent,
    out: File,
    /// Bytes that are there.
    have: u64,
    /// Whether this file's size counts in the progress already.
    counted: bool,
}

/// Brings one file into the folder. Two processes at once fetch it once.
pub fn fetch_file(
    file: &Wanted,
    options: &Options,
    progress: &Progress,
) -> Result<Fetched, ParamsError> {
    let folder = &options.folder;
    let _lock = files::FolderLock::acquire(folder, &file.name)?;
    let path = folder.join(&file.name);
    if path.exists() {
        let (digest, size_bytes) = files::digest_file(&path, |_| ())?;
        if digest == file.digest {
            return Ok(Fetched {
                wanted: file.clone(),
                size_bytes,
                gateway: None,
            });
        }
        log(
            "warn",
            &format!("{} has a wrong digest and is fetched again", path.display()),
        );
    }
    let partial = files::partial_path(folder, &file.name);
    let out = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&partial)
        .map_err(|e| ParamsError::io("open", &partial, &e))?;
    let have = out
        .metadata()
        .map_err(|e| ParamsError::io("look at", &partial, &e))?
        .len();
    progress.given(have as f64);
    let agent = gateway::agent(options.idle);
    let mut download = Download {
        file,
        options,
        progress,
        agent,
        out,
        have,
        counted: false,
    };
    let gateway = download.from_any_gateway(&partial)?;
    let size_bytes = download.have;
    files::publish(folder, &file.name)?;
    Ok(Fetched {
        wanted: file.clone(),
        size_bytes,
        gateway: Some(gateway),
    })
}

impl Download<'_> {
    /// Returns the gateway that completed the file.
    fn from_any_gateway(&mut self, partial: &Path) -> Result<String, ParamsError> {
        let mut reasons = Vec::new();
        let options = self.options;
        for gateway in &options.gateways {
            match self.from_gateway(gateway, partial)? {
                None => return Ok(gateway.clone()),
                Some(reason) => {
                    log("warn", &format!("{gateway}: {}: {reason}", self.file.name));
                    reasons.push(format!("{gateway}: {reason}"));
                }
            }
        }
        Err(ParamsError::Missing(format!(
            "no gateway gave {}; check the network or name another one with --gateway, what came so \
             far is kept ({})",
            self.file.name,
            reasons.join("; ")
        )))
    }

    /// `None` when the file is whole and right, else why this gateway is given up.
    fn from_gateway(
        &mut self,
        gateway: &str,
        partial: &Path,
    ) -> Result<Option<String>, ParamsError> {
        let url = gateway::url(gateway, self.file);
        let mut fruitless = 0;
        // Bytes of an earlier gateway or process may be wrong; this one is not to blame for them.
        let mut all_its_own = self.have == 0;
        loop {
            let before = self.have;
            match self.attempt(&url, partial)? {
                End::Complete => {
                    let (digest, _) = files::digest_file(partial, |_| ())?;
                    if digest == self.file.digest {
                        return Ok(None);
                    }
                    self.truncate(partial)?;
                    if all_its_own {
                        return Ok(Some(format!("it sent other bytes (digest {digest})")));
                    }
                    all_its_own = true;
                }
                End::Useless(reason) => return Ok(Some(reason)),
                End::Broken(reason) => {
                    fruitless = if self.have > before { 0 } else { fruitless + 1 };
                    if fruitless >= FRUITLESS {
                        return Ok(Some(reason));
                    }
                    thread::sleep(PAUSE * fruitless);
                }
            }
        }
    }

    fn attempt(&mut self, url: &str, partial: &Path) -> Result<End, ParamsError> {
        let Stream {
            start,
            total,
            mut body,
        } = match gateway::open(&self.agent, url, self.have) {
            Ok(stream) => stream,
            Err(Refusal::Transient(reason)) => return Ok(End::Broken(reason)),
            Err(Refusal::Final(reason)) => return Ok(End::Useless(reason)),
            Err(Refusal::NothingThere) => return Ok(End::Complete),
        };
        let largest = if self.file.name.ends_with(".vk") {
            LARGEST_VK
        } else {
            LARGEST_PARAMS
        };
        if total > largest {
            return Ok(End::Useless(
                "it announces far more bytes than such a file has".into(),
            ));
        }
        if total < self.have {
            // What is there cannot be the beginning of this file.
            self.truncate(partial)?;
            return Ok(End::Broken("it has a shorter file".into()));
        }
        self.count(total, partial)?;
        self.out
            .seek(SeekFrom::Start(self.have))
            .map_err(|e| ParamsError::io("write", partial, &e))?;
        let mut at = start;
        let mut block = vec![0; 256 << 10];
        let (mut window, mut in_window) = (Instant::now(), 0);
        loop {
            let n = match body.read(&mut block) {
                Ok(0) if at < total => return Ok(End::Broken("the connection broke".into())),
                Ok(0) => return Ok(End::Complete),
                Ok(n) => n as u64,
                Err(e) => return Ok(End::Broken(e.to_string())),
            };
            // Where ranges are ignored, what is there already comes again and is passed over.
            let known = self.have.saturating_sub(at).min(n);
            let new = &block[known as usize..n as usize];
            at += n;
            if at > total {
                return Ok(End::Useless("it sends more bytes than it announced".into()));
            }
            self.out
                .write_all(new)
                .map_err(|e| ParamsError::io("write", partial, &e))?;
            self.have += new.len() as u64;
            self.progress.add(new.len() as f64);
            in_window += n;
            if window.elapsed() >= self.options.idle {
                if in_window < DRIBBLE {
                    return Ok(End::Broken("it sends hardly anything".into()));
                }
                (window, in_window) = (Instant::now(), 0);
            }
        }
    }

    /// Counts the file's size once, and says before a long download when it cannot fit.
    fn count(&mut self, total: u64, partial: &Path) -> Result<(), ParamsError> {
        if self.counted {
            return Ok(());
        }
        self.counted = true;
        self.progress.expect(total as f64);
        let folder = &self.options.folder;
        match free_bytes(folder) {
            Some(free) if free < total - self.have => Err(ParamsError::OutOfDisk(format!(
                "{} needs {} more bytes and {} has {free}; free space there or choose another --dir",
                partial.display(),
                total - self.have,
                folder.display()
            ))),
            _ => Ok(()),
        }
    }

    fn truncate(&mut self, partial: &Path) -> Result<(), ParamsError> {
        self.out
            .set_len(0)
            .map_err(|e| ParamsError::io("truncate", partial, &e))?;
        self.progress.add(-(self.have as f64));
        self.have = 0;
        Ok(())
    }
}

/// Free bytes of the file system that holds `folder`, for an ordinary user.
fn free_bytes(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path =
        std::ffi::CString::new(fs::canonicalize(folder).ok()?.as_os_str().as_bytes()).ok()?;
    // SAFETY: `path` ends with a zero byte and `stat` is written by the call before it is read.
    unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut stat) == 0)
            .then(|| stat.f_bavail as u64 * stat.f_frsize as u64)
    }
}
