//! `params list` and `params check`: what is in the three folders, and whether it is right.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use filecoin_proofs_api::RegisteredSealProof;
use serde::Serialize;

use super::names::{self, Circuit, SECTOR_SIZES};
use super::progress::Progress;
use super::{ParamsError, dev, fetch, files, folders, parents};

/// Kinds of files, each with a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Official parameters and keys.
    Official,
    /// Dev-network parameters and keys.
    Dev,
    /// Parents caches.
    Parents,
}

/// All kinds.
pub const KINDS: [Kind; 3] = [Kind::Official, Kind::Dev, Kind::Parents];

impl Kind {
    /// Reads `official`, `dev` or `parents`. Errors: [`ParamsError::BadRequest`].
    pub fn parse(text: &str) -> Result<Self, ParamsError> {
        match text {
            "official" => Ok(Self::Official),
            "dev" => Ok(Self::Dev),
            "parents" => Ok(Self::Parents),
            _ => Err(ParamsError::BadRequest(format!(
                "{text:?} is no kind of file; use --kind official, dev or parents"
            ))),
        }
    }

    /// Its folder, by the environment.
    pub fn folder(self) -> PathBuf {
        match self {
            Self::Official => folders::official(),
            Self::Dev => folders::dev(),
            Self::Parents => folders::parents(),
        }
    }
}

/// How a file's content is known to be right.
#[derive(Clone, Debug)]
enum Expected {
    /// BLAKE2b, first 32 hex digits.
    Digest(String),
    /// A parents cache of this proof.
    Parents(RegisteredSealProof),
    /// Nothing to compare with (the metadata of a dev set must only be readable).
    Meta(Circuit),
}

/// A file that Sealpool knows by its name.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Its kind.
    pub kind: Kind,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes, as a decimal string.
    pub size_bytes: String,
    /// What it is for, in a few words.
    pub what: String,
    #[serde(skip)]
    expected: Expected,
}

/// The known files that are in a folder, and the unfinished ones.
pub fn list(kind: Kind, folder: &Path) -> Result<(Vec<Item>, Vec<PathBuf>), ParamsError> {
    let mut items = Vec::new();
    for (name, what, expected) in known(kind, folder)? {
        let path = folder.join(name);
        match fs::metadata(&path) {
            Ok(meta) => {
                let size_bytes = meta.len().to_string();
                items.push(Item {
                    kind,
                    path,
                    size_bytes,
                    what,
                    expected,
                });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(ParamsError::io("look at", &path, &e)),
        }
    }
    let mut unfinished: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "partial"))
        .collect();
    unfinished.sort();
    Ok((items, unfinished))
}

/// Names, descriptions and expectations of a kind.
fn known(kind: Kind, folder: &Path) -> Result<Vec<(String, String, Expected)>, ParamsError> {
    let mut all = Vec::new();
    match kind {
        Kind::Official => {
            for (name, entry) in fetch::entries(None)? {
                let what = "official".to_string();
                all.push((name, what, Expected::Digest(entry.digest)));
            }
        }
        Kind::Dev => {
            for circuit in [Circuit::Porep, Circuit::Update] {
                let names = dev::circuit_files(circuit)?;
                let what = format!("2KiB {}, dev networks only", circuit.as_str());
                let (params, vk) = match dev::read_meta(folder, &names) {
                    Some(meta) => dev::expected_digests(circuit, &meta),
                    None => dev::published_digests(circuit),
                };
                all.push((names.params, what.clone(), Expected::Digest(params)));
                all.push((names.vk, what.clone(), Expected::Digest(vk)));
                all.push((names.meta, what, Expected::Meta(circuit)));
            }
        }
        Kind::Parents => {
            for (size, bytes) in SECTOR_SIZES {
                for synthetic in [false, true] {
                    let proof = names::seal_proof(bytes, synthetic)?;
                    let kind = if synthetic { "synthetic" } else { "V1_1" };
                    let what = format!("parents cache, {size} {kind}");
                    all.push((parents::file_name(proof)?, what, Expected::Parents(proof)));
                }
            }
        }
    }
    Ok(all)
}

/// Compares every byte of `items` with what it should be; returns the paths of the wrong ones.
pub fn check(items: &[Item]) -> Result<Vec<PathBuf>, ParamsError> {
    let bytes: f64 = items
        .iter()
        .filter_map(|i| i.size_bytes.parse::<f64>().ok())
        .sum();
    let progress = Progress::new("checking parameters", bytes);
    let mut wrong = Vec::new();
    for item in items {
        let right = match &item.expected {
            Expected::Digest(digest) => {
                files::digest_file(&item.path, |n| progress.add(n as f64))?.0 == *digest
            }
            Expected::Parents(proof) => parents::check(&item.path, *proof)?,
            Expected::Meta(circuit) => is_meta(*circuit, &item.path)?,
        };
        if !right {
            wrong.push(item.path.clone());
        }
    }
    Ok(wrong)
}

/// Whether a `.meta` file is one that [`dev::generate`] writes, byte for byte; the published seed
/// and the published digests must come together.
fn is_meta(circuit: Circuit, path: &Path) -> Result<bool, ParamsError> {
    let text = fs::read(path).map_err(|e| ParamsError::io("read", path, &e))?;
    Ok(
        serde_json::from_slice::<dev::Meta>(&text).is_ok_and(|meta| {
            let digests = (meta.params_digest.clone(), meta.vk_digest.clone());
            let published = digests == dev::published_digests(circuit);
            meta.is_ours() && published == meta.of_published_seed() && meta.to_bytes() == text
        }),
    )
}

/// A table for people.
pub fn print(out: &mut impl Write, items: &[Item], unfinished: &[PathBuf]) -> io::Result<()> {
    for item in items {
        writeln!(
            out,
            "{:>14}  {:<34} {}",
            item.size_bytes,
            item.what,
            item.path.display()
        )?;
    }
    for path in unfinished {
        writeln!(out, "{:>14}  {:<34} {}", "-", "unfinished", path.display())?;
    }
    Ok(())
}
