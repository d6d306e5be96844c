//! Every heavy stage of sealing a Filecoin sector: real proofs, no state of its own.
//!
//! `request` and `answer` are the wire format of `PROTOCOL.md`, `stages` does the work, `strict`
//! is the vanilla check that the control plane's money rests on, `params` brings and makes proof
//! parameters, `processor` speaks damocles' external-processor protocol.

pub mod params;
pub mod strict;
