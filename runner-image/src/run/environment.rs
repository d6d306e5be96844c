//! The environment that the proof libraries read.

use std::env;

use crate::params::{self, Need, ParamsError};
use crate::sector::Sector;
use crate::wire::answer::{Code, StageError};
use crate::wire::request::Network;

/// Switches on what this program was built with, removes a setting that would change the trees,
/// and points the libraries at the parameters of the network.
///
/// To be called before any other thread is started and before any call of a proof library: both
/// read the environment once.
pub fn prepare(network: Network, sector: &Sector, needs: &[Need]) -> Result<(), StageError> {
    let gpu = cfg!(any(feature = "cuda", feature = "opencl"));
    set_if_unset(gpu, "FIL_PROOFS_USE_GPU_COLUMN_BUILDER");
    set_if_unset(gpu, "FIL_PROOFS_USE_GPU_TREE_BUILDER");
    set_if_unset(
        cfg!(feature = "multicore-sdr"),
        "FIL_PROOFS_USE_MULTICORE_SDR",
    );
    // SAFETY: no other thread runs yet.
    unsafe { env::remove_var("FIL_PROOFS_ROWS_TO_DISCARD") };
    let name = match network {
        Network::Main => "main",
        Network::Calibration => "calibration",
        Network::Dev => "dev",
    };
    params::use_for(name, sector.seal_proof, needs).map_err(|error| {
        let code = match error {
            ParamsError::BadRequest(_) => Code::BadRequest,
            // Parameters that are there but wrong are as good as missing: the message says so.
            ParamsError::Missing(_) | ParamsError::Differs(_) => Code::ParametersMissing,
            ParamsError::OutOfDisk(_) => Code::OutOfDisk,
            ParamsError::Internal(_) => Code::Internal,
        };
        StageError::new(code, error.message())
    })
}

fn set_if_unset(wanted: bool, name: &str) {
    if wanted && env::var_os(name).is_none() {
        // SAFETY: as above.
        unsafe { env::set_var(name, "1") };
    }
}
