//! Groth16 setup of a circuit from known secrets, straight into a parameter file.
//!
//! ```text
//! seed ─► trapdoor ─► powers of τ ──────────────────────────────────► H query ──┐
//!              └────► Lagrange coefficients ─► synthesis ─► scalars ─► L A B ───┴─► file
//! ```
//! Every point is a known multiple of a generator, so all of them come from two combs. Sections go
//! to the file as they are made; memory holds three scalars a variable, two tables and a few blocks.

pub mod assembly;
pub mod comb;
pub mod curve;
pub mod lagrange;
#[cfg(test)]
mod tests;
pub mod trapdoor;

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use bellperson::Circuit;
use blstrs::Scalar;
use ff::Field;
use rayon::prelude::*;

use super::progress::Progress;
use assembly::Assembly;
use comb::{BATCH, Comb};
use curve::{Curve, G1, G2};
use lagrange::{Domain, Lagrange};
use trapdoor::Trapdoor;

/// What must be known of a circuit before it is synthesised; a wrong number is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The domain has 2^this elements: the smallest power of two for all constraints.
    pub domain_log2: u32,
    /// Public inputs, the constant one included.
    pub inputs: usize,
}

/// Bits of the combs' windows: 48 MiB of table for G1, 96 MiB for G2.
const WINDOW_BITS: usize = 16;
/// A G2 point costs about as much as this many G1 points; for progress only.
const G2_WEIGHT: f64 = 3.0;
/// Work of the queries L, A and B in terms of the H query's, until the circuit is synthesised.
const LIKELY_REST: f64 = 2.2;
/// Scalars whose points are made before they are written.
const SECTION_STEP: usize = 32 * BATCH;

/// The two combs, over the standard generators.
pub struct Combs {
    g1: Comb<G1>,
    g2: Comb<G2>,
}

impl Combs {
    /// Builds both tables, about half a second.
    pub fn new() -> Self {
        Self::with_windows(WINDOW_BITS)
    }

    /// Both tables with windows of `bits` bits.
    pub fn with_windows(bits: usize) -> Self {
        let (g1, g2) = rayon::join(
            || Comb::new(G1::generator(), bits),
            || Comb::new(G2::generator(), bits),
        );
        Self { g1, g2 }
    }
}

