//! The parents cache: for each node of the SDR graph its 6 DRG and 8 expander parents, as
//! little-endian u32, 56 bytes a node.
//!
//! The library makes the file in place and later trusts whatever has that name, so a process killed
//! in between leaves wrong labels behind. Here it is made under a temporary name, compared with its
//! digest and renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use filecoin_hashers::Hasher;
use filecoin_hashers::poseidon::PoseidonHasher;
use filecoin_proofs_api::RegisteredSealProof;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};
use storage_proofs_core::crypto::{FEISTEL_DST, derive_porep_domain_seed};
use storage_proofs_core::drgraph::{BASE_DEGREE, Graph};
use storage_proofs_core::parameter_cache::{ParameterSetMetadata, VERSION};
use storage_proofs_porep::stacked::{EXP_DEGREE, StackedBucketGraph};

use super::names::sector_size_name;
use super::progress::Progress;
use super::{ParamsError, files};

const DEGREE: usize = BASE_DEGREE + EXP_DEGREE;
/// Bytes of one node's entry.
const ENTRY: usize = DEGREE * 4;
/// Nodes that are made at once: 3.5 MiB of entries.
const BATCH: usize = 1 << 16;

/// SHA-256 of the parents caches, by cache name. The V1_1 ones are Filecoin's own (the proof
/// crates' `parent_cache.json`); the synthetic ones, which that list lacks, were computed with this
/// code for 2 KiB and 8 MiB sectors, after the code gave the official digests of V1_1.
const DIGESTS: [(&str, &str); 7] = [
    (
        "v28-sdr-parent-494d91dc80f2df5272c4b9e129bc7ade9405225993af9fe34e6542a39a47554b",
        "840057702eea7652cf97e04306c30fe57174714d90de156a25eddd6075c25b97",
    ),
    (
        "v28-sdr-parent-5eed212119fd91aa6220a27f31a8966444a9381842bceb3a1ea61525bd47a5b5",
        "03cd13565ded97c240a5f52e54295ad127bd0461b57904cb3a4d79b097bbecab",
    ),
    (
        "v28-sdr-parent-7ba215a1d2345774ab90b8cb1158d296e409d6068819d7b8c7baf0b25d63dc34",
        "b5877d1963793efebc261fd8fde4dd6bc59e6b5c7abf52617a4ee023b8dc173a",
    ),
    (
        "v28-sdr-parent-21981246c370f9d76c7a77ab273d94bde0ceb4e938292334960bce05585dc117",
        "93deeac5e3052b6927467d4b2641bb782f05491de18d510147c93eeedd8672da",
    ),
    (
        "v28-sdr-parent-4905486b7af19558ac3649bc6261411858b6add534438878c4ee3b29d8b9de0b",
        "2698b74eb2606b55b98d8b095e18b6320b47f46e00075956d48640ccd1641b03",
    ),
    (
        "v28-sdr-parent-1aa0c04f9b6b2ba6ece696274b0f0b53438c9acd1ae1b3943d837bacb65ad66b",
        "0c9ac05c2f3221deff12ab7b098acc90d974c3db61925b8429537e06c6062621",
    ),
    (
        "v28-sdr-parent-727a5e3eada45a0975f90b2651ed09ce5db554c99f03d7f029049ae3a36462a5",
        "e1638d25de578d6aced310f722ed05acd71d35f7f5dd2f1f21c14ed827f27a20",
    ),
];

/// The SDR graph of a seal proof.
fn graph(proof: RegisteredSealProof) -> Result<StackedBucketGraph<PoseidonHasher>, ParamsError> {
    let config = proof.as_v1_config();
    let nodes = (u64::from(proof.sector_size()) / 32) as usize;
    StackedBucketGraph::new_stacked(
        nodes,
        BASE_DEGREE,
        EXP_DEGREE,
        config.porep_id,
        config.api_version,
    )
    .map_err(|e| {
        ParamsError::Internal(format!(
            "the proof library makes no graph for {proof:?}: {e}; report this"
        ))
    })
}

/// The file's name as the library computes it (`v28-sdr-parent-….cache`): a SHA-256 over hasher,
/// graph, Feistel keys and number of nodes.
pub fn file_name(proof: RegisteredSealProof) -> Result<String, ParamsError> {
    let graph = graph(proof)?;
    let mut hash = Sha256::new();
    hash.update(PoseidonHasher::name());
    hash.update(graph.identifier());
    // The four keys are the domain seed, read and written as little-endian u64.
    hash.update(derive_porep_domain_seed(
        FEISTEL_DST,
        proof.as_v1_config().porep_id,
    ));
    hash.update((graph.size() as u32).to_le_bytes());
    Ok(format!(
        "v{VERSION}-sdr-parent-{}.cache",
        hex::encode(hash.finalize())
    ))
}

/// The file's size in bytes: 56 for each 32-byte node.
pub fn size_bytes(proof: RegisteredSealProof) -> u64 {
    u64::from(proof.sector_size()) / 32 * ENTRY as u64
}

/// The published digest (SHA-256, hex) of a parents cache, when there is one.
pub fn published_digest(name: &str) -> Option<&'static str> {
    let stem = name.strip_suffix(".cache").unwrap_or(name);
    DIGESTS
        .iter()
        .find(|(n, _)| *n == stem)
        .map(|(_, digest)| *digest)
}

