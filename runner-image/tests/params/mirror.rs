//! Two files of a mirror, and fetches of them into a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealpool_prover::params::files::digest_of;
use sealpool_prover::params::names::{self, Circuit};

use crate::evil_server::{EvilServer, Manner, Seen};
use crate::prover;

/// A list with the two update files of 2 KiB sectors, of 3,000,017 and 1,300 bytes, and a folder.
pub struct Fixture {
    temp: tempfile::TempDir,
    /// Name and content of the large file.
    pub params: (String, Vec<u8>),
    /// Name and content of the small file.
    pub vk: (String, Vec<u8>),
}

impl Fixture {
    pub fn new() -> Self {
        let proof = names::seal_proof(2048, false).expect("2 KiB");
        let files = names::circuit_files(Circuit::Update, proof).expect("its files");
        let content = |seed: u32, n: u32| -> Vec<u8> {
            (0..n)
                .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8)
                .collect()
        };
        let (params, vk) = (content(1, 3_000_017), content(2, 1_300));
        let temp = tempfile::tempdir().expect("a temporary folder");
        let list = serde_json::json!({
            &files.params: { "cid": "QmParams", "digest": digest_of(&params), "sector_size": 2048 },
            &files.vk: { "cid": "QmKey", "digest": digest_of(&vk), "sector_size": 2048 },
        });
        fs::write(temp.path().join("list.json"), list.to_string()).expect("the list");
        Self {
            temp,
            params: (files.params, params),
            vk: (files.vk, vk),
        }
    }

    pub fn dir(&self) -> PathBuf {
        self.temp.path().join("params")
    }

    pub fn server(&self, manners: &[Manner]) -> EvilServer {
        EvilServer::start(
            &[("QmParams", &self.params.1), ("QmKey", &self.vk.1)],
            manners,
        )
    }

    pub fn command(&self, gateways: &[&EvilServer]) -> Command {
        self.command_into(&self.dir(), gateways)
    }

    pub fn command_into(&self, dir: &Path, gateways: &[&EvilServer]) -> Command {
        let mut command = prover::command(&["fetch", "--sector-size", "2KiB", "--role", "snap"]);
        command.args(["--parallel", "1", "--idle-ms", "400", "--manifest"]);
        command
            .arg(self.temp.path().join("list.json"))
            .arg("--dir")
            .arg(dir);
        for gateway in gateways {
            command.arg("--gateway").arg(&gateway.url);
        }
        command
    }

    pub fn run(&self, gateways: &[&EvilServer]) -> (i32, serde_json::Value) {
        prover::answer(self.command(gateways))
    }

    pub fn assert_whole(&self) {
        for (name, bytes) in [&self.params, &self.vk] {
            assert!(
                fs::read(self.dir().join(name)).expect("the file is there") == *bytes,
                "{name}"
            );
        }
        assert_eq!(prover::final_names(&self.dir()).len(), 2);
    }
}

/// The requests for the large file.
pub fn of_params(seen: Vec<Seen>) -> Vec<Seen> {
    seen.into_iter()
        .filter(|s| s.path == "/ipfs/QmParams")
        .collect()
}
