//! `params fetch`: official files from gateways, known by digest.
//!
//! No gateway is trusted: a file gets its name only after its BLAKE2b digest equals the one in the
//! proof library's list. What came so far stays under a temporary name and is resumed, by any
//! gateway and by a later process.

mod download;
mod gateway;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use storage_proofs_core::parameter_cache::PARAMETERS;

use super::ParamsError;
use super::names::{self, Circuit};
use super::progress::Progress;

/// Where the official files are published, by content identifier.
pub const DEFAULT_GATEWAY: &str = "https://proofs.filecoin.io";
/// More gateways, separated by commas or spaces, tried before the default one.
pub const GATEWAYS: &str = "SEALPOOL_PARAM_GATEWAYS";

/// What the files are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Proving seals: `.params`, and the small `.vk`, as the library verifies what it proved.
    C2,
    /// Proving updates: the same two files of the update circuit.
    Snap,
    /// Verifying both: the two `.vk` files only.
    Verify,
}

impl Role {
    /// Reads `c2`, `snap` or `verify`. Errors: [`ParamsError::BadRequest`].
    pub fn parse(text: &str) -> Result<Self, ParamsError> {
        match text {
            "c2" => Ok(Self::C2),
            "snap" => Ok(Self::Snap),
            "verify" => Ok(Self::Verify),
            _ => Err(ParamsError::BadRequest(format!(
                "{text:?} is no role; use --role c2, snap or verify"
            ))),
        }
    }
}

/// One file to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name, also in the folder.
    pub name: String,
    /// Its content identifier, from which gateways know it.
    pub cid: String,
    /// The first 32 hex digits of its BLAKE2b-512.
    pub digest: String,
}

/// An entry of a list of parameters (`parameters.json` of the proof crates).
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// Content identifier.
    pub cid: String,
    /// Digest, as in [`Wanted`].
    pub digest: String,
}

/// The proof library's own list, or the one in the file `manifest`, which has the same format.
pub fn entries(manifest: Option<&Path>) -> Result<BTreeMap<String, Entry>, ParamsError> {
    let Some(path) = manifest else {
        let own = |(name, e): (
            &String,
            &storage_proofs_core::parameter_cache::ParameterData,
        )| {
            (
                name.clone(),
                Entry {
                    cid: e.cid.clone(),
                    digest: e.digest.clone(),
                },
            )
        };
        return Ok(PARAMETERS.iter().map(own).collect());
    };
    let text = fs::read(path).map_err(|e| ParamsError::io("read", path, &e))?;
    serde_json::from_slice(&text).map_err(|e| {
        ParamsError::BadRequest(format!(
            "{} is no list of parameters: {e}; it must look like parameters.json of the proof crates",
            path.display()
        ))
    })
}

/// The files of a sector size and role. Errors: [`ParamsError::BadRequest`] when the list lacks one.
pub fn wanted(
    sector_size: u64,
    role: Role,
    entries: &BTreeMap<String, Entry>,
) -> Result<Vec<Wanted>, ParamsError> {
    let proof = names::seal_proof(sector_size, false)?;
    let porep = names::circuit_files(Circuit::Porep, proof)?;
    let update = names::circuit_files(Circuit::Update, proof)?;
    let files = match role {
        Role::C2 => [porep.vk, porep.params],
        Role::Snap => [update.vk, update.params],
        Role::Verify => [porep.vk, update.vk],
    };
    files
        .into_iter()
        .map(|name| match entries.get(&name) {
            Some(Entry { cid, digest }) => Ok(Wanted {
                name,
                cid: cid.clone(),
                digest: digest.clone(),
            }),
            None => Err(ParamsError::BadRequest(format!(
                "{name} is not in the list of parameters; give a list that has it with --manifest"
            ))),
        })
        .collect()
}

/// How to fetch.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the files go.
    pub folder: PathBuf,
    /// Base URLs in the order of trying; each is asked for `<base>/ipfs/<cid>`, or for itself with
    /// `{cid}` and `{name}` filled in when it contains one of them.
    pub gateways: Vec<String>,
    /// Files at once.
    pub parallel: usize,
    /// A gateway that sends nothing, or only dribbles, for this long is given up.
    pub idle: Duration,
}

/// A file that is there now.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Which.
    pub wanted: Wanted,
    /// Its size.
    pub size_bytes: u64,
    /// The gateway it came from; `None` when it was there before.
    pub gateway: Option<String>,
}

/// Fetches all `files`, several at once. Files that are there with the right digest are left alone.
///
/// Errors: [`ParamsError::OutOfDisk`], or [`ParamsError::Missing`] naming each file that no gateway
/// gave and why; the other files are complete then.
pub fn fetch(files: &[Wanted], options: &Options) -> Result<Vec<Fetched>, ParamsError> {
    fs::create_dir_all(&options.folder)
        .map_err(|e| ParamsError::io("make the folder", &options.folder, &e))?;
    let progress = Progress::new("fetching parameters", 0.0);
    let queue = Mutex::new(files.iter());
    let next = || queue.lock().unwrap_or_else(|e| e.into_inner()).next();
    let mut outcomes = Vec::new();
    std::thread::scope(|scope| {
        let work = || {
            let mut mine = Vec::new();
            while let Some(file) = next() {
                mine.push(download::fetch_file(file, options, &progress));
            }
            mine
        };
        let count = options.parallel.clamp(1, files.len().max(1));
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            outcomes.push(thread.join());
        }
    });
    let (mut fetched, mut failed) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        let Ok(outcome) = outcome else {
            return Err(ParamsError::Internal(
                "a download stopped unexpectedly; report this".into(),
            ));
        };
        for file in outcome {
            match file {
                Ok(file) => fetched.push(file),
                Err(error) => failed.push(error),
            }
        }
    }
    if failed.iter().all(|e| matches!(e, ParamsError::Missing(_))) && !failed.is_empty() {
        let all: Vec<&str> = failed.iter().map(ParamsError::message).collect();
        return Err(ParamsError::Missing(all.join("\n")));
    }
    match failed
        .into_iter()
        .find(|e| !matches!(e, ParamsError::Missing(_)))
    {
        Some(error) => Err(error),
        None => Ok(fetched),
    }
}
