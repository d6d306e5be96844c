//! Which folder a process uses, decided before the proof library reads its settings.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use filecoin_proofs_api::RegisteredSealProof;

use super::names::{self, Circuit, CircuitFiles, sector_size_name};
use super::{ParamsError, files, folders, parents};

/// What a stage needs from the parameter folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// `c2`: the seal circuit's parameters and verifying key (the library verifies what it proved).
    SealProve,
    /// `verify-seal`: the seal circuit's verifying key.
    SealVerify,
    /// `snap-prove`: the update circuit's parameters and verifying key.
    UpdateProve,
    /// `verify-update`: the update circuit's verifying key.
    UpdateVerify,
    /// `pc1` and everything else that walks the SDR graph: the parents cache of this seal proof.
    Parents,
}

/// Largest sector whose parents cache is made on demand: 512 MiB takes under a minute; 32 GiB takes
/// 56 GiB of disk, which nobody should find out by a stage that seems to hang.
const MADE_ON_DEMAND_UP_TO: u64 = 512 << 20;

/// Points the proof library at the right folders and checks that what `needs` names is there.
///
/// Must run before any other thread is started and before any library call: the library reads its
/// settings once, and the environment is process-wide. `network` is `main`, `calibration` or `dev`:
/// dev-network parameters are used for `dev` with 2 KiB sectors only. Missing parents caches up to
/// 512 MiB sectors are made; a wrong one of at most 8 MiB sectors is made anew.
///
/// Errors: [`ParamsError::Missing`] names the command that gets what is not there;
/// [`ParamsError::Differs`] when files do not belong together or are no official ones.
pub fn use_for(
    network: &str,
    proof: RegisteredSealProof,
    needs: &[Need],
) -> Result<(), ParamsError> {
    let sector_size = u64::from(proof.sector_size());
    let made_here = network == "dev" && sector_size == 2 << 10;
    let folder = if made_here {
        folders::dev()
    } else {
        folders::official()
    };
    let parents_folder = folders::parents();
    // SAFETY: called at the start of the process, before any thread that could read the
    // environment exists (see above).
    unsafe {
        env::set_var(folders::PARAMETER_CACHE, &folder);
        env::set_var(folders::PARENT_CACHE, &parents_folder);
    }
    for need in needs {
        match need {
            Need::SealProve => proving(&folder, Circuit::Porep, proof, made_here, "c2")?,
            Need::UpdateProve => proving(&folder, Circuit::Update, proof, made_here, "snap")?,
            Need::SealVerify => drop(verifying(&folder, Circuit::Porep, proof, made_here)?),
            Need::UpdateVerify => drop(verifying(&folder, Circuit::Update, proof, made_here)?),
            Need::Parents => parents::ensure(&parents_folder, proof, MADE_ON_DEMAND_UP_TO)?,
        }
    }
    Ok(())
}

/// `.params` and `.vk` are there and belong together: a parameter file begins with its key.
fn proving(
    folder: &Path,
    circuit: Circuit,
    proof: RegisteredSealProof,
    made_here: bool,
    role: &str,
) -> Result<(), ParamsError> {
    let names = names::circuit_files(circuit, proof)?;
    let path = folder.join(&names.params);
    let mut file = open(&path, circuit, proof, made_here, role)?;
    let key = verifying(folder, circuit, proof, made_here)?;
    let mut head = vec![0; key.len()];
    let same = file.read_exact(&mut head).is_ok() && head == key;
    if same {
        return Ok(());
    }
    Err(ParamsError::Differs(format!(
        "{} does not begin with the verifying key {}, so proofs made with it would not verify; \
         remove both and get them again: {}",
        path.display(),
        names.vk,
        command(circuit, proof, made_here, role)
    )))
}

/// The bytes of the verifying key; outside the dev network only the official key is accepted.
fn verifying(
    folder: &Path,
    circuit: Circuit,
    proof: RegisteredSealProof,
    made_here: bool,
) -> Result<Vec<u8>, ParamsError> {
    let CircuitFiles { vk, .. } = names::circuit_files(circuit, proof)?;
    let path = folder.join(&vk);
    let mut key = Vec::new();
    open(&path, circuit, proof, made_here, "verify")?
        .read_to_end(&mut key)
        .map_err(|error| ParamsError::io("read", &path, &error))?;
    let official = names::official_entry(&vk).map(|(_, digest)| digest);
    if !made_here && official != Some(files::digest_of(&key).as_str()) {
        return Err(ParamsError::Differs(format!(
            "{} is not the official verifying key (parameters made for a dev network are refused \
             on other networks); remove it and get the official one: {}",
            path.display(),
            command(circuit, proof, made_here, "verify")
        )));
    }
    Ok(key)
}

fn open(
    path: &Path,
    circuit: Circuit,
    proof: RegisteredSealProof,
    made_here: bool,
    role: &str,
) -> Result<File, ParamsError> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() > 0 => {
            File::open(path).map_err(|error| ParamsError::io("open", path, &error))
        }
        _ => Err(ParamsError::Missing(format!(
            "{} is not there; get it with: {}",
            path.display(),
            command(circuit, proof, made_here, role)
        ))),
    }
}

/// The command that brings the files of a circuit.
fn command(circuit: Circuit, proof: RegisteredSealProof, made_here: bool, role: &str) -> String {
    if made_here {
        format!("sealpool-prover params generate --set {}", circuit.as_str())
    } else {
        format!(
            "sealpool-prover params fetch --sector-size {} --role {role}",
            sector_size_name(u64::from(proof.sector_size()))
        )
    }
}