impl Default for Combs {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes the parameters of `circuit` to `path`, in the layout that bellperson's
/// `Parameters::read` wants, and returns its first section: the bytes of the verifying key.
///
/// Errors: an I/O error, or one of kind `InvalidData` when the circuit has not that shape or leaves
/// a variable unconstrained.
pub fn write_parameters<C>(
    circuit: C,
    shape: Shape,
    secrets: &Trapdoor,
    combs: &Combs,
    path: &Path,
    progress: &Progress,
) -> io::Result<Vec<u8>>
where
    C: Circuit<Scalar> + Send,
{
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let domain = Domain::new(shape.domain_log2, secrets.tau).ok_or_else(|| {
        invalid("this seed's tau lies in the circuit's domain; take another seed".into())
    })?;
    let invert = |s: &Scalar| {
        Option::<Scalar>::from(s.invert())
            .ok_or_else(|| invalid("this seed has a zero secret; take another seed".into()))
    };
    let (one_over_gamma, one_over_delta) = (invert(&secrets.gamma)?, invert(&secrets.delta)?);

    let vk_len = 3 * G1::BYTES + 3 * G2::BYTES + 4 + shape.inputs * G1::BYTES;
    let h_len = domain.size - 1;
    let likely = LIKELY_REST * h_len as f64;
    progress.expect(h_len as f64 + likely);
    let mut file = File::create(path)?;
    // The H query needs no circuit: one core makes it while another synthesises.
    let (h, assembled) = rayon::join(
        || {
            write_h(
                &domain,
                one_over_delta,
                combs,
                path,
                vk_len as u64,
                progress,
            )
        },
        || synthesize(circuit, Lagrange::new(domain)),
    );
    h?;
    let assembly =
        assembled.map_err(|e| invalid(format!("the circuit does not synthesise: {e}")))?;
    let found = Shape {
        domain_log2: assembly.constraints.next_power_of_two().trailing_zeros(),
        inputs: assembly.inputs.a.len(),
    };
    if found != shape {
        return Err(invalid(format!(
            "the circuit has {} constraints and {} inputs, which is not {shape:?}",
            assembly.constraints, found.inputs
        )));
    }

    let scalars = |columns: &assembly::Columns, factor: Scalar| -> Vec<Scalar> {
        (0..columns.a.len())
            .into_par_iter()
            .map(|i| columns.combined(i, &secrets.alpha, &secrets.beta) * factor)
            .collect()
    };
    let ic = scalars(&assembly.inputs, one_over_gamma);
    let l = scalars(&assembly.aux, one_over_delta);
    if ic.iter().chain(&l).any(|s| bool::from(s.is_zero())) {
        return Err(invalid(
            "the circuit has a variable that no constraint names".into(),
        ));
    }
    let Assembly { inputs, aux, .. } = assembly;
    let a = dense(inputs.a, aux.a);
    let b = dense(inputs.b, aux.b);
    let rest = (l.len() + a.len() + b.len()) as f64 + G2_WEIGHT * b.len() as f64;
    progress.expect(rest - likely);

    let vk = verifying_key(secrets, &ic, combs);
    debug_assert_eq!(vk.len(), vk_len);
    file.write_all(&vk)?;
    file.seek(SeekFrom::Start((vk_len + 4 + h_len * G1::BYTES) as u64))?;
    let mut out = BufWriter::new(file);
    write_section(&mut out, &l, &combs.g1, 1.0, progress)?;
    write_section(&mut out, &a, &combs.g1, 1.0, progress)?;
    write_section(&mut out, &b, &combs.g1, 1.0, progress)?;
    write_section(&mut out, &b, &combs.g2, G2_WEIGHT, progress)?;
    out.flush()?;
    Ok(vk)
}

fn synthesize<C: Circuit<Scalar>>(
    circuit: C,
    lagrange: Lagrange,
) -> Result<Assembly, bellperson::SynthesisError> {
    let mut assembly = Assembly::begin(lagrange);
    circuit.synthesize(&mut assembly)?;
    assembly.finish();
    Ok(assembly)
}

/// The non-zero scalars of a query, inputs first: provers skip the zero ones.
fn dense(inputs: Vec<Scalar>, aux: Vec<Scalar>) -> Vec<Scalar> {
    let mut all = inputs;
    all.extend(aux);
    all.retain(|s| !bool::from(s.is_zero()));
    all
}

/// The verifying key's bytes: α₁ β₁ β₂ γ₂ δ₁ δ₂ and the inputs' query.
fn verifying_key(secrets: &Trapdoor, ic: &[Scalar], combs: &Combs) -> Vec<u8> {
    let Trapdoor {
        alpha,
        beta,
        gamma,
        delta,
        ..
    } = *secrets;
    let mut out = combs.g1.multiply(&[alpha, beta]);
    out.extend(combs.g2.multiply(&[beta, gamma]));
    out.extend(combs.g1.multiply(&[delta]));
    out.extend(combs.g2.multiply(&[delta]));
    out.extend((ic.len() as u32).to_be_bytes());
    out.extend(combs.g1.multiply(ic));
    out
}

/// The H query, τ^i · t(τ)/δ, at its place in the file.
fn write_h(
    domain: &Domain,
    one_over_delta: Scalar,
    combs: &Combs,
    path: &Path,
    at: u64,
    progress: &Progress,
) -> io::Result<()> {
    let count = domain.size - 1;
    let mut file = File::options().write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut out = BufWriter::new(file);
    out.write_all(&(count as u32).to_be_bytes())?;
    let factor = domain.vanishing * one_over_delta;
    for first in (0..count).step_by(SECTION_STEP) {
        let end = count.min(first + SECTION_STEP);
        let starts: Vec<usize> = (first..end).step_by(BATCH).collect();
        let blocks: Vec<Vec<u8>> = starts
            .par_iter()
            .map(|&from| {
                let scalars = domain.powers(from, BATCH.min(end - from), factor);
                progress.add(scalars.len() as f64);
                combs.g1.multiply(&scalars)
            })
            .collect();
        blocks.iter().try_for_each(|block| out.write_all(block))?;
    }
    out.flush()
}

/// One query: its length, then its points.
fn write_section<C: Curve>(
    out: &mut impl Write,
    scalars: &[Scalar],
    comb: &Comb<C>,
    weight: f64,
    progress: &Progress,
) -> io::Result<()> {
    out.write_all(&(scalars.len() as u32).to_be_bytes())?;
    for step in scalars.chunks(SECTION_STEP) {
        let blocks: Vec<Vec<u8>> = step
            .par_chunks(BATCH)
            .map(|block| {
                let points = comb.multiply(block);
                progress.add(block.len() as f64 * weight);
                points
            })
            .collect();
        blocks.iter().try_for_each(|block| out.write_all(block))?;
    }
    Ok(())
}
