//! The `params` command as people run it: a process with arguments, folders and a network.

#[path = "params/evil_server.rs"]
mod evil_server;
#[path = "params/fetch.rs"]
mod fetch;
#[path = "params/generate.rs"]
mod generate;
#[path = "params/kept.rs"]
mod kept;
#[path = "params/mirror.rs"]
mod mirror;
#[path = "params/prover.rs"]
mod prover;
#[path = "params/selection.rs"]
mod selection;
