//! Dev-network parameters for 2 KiB sectors: made here, the same bytes on every machine.
//!
//! Whoever runs a Groth16 setup alone can forge proofs under it, and here the secrets even follow
//! from a published seed. So these files live apart from the official ones (whose names they
//! share), carry a warning in their metadata, and [`super::use_for`] uses them for `dev` alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use filecoin_proofs::parameters::public_params;
use filecoin_proofs::{DefaultPieceHasher, SectorShape2KiB};
use serde::{Deserialize, Serialize};
use storage_proofs_core::compound_proof::CompoundProof;
use storage_proofs_porep::stacked::{StackedCompound, StackedDrg};
use storage_proofs_update::{
    EmptySectorUpdate, EmptySectorUpdateCircuit, EmptySectorUpdateCompound, PublicParams,
};

use super::names::{self, Circuit, CircuitFiles};
use super::progress::Progress;
use super::setup::trapdoor::{PUBLISHED_SEED, Trapdoor};
use super::setup::{Combs, Shape, write_parameters};
use super::{ParamsError, files, folders};

/// The only sector size with dev-network parameters: 2 KiB.
pub const SECTOR_SIZE: u64 = 2 << 10;

/// What stands in every `.meta` file made here.
pub const WARNING: &str = "Dev networks only: these parameters were made by one party from a seed, \
and whoever knows the seed can forge proofs under them.";

/// Shape of a circuit and digests of its files under the published seed.
struct Published {
    shape: Shape,
    params: &'static str,
    vk: &'static str,
}

fn published(circuit: Circuit) -> Published {
    match circuit {
        Circuit::Porep => Published {
            shape: Shape {
                domain_log2: 22,
                inputs: 40,
            },
            params: "c71444b02b3af343477ca355719e2113",
            vk: "e8539b5fd19b1190d1e369d44a2956fd",
        },
        Circuit::Update => Published {
            shape: Shape {
                domain_log2: 21,
                inputs: 5,
            },
            params: "6a10c904507025ee78e9dba8eed1c399",
            vk: "18369b7c463a7834ef0d74564ff88cec",
        },
    }
}

/// A `.meta` file: what the library writes there, and where the parameters come from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Meta {
    /// Bytes; the one field that the library reads.
    pub sector_size: u64,
    /// Always `dev`.
    pub network: String,
    /// [`WARNING`].
    pub warning: String,
    /// What the secrets were derived from.
    pub seed: String,
    /// Digest of the `.params` file.
    pub params_digest: String,
    /// Digest of the `.vk` file.
    pub vk_digest: String,
}

impl Meta {
    /// Whether the fixed parts are what this program writes.
    pub fn is_ours(&self) -> bool {
        self.sector_size == SECTOR_SIZE && self.network == "dev" && self.warning == WARNING
    }

    /// Whether the secrets follow from the published seed.
    pub fn of_published_seed(&self) -> bool {
        self.seed == PUBLISHED_SEED
    }

