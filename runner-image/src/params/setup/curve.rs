//! Affine arithmetic over BLS12-381's two coordinate fields, thin over `blst`.
//!
//! The proof crates' own point types add in Jacobian coordinates; batched affine addition needs the
//! coordinates themselves, which only `blst` gives away.

use blst::{
    blst_fp, blst_fp_add, blst_fp_cneg, blst_fp_inverse, blst_fp_mul, blst_fp_sqr, blst_fp_sub,
    blst_fp2, blst_fp2_add, blst_fp2_cneg, blst_fp2_inverse, blst_fp2_mul, blst_fp2_sqr,
    blst_fp2_sub, blst_p1, blst_p1_add_or_double_affine, blst_p1_affine, blst_p1_affine_generator,
    blst_p1_affine_serialize, blst_p1_from_affine, blst_p1_to_affine, blst_p2,
    blst_p2_add_or_double_affine, blst_p2_affine, blst_p2_affine_generator,
    blst_p2_affine_serialize, blst_p2_from_affine, blst_p2_to_affine,
};

/// An element of the field that a curve's coordinates live in.
pub trait Coordinate: Copy + Default + PartialEq + Send + Sync {
    /// Sum.
    fn add(&self, other: &Self) -> Self;
    /// Difference.
    fn sub(&self, other: &Self) -> Self;
    /// Product.
    fn mul(&self, other: &Self) -> Self;
    /// Square.
    fn square(&self) -> Self;
    /// Inverse; zero has none and gives zero.
    fn invert(&self) -> Self;
    /// The negative when `yes`.
    fn negate_if(&self, yes: bool) -> Self;
}

macro_rules! coordinate {
    ($t:ty, $add:ident, $sub:ident, $mul:ident, $sqr:ident, $inverse:ident, $cneg:ident) => {
        // SAFETY of all: the pointers are to live, initialised values; `blst` keeps none of them.
        impl Coordinate for $t {
            #[inline(always)]
            fn add(&self, other: &Self) -> Self {
                let mut out = Self::default();
                unsafe { $add(&mut out, self, other) };
                out
            }
            #[inline(always)]
            fn sub(&self, other: &Self) -> Self {
                let mut out = Self::default();
                unsafe { $sub(&mut out, self, other) };
                out
            }
            #[inline(always)]
            fn mul(&self, other: &Self) -> Self {
                let mut out = Self::default();
                unsafe { $mul(&mut out, self, other) };
                out
            }
            #[inline(always)]
            fn square(&self) -> Self {
                let mut out = Self::default();
                unsafe { $sqr(&mut out, self) };
                out
            }
            fn invert(&self) -> Self {
                let mut out = Self::default();
                unsafe { $inverse(&mut out, self) };
                out
            }
            #[inline(always)]
            fn negate_if(&self, yes: bool) -> Self {
                let mut out = Self::default();
                unsafe { $cneg(&mut out, self, yes) };
                out
            }
        }
    };
}

coordinate!(
    blst_fp,
    blst_fp_add,
    blst_fp_sub,
    blst_fp_mul,
    blst_fp_sqr,
    blst_fp_inverse,
    blst_fp_cneg
);
coordinate!(
    blst_fp2,
    blst_fp2_add,
    blst_fp2_sub,
    blst_fp2_mul,
    blst_fp2_sqr,
    blst_fp2_inverse,
    blst_fp2_cneg
);

/// A point in affine coordinates; (0, 0), which is on neither curve, stands for infinity.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Affine<F> {
    /// x coordinate.
    pub x: F,
    /// y coordinate.
    pub y: F,
}

impl<F: Coordinate> Affine<F> {
    /// Whether this is the point at infinity.
    pub fn is_infinity(&self) -> bool {
        *self == Self::default()
    }

    /// The negative when `yes`.
    #[inline(always)]
    pub fn negate_if(&self, yes: bool) -> Self {
        Self {
            x: self.x,
            y: self.y.negate_if(yes),
        }
    }
}

