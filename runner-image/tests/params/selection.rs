//! Which parameters a process uses. Each case is a process: the library reads its settings once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use filecoin_proofs_api::RegisteredUpdateProof;
use filecoin_proofs_api::update::verify_empty_sector_update_proof;
use sealpool_prover::params::names::{Circuit, circuit_files, seal_proof};
use sealpool_prover::params::setup::trapdoor::PUBLISHED_SEED;
use sealpool_prover::params::{Need, ParamsError, dev, use_for};
use serde::Deserialize;

/// An update proof recorded by `examples/record_update_proof.rs`; all fields in hex but the seed.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    seed: String,
    vk: String,
    proof: String,
    comm_r_old: String,
    comm_r_new: String,
    comm_d_new: String,
}

fn recorded() -> Vec<Recorded> {
    serde_json::from_str(include_str!("../fixtures/update-proofs.json")).expect("the fixture")
}

/// Runs [`child`] with these variables; gives what it wrote to its result file.
fn in_a_process(variables: &[(&str, &str)], folder: &Path) -> String {
    let result = folder.join("result");
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["selection::child", "--exact"])
        .env_remove("FIL_PROOFS_PARAMETER_CACHE")
        .env_remove("FIL_PROOFS_PARENT_CACHE")
        .env_remove("SEALPOOL_DEV_PARAMETERS")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("SEALPOOL_TEST_RESULT", &result)
        .envs(variables.iter().copied())
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    fs::read_to_string(result).expect("a result")
}

/// Run by the tests below as a process of its own; does nothing otherwise.
#[test]
fn child() {
    let Ok(result) = std::env::var("SEALPOOL_TEST_RESULT") else {
        return;
    };
    let variables: BTreeMap<String, String> = std::env::vars().collect();
    let get = |name: &str| variables.get(name).map_or("", String::as_str);
    let proof = seal_proof(get("TEST_SECTOR_SIZE").parse().unwrap_or(2048), false).expect("a size");
    let needs: &[Need] = match get("TEST_NEED") {
        "prove" => &[Need::SealProve],
        "verify" => &[Need::UpdateVerify],
        "parents" => &[Need::Parents],
        _ => &[],
    };
    let text = match use_for(get("TEST_NETWORK"), proof, needs) {
        Err(ParamsError::Missing(message)) => format!("missing: {message}"),
        Err(ParamsError::Differs(message)) => format!("differs: {message}"),
        Err(error) => format!("error: {error}"),
        Ok(()) => match get("TEST_PROOF").parse::<usize>() {
            Err(_) => {
                let settings = &storage_proofs_core::settings::SETTINGS;
                format!("{}\n{}", settings.parameter_cache, settings.parent_cache)
            }
            Ok(i) => {
                let r = &recorded()[i];
                let bytes = |text: &str| hex::decode(text).expect("hex");
                let commitment =
                    |text: &str| -> [u8; 32] { bytes(text).try_into().expect("32 bytes") };
                let valid = verify_empty_sector_update_proof(
                    RegisteredUpdateProof::StackedDrg2KiBV1,
                    &bytes(&r.proof),
                    commitment(&r.comm_r_old),
                    commitment(&r.comm_r_new),
                    commitment(&r.comm_d_new),
                );
                format!("valid: {}", valid.expect("a verification"))
            }
        },
    };
    fs::write(result, text).expect("the result");
}

#[test]
fn a_proof_verifies_under_the_parameters_it_was_made_with_and_no_others() {
    let all = recorded();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].seed, PUBLISHED_SEED);
    assert_ne!(all[1].seed, PUBLISHED_SEED);
    let vk = dev::circuit_files(Circuit::Update).expect("names").vk;
    for (key, with_key) in all.iter().enumerate() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let bytes = hex::decode(&with_key.vk).expect("hex");
        fs::write(temp.path().join(&vk), bytes).expect("the key");
        let folder = temp.path().to_str().expect("a readable path");
        for proof in 0..all.len() {
            let variables = [
                ("TEST_NETWORK", "dev"),
                ("TEST_NEED", "verify"),
                ("TEST_PROOF", &proof.to_string()),
                ("SEALPOOL_DEV_PARAMETERS", folder),
            ];
            let said = in_a_process(&variables, temp.path());
            assert_eq!(
                said,
                format!("valid: {}", key == proof),
                "key {key}, proof {proof}"
            );
        }
    }
}