    /// The file's content.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A structure of strings and one number always serialises.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

/// What [`generate`] did for one circuit.
pub struct Made {
    /// The circuit.
    pub circuit: Circuit,
    /// Its files' names.
    pub files: CircuitFiles,
    /// Digests and seed.
    pub meta: Meta,
    /// False when the files were there already.
    pub made: bool,
}

/// The names of a circuit's files for 2 KiB sectors.
pub fn circuit_files(circuit: Circuit) -> Result<CircuitFiles, ParamsError> {
    names::circuit_files(circuit, names::seal_proof(SECTOR_SIZE, false)?)
}

/// The metadata of a circuit's files in `folder`; `None` when there is none or it is not ours.
pub fn read_meta(folder: &Path, names: &CircuitFiles) -> Option<Meta> {
    serde_json::from_slice(&fs::read(folder.join(&names.meta)).ok()?).ok()
}

/// The digests (`.params`, `.vk`) that files of this seed must have: those in the source for the
/// published seed, those in the metadata for any other.
pub fn expected_digests(circuit: Circuit, meta: &Meta) -> (String, String) {
    if meta.of_published_seed() {
        published_digests(circuit)
    } else {
        (meta.params_digest.clone(), meta.vk_digest.clone())
    }
}

/// The digests (`.params`, `.vk`) under the published seed.
pub fn published_digests(circuit: Circuit) -> (String, String) {
    let Published { params, vk, .. } = published(circuit);
    (params.to_string(), vk.to_string())
}

/// Makes the parameters of `circuits` from `seed` in `folder`, unless they are there and whole. Two
/// processes at once make them once.
///
/// Errors: [`ParamsError::BadRequest`] when `folder` is that of official parameters;
/// [`ParamsError::Differs`] when it holds another seed's; [`ParamsError::Internal`] when the result
/// under the published seed has not the published digest, in which case nothing gets its name.
pub fn generate(folder: &Path, circuits: &[Circuit], seed: &str) -> Result<Vec<Made>, ParamsError> {
    fs::create_dir_all(folder).map_err(|e| ParamsError::io("make the folder", folder, &e))?;
    refuse_official(folder)?;
    let _lock = files::FolderLock::acquire(folder, "generate")?;
    let mut tables = None;
    circuits
        .iter()
        .map(|&circuit| {
            let files = circuit_files(circuit)?;
            if let Some(meta) = whole(folder, circuit, &files, seed)? {
                return Ok(Made {
                    circuit,
                    files,
                    meta,
                    made: false,
                });
            }
            let combs = tables.get_or_insert_with(Combs::new);
            let meta = make(folder, circuit, &files, seed, combs)?;
            Ok(Made {
                circuit,
                files,
                meta,
                made: true,
            })
        })
        .collect()
}

fn refuse_official(folder: &Path) -> Result<(), ParamsError> {
    let real = |p: PathBuf| p.canonicalize().ok();
    let official = real(folders::official());
    if official.is_some() && real(folder.to_path_buf()) == official {
        return Err(ParamsError::BadRequest(format!(
            "{} is the folder of official parameters, whose file names dev-network parameters share; \
             choose another --dir",
            folder.display()
        )));
    }
    Ok(())
}

/// The metadata, when all three files are there with the digests that belong to `seed`.
fn whole(
    folder: &Path,
    circuit: Circuit,
    names: &CircuitFiles,
    seed: &str,
) -> Result<Option<Meta>, ParamsError> {
    let Some(meta) = read_meta(folder, names) else {
        return Ok(None);
    };
    if meta.seed != seed {
        return Err(ParamsError::Differs(format!(
            "{} holds {} parameters made from another seed; choose another --dir or remove them first",
            folder.display(),
            circuit.as_str()
        )));
    }
    let (params, vk) = expected_digests(circuit, &meta);
    for (name, expected) in [(&names.vk, vk), (&names.params, params)] {
        let path = folder.join(name);
        if !path.exists() || files::digest_file(&path, |_| ())?.0 != expected {
            return Ok(None);
        }
    }
    Ok(Some(meta))
}

fn make(
    folder: &Path,
    circuit: Circuit,
    names: &CircuitFiles,
    seed: &str,
    combs: &Combs,
) -> Result<Meta, ParamsError> {
    let known = published(circuit);
    let partial = files::partial_path(folder, &names.params);
    let secrets = Trapdoor::from_seed(seed, &names.identifier);
    let progress = Progress::new(&format!("{} parameters", circuit.as_str()), 0.0);
    let vk = match circuit {
        Circuit::Porep => write_parameters(
            porep_circuit()?,
            known.shape,
            &secrets,
            combs,
            &partial,
            &progress,
        ),
        Circuit::Update => write_parameters(
            update_circuit()?,
            known.shape,
            &secrets,
            combs,
            &partial,
            &progress,
        ),
    }
    .map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => ParamsError::Internal(e.to_string()),
        _ => ParamsError::io("write", &partial, &e),
    })?;
    drop(progress);

    let meta = Meta {
        sector_size: SECTOR_SIZE,
        network: "dev".into(),
        warning: WARNING.into(),
        seed: seed.into(),
        params_digest: files::digest_file(&partial, |_| ())?.0,
        vk_digest: files::digest_of(&vk),
    };
    let (params_digest, vk_digest) = expected_digests(circuit, &meta);
    if meta.params_digest != params_digest || meta.vk_digest != vk_digest {
        return Err(ParamsError::Internal(format!(
            "the {} parameters made here have digests {} (.params) and {} (.vk), not the published \
             ones; check this machine's memory and try again",
            circuit.as_str(),
            meta.params_digest,
            meta.vk_digest
        )));
    }
    files::write_partial(folder, &names.meta, &meta.to_bytes())?;
    files::write_partial(folder, &names.vk, &vk)?;
    // The large file last: while it is missing, so are the parameters.
    for name in [&names.meta, &names.vk, &names.params] {
        files::publish(folder, name)?;
    }
    Ok(meta)
}

/// The blank seal circuit for 2 KiB; interactive and synthetic seal proofs share it.
pub fn porep_circuit() -> Result<impl bellperson::Circuit<blstrs::Scalar> + Send, ParamsError> {
    let config = names::seal_proof(SECTOR_SIZE, false)?.as_v1_config();
    let params = public_params::<SectorShape2KiB>(&config).map_err(|e| {
        ParamsError::Internal(format!(
            "the proof library sets up no 2 KiB seal: {e}; report this"
        ))
    })?;
    Ok(
        <StackedCompound<SectorShape2KiB, DefaultPieceHasher> as CompoundProof<
            StackedDrg<'_, SectorShape2KiB, DefaultPieceHasher>,
            _,
        >>::blank_circuit(&params),
    )
}

/// The blank update circuit for 2 KiB.
pub fn update_circuit() -> Result<impl bellperson::Circuit<blstrs::Scalar> + Send, ParamsError> {
    Ok(
        <EmptySectorUpdateCompound<SectorShape2KiB> as CompoundProof<
            EmptySectorUpdate<SectorShape2KiB>,
            EmptySectorUpdateCircuit<SectorShape2KiB>,
        >>::blank_circuit(&PublicParams::from_sector_size(SECTOR_SIZE)),
    )
}
