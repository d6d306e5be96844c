//! `sealpool-prover params fetch|generate|check|list`: one JSON object on stdout, progress on stderr.

use std::env;
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::args::Args;
use super::fetch::{self, Options, Role};
use super::inventory::{self, Item, KINDS, Kind};
use super::names::{self, Circuit};
use super::setup::trapdoor::PUBLISHED_SEED;
use super::{ParamsError, dev, folders, parents};

const USAGE: &str =
    "write sealpool-prover params generate|fetch|check|list; see runner-image/PARAMETERS.md";

/// Runs a `params` command line (without the word `params`) and returns the process's exit code,
/// one of `PROTOCOL.md`.
pub fn main(args: &[String]) -> i32 {
    let began = Instant::now();
    let command = args.first().map(String::as_str);
    let rest = args.get(1..).unwrap_or_default();
    let outcome = match command {
        Some("generate") => generate(rest),
        Some("fetch") => fetch_files(rest),
        Some("check") => check(rest),
        Some("list") => list(rest),
        Some(other) => Err(ParamsError::BadRequest(format!(
            "{other:?} is no params command; {USAGE}"
        ))),
        None => Err(ParamsError::BadRequest(format!(
            "no params command was given; {USAGE}"
        ))),
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
    if args
        .one("--sector-size")?
        .is_some_and(|s| names::parse_sector_size(s) != Ok(dev::SECTOR_SIZE))
    {
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
    let made = dev::generate(
        &folder,
        circuits,
        args.one("--seed")?.unwrap_or(PUBLISHED_SEED),
    )?;
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

/// `fetch --sector-size SIZE --role c2|snap|verify [--gateway URL]… [--dir DIR] [--manifest FILE]
/// [--parallel N] [--idle-ms N]`.
fn fetch_files(args: &[String]) -> Result<Value, ParamsError> {
    let args = Args::parse(
        args,
        &[
            "--sector-size",
            "--role",
            "--gateway",
            "--dir",
            "--manifest",
            "--parallel",
            "--idle-ms",
        ],
        &[],
    )?;
    let needed = |name: &str, example: &str| {
        args.one(name)?.ok_or_else(|| {
            ParamsError::BadRequest(format!(
                "{name} is missing; add for example {name} {example}"
            ))
        })
    };
    let sector_size = names::parse_sector_size(needed("--sector-size", "32GiB")?)?;
    let role = Role::parse(needed("--role", "verify")?)?;
    let manifest = args.one("--manifest")?.map(PathBuf::from);
    let wanted = fetch::wanted(sector_size, role, &fetch::entries(manifest.as_deref())?)?;
    let mut gateways: Vec<String> = args
        .all("--gateway")
        .iter()
        .map(ToString::to_string)
        .collect();
    if gateways.is_empty() {
        let listed = env::var(fetch::GATEWAYS).unwrap_or_default();
        let split = listed.split([',', ' ']).filter(|g| !g.is_empty());
        gateways = split.map(String::from).collect();
    }
    if gateways.is_empty() {
        gateways.push(fetch::DEFAULT_GATEWAY.into());
    }
    let options = Options {
        folder: args
            .one("--dir")?
            .map_or_else(folders::official, PathBuf::from),
        gateways,
        parallel: positive(&args, "--parallel", 4)? as usize,
        idle: Duration::from_millis(positive(&args, "--idle-ms", 30_000)?),
    };
    let fetched = fetch::fetch(&wanted, &options)?;
    let files: Vec<Value> = fetched
        .iter()
        .map(|f| {
            json!({
                "name": f.wanted.name,
                "sizeBytes": f.size_bytes.to_string(),
                "digest": f.wanted.digest,
                "gateway": f.gateway,
            })
        })
        .collect();
    Ok(json!({ "dir": options.folder, "files": files }))
}

fn positive(args: &Args, name: &str, default: u64) -> Result<u64, ParamsError> {
    match args.one(name)?.map(str::parse) {
        None => Ok(default),
        Some(Ok(number)) if number > 0 => Ok(number),
        Some(_) => Err(ParamsError::BadRequest(format!(
            "{name} needs a whole number above 0"
        ))),
    }
}

/// The kinds and folders that `[--kind KIND [--dir DIR]]` names; all by default.
fn items(args: &[String]) -> Result<(Vec<Item>, Vec<PathBuf>), ParamsError> {
    let args = Args::parse(args, &["--kind", "--dir"], &[])?;
    let kind = args.one("--kind")?.map(Kind::parse).transpose()?;
    let dir = args.one("--dir")?.map(PathBuf::from);
    if dir.is_some() && kind.is_none() {
        return Err(ParamsError::BadRequest(
            "--dir needs to know what is in it; add --kind official, dev or parents".into(),
        ));
    }
    let (mut all, mut unfinished) = (Vec::new(), Vec::new());
    for kind in kind.map_or(KINDS.to_vec(), |k| vec![k]) {
        let folder = dir.clone().unwrap_or_else(|| kind.folder());
        let (items, partial) = inventory::list(kind, &folder)?;
        all.extend(items);
        unfinished.extend(partial);
    }
    Ok((all, unfinished))
}

/// `list [--kind KIND [--dir DIR]]`.
fn list(args: &[String]) -> Result<Value, ParamsError> {
    let (items, unfinished) = items(args)?;
    if stderr().is_terminal() {
        // The table is a courtesy; the answer on stdout is what counts.
        let _ = inventory::print(&mut stderr().lock(), &items, &unfinished);
    }
    Ok(json!({ "files": items, "unfinished": unfinished }))
}

/// `check [--kind KIND [--dir DIR]]`.
fn check(args: &[String]) -> Result<Value, ParamsError> {
    let (items, _) = items(args)?;
    let wrong = inventory::check(&items)?;
    if wrong.is_empty() {
        return Ok(json!({ "checked": items }));
    }
    let names: Vec<String> = wrong.iter().map(|p| p.display().to_string()).collect();
    Err(ParamsError::Differs(format!(
        "not what they should be: {}; remove these files and fetch or generate them again",
        names.join(", ")
    )))
}
