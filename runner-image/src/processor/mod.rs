//! `sealpool-prover processor <stage>`: damocles' external-processor protocol, so that this program
//! drops into a damocles-worker (its documents 07 and 13; task shapes of `vc-processors`).
//!
//! ```text
//! worker ── {"id":1,"task":{…}} ──► reader ──► queue ──► N workers, each task in a process of its own
//!        ◄── {"id":1,"err_msg":null,"output":…} ──────────┘   (answers come as tasks end)
//! ```
//!
//! A process for each task costs milliseconds and buys three things: a crash or the kernel's
//! out-of-memory kill ends one task, with an answer, and not all that are in flight; the libraries'
//! settings are read anew for each sector size; memory goes back when a task ends.
//!
//! There is no `c1`: damocles names that stage, but has no task for it and runs it in the worker.

mod arguments;
mod lines;
mod perform;
mod pieces;
mod serve;
mod settings;
mod stages;
mod task_process;
mod tasks;

use arguments::Arguments;

/// The hidden subcommand that a task's process is started with.
pub const TASK: &str = "processor-task";

/// Serves tasks from stdin until it ends and every task in flight is answered. `args` is what
/// follows `processor`; answers the exit code.
pub fn main(args: &[&str]) -> i32 {
    match Arguments::parse(args) {
        Ok(arguments) => serve::main(&arguments),
        Err(sentence) => {
            eprintln!("{sentence}");
            2
        }
    }
}

/// Runs the one task on stdin, for [`main`] of another process; answers the exit code.
pub fn task_main(args: &[&str]) -> i32 {
    match Arguments::parse(args) {
        Ok(arguments) => perform::main(&arguments),
        Err(_) => 2,
    }
}
