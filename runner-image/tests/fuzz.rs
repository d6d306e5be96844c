//! Requests that nobody should send: each gets an answer with a sentence, in time.

mod prover;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use prover::{check_message, parse_lines, start};
use sealpool_prover::disk::sum;
use sealpool_prover::wire::answer::{Answer, StageError};
use sealpool_prover::wire::request::{self, Stage};
use serde_json::{Value, json};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/fixtures");

fn fixtures(kind: &str) -> Vec<(String, Vec<u8>)> {
    let mut out: Vec<_> = fs::read_dir(FIXTURES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(kind))
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read(path).unwrap(),
            )
        })
        .collect();
    out.sort();
    out
}

#[test]
fn every_fixture_is_read_and_every_stage_has_one() {
    let (requests, answers) = (fixtures(".request.json"), fixtures(".answer.json"));
    for (name, bytes) in &requests {
        let request = request::read(bytes).unwrap_or_else(|(_, error)| panic!("{name}: {error}"));
        assert!(name.starts_with(request.stage.name()), "{name}");
        // What the parser takes it also needs: no field can be left out but the optional ones.
        let whole: Value = serde_json::from_slice(bytes).unwrap();
        for field in whole.as_object().unwrap().keys() {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(field);
            assert!(
                request::read(part.to_string().as_bytes()).is_err(),
                "{name} without {field}"
            );
        }
        let mut more = whole.clone();
        more["params"]["unknown"] = json!(1);
        assert!(
            request::read(more.to_string().as_bytes()).is_err(),
            "{name}"
        );
    }
    for (name, bytes) in &answers {
        let answer: Answer =
            serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = serde_json::to_value(&answer).unwrap();
        assert_eq!(
            again,
            serde_json::from_slice::<Value>(bytes).unwrap(),
            "{name}"
        );
    }
    for stage in Stage::ALL {
        for list in [&requests, &answers] {
            assert!(
                list.iter()
                    .any(|(name, _)| name.starts_with(&format!("{}.", stage.name()))),
                "{stage:?}"
            );
        }
    }
}

#[test]
fn the_schemas_name_the_same_stages_and_codes_as_the_program() {
    let schema = |name: &str| -> Value {
        let path = format!("{FIXTURES}/../{name}.schema.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let (request, answer) = (schema("request"), schema("answer"));
    let names = Stage::ALL.map(Stage::name);
    assert_eq!(request["properties"]["stage"]["enum"], json!(names));
    for name in names {
        assert!(
            request["$defs"][format!("{name}.params")].is_object(),
            "{name}"
        );
        assert!(
            answer["$defs"][format!("{name}.result")].is_object(),
            "{name}"
        );
    }
    let codes = answer["$defs"]["error"]["properties"]["code"]["enum"]
        .as_array()
        .unwrap();
    assert_eq!(codes.len(), 9);
    for code in codes {
        let error = json!({"code": code, "message": "m"});
        assert!(
            serde_json::from_value::<StageError>(error).is_ok(),
            "{code}"
        );
    }
}

/// A small generator of its own, so that a failing seed can be run again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Something that does not belong where it is put.
    fn value(&mut self) -> Value {
        match self.below(16) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(u64::MAX),
            3 => json!(-1),
            4 => json!(1e308),
            5 => json!("18446744073709551615"),
            6 => json!("18446744073709551616"),
            7 => json!("-1"),
            8 => json!(""),
            9 => json!("9".repeat(1000)),
            10 => json!("\u{0}/../../../../etc/passwd"),
            11 => json!([]),
            12 => json!({}),
            13 => json!("ff".repeat(32)),
            14 => json!("StackedDrg9GiBV1_1"),
            _ => json!(String::from_utf8_lossy(&self.bytes(12))),
        }
    }

    /// Changes, drops or adds something at a random place.
    fn mutate(&mut self, value: &mut Value) {
        match value {
            Value::Object(map) if !map.is_empty() && self.below(8) > 0 => {
                let key = map.keys().nth(self.below(map.len())).cloned().unwrap();
                match self.below(6) {
                    0 => drop(map.remove(&key)),
                    1 => drop(
                        map.insert(String::from_utf8_lossy(&self.bytes(5)).into(), self.value()),
                    ),
                    _ => self.mutate(&mut map[&key]),
                }
            }
            Value::Array(list) if !list.is_empty() && self.below(4) > 0 => {
                let at = self.below(list.len());
                match self.below(4) {
                    0 => drop(list.remove(at)),
                    1 => *list = vec![list[at].clone(); 300],
                    _ => self.mutate(&mut list[at]),
                }
            }
            Value::String(text) if !text.is_empty() && self.below(3) > 0 => {
                let mut bytes = text.clone().into_bytes();
                let at = self.below(bytes.len());
                bytes[at] ^= 1 << self.below(7);
                *text = String::from_utf8_lossy(&bytes).into();
            }
            other => *other = self.value(),
        }
    }

    /// Changes a digit of a value so that it stays hex, decimal, base32 or base64.
    fn plausible(&mut self, params: &mut Value) {
        let Some(map) = params.as_object_mut() else {
            return;
        };
        let mut texts: Vec<&mut Value> =
            map.values_mut().filter(|value| value.is_string()).collect();
        if texts.is_empty() {
            return;
        }
        let at = self.below(texts.len());
        let mut bytes = texts[at].as_str().unwrap().as_bytes().to_vec();
        // The first letters of a CID say what it is.
        let from = if bytes.len() > 20 { 20 } else { 0 };
        let place = from + self.below(bytes.len() - from);
        bytes[place] = b'2' + self.below(6) as u8;
        *texts[at] = json!(String::from_utf8(bytes).unwrap());
    }

    fn request(&mut self, seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
        let (_, seed) = &seeds[self.below(seeds.len())];
        match self.below(12) {
            0 => {
                let length = self.below(200);
                self.bytes(length)
            }
            1 => seed[..self.below(seed.len())].to_vec(),
            2 => {
                let mut bytes = seed.clone();
                let at = self.below(bytes.len());
                bytes[at] = self.next() as u8;
                bytes
            }
            3 => "[".repeat(self.below(100_000)).into_bytes(),
            4 => {
                // The same field twice.
                let text = String::from_utf8_lossy(seed).into_owned();
                text.replacen(
                    "\"params\": {",
                    "\"params\": {\"commD\": 1, \"commD\": 2, ",
                    1,
                )
                .into_bytes()
            }
            5..=7 => {
                let mut value: Value = serde_json::from_slice(seed).unwrap();
                self.plausible(&mut value["params"]);
                value.to_string().into_bytes()
            }
            _ => {
                let mut value: Value = serde_json::from_slice(seed).unwrap();
                for _ in 0..=self.below(3) {
                    self.mutate(&mut value);
                }
                value.to_string().into_bytes()
            }
        }
    }
}

