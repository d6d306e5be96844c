//! Inputs: each is checked against size and hash before a stage looks at it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::sum;
use crate::wire::answer::{Code, StageError};
use crate::wire::request::{InputFile, Request};

/// The inputs that a stage needs and those that it can use.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub required: Vec<String>,
    pub optional: Vec<String>,
    /// Inputs that may differ from their hash: such a one is treated as not given (PC1's layers).
    pub replaceable: Vec<String>,
}

/// Checked inputs: artifact name to absolute path.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    paths: BTreeMap<String, PathBuf>,
}

impl Inputs {
    /// Where an input is, when it was given.
    pub fn get(&self, name: &str) -> Option<&Path> {
        self.paths.get(name).map(PathBuf::as_path)
    }

    /// Where a required input is.
    pub fn path(&self, name: &str) -> Result<&Path, StageError> {
        self.get(name).ok_or_else(|| missing(name))
    }

    /// Inputs made by hand, for callers that do not come from a request.
    pub fn from_paths(paths: BTreeMap<String, PathBuf>) -> Self {
        Inputs { paths }
    }

    /// Treats an input as not given.
    pub fn forget(&mut self, name: &str) {
        self.paths.remove(name);
    }
}

fn missing(name: &str) -> StageError {
    let message = format!("input {name} is missing from the request; this stage needs it, add it");
    StageError::new(Code::BadRequest, message).about(name)
}

/// Refuses a request that lacks a needed input or has one that its stage has no use for.
pub fn check_names(request: &Request, wanted: &Wanted) -> Result<(), StageError> {
    if let Some(name) = wanted
        .required
        .iter()
        .find(|name| !request.inputs.contains_key(*name))
    {
        return Err(missing(name));
    }
    let known: BTreeSet<&String> = wanted
        .required
        .iter()
        .chain(&wanted.optional)
        .chain(&wanted.replaceable)
        .collect();
    match request.inputs.keys().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "input {name:?} is none that stage {} takes; leave it out of the request",
                request.stage.name()
            );
            Err(StageError::new(Code::BadRequest, message).about(name))
        }
    }
}

/// Checks size and hash of all inputs, in parallel. Returns their absolute paths, without the
/// replaceable ones that differ; those are returned beside with why.
pub fn check_sums(
    request: &Request,
    wanted: &Wanted,
) -> Result<(Inputs, Vec<StageError>), StageError> {
    let checked: Vec<(&String, Result<PathBuf, StageError>)> = request
        .inputs
        .par_iter()
        .map(|(name, input)| (name, check_one(name, input)))
        .collect();
    let (mut inputs, mut replaced) = (Inputs::default(), Vec::new());
    for (name, result) in checked {
        match result {
            Ok(path) => {
                inputs.paths.insert(name.clone(), path);
            }
            Err(error) if wanted.replaceable.contains(name) => replaced.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok((inputs, replaced))
}

fn check_one(name: &str, input: &InputFile) -> Result<PathBuf, StageError> {
    let differs = |what: String| {
        let message = format!("input {name}: {what}; fetch it again");
        StageError::new(Code::InputDiffers, message).about(name)
    };
    let meta = fs::metadata(&input.path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => differs("there is no such file".to_owned()),
        _ => differs(format!("it cannot be opened ({error})")),
    })?;
    if !meta.is_file() {
        return Err(differs("it is not a file".to_owned()));
    }
    let want = input.size_bytes.0;
    if meta.len() != want {
        return Err(differs(format!(
            "it has {} bytes, the request says {want}",
            meta.len()
        )));
    }
    let sum = sum::of_file(&input.path)
        .map_err(|error| differs(format!("it cannot be read ({error})")))?;
    if sum != input.sum() {
        return Err(differs(format!(
            "its hash is {}, the request says {}",
            sum.hash, input.hash
        )));
    }
    fs::canonicalize(&input.path).map_err(|error| differs(format!("it cannot be opened ({error})")))
}
