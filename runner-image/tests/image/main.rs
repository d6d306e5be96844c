//! The CPU image: built by podman, a 2 KiB sector sealed in it without network, with a read-only
//! root, as nobody in particular and without capabilities.

mod podman;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// The user that the image runs as.
const NOBODY: u32 = 65_532;
const CACHE: [&str; 4] = ["cache/p_aux", "cache/t_aux", "cache/sc-02-data-tree-r-last.dat", "cache/sc-02-data-tree-d.dat"];

/// A sector that is sealed stage by stage, each in a container of its own.
struct Sector {
    work: TempDir,
    cache: TempDir,
    seal_proof: &'static str,
    /// Where each artifact is, below `/work`, with size and hash.
    files: BTreeMap<String, Value>,
}

impl Sector {
    fn new(seal_proof: &'static str) -> Self {
        let folder = || {
            let dir = tempfile::tempdir().unwrap();
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
            dir
        };
        Self { work: folder(), cache: folder(), seal_proof, files: BTreeMap::new() }
    }

    fn piece(&mut self, name: &str, bytes: &[u8]) {
        fs::write(self.work.path().join(name), bytes).unwrap();
        let hash = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        self.files.insert(name.to_owned(), json!({ "path": name, "sizeBytes": bytes.len().to_string(), "hash": hash }));
    }

    fn folder(&self, stage: &str) -> PathBuf {
        let path = self.work.path().join(stage);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        path
    }

    fn request(&self, stage: &str, inputs: &[&str], params: Value, output_dir: &str) -> Value {
        let inputs: BTreeMap<_, _> = inputs.iter().map(|name| (*name, &self.files[*name])).collect();
        json!({
            "version": 1, "stage": stage, "network": "dev",
            "sector": { "miner": "t01000", "number": "7", "sealProof": self.seal_proof },
            "inputs": inputs, "outputDir": output_dir, "params": params,
        })
    }

    /// Runs a stage; its outputs become artifacts. Answers its result.
    fn stage(&mut self, stage: &str, inputs: &[&str], params: Value, options: &[&str]) -> Value {
        let folder = self.folder(stage);
        let request = self.request(stage, inputs, params, stage);
        let answer = podman::run(self.work.path(), self.cache.path(), options, &request);
        assert_eq!(answer["ok"], json!(true), "{answer}");
        for (name, sum) in answer["outputs"].as_object().unwrap() {
            assert_eq!(fs::metadata(folder.join(name)).unwrap().uid(), NOBODY, "{name}");
            let mut file = sum.clone();
            file["path"] = json!(format!("{stage}/{name}"));
            self.files.insert(name.clone(), file);
        }
        answer["result"].clone()
    }

    /// add-piece to verify-vanilla; answers what C2 needs.
    fn seal(&mut self) -> Value {
        self.piece("piece-0", &(0..1800u32).map(|i| (i * 7) as u8).collect::<Vec<_>>());
        let data = self.stage("add-piece", &["piece-0"], json!({ "pieces": [{ "input": "piece-0", "paddedSizeBytes": null, "cid": null }] }), &[]);
        let comm_d = data["commD"]["cid"].clone();
        self.stage("tree-d", &["unsealed"], json!({ "pieces": data["pieces"] }), &[]);
        let (ticket, seed) = ("11".repeat(32), "22".repeat(32));
        let replica = json!({ "ticket": ticket, "commD": comm_d });
        self.stage("pc1", &[], replica.clone(), &[]);
        let layers = ["cache/sc-02-data-layer-1.dat", "cache/sc-02-data-layer-2.dat"];
        let mut inputs = vec!["cache/t_aux", "cache/sc-02-data-tree-d.dat", "unsealed"];
        inputs.extend(layers);
        let sealed = self.stage("pc2", &inputs, replica, &[]);
        let claim = json!({ "ticket": ticket, "seed": seed, "commR": sealed["commR"]["cid"], "commD": comm_d });
        let mut inputs = vec!["sealed", "cache/sc-02-data-tree-c.dat"];
        inputs.extend(layers);
        inputs.extend(CACHE);
        self.stage("c1", &inputs, claim.clone(), &[]);
        let verified = self.stage("verify-vanilla", &["vanilla-proofs.json"], claim.clone(), &[]);
        assert_eq!(verified["valid"], json!(true));
        claim
    }
}

