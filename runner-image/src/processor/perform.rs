//! One task, in the process that was started for it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use filecoin_proofs_api::seal::{seal_commit_phase2, seal_pre_commit_phase1, seal_pre_commit_phase2};
use filecoin_proofs_api::update::{empty_sector_update_encode_into, generate_empty_sector_update_proof_with_vanilla};
use filecoin_proofs_api::{PartitionProofBytes, RegisteredSealProof};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::arguments::Arguments;
use super::lines::{NO_ID, Response, Whole, line_of};
use super::stages::Stage;
use super::tasks::{AddPieces, C2, Pc1, Pc2, SnapEncode, SnapEncoded, SnapProve, TreeD};
use super::{pieces, settings};
use crate::params::Need;
use crate::sector::Sector;
use crate::stages::listen;
use crate::strict::{self, Claim};
use crate::wire::answer::{Code, StageError};
use crate::wire::report;

/// Performs the request on stdin; writes the answer's line to what was stdout. Answers the exit
/// code.
pub fn main(arguments: &Arguments) -> i32 {
    let mut out = take_stdout();
    // The text goes to the log only; the answer says a sentence.
    panic::set_hook(Box::new(|info| report::log("error", &format!("the library stopped: {info}"))));
    let mut json = Vec::new();
    let line = match io::stdin().lock().read_to_end(&mut json) {
        Ok(_) => answer(arguments, json),
        Err(error) => line_of(&Response::failed(NO_ID, StageError::from_io("reading the task", &error).message)),
    };
    let written = out.write_all(&line).is_ok() && out.flush().is_ok();
    i32::from(!written)
}

/// Keeps stdout for the outcome: what libraries print goes to stderr.
fn take_stdout() -> File {
    // SAFETY: plain descriptor calls at the start of the process, before anything is printed.
    unsafe {
        let kept = libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 3);
        libc::dup2(2, 1);
        File::from_raw_fd(kept)
    }
}

fn answer(arguments: &Arguments, json: Vec<u8>) -> Vec<u8> {
    let run = Run { arguments, json };
    match arguments.stage {
        Stage::AddPieces => run.task(|t: &AddPieces| (t.seal_proof_type, None), pieces::add),
        Stage::TreeD => run.task(|t: &TreeD| (t.registered_proof, None), tree_d),
        Stage::Pc1 => run.task(|t: &Pc1| (t.registered_proof, Some(Need::Parents)), pc1),
        Stage::Pc2 => run.task(|t: &Pc2| (t.pc1out.registered_proof, None), pc2),
        Stage::C2 => run.task(|t: &C2| (t.c1out.registered_proof, Some(Need::SealProve)), c2),
        Stage::SnapEncode => run.task(|t: &SnapEncode| (settings::seal_proof(t.registered_proof), None), snap_encode),
        Stage::SnapProve => {
            run.task(|t: &SnapProve| (settings::seal_proof(t.registered_proof), Some(Need::UpdateProve)), snap_prove)
        }
    }
}

struct Run<'a> {
    arguments: &'a Arguments,
    json: Vec<u8>,
}

impl Run<'_> {
    /// Reads the task, switches the libraries to what it needs, performs it; answers the line.
    fn task<T: DeserializeOwned, O: Serialize>(
        self,
        needs: impl Fn(&T) -> (RegisteredSealProof, Option<Need>),
        perform: impl Fn(T) -> Result<O, StageError>,
    ) -> Vec<u8> {
        let stage = self.arguments.stage.name();
        let Whole { id, task } = match serde_json::from_slice::<Whole<T>>(&self.json) {
            Ok(whole) => whole,
            Err(error) => {
                let id = serde_json::from_slice::<Whole<IgnoredAny>>(&self.json).map_or(NO_ID, |w| w.id);
                let sentence = format!("this is no {stage} task ({error}); send damocles' shape of it");
                return line_of(&Response::failed(id, sentence));
            }
        };
        drop(self.json);
        let made = panic::catch_unwind(AssertUnwindSafe(|| {
            let (proof, need) = needs(&task);
            // Before any thread exists: it sets environment variables.
            settings::prepare(self.arguments.network, proof, need)?;
            listen::install();
            perform(task)
        }));
        let made = made.unwrap_or_else(|_| {
            let message = "the proof library gave up on this task; check that its files belong together, else report it with the log";
            Err(StageError::new(Code::Internal, message))
        });
        match made {
            Ok(output) => line_of(&Response { id, err_msg: None, output: Some(output) }),
            Err(error) => line_of(&Response::failed(id, error.message)),
        }
    }
}

