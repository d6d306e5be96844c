//! A circuit's polynomials evaluated at τ while it is synthesised.
//!
//! The constraint with number j contributes coefficient · L_j(τ) to each variable it names. As the
//! coefficients come in order, nothing but one sum per variable and matrix is kept; holding the
//! matrices themselves would take gigabytes.

use bellperson::{ConstraintSystem, Index, LinearCombination, SynthesisError, Variable};
use blstrs::Scalar;
use ff::Field;

use super::lagrange::Lagrange;

/// The polynomials of one kind of variable (inputs or auxiliary ones) at τ, by variable.
#[derive(Default)]
pub struct Columns {
    /// Left side of the constraints.
    pub a: Vec<Scalar>,
    /// Right side.
    pub b: Vec<Scalar>,
    /// Product.
    pub c: Vec<Scalar>,
}

impl Columns {
    fn push(&mut self) -> usize {
        self.a.push(Scalar::ZERO);
        self.b.push(Scalar::ZERO);
        self.c.push(Scalar::ZERO);
        self.a.len() - 1
    }

    /// β·a + α·b + c of one variable, the scalar of the L and IC queries before their division.
    pub fn combined(&self, i: usize, alpha: &Scalar, beta: &Scalar) -> Scalar {
        *beta * self.a[i] + *alpha * self.b[i] + self.c[i]
    }
}

/// The constraint system that a circuit is synthesised into.
pub struct Assembly {
    /// Public inputs, the constant one first.
    pub inputs: Columns,
    /// Auxiliary variables.
    pub aux: Columns,
    /// Constraints so far.
    pub constraints: usize,
    lagrange: Lagrange,
}

impl Assembly {
    /// Empty but for the constant one.
    pub fn begin(lagrange: Lagrange) -> Self {
        let mut inputs = Columns::default();
        inputs.push();
        Self {
            inputs,
            aux: Columns::default(),
            constraints: 0,
            lagrange,
        }
    }

    /// Adds input · 0 = 0 for each input, which makes the input polynomials independent.
    pub fn finish(&mut self) {
        for i in 0..self.inputs.a.len() {
            self.enforce(
                || "",
                |lc| lc + Variable::new_unchecked(Index::Input(i)),
                |lc| lc,
                |lc| lc,
            );
        }
    }

    fn accumulate(
        inputs: &mut [Scalar],
        aux: &mut [Scalar],
        terms: &LinearCombination<Scalar>,
        lagrange: &Scalar,
    ) {
        for (variable, coefficient) in terms.iter() {
            let sum = match variable.get_unchecked() {
                Index::Input(i) => &mut inputs[i],
                Index::Aux(i) => &mut aux[i],
            };
            // Most coefficients are one.
            if *coefficient == Scalar::ONE {
                *sum += lagrange;
            } else {
                *sum += *coefficient * lagrange;
            }
        }
    }
}

impl ConstraintSystem<Scalar> for Assembly {
    type Root = Self;

    fn alloc<F, A, AR>(&mut self, _: A, _: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        Ok(Variable::new_unchecked(Index::Aux(self.aux.push())))
    }

    fn alloc_input<F, A, AR>(&mut self, _: A, _: F) -> Result<Variable, SynthesisError>
    where
        F: FnOnce() -> Result<Scalar, SynthesisError>,
        A: FnOnce() -> AR,
        AR: Into<String>,
    {
        Ok(Variable::new_unchecked(Index::Input(self.inputs.push())))
    }

    fn enforce<A, AR, LA, LB, LC>(&mut self, _: A, a: LA, b: LB, c: LC)
    where
        A: FnOnce() -> AR,
        AR: Into<String>,
        LA: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LB: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
        LC: FnOnce(LinearCombination<Scalar>) -> LinearCombination<Scalar>,
    {
        let lagrange = self
            .lagrange
            .next()
            .expect("Lagrange coefficients do not end");
        self.constraints += 1;
        let Self { inputs, aux, .. } = self;
        let zero = LinearCombination::zero;
        Self::accumulate(&mut inputs.a, &mut aux.a, &a(zero()), &lagrange);
        Self::accumulate(&mut inputs.b, &mut aux.b, &b(zero()), &lagrange);
        Self::accumulate(&mut inputs.c, &mut aux.c, &c(zero()), &lagrange);
    }

    fn push_namespace<NR, N>(&mut self, _: N)
    where
        NR: Into<String>,
        N: FnOnce() -> NR,
    {
    }

    fn pop_namespace(&mut self) {}

    fn get_root(&mut self) -> &mut Self::Root {
        self
    }
}
