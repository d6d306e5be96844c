//! The other side of the protocol: what a damocles-worker does with a processor.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::{Value, json};

/// A running processor.
pub struct Processor {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Processor {
    /// Starts one and reads its ready line.
    pub fn start(stage: &str, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealpool-prover"))
            .args(["processor", stage])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the processor starts");
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        assert_eq!(ready, format!("{stage} processor ready\n"));
        Self { child, stdin, stdout }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, line: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(line).unwrap();
    }

    /// Sends a task in damocles' envelope.
    pub fn ask(&mut self, id: u64, task: &Value) {
        self.send(format!("{}\n", json!({ "id": id, "task": task })).as_bytes());
    }

    /// The next answer; `None` when there will be no more.
    pub fn answer(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            return None;
        }
        let answer: Value = serde_json::from_str(&line).expect("an answer is one line of JSON");
        let keys: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["err_msg", "id", "output"]);
        assert_ne!(answer["err_msg"].is_null(), answer["output"].is_null(), "{answer}");
        Some(answer)
    }

    /// The next answer, which must be an error; answers its id and sentence.
    pub fn refusal(&mut self) -> (u64, String) {
        let answer = self.answer().expect("an answer");
        (answer["id"].as_u64().unwrap(), answer["err_msg"].as_str().expect("an error").to_owned())
    }

    /// Sends all tasks before reading an answer; answers outputs by id, which must all be there.
    pub fn all(&mut self, tasks: &[Value]) -> Vec<Value> {
        for (i, task) in tasks.iter().enumerate() {
            self.ask(1 + i as u64, task);
        }
        let mut outputs = BTreeMap::new();
        for _ in tasks {
            let answer = self.answer().expect("as many answers as tasks");
            assert!(answer["err_msg"].is_null(), "{answer}");
            outputs.insert(answer["id"].as_u64().unwrap(), answer["output"].clone());
        }
        assert_eq!(outputs.keys().copied().collect::<Vec<_>>(), (1..=tasks.len() as u64).collect::<Vec<_>>());
        outputs.into_values().collect()
    }

    /// Closes its stdin.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Closes its stdin and waits for its end.
    pub fn end(mut self) -> ExitStatus {
        self.close();
        self.child.wait().unwrap()
    }
}

/// Runs a request of our own protocol and answers its answer.
pub fn run(request: &Value) -> Value {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealpool-prover"))
        .arg("run")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}
