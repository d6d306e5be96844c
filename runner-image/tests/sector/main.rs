//! One real 2 KiB sector through every stage, interactive and synthetic, and new data into it.

#[path = "../prover/mod.rs"]
mod prover;
mod refusals;

use std::fs;
use std::process::Command;

use prover::sealing::{KEPT, LAYERS, Sealed, TICKET, add_pieces, c1_inputs, payload, pick, seal};
use prover::{BIN, Files, INTERACTIVE, Ran, SYNTHETIC, set_up};
use serde_json::{Value, json};

/// Makes the dev-network parameters when they are missing.
fn ensure_parameters() {
    let status = Command::new(BIN)
        .args(["params", "generate"])
        .status()
        .unwrap();
    assert!(status.success());
}

fn vanilla(sector: &Sealed) -> Files {
    pick(&sector.files, &["vanilla-proofs.json"])
}

/// A proof with one bit of each part flipped, cut, and replaced: nothing of it verifies.
fn forged_proofs_are_refused(stage: &str, claim: &Value, proof: &Value) {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let bytes = engine.decode(proof.as_str().unwrap()).unwrap();
    assert_eq!(bytes.len(), 192);
    let mut forged: Vec<Vec<u8>> = [0, 7, 47, 48, 100, 143, 144, 191]
        .map(|at| {
            let mut copy = bytes.clone();
            copy[at] ^= 1;
            copy
        })
        .to_vec();
    forged.extend([
        Vec::new(),
        bytes[..191].to_vec(),
        vec![0; 192],
        vec![0xff; 192],
        bytes.repeat(2),
    ]);
    for bytes in forged {
        let mut params = claim.clone();
        params["proof"] = json!(engine.encode(bytes));
        set_up(stage, INTERACTIVE, &Files::new(), params)
            .run()
            .refused("proof_invalid", 5);
    }
}

fn verify(stage: &str, claim: &Value, proof: &Value) -> Ran {
    let mut params = claim.clone();
    params["proof"] = proof.clone();
    set_up(stage, INTERACTIVE, &Files::new(), params).run()
}

#[test]
fn a_sector_is_sealed_and_proven() {
    ensure_parameters();
    let payloads = [payload(100, 1), payload(700, 2)];
    let sector = seal(INTERACTIVE, &payloads);
    let claim = sector.claim();
    set_up(
        "verify-vanilla",
        INTERACTIVE,
        &vanilla(&sector),
        claim.clone(),
    )
    .run()
    .ok();

    let c2 = set_up("c2", INTERACTIVE, &vanilla(&sector), claim.clone())
        .run()
        .ok();
    let proof = &c2.result()["proof"];
    assert_eq!(fs::read(&c2.files()["proof.bin"]).unwrap().len(), 192);
    let fractions: Vec<f64> = c2
        .of_kind("progress")
        .iter()
        .map(|line| line["fraction"].as_f64().unwrap())
        .collect();
    assert!(
        fractions.len() > 3 && fractions.is_sorted() && fractions.last() == Some(&1.0),
        "{fractions:?}"
    );
    assert_eq!(
        verify("verify-seal", &claim, proof).ok().result()["valid"],
        true
    );
    forged_proofs_are_refused("verify-seal", &claim, proof);
    for (field, other) in [("seed", TICKET), ("commD", TICKET), ("commR", TICKET)] {
        let mut wrong = claim.clone();
        wrong[field] = json!(other);
        verify("verify-seal", &wrong, proof).refused("proof_invalid", 5);
    }
}

/// A sector of `sector`'s kind with the data of `file` encoded into it: the update's files and what they claim.
fn snap(sector: &Sealed, file: &[u8]) -> (Ran, Value) {
    let (_pieces, added) = add_pieces(INTERACTIVE, &[file.to_vec()]);
    let data = &added.result()["commD"]["cid"];
    let mut inputs = pick(&sector.files, &KEPT);
    inputs.extend(added.files());
    let params = json!({"commR": sector.comm_r, "commD": data, "pieces": added.result()["pieces"]});
    let encoded = set_up("snap-encode", INTERACTIVE, &inputs, params)
        .run()
        .ok();
    let new = &encoded.result()["commR"]["cid"];
    let claim = json!({"commROld": sector.comm_r, "commRNew": new, "commDNew": data});
    (encoded, claim)
}