/// Makes the parents cache in `folder` unless it is there. Two processes at once make it once.
/// Returns its path and whether it was made now.
pub fn generate(folder: &Path, proof: RegisteredSealProof) -> Result<(PathBuf, bool), ParamsError> {
    let name = file_name(proof)?;
    let path = folder.join(&name);
    let _lock = files::FolderLock::acquire(folder, &name)?;
    if is_whole(&path, proof)? {
        return Ok((path, false));
    }
    let partial = files::partial_path(folder, &name);
    let digest = write(&partial, proof).map_err(|e| ParamsError::io("write", &partial, &e))?;
    if published_digest(&name).is_some_and(|expected| expected != digest) {
        return Err(ParamsError::Internal(format!(
            "the parents cache made for {proof:?} has SHA-256 {digest}, which is not the published \
             one; check this machine's memory and try again"
        )));
    }
    Ok((files::publish(folder, &name)?, true))
}

/// Streams all entries to `partial`; returns the file's SHA-256 in hex.
fn write(partial: &Path, proof: RegisteredSealProof) -> io::Result<String> {
    let graph = graph(proof).map_err(io::Error::other)?;
    let nodes = graph.size();
    let progress = Progress::new("parents cache", nodes as f64);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(partial)?);
    let mut hash = Sha256::new();
    let mut batch = vec![0; BATCH.min(nodes) * ENTRY];
    for first in (0..nodes).step_by(BATCH) {
        let count = BATCH.min(nodes - first);
        let entries = &mut batch[..count * ENTRY];
        fill(&graph, first, entries).map_err(io::Error::other)?;
        hash.update(&entries[..]);
        out.write_all(entries)?;
        progress.add(count as f64);
    }
    out.flush()?;
    Ok(hex::encode(hash.finalize()))
}

/// The entries of the nodes from `first` on, as many as `entries` has room for.
fn fill(
    graph: &StackedBucketGraph<PoseidonHasher>,
    first: usize,
    entries: &mut [u8],
) -> anyhow::Result<()> {
    entries
        .par_chunks_mut(ENTRY)
        .enumerate()
        .try_for_each(|(i, entry)| {
            let mut parents = [0u32; DEGREE];
            graph
                .base_graph()
                .parents(first + i, &mut parents[..BASE_DEGREE])?;
            graph.generate_expanded_parents(first + i, &mut parents[BASE_DEGREE..]);
            for (bytes, parent) in entry.chunks_exact_mut(4).zip(parents) {
                bytes.copy_from_slice(&parent.to_le_bytes());
            }
            Ok(())
        })
}

/// Whether the file is there with its size and, up to 8 MiB sectors (14 MiB of cache), its content.
fn is_whole(path: &Path, proof: RegisteredSealProof) -> Result<bool, ParamsError> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() != size_bytes(proof) => Ok(false),
        Ok(_) if u64::from(proof.sector_size()) <= 8 << 20 => check(path, proof),
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(ParamsError::io("look at", path, &e)),
    }
}

/// Whether every byte of a parents cache is right: compared with the published digest, or with the
/// graph itself where none is published (as long a work as making it).
pub fn check(path: &Path, proof: RegisteredSealProof) -> Result<bool, ParamsError> {
    use std::io::Read;
    let io = |e: io::Error| ParamsError::io("read", path, &e);
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let published = published_digest(&name);
    let graph = graph(proof)?;
    let nodes = graph.size();
    let mut file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() != size_bytes(proof) {
        return Ok(false);
    }
    let progress = Progress::new("checking the parents cache", nodes as f64);
    let mut hash = Sha256::new();
    let mut found = vec![0; BATCH.min(nodes) * ENTRY];
    let mut right = vec![0; found.len()];
    for first in (0..nodes).step_by(BATCH) {
        let count = BATCH.min(nodes - first);
        let found = &mut found[..count * ENTRY];
        file.read_exact(found).map_err(io)?;
        if published.is_some() {
            hash.update(&found[..]);
        } else {
            let right = &mut right[..count * ENTRY];
            fill(&graph, first, right).map_err(|e| ParamsError::Internal(e.to_string()))?;
            if found != right {
                return Ok(false);
            }
        }
        progress.add(count as f64);
    }
    Ok(published.is_none_or(|digest| hex::encode(hash.finalize()) == digest))
}

/// Makes sure a stage finds its parents cache: makes it for sectors up to `made_up_to` bytes, and
/// says which command makes it for larger ones.
pub fn ensure(
    folder: &Path,
    proof: RegisteredSealProof,
    made_up_to: u64,
) -> Result<(), ParamsError> {
    let path = folder.join(file_name(proof)?);
    if is_whole(&path, proof)? {
        return Ok(());
    }
    let sector_size = u64::from(proof.sector_size());
    if sector_size <= made_up_to {
        return generate(folder, proof).map(drop);
    }
    Err(ParamsError::Missing(format!(
        "the parents cache {} is not there or not whole; make it ({} GiB) with: \
         sealpool-prover params generate --parents --sector-size {}{}",
        path.display(),
        size_bytes(proof) >> 30,
        sector_size_name(sector_size),
        if super::names::is_synthetic(proof) {
            " --synthetic"
        } else {
            ""
        }
    )))
}
