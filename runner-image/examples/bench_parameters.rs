//! What making the 2 KiB dev-network parameters costs: `bench_parameters ours|stock porep|update DIR`.
//!
//! `stock` is the proof crates' own generator with the secrets of the published seed, so that both
//! must write the same bytes. Prints one JSON object: seconds, CPU seconds, peak memory, digest.
//! `bench/params/run` calls this.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bellperson::groth16::generate_parameters;
use blstrs::{Bls12, G1Projective, G2Projective, Scalar};
use group::Group;
use sealpool_prover::params::names::Circuit;
use sealpool_prover::params::setup::trapdoor::{PUBLISHED_SEED, Trapdoor};
use sealpool_prover::params::{dev, files};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let [how, set, dir] = words[..] else {
        anyhow::bail!("write bench_parameters ours|stock porep|update DIR");
    };
    let circuit = if set == "porep" {
        Circuit::Porep
    } else {
        Circuit::Update
    };
    let dir = PathBuf::from(dir);
    std::fs::create_dir_all(&dir)?;
    let began = Instant::now();
    let path = match (how, circuit) {
        ("ours", _) => {
            let made = dev::generate(&dir, &[circuit], PUBLISHED_SEED)?;
            anyhow::ensure!(
                made[0].made,
                "the folder must be empty, or nothing is measured"
            );
            dir.join(&made[0].files.params)
        }
        ("stock", Circuit::Porep) => stock(dev::porep_circuit()?, circuit, &dir)?,
        ("stock", Circuit::Update) => stock(dev::update_circuit()?, circuit, &dir)?,
        _ => anyhow::bail!("{how:?} is neither ours nor stock"),
    };
    let seconds = began.elapsed().as_secs_f64();
    // SAFETY: the call fills the structure that it gets.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let cpu = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    let result = serde_json::json!({
        "generator": how,
        "set": set,
        "seconds": seconds.round(),
        "cpuSeconds": (cpu(usage.ru_utime) + cpu(usage.ru_stime)).round(),
        "peakMiB": usage.ru_maxrss / 1024,
        "digest": files::digest_file(&path, |_| ())?.0,
        "published": dev::published_digests(circuit).0,
    });
    println!("{result}");
    Ok(())
}

/// The proof crates' own setup, written to a file in `dir`.
fn stock<C: bellperson::Circuit<Scalar>>(
    c: C,
    circuit: Circuit,
    dir: &Path,
) -> anyhow::Result<PathBuf> {
    let identifier = dev::circuit_files(circuit)?.identifier;
    let Trapdoor {
        alpha,
        beta,
        gamma,
        delta,
        tau,
    } = Trapdoor::from_seed(PUBLISHED_SEED, &identifier);
    let (g1, g2) = (G1Projective::generator(), G2Projective::generator());
    let params = generate_parameters::<Bls12, _>(c, g1, g2, alpha, beta, gamma, delta, tau)?;
    let path = dir.join(format!("stock-{}.params", circuit.as_str()));
    let mut out = BufWriter::new(std::fs::File::create(&path)?);
    params.write(&mut out)?;
    out.flush()?;
    Ok(path)
}
