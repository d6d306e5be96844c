//! Every heavy stage of sealing a Filecoin sector: real proofs, no state of its own.
//!
//! `wire` is the format of `PROTOCOL.md`, `run` answers one request, `stages` does the work,
//! `disk` keeps inputs untouched and outputs whole, `strict` is the vanilla check that the control
//! plane's money rests on, `params` brings and makes proof parameters, `processor` speaks damocles'
//! external-processor protocol.

pub mod artifact;
pub mod disk;
pub mod params;
pub mod processor;
pub mod run;
pub mod sector;
pub mod stages;
pub mod strict;
pub mod wire;
