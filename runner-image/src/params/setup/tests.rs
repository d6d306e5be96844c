//! The setup's mathematics against naive values and against the proof crates' own generator.

use bellperson::groth16::{self, Parameters};
use bellperson::{Circuit, ConstraintSystem, SynthesisError};
use blstrs::{Bls12, G1Projective, G2Projective, Scalar};
use ff::Field;
use group::{Curve as _, Group};

use super::comb::{Comb, signed_digits};
use super::curve::{Affine, Curve, G1, G2, Scratch, add_batch};
use super::lagrange::{Domain, Lagrange};
use super::trapdoor::Trapdoor;
use super::{Combs, Shape, write_parameters};
use crate::params::progress::Progress;

/// Scalars at the edges of windows and of the field, and some in between.
fn scalars() -> Vec<Scalar> {
    let mut all = vec![
        Scalar::ZERO,
        Scalar::ONE,
        -Scalar::ONE,
        Scalar::from(2),
        -Scalar::from(2),
    ];
    for shift in [3u64, 4, 5, 7, 8, 12, 15, 16, 31, 63, 64, 128, 200, 253, 254] {
        let power = Scalar::from(2).pow_vartime([shift]);
        all.extend([power, power - Scalar::ONE, power + Scalar::ONE, -power]);
    }
    let secrets = Trapdoor::from_seed("test", "comb");
    all.extend([
        secrets.alpha,
        secrets.beta,
        secrets.gamma,
        secrets.delta,
        secrets.tau,
    ]);
    all
}

#[test]
fn signed_digits_add_up_to_the_scalar() {
    for bits in [2, 3, 5, 8, 12, 13, 16] {
        let windows = 256usize.div_ceil(bits);
        for scalar in scalars() {
            let base = Scalar::from(1 << bits);
            let mut sum = Scalar::ZERO;
            let digits: Vec<i32> = signed_digits(&scalar, bits, windows).collect();
            for digit in digits.iter().rev() {
                assert!(*digit > -(1 << (bits - 1)) && *digit <= 1 << (bits - 1));
                let size = Scalar::from(u64::from(digit.unsigned_abs()));
                sum = sum * base + if *digit < 0 { -size } else { size };
            }
            assert_eq!(sum, scalar, "{bits} bits");
        }
    }
}

#[test]
fn combs_multiply_as_the_curve_does() {
    for bits in [2, 5, 8] {
        let (g1, g2) = (
            Comb::<G1>::new(G1::generator(), bits),
            Comb::<G2>::new(G2::generator(), bits),
        );
        let (ours1, ours2) = (g1.multiply(&scalars()), g2.multiply(&scalars()));
        for (i, scalar) in scalars().iter().enumerate() {
            let naive = (G1Projective::generator() * scalar)
                .to_affine()
                .to_uncompressed();
            assert_eq!(
                ours1[i * 96..][..96],
                naive,
                "G1, {bits} bits, scalar {scalar:?}"
            );
            let naive = (G2Projective::generator() * scalar)
                .to_affine()
                .to_uncompressed();
            assert_eq!(
                ours2[i * 192..][..192],
                naive,
                "G2, {bits} bits, scalar {scalar:?}"
            );
        }
    }
}

#[test]
fn a_batch_survives_equal_opposite_and_missing_points() {
    let g = G1::generator();
    let two = G1::add(&g, &g);
    let three = G1::add(&two, &g);
    let infinity = Affine::default();
    let mut sums = [g, g, infinity, two, three, infinity];
    let addends = [
        Some(g),
        Some(g.negate_if(true)),
        Some(g),
        Some(g),
        None,
        None,
    ];
    add_batch::<G1>(&mut sums, |i| addends[i], &mut Scratch::default());
    assert!(sums == [two, infinity, g, three, three, infinity]);
}

