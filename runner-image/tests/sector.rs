//! One real 2 KiB sector through every stage, interactive and synthetic, and new data into it.

mod prover;

use std::fs;
use std::process::Command;

use prover::sealing::{
    KEPT, LAYERS, Sealed, TICKET, TREE_R_LAST, add_pieces, c1_inputs, payload, pc2_inputs, pick, seal,
};
use prover::{BIN, Files, INTERACTIVE, Ran, SYNTHETIC, set_up};
use serde_json::{Value, json};

/// Makes the dev-network parameters when they are missing.
fn ensure_parameters() {
    let status = Command::new(BIN).args(["params", "generate"]).status().unwrap();
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
    forged.extend([Vec::new(), bytes[..191].to_vec(), vec![0; 192], vec![0xff; 192], bytes.repeat(2)]);
    for bytes in forged {
        let mut params = claim.clone();
        params["proof"] = json!(engine.encode(bytes));
        set_up(stage, INTERACTIVE, &Files::new(), params).run().refused("proof_invalid", 5);
    }
}

fn verify(stage: &str, claim: &Value, proof: &Value) -> Ran {
    let mut params = claim.clone();
    params["proof"] = proof.clone();
    set_up(stage, INTERACTIVE, &Files::new(), params).run()
}

#[test]
fn a_sector_is_sealed_proven_snapped_proven_and_unsealed() {
    ensure_parameters();
    let payloads = [payload(100, 1), payload(700, 2)];
    let sector = seal(INTERACTIVE, &payloads);
    let claim = sector.claim();
    set_up("verify-vanilla", INTERACTIVE, &vanilla(&sector), claim.clone()).run().ok();

    let c2 = set_up("c2", INTERACTIVE, &vanilla(&sector), claim.clone()).run().ok();
    let proof = &c2.result()["proof"];
    assert_eq!(fs::read(&c2.files()["proof.bin"]).unwrap().len(), 192);
    let fractions: Vec<f64> =
        c2.of_kind("progress").iter().map(|line| line["fraction"].as_f64().unwrap()).collect();
    assert!(fractions.len() > 3 && fractions.is_sorted() && fractions.last() == Some(&1.0), "{fractions:?}");
    assert_eq!(verify("verify-seal", &claim, proof).ok().result()["valid"], true);
    forged_proofs_are_refused("verify-seal", &claim, proof);
    for (field, other) in [("seed", TICKET), ("commD", TICKET), ("commR", TICKET)] {
        let mut wrong = claim.clone();
        wrong[field] = json!(other);
        verify("verify-seal", &wrong, proof).refused("proof_invalid", 5);
    }

    let file = payload(2032, 3);
    let (_pieces, added) = add_pieces(INTERACTIVE, std::slice::from_ref(&file));
    let data = &added.result()["commD"]["cid"];
    let mut inputs = pick(&sector.files, &KEPT);
    inputs.extend(added.files());
    let params = json!({"commR": sector.comm_r, "commD": data, "pieces": added.result()["pieces"]});
    let encoded = set_up("snap-encode", INTERACTIVE, &inputs, params).run().ok();
    let new = &encoded.result()["commR"]["cid"];
    let update = encoded.files();
    let inputs = pick(&update, &["update-vanilla-proofs.json"]);
    let claim = json!({"commROld": sector.comm_r, "commRNew": new, "commDNew": data});
    let proved = set_up("snap-prove", INTERACTIVE, &inputs, claim.clone()).run().ok();
    let proof = &proved.result()["proof"];
    assert_eq!(verify("verify-update", &claim, proof).ok().result()["valid"], true);
    forged_proofs_are_refused("verify-update", &claim, proof);

    let names = ["update", "update-cache/p_aux", "update-cache/sc-02-data-tree-r-last.dat"];
    set_up("check-sealed", INTERACTIVE, &pick(&update, &names), json!({ "commR": new })).run().ok();
    let mut inputs = pick(&sector.files, &["sealed"]);
    inputs.extend(pick(&update, &["update"]));
    for (offset, size) in [(0, 2032), (126, 3), (1000, 1), (2031, 1)] {
        let params = json!({
            "commD": data, "commROld": sector.comm_r, "commRNew": new,
            "offsetBytes": offset.to_string(), "sizeBytes": size.to_string(),
        });
        let ran = set_up("unseal-piece", INTERACTIVE, &inputs, params).run().ok();
        assert_eq!(ran.result()["checked"], true);
        assert_eq!(fs::read(&ran.files()["piece"]).unwrap(), file[offset..offset + size]);
    }
}

