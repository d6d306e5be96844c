//! Getting data back out of a replica: node by node, sealed minus label, or update minus sealed
//! divided by a factor.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;
use blstrs::Scalar;
use filecoin_hashers::Domain;
use filecoin_proofs::constants::DefaultPieceHasher;
use filecoin_proofs::parameters::public_params;
use filecoin_proofs::{SectorShapeBase, StoreConfig};
use filecoin_proofs_api::update::empty_sector_update_decode_from_range;
use rayon::prelude::*;
use storage_proofs_core::util::NODE_SIZE;
use storage_proofs_porep::stacked::StackedDrg;

use super::Job;
use super::pc2::short;
use crate::sector::{ReplicaDomain, Sector};

/// A source of a sector's fr32-padded data.
pub enum Decoder<'a> {
    /// A sealed file and the last layer's labels.
    Sealed { sealed: File, labels: File },
    /// An update, the sealed file below it, and the two commitments that the factors come from.
    Update {
        sector: &'a Sector,
        update: File,
        sealed: File,
        comm_d: [u8; 32],
        comm_r_old: [u8; 32],
    },
}

impl<'a> Decoder<'a> {
    /// Makes the labels again: as long as PC1, whatever the range.
    pub fn sealed(job: &Job, sealed: &Path, replica_id: ReplicaDomain) -> anyhow::Result<Self> {
        make_labels(job, replica_id)?;
        let labels = File::open(StoreConfig::data_path(&short(job, "cache"), LAYER_ID))
            .context("opening the labels")?;
        Ok(Decoder::Sealed {
            sealed: File::open(sealed)?,
            labels,
        })
    }

    /// Opens an update.
    pub fn update(
        sector: &'a Sector,
        update: &Path,
        sealed: &Path,
        comm_d: [u8; 32],
        comm_r_old: [u8; 32],
    ) -> io::Result<Self> {
        Ok(Decoder::Update {
            sector,
            update: File::open(update)?,
            sealed: File::open(sealed)?,
            comm_d,
            comm_r_old,
        })
    }

    /// Padded data from `offset`; both numbers in bytes and multiples of 32.
    pub fn read(&self, offset: u64, length: usize) -> anyhow::Result<Vec<u8>> {
        match self {
            Decoder::Sealed { sealed, labels } => {
                let (mut data, mut keys) = (vec![0; length], vec![0; length]);
                sealed.read_exact_at(&mut data, offset)?;
                labels.read_exact_at(&mut keys, offset)?;
                data.par_chunks_exact_mut(NODE_SIZE)
                    .zip(keys.par_chunks_exact(NODE_SIZE))
                    .try_for_each(|(node, key)| -> anyhow::Result<()> {
                        // Sealing added the label to the data, as field elements.
                        let value: Scalar = ReplicaDomain::try_from_bytes(node)?.into();
                        let key: Scalar = ReplicaDomain::try_from_bytes(key)?.into();
                        node.copy_from_slice(AsRef::<[u8]>::as_ref(&ReplicaDomain::from(
                            value - key,
                        )));
                        Ok(())
                    })?;
                Ok(data)
            }
            Decoder::Update {
                sector,
                update,
                sealed,
                comm_d,
                comm_r_old,
            } => {
                let from = |mut file: &File| -> io::Result<_> {
                    file.seek(SeekFrom::Start(offset))?;
                    file.try_clone().map(|file| file.take(length as u64))
                };
                let mut out = Vec::with_capacity(length);
                empty_sector_update_decode_from_range(
                    sector.update_proof,
                    *comm_d,
                    *comm_r_old,
                    from(update)?,
                    from(sealed)?,
                    &mut out,
                    offset as usize / NODE_SIZE,
                    length / NODE_SIZE,
                )?;
                Ok(out)
            }
        }
    }
}

/// Every layer is written over the one before under this name.
const LAYER_ID: &str = "layer";

/// Labels do not depend on the shape of the trees over them, so one shape serves all sizes.
fn make_labels(job: &Job, replica_id: ReplicaDomain) -> anyhow::Result<()> {
    let params = public_params::<SectorShapeBase>(&job.sector.seal_proof.as_v1_config())?;
    let config = StoreConfig::new(short(job, "cache"), LAYER_ID, 0);
    StackedDrg::<SectorShapeBase, DefaultPieceHasher>::generate_labels_for_decoding(
        &params.graph,
        params.num_layers,
        &replica_id,
        config,
    )?;
    Ok(())
}