#[test]
fn a_sector_is_snapped_and_unsealed() {
    let sector = seal(INTERACTIVE, &[payload(100, 1)]);
    let file = payload(2032, 3);
    let (encoded, claim) = snap(&sector, &file);
    let update = encoded.files();
    let names = [
        "update",
        "update-cache/p_aux",
        "update-cache/sc-02-data-tree-r-last.dat",
    ];
    set_up(
        "check-sealed",
        INTERACTIVE,
        &pick(&update, &names),
        json!({ "commR": claim["commRNew"] }),
    )
    .run()
    .ok();
    let mut inputs = pick(&sector.files, &["sealed"]);
    inputs.extend(pick(&update, &["update"]));
    for (offset, size) in [(0, 2032), (126, 3), (1000, 1), (2031, 1)] {
        let params = json!({
            "commD": claim["commDNew"], "commROld": sector.comm_r, "commRNew": claim["commRNew"],
            "offsetBytes": offset.to_string(), "sizeBytes": size.to_string(),
        });
        let ran = set_up("unseal-piece", INTERACTIVE, &inputs, params)
            .run()
            .ok();
        assert_eq!(ran.result()["checked"], true);
        assert_eq!(
            fs::read(&ran.files()["piece"]).unwrap(),
            file[offset..offset + size]
        );
    }
}

#[test]
#[ignore = "soak: a SnapProve, two minutes of two cores; the whole life of a sector in `make test` has two"]
fn an_update_is_proven() {
    ensure_parameters();
    let sector = seal(INTERACTIVE, &[payload(100, 1)]);
    let (encoded, claim) = snap(&sector, &payload(2032, 3));
    let update = encoded.files();
    let inputs = pick(&update, &["update-vanilla-proofs.json"]);
    let proved = set_up("snap-prove", INTERACTIVE, &inputs, claim.clone())
        .run()
        .ok();
    let proof = &proved.result()["proof"];
    assert_eq!(
        verify("verify-update", &claim, proof).ok().result()["valid"],
        true
    );
    forged_proofs_are_refused("verify-update", &claim, proof);
}

#[test]
fn a_synthetic_sector_gives_vanilla_proofs_from_its_five_files_alone() {
    let payloads = [payload(2032, 4)];
    let sector = seal(SYNTHETIC, &payloads);
    assert_eq!(c1_inputs(&sector.files, true).len(), 5);
    set_up(
        "verify-vanilla",
        SYNTHETIC,
        &vanilla(&sector),
        sector.claim(),
    )
    .run()
    .ok();
    let mut unneeded = LAYERS.to_vec();
    unneeded.push("cache/sc-02-data-tree-d.dat");
    assert_eq!(sector.pc2.result()["noLongerNeeded"], json!(unneeded));
    assert!(
        !sector
            .pc2
            .files()
            .contains_key("cache/sc-02-data-tree-c.dat")
    );
    let params =
        json!({"ticket": TICKET, "commD": sector.comm_d, "offsetBytes": "0", "sizeBytes": "2032"});
    let ran = sector.run("unseal-piece", &["sealed"], params).ok();
    assert_eq!(fs::read(&ran.files()["piece"]).unwrap(), payloads[0]);
}

#[test]
#[ignore = "soak: a second C2, two minutes of two cores"]
fn a_synthetic_sector_is_proven() {
    ensure_parameters();
    let sector = seal(SYNTHETIC, &[payload(2032, 5)]);
    let c2 = set_up("c2", SYNTHETIC, &vanilla(&sector), sector.claim())
        .run()
        .ok();
    let mut params = sector.claim();
    params["proof"] = c2.result()["proof"].clone();
    set_up("verify-seal", SYNTHETIC, &Files::new(), params)
        .run()
        .ok();
}

#[test]
fn committed_capacity_needs_no_data_files() {
    let (_pieces, added) = add_pieces(INTERACTIVE, &[]);
    assert!(
        fs::read(&added.files()["unsealed"])
            .unwrap()
            .iter()
            .all(|byte| *byte == 0)
    );
    let comm_d = added.result()["commD"]["cid"].clone();
    let tree = set_up("tree-d", INTERACTIVE, &Files::new(), json!({}))
        .run()
        .ok();
    assert_eq!(tree.result()["commD"]["cid"], comm_d);
    let replica = json!({"ticket": TICKET, "commD": comm_d});
    let pc1 = set_up("pc1", INTERACTIVE, &Files::new(), replica.clone())
        .run()
        .ok();
    let bare = set_up("pc2", INTERACTIVE, &pc1.files(), replica.clone())
        .run()
        .ok();
    let mut inputs = pc1.files();
    inputs.extend(tree.files());
    inputs.extend(added.files());
    let full = set_up("pc2", INTERACTIVE, &inputs, replica).run().ok();
    assert_eq!(bare.answer["outputs"], full.answer["outputs"]);
}
