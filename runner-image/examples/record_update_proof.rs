//! Records one entry of `tests/fixtures/update-proofs.json`: a real 2 KiB sector update, proven
//! under the dev-network parameters that are in `SEALPOOL_DEV_PARAMETERS`. About a minute on 2 idle
//! cores. The sector's content is fixed, so entries of different parameters differ in proof and key
//! only.

use std::fs::{self, File};
use std::io::Cursor;

use filecoin_proofs_api::seal::{
    generate_piece_commitment, seal_pre_commit_phase1, seal_pre_commit_phase2,
};
use filecoin_proofs_api::update::{
    empty_sector_update_encode_into, generate_empty_sector_update_proof_with_vanilla,
    generate_partition_proofs, verify_empty_sector_update_proof,
};
use filecoin_proofs_api::{
    PieceInfo, RegisteredSealProof, RegisteredUpdateProof, SectorId, UnpaddedBytesAmount,
};
use sealpool_prover::params::names::Circuit;
use sealpool_prover::params::{Need, dev, folders, use_for};

fn main() -> anyhow::Result<()> {
    let seal = RegisteredSealProof::StackedDrg2KiBV1_1;
    let update = RegisteredUpdateProof::StackedDrg2KiBV1;
    use_for("dev", seal, &[Need::Parents, Need::UpdateProve])?;

    let work = tempfile::tempdir()?;
    let at = |name: &str| work.path().join(name);
    let payload: Vec<u8> = (0..2032u32).map(|i| (i * 31 % 251) as u8).collect();
    let size = UnpaddedBytesAmount(2032);
    let stage = |name: &str, bytes: Vec<u8>| -> anyhow::Result<PieceInfo> {
        let mut padded = fr32::Fr32Reader::new(Cursor::new(&bytes));
        std::io::copy(&mut padded, &mut File::create(at(name))?)?;
        generate_piece_commitment(seal, Cursor::new(&bytes), size)
    };
    let (zeros, data) = (stage("zeros", vec![0; 2032])?, stage("data", payload)?);

    for folder in ["cache", "update-cache"] {
        fs::create_dir(at(folder))?;
    }
    for file in ["sealed", "update"] {
        File::create(at(file))?.set_len(2048)?;
    }
    let (prover, sector, ticket) = ([0; 32], SectorId::from(7), [7; 32]);
    let layers = seal_pre_commit_phase1(
        seal,
        at("cache"),
        at("zeros"),
        at("sealed"),
        prover,
        sector,
        ticket,
        &[zeros],
    )?;
    let old = seal_pre_commit_phase2(layers, at("cache"), at("sealed"))?;
    let new = empty_sector_update_encode_into(
        update,
        at("update"),
        at("update-cache"),
        at("sealed"),
        at("cache"),
        at("data"),
        &[data],
    )?;
    let vanilla = generate_partition_proofs(
        update,
        old.comm_r,
        new.comm_r_new,
        new.comm_d_new,
        at("sealed"),
        at("cache"),
        at("update"),
        at("update-cache"),
    )?;
    let proof = generate_empty_sector_update_proof_with_vanilla(
        update,
        vanilla,
        old.comm_r,
        new.comm_r_new,
        new.comm_d_new,
    )?;
    let proof = proof.0;
    anyhow::ensure!(verify_empty_sector_update_proof(
        update,
        &proof,
        old.comm_r,
        new.comm_r_new,
        new.comm_d_new
    )?);

    let names = dev::circuit_files(Circuit::Update)?;
    let folder = folders::dev();
    let seed = dev::read_meta(&folder, &names).map(|meta| meta.seed);
    let entry = serde_json::json!({
        "seed": seed,
        "vk": hex::encode(fs::read(folder.join(&names.vk))?),
        "proof": hex::encode(proof),
        "commROld": hex::encode(old.comm_r),
        "commRNew": hex::encode(new.comm_r_new),
        "commDNew": hex::encode(new.comm_d_new),
    });
    println!("{entry}");
    Ok(())
}
