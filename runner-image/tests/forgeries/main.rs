//! Forged vanilla proofs: none may pass the strict check. The table of the library's verdicts on
//! the same proofs shows why it exists (`cargo test --release --test forgeries -- --nocapture`).

mod edits;
mod forger;
mod mutate;
mod reading;
mod sealed;
mod table;
mod verdict;
mod world;

use filecoin_proofs_api::RegisteredSealProof;
use forger::{Encoding, Forger, Labels};
use mutate::{Random, mutate};
use sealed::{INTERACTIVE, SYNTHETIC, claim, data};
use sealpool_prover::strict::{self, Claim};
use table::Table;
use verdict::Verdict;
use world::{World, worlds};

#[test]
fn honest_proofs_pass() {
    for World {
        claim,
        output,
        stock,
        ..
    } in worlds()
    {
        let begun = std::time::Instant::now();
        strict::check_output(output, claim).unwrap();
        println!("checked in {:?}", begun.elapsed());
        let text = serde_json::to_vec(output).unwrap();
        let read = strict::read(&text, claim).unwrap();
        strict::check_output(&read, claim).unwrap();
        let other_seed = Claim {
            seed: [24; 32],
            ..claim.clone()
        };
        assert_eq!(
            verdict::strict(&stock.other_seed, &other_seed).0,
            Verdict::Accepts
        );
    }
}

#[test]
fn our_own_prover_told_to_be_honest_gives_the_librarys_proofs() {
    for World { claim, output, .. } in worlds() {
        let honest = Forger::seal(claim.clone(), data(1), Labels::ByGraph, Encoding::LastLabel);
        assert_eq!(honest.claim, *claim);
        assert_eq!(
            serde_json::to_value(honest.prove()).unwrap(),
            serde_json::to_value(&output.vanilla_proofs).unwrap()
        );
    }
}

#[test]
fn edited_proofs_are_refused() {
    let mut table = Table::default();
    for World {
        kind,
        claim,
        proofs,
        stock,
        ..
    } in worlds()
    {
        for edit in edits::all() {
            let mut forged = proofs.clone();
            (edit.apply)(&mut forged, stock);
            assert!(forged != *proofs, "{} changes nothing", edit.name);
            table.judge(format!("{kind}, {}", edit.name), &forged, claim);
        }
    }
    table.finish(350);
}

#[test]
fn proofs_of_another_claim_are_refused() {
    let mut table = Table::default();
    for World {
        kind,
        claim,
        proofs,
        ..
    } in worlds()
    {
        let other_kind = if claim.seal_proof == INTERACTIVE {
            SYNTHETIC
        } else {
            INTERACTIVE
        };
        let mut not_canonical = [255; 32];
        not_canonical[0] = 1;
        let c = || claim.clone();
        let empty = serde_json::json!({ "StackedDrg2KiBV1": [] });
        let random = Claim {
            comm_r: [5; 32],
            seed: [6; 32],
            ..c()
        };
        table.judge(
            format!("{kind}, no partition, random CommR and seed"),
            &empty,
            &random,
        );
        for (name, claim) in [
            (
                "random CommR",
                Claim {
                    comm_r: [5; 32],
                    ..c()
                },
            ),
            (
                "CommR no field element",
                Claim {
                    comm_r: not_canonical,
                    ..c()
                },
            ),
            (
                "CommR zero",
                Claim {
                    comm_r: [0; 32],
                    ..c()
                },
            ),
            (
                "CommD for CommR",
                Claim {
                    comm_r: c().comm_d,
                    ..c()
                },
            ),
            (
                "other data",
                Claim {
                    comm_d: claim_of(2),
                    ..c()
                },
            ),
            (
                "CommD no field element",
                Claim {
                    comm_d: not_canonical,
                    ..c()
                },
            ),
            (
                "other ticket",
                Claim {
                    ticket: [18; 32],
                    ..c()
                },
            ),
            (
                "other seed",
                Claim {
                    seed: [25; 32],
                    ..c()
                },
            ),
            (
                "ticket and seed exchanged",
                Claim {
                    ticket: c().seed,
                    seed: c().ticket,
                    ..c()
                },
            ),
            (
                "other sector number",
                Claim {
                    sector_id: 8,
                    ..c()
                },
            ),
            (
                "other miner",
                Claim {
                    prover_id: [1; 32],
                    ..c()
                },
            ),
            (
                "interactive for synthetic or back",
                Claim {
                    seal_proof: other_kind,
                    ..c()
                },
            ),
            (
                "8 MiB",
                Claim {
                    seal_proof: RegisteredSealProof::StackedDrg8MiBV1_1,
                    ..c()
                },
            ),
            (
                "first version",
                Claim {
                    seal_proof: RegisteredSealProof::StackedDrg2KiBV1,
                    ..c()
                },
            ),
            (
                "non-interactive",
                Claim {
                    seal_proof: RegisteredSealProof::StackedDrg2KiBV1_2_Feat_NonInteractivePoRep,
                    ..c()
                },
            ),
        ] {
            table.judge(format!("{kind}, {name}"), proofs, &claim);
        }
    }
    table.finish(30);
}

