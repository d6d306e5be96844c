//! The command line; everything else is in the library.

use std::path::Path;

use sealpool_prover::{params, processor, run};

const USAGE: &str = "usage: sealpool-prover run                 one JSON request on stdin, one JSON answer on stdout
       sealpool-prover params <command>     fetch, generate, check or list proof parameters
       sealpool-prover processor <stage>    speak the external-processor protocol
       sealpool-prover --version";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let code = match words.as_slice() {
        ["run"] => run::main(),
        [run::CHILD, work] => run::child::main(Path::new(work)),
        ["params", ..] => params::cli::main(&args[1..]),
        ["processor", rest @ ..] => processor::main(rest),
        [processor::TASK, rest @ ..] => processor::task_main(rest),
        ["--version" | "-V"] => {
            println!(
                "sealpool-prover {} ({})",
                env!("CARGO_PKG_VERSION"),
                env!("SEALPOOL_PROOF_CRATES")
            );
            0
        }
        ["--help" | "-h"] => {
            println!("{USAGE}");
            0
        }
        _ => {
            eprintln!("{USAGE}");
            2
        }
    };
    std::process::exit(code);
}
