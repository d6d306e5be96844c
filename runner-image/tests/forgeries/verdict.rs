//! What the strict check and the library's own check say to the same proofs.

use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use filecoin_hashers::Hasher;
use filecoin_proofs::SectorShapeBase;
use filecoin_proofs::constants::{DefaultPieceHasher, DefaultTreeHasher};
use filecoin_proofs::parameters::public_params;
use filecoin_proofs_api::seal::VanillaSealProof;
use sealpool_prover::strict::{self, Claim};
use serde_json::Value;
use storage_proofs_core::proof::ProofScheme;
use storage_proofs_porep::stacked::{PublicInputs, StackedDrg, Tau};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepts,
    Refuses,
    Panics,
    Unreadable,
}

/// The strict check of vanilla proofs in JSON, and its sentence. A panic shows as one.
pub fn strict(proofs: &Value, claim: &Claim) -> (Verdict, String) {
    let Ok(proofs) = serde_json::from_value::<VanillaSealProof>(proofs.clone()) else {
        return (Verdict::Unreadable, String::new());
    };
    match catch_unwind(AssertUnwindSafe(|| strict::check(&proofs, claim))) {
        Ok(Ok(())) => (Verdict::Accepts, String::new()),
        Ok(Err(refusal)) => (Verdict::Refuses, refusal.to_string()),
        Err(_) => (Verdict::Panics, String::new()),
    }
}

/// Keeps the library's panics, which are counted, out of the log; those of the tests stay in it.
fn hush_the_library() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let of_a_crate = info.location().is_some_and(|l| l.file().starts_with('/'));
            if !of_a_crate {
                loud(info);
            }
        }));
    });
}

/// The library's own check of the same proofs with the same claim.
pub fn library(proofs: &Value, claim: &Claim) -> Verdict {
    let Ok(VanillaSealProof::StackedDrg2KiBV1(proofs)) = serde_json::from_value(proofs.clone())
    else {
        return Verdict::Unreadable;
    };
    let verify = || {
        let params = public_params::<SectorShapeBase>(&claim.seal_proof.as_v1_config())?;
        let inputs = PublicInputs {
            replica_id: strict::replica_id(claim),
            seed: Some(claim.seed),
            tau: Some(Tau {
                comm_d: <DefaultPieceHasher as Hasher>::Domain::from(claim.comm_d),
                comm_r: <DefaultTreeHasher as Hasher>::Domain::from(claim.comm_r),
            }),
            k: None,
        };
        StackedDrg::<SectorShapeBase, DefaultPieceHasher>::verify_all_partitions(
            &params, &inputs, &proofs,
        )
    };
    hush_the_library();
    match catch_unwind(AssertUnwindSafe(verify)) {
        Ok(Ok(true)) => Verdict::Accepts,
        Ok(_) => Verdict::Refuses,
        Err(_) => Verdict::Panics,
    }
}
