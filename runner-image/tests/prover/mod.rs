//! Drives the built program as its callers do: one process a stage, each in a folder of its own
//! with only the inputs that the request names.

#![allow(dead_code)] // Each test file uses its own part.

pub mod sealing;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sealpool_prover::disk::sum;
use serde_json::{Value, json};
use tempfile::TempDir;

pub const BIN: &str = env!("CARGO_BIN_EXE_sealpool-prover");
pub const INTERACTIVE: &str = "StackedDrg2KiBV1_1";
pub const SYNTHETIC: &str = "StackedDrg2KiBV1_1_Feat_SyntheticPoRep";

/// Files by artifact name.
pub type Files = BTreeMap<String, PathBuf>;

/// A stage about to be run: its folder holds copies of its inputs in `in/`, and an empty `out/`.
pub struct Setup {
    pub dir: TempDir,
    pub request: Value,
    /// Variables for the process, beside those of this one.
    pub environment: Vec<(String, PathBuf)>,
    hashes: BTreeMap<PathBuf, Value>,
}

/// What a run left behind.
pub struct Ran {
    pub dir: TempDir,
    pub exit: i32,
    pub answer: Value,
    /// stderr: every line parsed.
    pub lines: Vec<Value>,
}

/// Copies the inputs and writes the request.
pub fn set_up(stage: &str, seal_proof: &str, inputs: &Files, params: Value) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    let (mut named, mut hashes) = (serde_json::Map::new(), BTreeMap::new());
    for (name, path) in inputs {
        let copy = dir.path().join("in").join(name);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(path, &copy).unwrap();
        let sum = serde_json::to_value(sum::of_file(&copy).unwrap()).unwrap();
        named.insert(
            name.clone(),
            json!({"path": format!("in/{name}"), "sizeBytes": sum["sizeBytes"], "hash": sum["hash"]}),
        );
        hashes.insert(copy, sum);
    }
    let request = json!({
        "version": 1, "stage": stage, "network": "dev",
        "sector": {"miner": "t01000", "number": "7", "sealProof": seal_proof},
        "inputs": named, "outputDir": "out", "params": params,
    });
    Setup {
        dir,
        request,
        environment: Vec::new(),
        hashes,
    }
}

impl Setup {
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Flips one bit of an input; with `rehash` the request says the new hash.
    pub fn flip(&mut self, name: &str, byte: usize, rehash: bool) {
        let path = self.path("in").join(name);
        let mut bytes = fs::read(&path).unwrap();
        let at = byte % bytes.len();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let sum = serde_json::to_value(sum::of_file(&path).unwrap()).unwrap();
        if rehash {
            self.request["inputs"][name]["hash"] = sum["hash"].clone();
        }
        self.hashes.insert(path, sum);
    }

    /// Starts the process and hands it the request.
    pub fn spawn(&self) -> Child {
        let mut child = start(self.dir.path(), &self.environment);
        child
            .stdin
            .take()
            .unwrap()
            .write_all(self.request.to_string().as_bytes())
            .unwrap();
        child
    }

    /// Runs to the end and checks what holds for every run: inputs untouched, outputs as the
    /// answer says and nothing else, stderr in JSON lines, no panic text in the answer.
    pub fn run(self) -> Ran {
        let out = self.spawn().wait_with_output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?}"));
        let lines = parse_lines(&out.stderr);
        for (path, sum) in &self.hashes {
            let now = serde_json::to_value(sum::of_file(path).unwrap()).unwrap();
            assert_eq!(&now, sum, "input {} was changed", path.display());
        }
        let found = tree(&self.dir.path().join("out"));
        if answer["ok"] == true {
            assert_eq!(
                serde_json::to_value(&found).unwrap(),
                answer["outputs"],
                "{answer}"
            );
        }
        assert!(
            found.keys().all(|name| !name.contains(".sealpool-work")),
            "{found:?}"
        );
        check_message(&answer);
        Ran {
            dir: self.dir,
            exit: out.status.code().unwrap(),
            answer,
            lines,
        }
    }
}

impl Ran {
    /// The run was successful; says why not otherwise.
    pub fn ok(self) -> Ran {
        assert_eq!(
            (self.exit, &self.answer["ok"]),
            (0, &json!(true)),
            "{} {:?}",
            self.answer,
            self.lines
        );
        self
    }

    /// The run was refused with this code.
    pub fn refused(&self, code: &str, exit: i32) {
        assert_eq!(
            (&self.answer["error"]["code"], self.exit),
            (&json!(code), exit),
            "{}",
            self.answer
        );
    }

    pub fn result(&self) -> &Value {
        &self.answer["result"]
    }

    /// The outputs as files for later stages.
    pub fn files(&self) -> Files {
        let out = self.dir.path().join("out");
        let outputs = self.answer["outputs"].as_object().unwrap();
        outputs
            .keys()
            .map(|name| (name.clone(), out.join(name)))
            .collect()
    }

    /// Lines of one kind: progress, log, output, skipped.
    pub fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["t"] == kind).collect()
    }
}

/// Starts `run` in a folder, with pipes.
pub fn start(dir: &Path, environment: &[(String, PathBuf)]) -> Child {
    let mut command = Command::new(BIN);
    command
        .arg("run")
        .current_dir(dir)
        .envs(environment.iter().cloned());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// stderr is JSON lines, each with its kind.
pub fn parse_lines(stderr: &[u8]) -> Vec<Value> {
    let parse = |line: &str| -> Value {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        let kinds = ["progress", "log", "output", "skipped"];
        assert!(kinds.iter().any(|kind| value["t"] == *kind), "{line}");
        value
    };
    String::from_utf8(stderr.to_vec())
        .unwrap()
        .lines()
        .map(parse)
        .collect()
}

/// A refusal says a sentence and what to do; never what a panic or a debugger prints.
pub fn check_message(answer: &Value) {
    let Some(message) = answer["error"]["message"].as_str() else {
        assert_eq!(answer["ok"], true, "{answer}");
        return;
    };
    assert!(
        message.len() > 20 && message.contains("; "),
        "no sentence: {message:?}"
    );
    for text in [
        "panicked",
        "unwrap",
        "RUST_BACKTRACE",
        ".rs:",
        "assertion",
        "called `",
    ] {
        assert!(!message.contains(text), "{message}");
    }
}

/// Size and hash of every file below a folder, by relative name.
fn tree(root: &Path) -> BTreeMap<String, Value> {
    let (mut out, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                out.insert(
                    name,
                    serde_json::to_value(sum::of_file(&path).unwrap()).unwrap(),
                );
            }
        }
    }
    out
}
