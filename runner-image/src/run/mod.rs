//! `sealpool-prover run`: one request, one answer.
//!
//! The process that was started reads the request and answers; the stage runs in a child of it, so
//! that an abort, a kill by the kernel or SIGTERM becomes an answer and leaves no temporary file.

pub mod child;
mod environment;
mod parent;
mod relay;
mod signals;

pub use environment::prepare as prepare_environment;
pub use parent::main;

/// The hidden subcommand that a child is started with.
pub const CHILD: &str = "stage-child";
