//! Puts the versions of the proof crates, as Cargo.lock pins them, into the program, so that
//! `--version` can name what makes the proofs.

use std::fs;

/// The crates that decide what a proof is.
const PROOF_CRATES: [&str; 7] = [
    "filecoin-proofs-api",
    "filecoin-proofs",
    "storage-proofs-core",
    "storage-proofs-porep",
    "storage-proofs-update",
    "bellperson",
    "fr32",
];

fn main() {
    println!("cargo:rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock").expect("Cargo.lock stands beside Cargo.toml");
    let mut lines = lock.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(name) = quoted(line, "name = ") else {
            continue;
        };
        let version = lines.next().and_then(|next| quoted(next, "version = "));
        if let (true, Some(version)) = (PROOF_CRATES.contains(&name), version) {
            found.push(format!("{name} {version}"));
        }
    }
    assert_eq!(
        found.len(),
        PROOF_CRATES.len(),
        "Cargo.lock lacks a proof crate: {found:?}"
    );
    println!("cargo:rustc-env=SEALPOOL_PROOF_CRATES={}", found.join(", "));
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.strip_suffix('"')
}