fn claim_of(salt: u8) -> [u8; 32] {
    claim(INTERACTIVE, salt).comm_d
}

#[test]
fn whole_sectors_sealed_by_other_rules_are_refused() {
    let mut table = Table::default();
    for World { kind, claim, .. } in worlds() {
        let all = [
            (Labels::NoParents, Encoding::LastLabel),
            (Labels::Predecessor, Encoding::LastLabel),
            (Labels::BaseOnly, Encoding::LastLabel),
            (Labels::ExpanderOnly, Encoding::LastLabel),
            (Labels::FirstParentOnly, Encoding::LastLabel),
            (Labels::SameLayerExpanders, Encoding::LastLabel),
            (Labels::ParentsOnce, Encoding::LastLabel),
            (Labels::ReversedParents, Encoding::LastLabel),
            (Labels::OtherGraph, Encoding::LastLabel),
            (Labels::OtherNodeNumber, Encoding::LastLabel),
            (Labels::OtherLayerNumber, Encoding::LastLabel),
            (Labels::OtherReplica, Encoding::LastLabel),
            (Labels::ByGraph, Encoding::FirstLayer),
            (Labels::ByGraph, Encoding::InventedKey),
            (Labels::ByGraph, Encoding::Unencoded),
            (Labels::ByGraph, Encoding::OtherData),
            (Labels::NoParents, Encoding::InventedKey),
        ];
        for (labels, encoding) in all {
            let forger = Forger::seal(claim.clone(), data(1), labels, encoding);
            let proofs = serde_json::to_value(forger.prove()).unwrap();
            table.judge(
                format!("{kind}, sealed with {labels:?}, {encoding:?}"),
                &proofs,
                &forger.claim,
            );
        }
    }
    let sound = table.rows.iter().any(|r| r.2 == Verdict::Accepts);
    assert!(
        sound,
        "the library believes none of these: the forger forges nothing"
    );
    table.finish(34);
}

#[test]
fn a_thousand_random_mutations_change_nothing_that_passes() {
    let seed = 0x5ea1_0001;
    let mut random = Random(seed);
    let (mut refused, mut unreadable, mut same) = (0, 0, 0);
    // A mutation that cannot be read is refused too, but says little: these are counted apart.
    for round in 0.. {
        let World {
            kind,
            claim,
            output,
            ..
        } = &worlds()[round % 2];
        let honest = serde_json::to_value(output).unwrap();
        let mut forged = honest.clone();
        mutate(&mut forged, &mut random);
        let text = serde_json::to_vec(&forged).unwrap();
        let Ok(read) = strict::read(&text, claim) else {
            unreadable += 1;
            continue;
        };
        if serde_json::to_value(&read).unwrap() == honest {
            same += 1;
            strict::check_output(&read, claim).unwrap();
            continue;
        }
        let refusal = strict::check_output(&read, claim);
        assert!(
            refusal.is_err(),
            "{kind}, seed {seed:#x}, round {round}: a changed proof passes"
        );
        refused += 1;
        if refused == 1_000 {
            break;
        }
    }
    println!(
        "mutations: {refused} refused, {unreadable} unreadable, {same} read back as the honest proofs"
    );
}