/// A folder with files under every name that fixtures use, so that some requests get far.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (_, bytes) in fixtures(".request.json") {
        let request: Value = serde_json::from_slice(&bytes).unwrap();
        for input in request["inputs"].as_object().unwrap().values() {
            let path = dir.path().join(input["path"].as_str().unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let size: usize = input["sizeBytes"].as_str().unwrap().parse().unwrap();
            fs::write(path, vec![0; size]).unwrap();
        }
    }
    fs::create_dir(dir.path().join("out")).unwrap();
    dir
}

/// The code that a request is answered with (`ok` for none).
fn ask(dir: &Path, bytes: &[u8]) -> String {
    let begun = Instant::now();
    let mut child = start(dir, &[]);
    // A process that refuses early may close the pipe before it has read all.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    let out = child.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned();
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "too slow: {shown}"
    );
    let text = String::from_utf8(out.stdout).unwrap();
    let answer: Value =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text:?} for {shown}"));
    assert!(
        serde_json::from_value::<Answer>(answer.clone()).is_ok(),
        "{answer}"
    );
    parse_lines(&out.stderr);
    check_message(&answer);
    assert_ne!(answer["error"]["code"], "internal", "{answer} for {shown}");
    let entries = fs::read_dir(dir.join("out")).unwrap().count();
    if entries > 0 {
        assert_eq!(answer["ok"], true, "{answer} left files for {shown}");
        fs::remove_dir_all(dir.join("out")).unwrap();
        fs::create_dir(dir.join("out")).unwrap();
    }
    answer["error"]["code"].as_str().unwrap_or("ok").to_owned()
}

/// The fixtures, and again with the hashes of the files that are really there: those requests get
/// as far as the stage, which then reads files that are not what it needs.
fn seeds(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut out = fixtures(".request.json");
    for (name, bytes) in out.clone() {
        let mut request: Value = serde_json::from_slice(&bytes).unwrap();
        for input in request["inputs"].as_object_mut().unwrap().values_mut() {
            let sum = sum::of_file(&dir.join(input["path"].as_str().unwrap())).unwrap();
            input["hash"] = json!(sum.hash);
            input["sizeBytes"] = json!(sum.size_bytes);
        }
        out.push((name, request.to_string().into_bytes()));
    }
    out
}

fn fuzz(seed: u64, count: usize) {
    let (dir, mut random) = (folder(), Random(seed));
    let seeds = seeds(dir.path());
    let mut seen = BTreeMap::<String, usize>::new();
    for _ in 0..count {
        *seen
            .entry(ask(dir.path(), &random.request(&seeds)))
            .or_default() += 1;
    }
    // Requests that all fail at the first brace would prove nothing.
    for code in [
        "ok",
        "bad_request",
        "input_differs",
        "input_invalid",
        "proof_invalid",
    ] {
        assert!(
            seen.contains_key(code),
            "no request was answered {code}: {seen:?}"
        );
    }
}

#[test]
fn files_that_are_nothing_of_what_their_names_say_are_refused() {
    let dir = folder();
    for (_, bytes) in seeds(dir.path()) {
        ask(dir.path(), &bytes);
    }
}

#[test]
fn three_hundred_wrong_requests_are_answered() {
    fuzz(1, 300);
}

#[test]
#[ignore = "soak: ten thousand processes"]
fn ten_thousand_wrong_requests_are_answered() {
    fuzz(2, 10_000);
}

#[test]
fn an_endless_request_is_refused() {
    let dir = folder();
    let mut child = start(dir.path(), &[]);
    let mut stdin = child.stdin.take().unwrap();
    let chunk = vec![b' '; 1 << 20];
    while stdin.write_all(&chunk).is_ok() {}
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&answer["error"]["code"], child.wait().unwrap().code()),
        (&json!("bad_request"), Some(2))
    );
}
