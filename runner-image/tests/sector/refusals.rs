//! Files that differ from what the request says, or do not belong to the sector.

use std::fs;

use serde_json::json;

use crate::prover::sealing::{
    KEPT, LAYERS, TICKET, TREE_R_LAST, c1_inputs, payload, pc2_inputs, pick, seal,
};
use crate::prover::{Files, INTERACTIVE, SYNTHETIC, set_up};
use crate::vanilla;

#[test]
fn a_flipped_bit_in_any_input_is_found_by_its_hash() {
    let sector = seal(INTERACTIVE, &[payload(2032, 6)]);
    let synthetic = seal(SYNTHETIC, &[payload(2032, 6)]);
    let claim = sector.claim();
    let check = pick(&sector.files, &["sealed", "cache/p_aux", TREE_R_LAST]);
    let mut snap = pick(&sector.files, &KEPT);
    snap.insert("unsealed".to_owned(), sector.files["unsealed"].clone());
    let piece =
        json!({"ticket": TICKET, "commD": sector.comm_d, "offsetBytes": "0", "sizeBytes": "1"});
    let replica = json!({"ticket": TICKET, "commD": sector.comm_d});
    let runs = [
        (
            "add-piece",
            INTERACTIVE,
            Files::from([("piece-0".to_owned(), sector.files["unsealed"].clone())]),
            json!({"pieces": [{"input": "piece-0"}]}),
        ),
        (
            "tree-d",
            INTERACTIVE,
            pick(&sector.files, &["unsealed"]),
            json!({}),
        ),
        ("pc2", INTERACTIVE, pc2_inputs(&sector.files), replica),
        (
            "c1",
            INTERACTIVE,
            c1_inputs(&sector.files, false),
            claim.clone(),
        ),
        (
            "c1",
            SYNTHETIC,
            c1_inputs(&synthetic.files, true),
            synthetic.claim(),
        ),
        (
            "verify-vanilla",
            INTERACTIVE,
            vanilla(&sector),
            claim.clone(),
        ),
        (
            "snap-encode",
            INTERACTIVE,
            snap,
            json!({"commR": sector.comm_r, "commD": sector.comm_d}),
        ),
        (
            "check-sealed",
            INTERACTIVE,
            check,
            json!({"commR": sector.comm_r}),
        ),
        (
            "unseal-piece",
            INTERACTIVE,
            pick(&sector.files, &["sealed"]),
            piece,
        ),
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
    for (name, byte) in [
        ("sealed", 0),
        ("sealed", 1031),
        ("sealed", 2040),
        (TREE_R_LAST, 9),
    ] {
        let mut setup = set_up(
            "check-sealed",
            INTERACTIVE,
            &check,
            json!({"commR": sector.comm_r}),
        );
        setup.flip(name, byte, true);
        setup.run().refused("proof_invalid", 5);
    }
    let replica = json!({"ticket": TICKET, "commD": sector.comm_d});
    for (name, byte) in [
        ("unsealed", 5),
        ("cache/sc-02-data-tree-d.dat", 5),
        ("cache/t_aux", 30),
        (LAYERS[1], 3),
    ] {
        let mut setup = set_up(
            "pc2",
            INTERACTIVE,
            &pc2_inputs(&sector.files),
            replica.clone(),
        );
        setup.flip(name, byte, true);
        setup.run().refused("input_invalid", 4);
    }
    let other = json!({"ticket": sector.pc1.result()["replicaId"], "commD": sector.comm_d});
    set_up("pc2", INTERACTIVE, &pc2_inputs(&sector.files), other)
        .run()
        .refused("input_invalid", 4);
    for name in ["cache/p_aux", "cache/t_aux", "cache/sc-02-data-tree-d.dat"] {
        let mut setup = set_up(
            "c1",
            INTERACTIVE,
            &c1_inputs(&sector.files, false),
            sector.claim(),
        );
        let last = fs::metadata(setup.path("in").join(name)).unwrap().len() as usize - 2;
        setup.flip(name, last, true);
        setup.run().refused("input_invalid", 4);
    }
    let mut setup = set_up("c2", INTERACTIVE, &vanilla(&sector), sector.claim());
    setup.request["sector"]["number"] = json!("8");
    setup.run().refused("input_invalid", 4);
    let mut setup = set_up(
        "verify-vanilla",
        INTERACTIVE,
        &vanilla(&sector),
        sector.claim(),
    );
    setup.request["params"]["seed"] = json!(TICKET);
    setup.run().refused("proof_invalid", 5);
    let mut params =
        json!({"ticket": TICKET, "commD": sector.comm_d, "offsetBytes": "0", "sizeBytes": "9"});
    let mut setup = set_up(
        "unseal-piece",
        INTERACTIVE,
        &pick(&sector.files, &["sealed"]),
        params.clone(),
    );
    setup.flip("sealed", 2000, true);
    setup.run().refused("input_invalid", 4);
    params["sizeBytes"] = json!("18446744073709551615");
    sector
        .run("unseal-piece", &["sealed"], params)
        .refused("bad_request", 2);
}

#[test]
fn dev_parameters_are_not_used_on_other_networks() {
    let sector = seal(INTERACTIVE, &[payload(2032, 8)]);
    let empty = tempfile::tempdir().unwrap();
    for network in ["main", "calibration"] {
        let mut setup = set_up("c2", INTERACTIVE, &vanilla(&sector), sector.claim());
        setup.request["network"] = json!(network);
        setup
            .environment
            .push(("FIL_PROOFS_PARAMETER_CACHE".into(), empty.path().into()));
        let ran = setup.run();
        ran.refused("parameters_missing", 6);
        assert!(
            ran.answer["error"]["message"]
                .as_str()
                .unwrap()
                .contains("sealpool-prover params fetch")
        );
    }
}