fn tree_d(task: TreeD) -> Result<bool, StageError> {
    let sector = settings::sector(task.registered_proof)?;
    folder(&task.cache_dir)?;
    crate::stages::tree_d::build(&sector, &task.staged_file, &task.cache_dir)?;
    Ok(true)
}

fn pc1(task: Pc1) -> Result<impl Serialize, StageError> {
    folder(&task.cache_path)?;
    there(&task.out_path)?;
    seal_pre_commit_phase1(
        task.registered_proof,
        &task.cache_path,
        &task.in_path,
        &task.out_path,
        task.prover_id,
        task.sector_id,
        task.ticket,
        &task.piece_infos,
    )
    .map_err(|e| library("PC1 failed", &e))
}

fn pc2(task: Pc2) -> Result<impl Serialize, StageError> {
    seal_pre_commit_phase2(task.pc1out, &task.cache_dir, &task.sealed_file).map_err(|e| library("PC2 failed", &e))
}

/// Minutes of a GPU are not spent on vanilla proofs that cannot verify: they are checked strictly,
/// here against what they say themselves, since the task brings no other values.
fn c2(task: C2) -> Result<impl Serialize, StageError> {
    let miner = Sector { miner_id: task.miner_id, ..settings::sector(task.c1out.registered_proof)? };
    if miner.prover_id() != task.prover_id {
        let message = format!("miner_id {} and prover_id are of different miners; send those of one", task.miner_id);
        return Err(StageError::new(Code::BadRequest, message));
    }
    let claim = Claim {
        seal_proof: task.c1out.registered_proof,
        prover_id: task.prover_id,
        sector_id: task.sector_id.into(),
        ticket: task.c1out.ticket,
        seed: task.c1out.seed,
        comm_r: task.c1out.comm_r,
        comm_d: task.c1out.comm_d,
    };
    strict::check_output(&task.c1out, &claim).map_err(|refusal| StageError::new(Code::InputInvalid, refusal.to_string()))?;
    seal_commit_phase2(task.c1out, task.prover_id, task.sector_id).map_err(|e| library("C2 failed", &e))
}

fn snap_encode(task: SnapEncode) -> Result<SnapEncoded, StageError> {
    let sector = settings::sector(settings::seal_proof(task.registered_proof))?;
    folder(&task.new_cache_path)?;
    there(&task.new_replica_path)?
        .set_len(sector.size_bytes())
        .map_err(|e| StageError::from_io("writing the update", &e))?;
    let encoded = empty_sector_update_encode_into(
        task.registered_proof,
        &task.new_replica_path,
        &task.new_cache_path,
        &task.sector_path,
        &task.sector_cache_path,
        &task.staged_data_path,
        &task.piece_infos,
    )
    .map_err(|e| library("encoding failed", &e))?;
    Ok(SnapEncoded {
        comm_r_new: encoded.comm_r_new,
        comm_r_last_new: encoded.comm_r_last_new,
        comm_d_new: encoded.comm_d_new,
    })
}

fn snap_prove(task: SnapProve) -> Result<Vec<u8>, StageError> {
    let proofs = task.vannilla_proofs.into_iter().map(PartitionProofBytes).collect();
    let proof = generate_empty_sector_update_proof_with_vanilla(
        task.registered_proof,
        proofs,
        task.comm_r_old,
        task.comm_r_new,
        task.comm_d_new,
    )
    .map_err(|e| library("proving the update failed", &e))?;
    Ok(proof.0)
}

/// Makes a folder that the library expects.
fn folder(path: &Path) -> Result<(), StageError> {
    fs::create_dir_all(path).map_err(|e| StageError::from_io(&format!("making the folder {}", path.display()), &e))
}

/// Makes a file that the library expects to be there, and leaves one that is as it is.
fn there(path: &Path) -> Result<File, StageError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|e| StageError::from_io(&format!("opening {}", path.display()), &e))
}

fn library(what: &str, error: &anyhow::Error) -> StageError {
    StageError::from_library(Code::InputInvalid, what, error, "check that the task's files are of one sector and send it again")
}
