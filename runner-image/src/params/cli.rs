//! `sealpool-prover params fetch|generate|check|list`.

/// Runs a `params` command line (without the word `params`); returns the process's exit code.
pub fn main(_args: &[String]) -> i32 {
    2
}
