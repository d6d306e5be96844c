//! What is refused before a hash is computed: foreign headers, text that is no proof, other sizes.

use filecoin_proofs_api::RegisteredSealProof;
use filecoin_proofs_api::seal::{SealCommitPhase1Output, VanillaSealProof};
use sealpool_prover::strict::{self, Claim};

use crate::world::{World, worlds};

#[test]
fn a_header_that_is_not_ours_is_refused() {
    for World { claim, output, .. } in worlds() {
        let edits: [(&str, fn(&mut SealCommitPhase1Output)); 6] = [
            ("seal proof", |o| {
                o.registered_proof = RegisteredSealProof::StackedDrg8MiBV1_1
            }),
            ("CommR", |o| o.comm_r[0] ^= 1),
            ("CommD", |o| o.comm_d[0] ^= 1),
            ("seed", |o| o.seed[0] ^= 1),
            ("ticket", |o| o.ticket[0] ^= 1),
            ("replica id", |o| o.replica_id = [9; 32].into()),
        ];
        for (name, edit) in edits {
            let mut forged = output.clone();
            edit(&mut forged);
            let refusal = strict::check_output(&forged, claim)
                .unwrap_err()
                .to_string();
            assert!(refusal.contains(name), "{name}: {refusal}");
        }
    }
}

#[test]
fn text_that_is_no_proof_is_refused_with_a_sentence() {
    let World { claim, output, .. } = &worlds()[0];
    let honest = serde_json::to_string(output).unwrap();
    let too_large = " ".repeat(strict::json_limit_bytes(claim) as usize + 1);
    let lists = format!(
        "{{\"vanilla_proofs\":{}{}}}",
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    let deep = "[".repeat(1_000);
    for text in [
        "",
        "null",
        "{}",
        "[]",
        "\u{0}",
        &honest[..honest.len() / 2],
        &too_large,
        &lists,
        &deep,
    ] {
        let refusal = strict::read(text.as_bytes(), claim)
            .unwrap_err()
            .to_string();
        assert!(refusal.ends_with("run C1 again"), "{refusal}");
    }
    let limit = strict::json_limit_bytes(claim) as usize;
    assert!(
        honest.len() < limit && limit < 10 * honest.len(),
        "{} of {limit}",
        honest.len()
    );
}

#[test]
fn every_sector_size_refuses_proofs_of_a_small_sector() {
    use RegisteredSealProof::*;
    let World { claim, output, .. } = &worlds()[0];
    let VanillaSealProof::StackedDrg2KiBV1(small) = &output.vanilla_proofs else {
        panic!("2 KiB")
    };
    for (proofs, seal_proof) in [
        (
            VanillaSealProof::StackedDrg8MiBV1(small.clone()),
            StackedDrg8MiBV1_1,
        ),
        (
            VanillaSealProof::StackedDrg512MiBV1(small.clone()),
            StackedDrg512MiBV1_1_Feat_SyntheticPoRep,
        ),
        (
            VanillaSealProof::StackedDrg32GiBV1(vec![]),
            StackedDrg32GiBV1_1,
        ),
        (
            VanillaSealProof::StackedDrg64GiBV1(vec![vec![]; 10]),
            StackedDrg64GiBV1_1_Feat_SyntheticPoRep,
        ),
        (
            VanillaSealProof::StackedDrg2KiBV1(vec![]),
            StackedDrg64GiBV1_1,
        ),
    ] {
        let claim = Claim {
            seal_proof,
            ..claim.clone()
        };
        let refusal = strict::check(&proofs, &claim).unwrap_err();
        assert!(refusal.to_string().contains("run C1"), "{refusal}");
    }
}