#[test]
fn a_synthetic_sector_gives_vanilla_proofs_from_its_five_files_alone() {
    let payloads = [payload(2032, 4)];
    let sector = seal(SYNTHETIC, &payloads);
    assert_eq!(c1_inputs(&sector.files, true).len(), 5);
    set_up("verify-vanilla", SYNTHETIC, &vanilla(&sector), sector.claim()).run().ok();
    let mut unneeded = LAYERS.to_vec();
    unneeded.push("cache/sc-02-data-tree-d.dat");
    assert_eq!(sector.pc2.result()["noLongerNeeded"], json!(unneeded));
    assert!(!sector.pc2.files().contains_key("cache/sc-02-data-tree-c.dat"));
    let params = json!({"ticket": TICKET, "commD": sector.comm_d, "offsetBytes": "0", "sizeBytes": "2032"});
    let ran = sector.run("unseal-piece", &["sealed"], params).ok();
    assert_eq!(fs::read(&ran.files()["piece"]).unwrap(), payloads[0]);
}

#[test]
#[ignore = "soak: a third C2, two minutes of two cores"]
fn a_synthetic_sector_is_proven() {
    ensure_parameters();
    let sector = seal(SYNTHETIC, &[payload(2032, 5)]);
    let c2 = set_up("c2", SYNTHETIC, &vanilla(&sector), sector.claim()).run().ok();
    let mut params = sector.claim();
    params["proof"] = c2.result()["proof"].clone();
    set_up("verify-seal", SYNTHETIC, &Files::new(), params).run().ok();
}

#[test]
fn committed_capacity_needs_no_data_files() {
    let (_pieces, added) = add_pieces(INTERACTIVE, &[]);
    assert!(fs::read(&added.files()["unsealed"]).unwrap().iter().all(|byte| *byte == 0));
    let comm_d = added.result()["commD"]["cid"].clone();
    let tree = set_up("tree-d", INTERACTIVE, &Files::new(), json!({})).run().ok();
    assert_eq!(tree.result()["commD"]["cid"], comm_d);
    let replica = json!({"ticket": TICKET, "commD": comm_d});
    let pc1 = set_up("pc1", INTERACTIVE, &Files::new(), replica.clone()).run().ok();
    let bare = set_up("pc2", INTERACTIVE, &pc1.files(), replica.clone()).run().ok();
    let mut inputs = pc1.files();
    inputs.extend(tree.files());
    inputs.extend(added.files());
    let full = set_up("pc2", INTERACTIVE, &inputs, replica).run().ok();
    assert_eq!(bare.answer["outputs"], full.answer["outputs"]);
}

#[test]
fn a_flipped_bit_in_any_input_is_found_by_its_hash() {
    let sector = seal(INTERACTIVE, &[payload(2032, 6)]);
    let synthetic = seal(SYNTHETIC, &[payload(2032, 6)]);
    let claim = sector.claim();
    let check = pick(&sector.files, &["sealed", "cache/p_aux", TREE_R_LAST]);
    let mut snap = pick(&sector.files, &KEPT);
    snap.insert("unsealed".to_owned(), sector.files["unsealed"].clone());
    let piece = json!({"ticket": TICKET, "commD": sector.comm_d, "offsetBytes": "0", "sizeBytes": "1"});
    let replica = json!({"ticket": TICKET, "commD": sector.comm_d});
    let runs = [
        ("add-piece", INTERACTIVE, Files::from([("piece-0".to_owned(), sector.files["unsealed"].clone())]), json!({"pieces": [{"input": "piece-0"}]})),
        ("tree-d", INTERACTIVE, pick(&sector.files, &["unsealed"]), json!({})),
        ("pc2", INTERACTIVE, pc2_inputs(&sector.files), replica),
        ("c1", INTERACTIVE, c1_inputs(&sector.files, false), claim.clone()),
        ("c1", SYNTHETIC, c1_inputs(&synthetic.files, true), synthetic.claim()),
        ("verify-vanilla", INTERACTIVE, vanilla(&sector), claim.clone()),
        ("snap-encode", INTERACTIVE, snap, json!({"commR": sector.comm_r, "commD": sector.comm_d})),
        ("check-sealed", INTERACTIVE, check, json!({"commR": sector.comm_r})),
        ("unseal-piece", INTERACTIVE, pick(&sector.files, &["sealed"]), piece),
    ];
    for (stage, seal_proof, inputs, params) in runs {
        for (at, name) in inputs.keys().enumerate() {
            let mut setup = set_up(stage, seal_proof, &inputs, params.clone());
            setup.flip(name, at * 7919 + 13, false);
            let ran = setup.run();
            ran.refused("input_differs", 3);
            assert_eq!(ran.answer["error"]["input"], json!(name));
        }
    }
}

