//! Files: inputs are checked and never written, outputs appear whole or not at all.

pub mod inputs;
pub mod outputs;
pub mod sum;
pub mod work;
