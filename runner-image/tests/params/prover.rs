//! Running `sealpool-prover params …`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A `params` command that sees none of this machine's folders and proxies.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealpool-prover"));
    command.arg("params").args(args).stdin(Stdio::null());
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "SEALPOOL_PARAM_GATEWAYS",
    ] {
        command.env_remove(name);
    }
    command
}

/// Exit code and answer of a finished command.
pub fn run(args: &[&str]) -> (i32, Value) {
    answer(command(args))
}

/// Runs `command` to its end.
pub fn answer(mut command: Command) -> (i32, Value) {
    let output = command.output().expect("the prover starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let answer =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("no JSON answer ({e}): {text}"));
    (output.status.code().expect("it ended by itself"), answer)
}

/// The sentence of a failed answer.
pub fn message(answer: &Value) -> &str {
    answer["error"]["message"]
        .as_str()
        .expect("a failed answer has a message")
}

/// Names in a folder that are not hidden, which temporary names and locks are.
pub fn final_names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// Numbers that differ from run to run, for moments to kill at.
pub fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
