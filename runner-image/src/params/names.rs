//! Which files belong to which proof: circuits by sector size, names as the library writes them.

use filecoin_proofs::DefaultPieceHasher;
use filecoin_proofs::constants::{SectorShape2KiB, SectorShape32GiB, SectorShape64GiB};
use filecoin_proofs_api::RegisteredSealProof;
use storage_proofs_core::merkle::MerkleTreeTrait;
use storage_proofs_core::parameter_cache::{
    CacheableParameters, PARAMETERS, metadata_id, parameter_id, verifying_key_id,
};
use storage_proofs_porep::stacked::{self, StackedCircuit, StackedCompound};
use storage_proofs_update::{EmptySectorUpdateCircuit, EmptySectorUpdateCompound, PublicParams};

use super::ParamsError;

/// A circuit that Sealpool proves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Circuit {
    /// StackedDrg: proof of replication, C2.
    Porep,
    /// Empty-sector update: SnapProve.
    Update,
}

impl Circuit {
    /// Its name on the command line and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Porep => "porep",
            Self::Update => "update",
        }
    }
}

/// Sector sizes in bytes that Sealpool seals, with the names people write.
pub const SECTOR_SIZES: [(&str, u64); 5] = [
    ("2KiB", 2 << 10),
    ("8MiB", 8 << 20),
    ("512MiB", 512 << 20),
    ("32GiB", 32 << 30),
    ("64GiB", 64 << 30),
];

/// Reads `2KiB` … `64GiB`. Errors: [`ParamsError::BadRequest`].
pub fn parse_sector_size(text: &str) -> Result<u64, ParamsError> {
    SECTOR_SIZES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, size)| *size)
        .ok_or_else(|| {
            ParamsError::BadRequest(format!(
                "{text:?} is no sector size; write one of 2KiB, 8MiB, 512MiB, 32GiB, 64GiB"
            ))
        })
}

/// `2KiB` … `64GiB` for a size in bytes, or the number itself.
pub fn sector_size_name(sector_size: u64) -> String {
    SECTOR_SIZES
        .iter()
        .find(|(_, size)| *size == sector_size)
        .map_or_else(|| sector_size.to_string(), |(name, _)| (*name).to_string())
}

/// The seal proof of a sector size: V1_1, or V1_1 with synthetic proofs. Errors:
/// [`ParamsError::BadRequest`] for a size that Sealpool does not seal.
pub fn seal_proof(sector_size: u64, synthetic: bool) -> Result<RegisteredSealProof, ParamsError> {
    use RegisteredSealProof as P;
    Ok(match (sector_size_name(sector_size).as_str(), synthetic) {
        ("2KiB", false) => P::StackedDrg2KiBV1_1,
        ("8MiB", false) => P::StackedDrg8MiBV1_1,
        ("512MiB", false) => P::StackedDrg512MiBV1_1,
        ("32GiB", false) => P::StackedDrg32GiBV1_1,
        ("64GiB", false) => P::StackedDrg64GiBV1_1,
        ("2KiB", true) => P::StackedDrg2KiBV1_1_Feat_SyntheticPoRep,
        ("8MiB", true) => P::StackedDrg8MiBV1_1_Feat_SyntheticPoRep,
        ("512MiB", true) => P::StackedDrg512MiBV1_1_Feat_SyntheticPoRep,
        ("32GiB", true) => P::StackedDrg32GiBV1_1_Feat_SyntheticPoRep,
        ("64GiB", true) => P::StackedDrg64GiBV1_1_Feat_SyntheticPoRep,
        _ => {
            return Err(ParamsError::BadRequest(format!(
                "Sealpool does not seal sectors of {sector_size} bytes; use 2KiB, 8MiB, 512MiB, 32GiB or 64GiB"
            )));
        }
    })
}

/// The file names of one circuit at one sector size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitFiles {
    /// The library's cache identifier, without version and extension.
    pub identifier: String,
    /// `v28-….params`
    pub params: String,
    /// `v28-….vk`
    pub vk: String,
    /// `v28-….meta`
    pub meta: String,
}

impl CircuitFiles {
    fn of(identifier: String) -> Self {
        Self {
            params: parameter_id(&identifier),
            vk: verifying_key_id(&identifier),
            meta: metadata_id(&identifier),
            identifier,
        }
    }
}

/// The files of a circuit for the seal proof's sector size. Interactive and synthetic seal proofs
/// share a circuit, hence its files. Errors: [`ParamsError::Internal`] when the library refuses.
pub fn circuit_files(
    circuit: Circuit,
    proof: RegisteredSealProof,
) -> Result<CircuitFiles, ParamsError> {
    let sector_size = u64::from(proof.sector_size());
    let identifier = match circuit {
        Circuit::Porep => proof.circuit_identifier().map_err(|error| {
            ParamsError::Internal(format!(
                "the proof library gives no circuit identifier for {proof:?}: {error}; report this"
            ))
        })?,
        Circuit::Update => match sector_size_name(sector_size).as_str() {
            "32GiB" => update_identifier::<SectorShape32GiB>(sector_size),
            "64GiB" => update_identifier::<SectorShape64GiB>(sector_size),
            // 2 KiB, 8 MiB and 512 MiB sectors have the same shape of tree.
            _ => update_identifier::<SectorShape2KiB>(sector_size),
        },
    };
    Ok(CircuitFiles::of(identifier))
}

fn update_identifier<Tree>(sector_size: u64) -> String
where
    Tree: 'static + MerkleTreeTrait<Hasher = storage_proofs_update::constants::TreeRHasher>,
{
    <EmptySectorUpdateCompound<Tree> as CacheableParameters<
        EmptySectorUpdateCircuit<Tree>,
        PublicParams,
    >>::cache_identifier(&PublicParams::from_sector_size(sector_size))
}

/// CID and digest of an official file, from the proof library's own list. The digest is the first
/// 32 hex digits of BLAKE2b-512.
pub fn official_entry(name: &str) -> Option<(&'static str, &'static str)> {
    PARAMETERS
        .get(name)
        .map(|entry| (entry.cid.as_str(), entry.digest.as_str()))
}

/// The circuit identifier computed from public parameters, as the library does when it proves.
pub fn porep_identifier<Tree: 'static + MerkleTreeTrait>(
    public_params: &stacked::PublicParams<Tree>,
) -> String {
    <StackedCompound<Tree, DefaultPieceHasher> as CacheableParameters<
        StackedCircuit<Tree, DefaultPieceHasher>,
        _,
    >>::cache_identifier(public_params)
}

/// Whether a seal proof is a synthetic one: its graph, hence its parents cache, is another.
pub fn is_synthetic(proof: RegisteredSealProof) -> bool {
    proof.feature_enabled(storage_proofs_core::api_version::ApiFeature::SyntheticPoRep)
}