/// One of the two groups.
pub trait Curve: Send + Sync + 'static {
    /// The field of its coordinates.
    type F: Coordinate;
    /// Bytes of an uncompressed point.
    const BYTES: usize;
    /// The standard generator.
    fn generator() -> Affine<Self::F>;
    /// The sum of any two points, equal and opposite ones included. Slow.
    fn add(a: &Affine<Self::F>, b: &Affine<Self::F>) -> Affine<Self::F>;
    /// Appends the uncompressed encoding (big-endian, as in parameter files).
    fn serialize(point: &Affine<Self::F>, out: &mut Vec<u8>);
}

/// Group G1.
pub struct G1;
/// Group G2.
pub struct G2;

macro_rules! curve {
    ($c:ty, $f:ty, $affine:ident, $point:ident, $bytes:expr, $generator:ident, $from:ident, $add:ident, $to:ident, $serialize:ident) => {
        // SAFETY of all: as above; `$generator` points to a constant of the library.
        impl Curve for $c {
            type F = $f;
            const BYTES: usize = $bytes;

            fn generator() -> Affine<$f> {
                let g = unsafe { *$generator() };
                Affine { x: g.x, y: g.y }
            }

            fn add(a: &Affine<$f>, b: &Affine<$f>) -> Affine<$f> {
                let (a, b) = ($affine { x: a.x, y: a.y }, $affine { x: b.x, y: b.y });
                let (mut sum, mut out) = ($point::default(), $affine::default());
                unsafe {
                    $from(&mut sum, &a);
                    let left = sum;
                    $add(&mut sum, &left, &b);
                    $to(&mut out, &sum);
                }
                Affine { x: out.x, y: out.y }
            }

            fn serialize(point: &Affine<$f>, out: &mut Vec<u8>) {
                let point = $affine {
                    x: point.x,
                    y: point.y,
                };
                let mut bytes = [0; $bytes];
                unsafe { $serialize(bytes.as_mut_ptr(), &point) };
                out.extend_from_slice(&bytes);
            }
        }
    };
}

curve!(
    G1,
    blst_fp,
    blst_p1_affine,
    blst_p1,
    96,
    blst_p1_affine_generator,
    blst_p1_from_affine,
    blst_p1_add_or_double_affine,
    blst_p1_to_affine,
    blst_p1_affine_serialize
);
curve!(
    G2,
    blst_fp2,
    blst_p2_affine,
    blst_p2,
    192,
    blst_p2_affine_generator,
    blst_p2_from_affine,
    blst_p2_add_or_double_affine,
    blst_p2_to_affine,
    blst_p2_affine_serialize
);

/// Room for [`add_batch`], kept between calls.
#[derive(Default)]
pub struct Scratch<F> {
    /// (which sum, its addend, x difference, product of the differences before it)
    pending: Vec<(usize, Affine<F>, F, F)>,
}

/// Adds to each `sums[i]` its addend `addend(i)` (`None`: nothing) with one field inversion for all
/// of them: about 5 multiplications and a squaring each, against 11 in Jacobian coordinates.
pub fn add_batch<C: Curve>(
    sums: &mut [Affine<C::F>],
    addend: impl Fn(usize) -> Option<Affine<C::F>>,
    scratch: &mut Scratch<C::F>,
) {
    let pending = &mut scratch.pending;
    pending.clear();
    let mut product: Option<C::F> = None;
    for (i, sum) in sums.iter_mut().enumerate() {
        let Some(point) = addend(i) else { continue };
        if sum.is_infinity() {
            *sum = point;
            continue;
        }
        let dx = point.x.sub(&sum.x);
        if dx == C::F::default() {
            // Equal or opposite: no chord. Cannot happen in a comb, but must not poison the batch.
            *sum = C::add(sum, &point);
            continue;
        }
        // For the first entry "the product before it" is never read.
        pending.push((i, point, dx, product.unwrap_or_default()));
        product = Some(product.map_or(dx, |p| p.mul(&dx)));
    }
    let Some(product) = product else { return };
    let mut inverse = product.invert();
    for (k, (i, point, dx, before)) in pending.iter().enumerate().rev() {
        let one_over_dx = if k == 0 { inverse } else { inverse.mul(before) };
        inverse = inverse.mul(dx);
        let sum = &mut sums[*i];
        let slope = point.y.sub(&sum.y).mul(&one_over_dx);
        let x = slope.square().sub(&sum.x).sub(&point.x);
        let y = slope.mul(&sum.x.sub(&x)).sub(&sum.y);
        *sum = Affine { x, y };
    }
}
