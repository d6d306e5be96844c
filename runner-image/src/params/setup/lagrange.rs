//! The domain of a circuit's constraints, evaluated at the secret point τ.

use blstrs::Scalar;
use ff::{BatchInverter, Field, PrimeField};

/// Values computed at once in a stream.
const BLOCK: usize = 4096;

/// The multiplicative subgroup of 2^`log2` roots of unity and a point τ outside it.
#[derive(Clone, Copy)]
pub struct Domain {
    /// The number of elements, m.
    pub size: usize,
    omega: Scalar,
    tau: Scalar,
    /// t(τ) = τ^m − 1.
    pub vanishing: Scalar,
}

impl Domain {
    /// `log2` up to 32. `None` when τ is zero or lies in the domain, where a setup is impossible.
    pub fn new(log2: u32, tau: Scalar) -> Option<Self> {
        assert!(
            log2 <= Scalar::S,
            "the field has 2^32 roots of unity at most"
        );
        let mut omega = Scalar::ROOT_OF_UNITY;
        for _ in log2..Scalar::S {
            omega = omega.square();
        }
        let size = 1usize << log2;
        let vanishing = tau.pow_vartime([size as u64]) - Scalar::ONE;
        let usable = !bool::from(vanishing.is_zero()) && !bool::from(tau.is_zero());
        usable.then_some(Self {
            size,
            omega,
            tau,
            vanishing,
        })
    }

    /// τ^first · factor, τ^(first+1) · factor, …: `count` values.
    pub fn powers(&self, first: usize, count: usize, factor: Scalar) -> Vec<Scalar> {
        let mut power = self.tau.pow_vartime([first as u64]) * factor;
        let mut out = Vec::with_capacity(count);
        for _ in 0..count {
            out.push(power);
            power *= self.tau;
        }
        out
    }
}

/// The Lagrange coefficients L_0(τ), L_1(τ), … in order, by the closed form
/// L_j(τ) = (τ^m − 1)/m · ω^j / (τ − ω^j), with one inversion per block.
pub struct Lagrange {
    domain: Domain,
    /// (τ^m − 1)/m
    scale: Scalar,
    /// ω^j of the next block's first j.
    root: Scalar,
    block: Vec<Scalar>,
    at: usize,
}

impl Lagrange {
    /// From L_0 on.
    pub fn new(domain: Domain) -> Self {
        let size = Scalar::from(domain.size as u64);
        // A power of two is never zero in this field.
        let scale = domain.vanishing * size.invert().expect("the domain's size is invertible");
        Self {
            domain,
            scale,
            root: Scalar::ONE,
            block: Vec::new(),
            at: 0,
        }
    }

    fn refill(&mut self) {
        let mut roots = Vec::with_capacity(BLOCK);
        self.block.clear();
        for _ in 0..BLOCK {
            roots.push(self.root);
            self.block.push(self.domain.tau - self.root);
            self.root *= self.domain.omega;
        }
        let mut scratch = vec![Scalar::ZERO; BLOCK];
        BatchInverter::invert_with_external_scratch(&mut self.block, &mut scratch);
        for (value, root) in self.block.iter_mut().zip(&roots) {
            *value *= self.scale * root;
        }
        self.at = 0;
    }
}

impl Iterator for Lagrange {
    type Item = Scalar;

    /// Never ends: after L_(m−1) it begins again, as ω^m = 1.
    fn next(&mut self) -> Option<Scalar> {
        if self.at == self.block.len() {
            self.refill();
        }
        let value = self.block[self.at];
        self.at += 1;
        Some(value)
    }
}
