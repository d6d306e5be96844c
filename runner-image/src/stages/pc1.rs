//! pc1: the SDR layers. Each is given its name as soon as it is whole; given layers are kept.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use filecoin_hashers::Domain;
use serde_json::json;

use super::layers::LayerCheck;
use super::listen;
use super::progress::{Phase, Progress};
use super::{Done, Job, aux_files};
use crate::artifact;
use crate::disk::inputs::Inputs;
use crate::disk::work;
use crate::sector::Sector;
use crate::wire::answer::{Code, StageError};
use crate::wire::params::Pc1Params;
use crate::wire::report;

/// Seconds per node and layer: some 18 minutes for a layer of 32 GiB on a core with SHA
/// instructions. The first layer's real time corrects it.
const SECONDS_PER_NODE: f64 = 1.0e-6;

/// The layers that were not given, and t_aux.
pub fn outputs(sector: &Sector, given: &Inputs) -> Vec<String> {
    let mut out = artifact::layers(sector);
    out.retain(|name| given.get(name).is_none());
    out.push(artifact::T_AUX.to_owned());
    out
}

/// Makes the layers that were not given (or that are not this replica's), and t_aux.
pub fn run(job: &Job, params: &Pc1Params) -> Result<Done, StageError> {
    let replica_id = job.sector.replica_id(&params.ticket.0, &params.comm_d.0);
    let given = keep_given(job, LayerCheck::new(job.sector, replica_id)?)?;
    let mut made = artifact::layers(job.sector);
    made.retain(|name| !given.contains(name));

    let cache = PathBuf::from("cache");
    let cache = if cache.is_dir() {
        cache
    } else {
        job.work.join("cache")
    };
    let progress = Progress::start("pc1", phases(job.sector, &given));
    let published = thread::scope(|scope| {
        let (whole, layers) = mpsc::channel::<String>();
        let publisher = scope.spawn(|| publish(job, layers));
        let ears = {
            let whole = whole.clone();
            listen::subscribe(move |msg| {
                if let Some(layer) = finished_layer(msg) {
                    let _ = whole.send(artifact::layer(layer));
                }
            })
        };
        let made = filecoin_proofs_api::seal::sdr(job.sector.seal_proof, &cache, replica_id);
        drop((ears, whole));
        let published = publisher.join().unwrap_or_else(|_| {
            Err(StageError::new(
                Code::Internal,
                "naming finished layers stopped; run the stage again",
            ))
        });
        made.map_err(|error| {
            StageError::from_library(
                Code::Internal,
                "making layers failed",
                &error,
                "run the stage again with the layers made so far",
            )
        })?;
        published
    })?;
    drop(progress);
    for name in made.iter().filter(|name| !published.contains(name)) {
        (job.publish)(name)?;
    }
    aux_files::write_t_aux(
        &aux_files::t_aux_bytes(job.sector)?,
        &job.work.join(artifact::T_AUX),
    )?;
    let mut outputs = made;
    outputs.push(artifact::T_AUX.to_owned());
    let result = json!({
        "layers": artifact::layers(job.sector),
        "replicaId": hex::encode(replica_id.into_bytes()),
    });
    Ok(Done { outputs, result })
}

/// Links the given layers that are this replica's; says which ones.
fn keep_given(job: &Job, check: LayerCheck) -> Result<Vec<String>, StageError> {
    let mut kept = Vec::new();
    for layer in 1..=job.sector.layers() {
        let name = artifact::layer(layer);
        let Some(path) = job.inputs.get(&name) else {
            continue;
        };
        let below = if layer == 1 {
            None
        } else {
            job.inputs.get(&artifact::layer(layer - 1))
        };
        let failed = |error| StageError::from_io(&format!("reading input {name}"), &error);
        if check.belongs(layer, path, below).map_err(failed)? {
            work::link(job.work, &name, path)?;
            report::skipped(&name);
            kept.push(name);
        } else {
            report::log(
                "warn",
                &format!("input {name} is not this replica's layer; it is made again"),
            );
        }
    }
    Ok(kept)
}

fn publish(job: &Job, layers: mpsc::Receiver<String>) -> Result<Vec<String>, StageError> {
    let mut done = Vec::new();
    for name in layers {
        (job.publish)(&name)?;
        done.push(name);
    }
    Ok(done)
}

/// The layer that a message of the library says is stored.
fn finished_layer(msg: &str) -> Option<usize> {
    let rest = msg.trim_start().strip_prefix("generated layer ")?;
    rest.split_once(' ')
        .filter(|(_, tail)| tail.starts_with("store"))?
        .0
        .parse()
        .ok()
}

fn phases(sector: &Sector, given: &[String]) -> Vec<Phase> {
    let made = sector.size_bytes() as f64 / 32.0 * SECONDS_PER_NODE;
    let mut out = vec![Phase::new([], 0.1)];
    for layer in 1..=sector.layers() {
        let begins = vec![
            format!("generating layer: {layer}"),
            format!("Layer {layer}"),
        ];
        let seconds = if given.contains(&artifact::layer(layer)) {
            0.01
        } else {
            made
        };
        out.push(Phase { begins, seconds });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::finished_layer;

    #[test]
    fn the_librarys_words_for_a_stored_layer() {
        assert_eq!(
            finished_layer("  generated layer 11 store with id layer-11"),
            Some(11)
        );
        assert_eq!(finished_layer("generating layer: 1"), None);
        assert_eq!(finished_layer("skipping layer 1, already generated"), None);
    }
}