#[test]
fn lagrange_coefficients_interpolate() {
    let tau = Trapdoor::from_seed("test", "lagrange").tau;
    for log2 in [0, 1, 3, 6] {
        let domain = Domain::new(log2, tau).expect("tau is no root of unity");
        let omega = domain_generator(log2);
        // f(x) = x^k for k < m is given by its values on the domain, so Σ f(ω^j)·L_j(τ) = τ^k.
        for k in 0..domain.size as u64 {
            let sum: Scalar = Lagrange::new(domain)
                .take(domain.size)
                .enumerate()
                .map(|(j, l)| omega.pow_vartime([j as u64 * k]) * l)
                .sum();
            assert_eq!(sum, tau.pow_vartime([k]), "domain 2^{log2}, x^{k}");
        }
    }
    assert!(
        Domain::new(3, domain_generator(3)).is_none(),
        "a tau in the domain is refused"
    );
    assert!(Domain::new(3, Scalar::ZERO).is_none());
}

fn domain_generator(log2: u32) -> Scalar {
    use ff::PrimeField;
    (log2..Scalar::S).fold(Scalar::ROOT_OF_UNITY, |root, _| root.square())
}

/// y = x^(2^n), with a public y, an unused public input, coefficients and sums.
#[derive(Clone)]
struct Squares(usize);

impl Circuit<Scalar> for Squares {
    fn synthesize<CS: ConstraintSystem<Scalar>>(self, cs: &mut CS) -> Result<(), SynthesisError> {
        let absent = || Err(SynthesisError::AssignmentMissing);
        let y = cs.alloc_input(|| "y", absent)?;
        cs.alloc_input(|| "unused", absent)?;
        let mut x = cs.alloc(|| "x", absent)?;
        for _ in 0..self.0 {
            let square = cs.alloc(|| "square", absent)?;
            let seven = Scalar::from(7);
            cs.enforce(
                || "square",
                |lc| lc + (seven, x) + CS::one() - CS::one(),
                |lc| lc + x,
                |lc| lc + (seven, square),
            );
            x = square;
        }
        cs.enforce(|| "y", |lc| lc + x, |lc| lc + CS::one(), |lc| lc + y);
        Ok(())
    }
}

#[test]
fn parameters_equal_the_stock_generators_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("params");
    let combs = Combs::with_windows(6);
    for (n, domain_log2) in [(1, 3), (4, 3), (5, 4), (3000, 12)] {
        let secrets = Trapdoor::from_seed("test", "squares");
        let shape = Shape {
            domain_log2,
            inputs: 3,
        };
        let quiet = Progress::new("test", 0.0);
        let vk = write_parameters(Squares(n), shape, &secrets, &combs, &path, &quiet)
            .expect("the setup of a small circuit");
        let stock: Parameters<Bls12> = groth16::generate_parameters(
            Squares(n),
            G1Projective::generator(),
            G2Projective::generator(),
            secrets.alpha,
            secrets.beta,
            secrets.gamma,
            secrets.delta,
            secrets.tau,
        )
        .expect("the stock setup");
        let mut expected = Vec::new();
        stock.write(&mut expected).expect("writing to memory");
        let ours = std::fs::read(&path).expect("our file");
        assert!(ours == expected, "{n} squares: the files differ");
        let mut expected_vk = Vec::new();
        stock.vk.write(&mut expected_vk).expect("writing to memory");
        assert_eq!(vk, expected_vk);
    }
}

#[test]
fn a_circuit_of_another_shape_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let combs = Combs::with_windows(4);
    let secrets = Trapdoor::from_seed("test", "squares");
    for shape in [
        Shape {
            domain_log2: 4,
            inputs: 3,
        },
        Shape {
            domain_log2: 3,
            inputs: 2,
        },
    ] {
        let quiet = Progress::new("test", 0.0);
        let path = folder.path().join("params");
        let error = write_parameters(Squares(4), shape, &secrets, &combs, &path, &quiet)
            .expect_err("the shape is wrong");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }
}