#[test]
fn a_sector_is_sealed_and_snapped_in_the_image() {
    if !podman::is_there() {
        return;
    }
    podman::build();
    let mut sector = Sector::new("StackedDrg2KiBV1_1");
    let claim = sector.seal();

    // Vanilla proofs for another CommR do not pass in there either.
    let mut other = claim.clone();
    other["commR"] = json!("33".repeat(32));
    let folder = sector.folder("refused");
    let request = sector.request("verify-vanilla", &["vanilla-proofs.json"], other, "refused");
    let answer = podman::run(sector.work.path(), sector.cache.path(), &[], &request);
    assert_eq!(answer["error"]["code"], json!("proof_invalid"), "{answer}");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);

    // The root cannot be written.
    let request = sector.request("add-piece", &["piece-0"], json!({ "pieces": [] }), "/");
    let answer = podman::run(sector.work.path(), sector.cache.path(), &[], &request);
    assert_eq!(answer["ok"], json!(false), "{answer}");

    // New data into the sector.
    sector.piece("piece-1", &[9; 900]);
    fs::rename(sector.work.path().join("add-piece"), sector.work.path().join("first-data")).unwrap();
    let data = sector.stage("add-piece", &["piece-1"], json!({ "pieces": [{ "input": "piece-1", "paddedSizeBytes": null, "cid": null }] }), &[]);
    let params = json!({ "commR": claim["commR"], "commD": data["commD"]["cid"], "pieces": data["pieces"] });
    let update = sector.stage("snap-encode", &["sealed", CACHE[0], CACHE[1], CACHE[2], "unsealed"], params, &[]);
    assert_ne!(update["commR"]["cid"], claim["commR"]);
    assert_eq!(update["commD"], data["commD"]);
}

#[test]
fn the_image_holds_nothing_but_the_program_and_what_it_loads() {
    if !podman::is_there() {
        return;
    }
    podman::build();
    let output = podman::podman(&["image", "inspect", podman::IMAGE], "");
    let image: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(image[0]["Config"]["User"], json!(format!("{NOBODY}:{NOBODY}")));
    assert_eq!(image[0]["Config"]["Entrypoint"], json!(["/sealpool-prover"]));
    assert!(image[0]["Size"].as_u64().unwrap() < 64 << 20, "{}", image[0]["Size"]);
    let output = podman::podman(&["run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", podman::IMAGE, "--version"], "");
    assert!(String::from_utf8_lossy(&output.stdout).contains("filecoin-proofs-api"), "{output:?}");
}

#[test]
#[ignore = "a real proof: minutes, and needs `make params`"]
fn c2_in_the_image_makes_a_proof_that_verifies() {
    if !podman::is_there() {
        return;
    }
    podman::build();
    let mut sector = Sector::new("StackedDrg2KiBV1_1");
    let claim = sector.seal();
    let caches = std::env::var("XDG_CACHE_HOME").map_or_else(|_| PathBuf::from(std::env::var("HOME").unwrap()).join(".cache"), PathBuf::from);
    let parameters = format!("{}:/cache/sealpool/dev-parameters:ro", caches.join("sealpool/dev-parameters").display());
    let options = ["--volume", parameters.as_str()];
    let made = sector.stage("c2", &["vanilla-proofs.json"], claim.clone(), &options);
    let mut params = claim;
    params["proof"] = made["proof"].clone();
    let verified = sector.stage("verify-seal", &[], params, &options);
    assert_eq!(verified["valid"], json!(true));
}
