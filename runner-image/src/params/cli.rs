//! `sealpool-prover params fetch|generate|check|list`: one JSON object on stdout, progress on stderr.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

use super::args::Args;
use super::names::{self, Circuit};
use super::setup::trapdoor::PUBLISHED_SEED;
use super::{ParamsError, dev, folders, parents};

const USAGE: &str = "write sealpool-prover params generate|fetch|check|list; see runner-image/PARAMETERS.md";

/// Runs a `params` command line (without the word `params`) and returns the process's exit code,
/// one of `PROTOCOL.md`.
pub fn main(args: &[String]) -> i32 {
    let began = Instant::now();
    let command = args.first().map(String::as_str);
    let rest = args.get(1..).unwrap_or_default();
    let outcome = match command {
        Some("generate") => generate(rest),
        Some(other) => Err(ParamsError::BadRequest(format!("{other:?} is no params command; {USAGE}"))),
        None => Err(ParamsError::BadRequest(format!("no params command was given; {USAGE}"))),
    };
    let mut answer = json!({
        "version": 1,
        "command": command,
        "ok": outcome.is_ok(),
        "durationMs": began.elapsed().as_millis() as u64,
    });
    let exit = match outcome {
        Ok(result) => {
            answer["result"] = result;
            0
        }
        Err(error) => {
            answer["error"] = json!({ "code": error.code(), "message": error.message() });
            error.exit_code()
        }
    };
    println!("{answer}");
    exit
}

/// `generate [--set porep|update|all] [--dir DIR] [--seed TEXT]` or
/// `generate --parents --sector-size SIZE [--synthetic] [--dir DIR]`.
fn generate(args: &[String]) -> Result<Value, ParamsError> {
    let args = Args::parse(
        args,
        &["--set", "--dir", "--seed", "--sector-size"],
        &["--parents", "--synthetic"],
    )?;
    let dir = args.one("--dir")?.map(PathBuf::from);
    if args.has("--parents") {
        return generate_parents(&args, dir);
    }
    if args.has("--synthetic") {
        return Err(ParamsError::BadRequest(
            "--synthetic belongs to --parents: interactive and synthetic seal proofs share their \
             parameters; leave it out"
                .into(),
        ));
    }
    if args.one("--sector-size")?.is_some_and(|s| names::parse_sector_size(s) != Ok(dev::SECTOR_SIZE)) {
        return Err(ParamsError::BadRequest(
            "dev-network parameters exist for 2KiB only; use --sector-size 2KiB, or fetch the \
             official ones"
                .into(),
        ));
    }
    let circuits: &[Circuit] = match args.one("--set")?.unwrap_or("all") {
        "all" => &[Circuit::Porep, Circuit::Update],
        "porep" => &[Circuit::Porep],
        "update" => &[Circuit::Update],
        other => {
            return Err(ParamsError::BadRequest(format!(
                "{other:?} is no set; use --set porep, update or all"
            )));
        }
    };
    let folder = dir.unwrap_or_else(folders::dev);
    let made = dev::generate(&folder, circuits, args.one("--seed")?.unwrap_or(PUBLISHED_SEED))?;
    let sets: Vec<Value> = made
        .iter()
        .map(|m| {
            json!({
                "set": m.circuit.as_str(),
                "made": m.made,
                "params": { "name": m.files.params, "digest": m.meta.params_digest },
                "vk": { "name": m.files.vk, "digest": m.meta.vk_digest },
                "seed": m.meta.seed,
            })
        })
        .collect();
    Ok(json!({ "dir": folder, "network": "dev", "warning": dev::WARNING, "sets": sets }))
}

fn generate_parents(args: &Args, dir: Option<PathBuf>) -> Result<Value, ParamsError> {
    if args.one("--set")?.is_some() || args.one("--seed")?.is_some() {
        return Err(ParamsError::BadRequest(
            "--parents goes without --set and --seed; run two commands".into(),
        ));
    }
    let size = args.one("--sector-size")?.ok_or_else(|| {
        ParamsError::BadRequest("--parents needs the sector size; add --sector-size 2KiB".into())
    })?;
    let proof = names::seal_proof(names::parse_sector_size(size)?, args.has("--synthetic"))?;
    let folder = dir.unwrap_or_else(folders::parents);
    let (path, made) = parents::generate(&folder, proof)?;
    Ok(json!({ "path": path, "made": made, "sizeBytes": parents::size_bytes(proof).to_string() }))
}
