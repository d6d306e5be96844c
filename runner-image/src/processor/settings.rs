//! What the libraries must know before a task: parameters, GPU, the sector's shape.

use filecoin_proofs_api::{RegisteredSealProof, RegisteredUpdateProof};

use crate::params::Need;
use crate::run::prepare_environment;
use crate::sector::Sector;
use crate::wire::answer::{Code, StageError};
use crate::wire::request::Network;

/// Points the libraries at the parameters of the network and checks what the task needs.
///
/// To be called before any other thread is started.
///
/// # Errors
/// Parameters that are missing; the sentence names the command that gets them.
pub fn prepare(network: Network, proof: RegisteredSealProof, need: Option<Need>) -> Result<(), StageError> {
    prepare_environment(network, &sector(proof)?, need.as_slice())
}

/// A sector of this shape. Tasks bring the prover id itself, so miner and number stay empty.
///
/// # Errors
/// A seal proof that Sealpool does not make.
pub fn sector(seal_proof: RegisteredSealProof) -> Result<Sector, StageError> {
    let name = format!("{seal_proof:?}");
    let wire = serde_json::json!({ "miner": "t00", "number": "0", "sealProof": name });
    serde_json::from_value(wire).map_err(|_| {
        let message = format!("seal proof {name} is not supported; use a V1_1 or a synthetic one");
        StageError::new(Code::BadRequest, message)
    })
}

/// The seal proof whose sectors an update proof is for; synthetic ones share its parameters.
pub fn seal_proof(update: RegisteredUpdateProof) -> RegisteredSealProof {
    use RegisteredSealProof as S;
    use RegisteredUpdateProof as U;
    match update {
        U::StackedDrg2KiBV1 => S::StackedDrg2KiBV1_1,
        U::StackedDrg8MiBV1 => S::StackedDrg8MiBV1_1,
        U::StackedDrg512MiBV1 => S::StackedDrg512MiBV1_1,
        U::StackedDrg32GiBV1 => S::StackedDrg32GiBV1_1,
        U::StackedDrg64GiBV1 => S::StackedDrg64GiBV1_1,
    }
}