#[test]
fn the_recorded_key_is_the_published_one() {
    let vk = hex::decode(&recorded()[0].vk).expect("hex");
    let (_, digest) = dev::published_digests(Circuit::Update);
    assert_eq!(sealpool_prover::params::files::digest_of(&vk), digest);
}

#[test]
fn the_library_sees_the_dev_folder_for_2_kib_on_dev_networks_only() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let cache = temp.path().join("cache/sealpool");
    for (network, size, folder) in [
        ("dev", 2048u64, "dev-parameters"),
        ("dev", 8 << 20, "proof-parameters"),
        ("calibration", 2048, "proof-parameters"),
        ("main", 32 << 30, "proof-parameters"),
    ] {
        let variables = [
            ("TEST_NETWORK", network),
            ("TEST_SECTOR_SIZE", &size.to_string()),
        ];
        let said = in_a_process(&variables, temp.path());
        let expected = format!(
            "{}\n{}",
            cache.join(folder).display(),
            cache.join("parents").display()
        );
        assert_eq!(said, expected, "{network} {size}");
    }
    // A folder that the operator names for official parameters never becomes the dev folder.
    let variables = [
        ("TEST_NETWORK", "dev"),
        ("FIL_PROOFS_PARAMETER_CACHE", "/elsewhere"),
    ];
    assert!(
        in_a_process(&variables, temp.path())
            .starts_with(cache.join("dev-parameters").to_str().expect("a path"))
    );
    let variables = [
        ("TEST_NETWORK", "main"),
        ("FIL_PROOFS_PARAMETER_CACHE", "/elsewhere"),
    ];
    assert!(in_a_process(&variables, temp.path()).starts_with("/elsewhere\n"));
}

#[test]
fn what_is_missing_is_said_with_the_command_that_gets_it() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    for (network, need, size, command) in [
        ("dev", "prove", 2048u64, "params generate --set porep"),
        ("dev", "verify", 2048, "params generate --set update"),
        (
            "main",
            "prove",
            32 << 30,
            "params fetch --sector-size 32GiB --role c2",
        ),
        (
            "main",
            "verify",
            64 << 30,
            "params fetch --sector-size 64GiB --role verify",
        ),
        (
            "main",
            "parents",
            32 << 30,
            "params generate --parents --sector-size 32GiB",
        ),
    ] {
        let size = size.to_string();
        let variables = [
            ("TEST_NETWORK", network),
            ("TEST_NEED", need),
            ("TEST_SECTOR_SIZE", &size),
        ];
        let said = in_a_process(&variables, temp.path());
        assert!(
            said.starts_with("missing: ") && said.contains(command),
            "{network} {need}: {said}"
        );
    }
    let variables = [("TEST_NETWORK", "main"), ("TEST_NEED", "parents")];
    let said = in_a_process(&variables, temp.path());
    assert!(said.contains("/parents"), "the small one is made: {said}");
}

#[test]
fn dev_parameters_are_refused_on_other_networks() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let folder = temp.path().join("cache/sealpool/proof-parameters");
    fs::create_dir_all(&folder).expect("the folder");
    let vk = circuit_files(Circuit::Update, seal_proof(2048, false).expect("2 KiB"))
        .expect("names")
        .vk;
    fs::write(
        folder.join(vk),
        hex::decode(&recorded()[0].vk).expect("hex"),
    )
    .expect("the key");
    for network in ["main", "calibration"] {
        let said = in_a_process(
            &[("TEST_NETWORK", network), ("TEST_NEED", "verify")],
            temp.path(),
        );
        assert!(
            said.starts_with("differs: ") && said.contains("not the official"),
            "{said}"
        );
    }
}

#[test]
fn interactive_and_synthetic_seals_share_their_parameters() {
    for size in [2u64 << 10, 8 << 20, 512 << 20, 32 << 30, 64 << 30] {
        let files =
            |synthetic| circuit_files(Circuit::Porep, seal_proof(size, synthetic).expect("a size"));
        assert_eq!(files(false), files(true));
        let official =
            sealpool_prover::params::names::official_entry(&files(true).expect("names").params);
        assert!(official.is_some(), "{size}: the official list has it");
    }
}
