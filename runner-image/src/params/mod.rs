//! Proof parameters: where they are, how they get there, which of them a stage may use.
//!
//! Three kinds of file matter to the proof library: Groth16 parameters (`.params`), verifying keys
//! (`.vk`) and the parents cache of the SDR graph. The official ones are fetched by digest
//! (`fetch`), those of the 2 KiB dev network are made here (`generate`), and the parents cache is
//! made on any network (`parents`). The library names official and dev-network files alike, so the
//! dev ones live in a folder of their own and `use_for` alone decides which folder a process sees.

pub mod args;
pub mod cli;
pub mod dev;
pub mod error;
pub mod fetch;
pub mod files;
pub mod folders;
pub mod inventory;
pub mod names;
pub mod parents;
pub mod progress;
mod selection;
pub mod setup;

pub use error::ParamsError;
pub use selection::{Need, use_for};
