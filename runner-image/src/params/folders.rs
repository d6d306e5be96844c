//! Where parameters live. Read from the environment each time; nothing here touches the disk.

use std::env;
use std::path::PathBuf;

/// The library's variable for the folder of `.params` and `.vk` files.
pub const PARAMETER_CACHE: &str = "FIL_PROOFS_PARAMETER_CACHE";
/// The library's variable for the folder of parents caches.
pub const PARENT_CACHE: &str = "FIL_PROOFS_PARENT_CACHE";
/// Our variable for the folder of dev-network parameters.
pub const DEV_PARAMETERS: &str = "SEALPOOL_DEV_PARAMETERS";

/// A variable's value as a path; an empty value counts as unset.
fn from_env(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
}

/// `$XDG_CACHE_HOME/sealpool`, or `~/.cache/sealpool`; relative XDG values are ignored, as the XDG
/// specification demands. Without a home folder it is below the system's temporary folder.
pub fn cache_home() -> PathBuf {
    from_env("XDG_CACHE_HOME")
        .filter(|p| p.is_absolute())
        .or_else(|| from_env("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("sealpool")
}

/// The folder of official parameters: `FIL_PROOFS_PARAMETER_CACHE` or `proof-parameters` in the cache.
pub fn official() -> PathBuf {
    from_env(PARAMETER_CACHE).unwrap_or_else(|| cache_home().join("proof-parameters"))
}

/// The folder of dev-network parameters: `SEALPOOL_DEV_PARAMETERS` or `dev-parameters` in the cache.
/// Never `FIL_PROOFS_PARAMETER_CACHE`: the library's file names are the same for both kinds.
pub fn dev() -> PathBuf {
    from_env(DEV_PARAMETERS).unwrap_or_else(|| cache_home().join("dev-parameters"))
}

/// The folder of parents caches: `FIL_PROOFS_PARENT_CACHE` or `parents` in the cache.
pub fn parents() -> PathBuf {
    from_env(PARENT_CACHE).unwrap_or_else(|| cache_home().join("parents"))
}
