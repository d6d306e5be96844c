//! Outputs: made in the working folder, synced, hashed, and only then given their names.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use rayon::prelude::*;

use super::sum;
use crate::wire::answer::{Code, FileSum, StageError};
use crate::wire::report;

/// Refuses an output folder in which a name that this run makes is taken.
pub fn check_free(output_dir: &Path, names: &[String]) -> Result<(), StageError> {
    match names
        .iter()
        .find(|name| fs::symlink_metadata(output_dir.join(name)).is_ok())
    {
        None => Ok(()),
        Some(name) => Err(StageError::new(
            Code::BadRequest,
            format!("outputDir holds {name} already; use an empty folder"),
        )),
    }
}

/// Syncs and hashes one finished file of the working folder.
pub fn seal_off(work: &Path, name: &str) -> Result<FileSum, StageError> {
    let path = work.join(name);
    let failed = |error| StageError::from_io(&format!("finishing output {name}"), &error);
    File::open(&path)
        .and_then(|file| file.sync_all())
        .map_err(failed)?;
    sum::of_file(&path).map_err(failed)
}

/// Gives a finished file its name in the output folder.
pub fn publish(work: &Path, output_dir: &Path, name: &str) -> Result<(), StageError> {
    let failed = |error| StageError::from_io(&format!("naming output {name}"), &error);
    let target = output_dir.join(name);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
        fs::rename(work.join(name), &target).map_err(failed)?;
        File::open(folder)
            .and_then(|dir| dir.sync_all())
            .map_err(failed)?;
    }
    Ok(())
}

/// Finishes one output while the stage goes on: hashes, names and reports it.
pub fn publish_one(work: &Path, output_dir: &Path, name: &str) -> Result<FileSum, StageError> {
    let sum = seal_off(work, name)?;
    publish(work, output_dir, name)?;
    report::output(name, &sum);
    Ok(sum)
}

/// Finishes all outputs: hashes them in parallel, then names them, then reports them.
pub fn publish_all(
    work: &Path,
    output_dir: &Path,
    names: &[String],
) -> Result<BTreeMap<String, FileSum>, StageError> {
    let sums: Vec<FileSum> = names
        .par_iter()
        .map(|name| seal_off(work, name))
        .collect::<Result<_, _>>()?;
    let mut out = BTreeMap::new();
    for (name, sum) in names.iter().zip(sums) {
        publish(work, output_dir, name)?;
        report::output(name, &sum);
        out.insert(name.clone(), sum);
    }
    Ok(out)
}