#[test]
fn files_that_have_their_hash_but_do_not_belong_are_refused() {
    let sector = seal(INTERACTIVE, &[payload(2032, 7)]);
    let check = pick(&sector.files, &["sealed", "cache/p_aux", TREE_R_LAST]);
    for (name, byte) in [("sealed", 0), ("sealed", 1031), ("sealed", 2040), (TREE_R_LAST, 9)] {
        let mut setup = set_up("check-sealed", INTERACTIVE, &check, json!({"commR": sector.comm_r}));
        setup.flip(name, byte, true);
        setup.run().refused("proof_invalid", 5);
    }
    let replica = json!({"ticket": TICKET, "commD": sector.comm_d});
    for (name, byte) in [("unsealed", 5), ("cache/sc-02-data-tree-d.dat", 5), ("cache/t_aux", 30), (LAYERS[1], 3)] {
        let mut setup = set_up("pc2", INTERACTIVE, &pc2_inputs(&sector.files), replica.clone());
        setup.flip(name, byte, true);
        setup.run().refused("input_invalid", 4);
    }
    let other = json!({"ticket": sector.pc1.result()["replicaId"], "commD": sector.comm_d});
    set_up("pc2", INTERACTIVE, &pc2_inputs(&sector.files), other).run().refused("input_invalid", 4);
    for name in ["cache/p_aux", "cache/t_aux", "cache/sc-02-data-tree-d.dat"] {
        let mut setup = set_up("c1", INTERACTIVE, &c1_inputs(&sector.files, false), sector.claim());
        let last = fs::metadata(setup.path("in").join(name)).unwrap().len() as usize - 2;
        setup.flip(name, last, true);
        setup.run().refused("input_invalid", 4);
    }
    let mut setup = set_up("c2", INTERACTIVE, &vanilla(&sector), sector.claim());
    setup.request["sector"]["number"] = json!("8");
    setup.run().refused("input_invalid", 4);
    let mut setup = set_up("verify-vanilla", INTERACTIVE, &vanilla(&sector), sector.claim());
    setup.request["params"]["seed"] = json!(TICKET);
    setup.run().refused("proof_invalid", 5);
    let mut params = json!({"ticket": TICKET, "commD": sector.comm_d, "offsetBytes": "0", "sizeBytes": "9"});
    let mut setup = set_up("unseal-piece", INTERACTIVE, &pick(&sector.files, &["sealed"]), params.clone());
    setup.flip("sealed", 2000, true);
    setup.run().refused("input_invalid", 4);
    params["sizeBytes"] = json!("18446744073709551615");
    sector.run("unseal-piece", &["sealed"], params).refused("bad_request", 2);
}

#[test]
fn dev_parameters_are_not_used_on_other_networks() {
    let sector = seal(INTERACTIVE, &[payload(2032, 8)]);
    let empty = tempfile::tempdir().unwrap();
    for network in ["main", "calibration"] {
        let mut setup = set_up("c2", INTERACTIVE, &vanilla(&sector), sector.claim());
        setup.request["network"] = json!(network);
        setup.environment.push(("FIL_PROOFS_PARAMETER_CACHE".into(), empty.path().into()));
        let ran = setup.run();
        ran.refused("parameters_missing", 6);
        assert!(ran.answer["error"]["message"].as_str().unwrap().contains("sealpool-prover params fetch"));
    }
}
