//! Layers outlive the run that made them: an 8 MiB sector's PC1 killed after its first layer.

mod prover;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use prover::sealing::{LAYERS, TICKET, add_pieces, payload, pick};
use prover::{BIN, Files, Ran, Setup, check_message, set_up};
use serde_json::{Value, json};

const SEAL_PROOF: &str = "StackedDrg8MiBV1_1";
/// CommD of 8 MiB of zeros would do as well; PC1 reads no data.
const COMM_D: &str = "1212121212121212121212121212121212121212121212121212121212121212";

fn replica() -> Value {
    json!({"ticket": TICKET, "commD": COMM_D})
}

/// Waits until the process says that the first layer has its name.
fn wait_for_first_layer(child: &mut Child) -> Value {
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let lines = stderr
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    lines
        .into_iter()
        .find(|line| line["t"] == "output")
        .expect("a layer")
}

/// A run that got no further than the first layer: its folder, and what it said about that layer.
/// A machine that finishes the second layer before the signal arrives gets another try.
fn killed_after_first_layer(signal: i32, exit: Option<i32>) -> (Setup, Value) {
    for _ in 0..5 {
        let setup = set_up("pc1", SEAL_PROOF, &Files::new(), replica());
        let mut child = setup.spawn();
        let layer = wait_for_first_layer(&mut child);
        // SAFETY: the child has not been waited for, so its number is its own.
        unsafe { libc::kill(child.id() as i32, signal) };
        assert_eq!(layer["name"], LAYERS[0]);
        let ended = child.wait().unwrap().code();
        if !setup.path("out").join(LAYERS[1]).exists() {
            assert_eq!(ended, exit);
            return (setup, layer);
        }
    }
    panic!("pc1 was never interrupted after its first layer");
}

/// Runs pc1 again on a layer that is there, as the line on stderr described it.
fn resumed(setup: &Setup, layer: &Value) -> Setup {
    let files = Files::from([(LAYERS[0].to_owned(), setup.path("out").join(LAYERS[0]))]);
    let again = set_up("pc1", SEAL_PROOF, &files, replica());
    assert_eq!(again.request["inputs"][LAYERS[0]]["hash"], layer["hash"]);
    again
}

fn names(ran: &Ran) -> Vec<String> {
    ran.files().into_keys().collect()
}

#[test]
fn the_second_run_skips_the_layer_and_comes_to_the_same_comm_r() {
    let (_pieces, added) = add_pieces(SEAL_PROOF, &[payload(5_000_000, 9)]);
    let replica = json!({"ticket": TICKET, "commD": added.result()["commD"]["cid"]});
    let unbroken = set_up("pc1", SEAL_PROOF, &Files::new(), replica.clone())
        .run()
        .ok();
    assert!(unbroken.of_kind("skipped").is_empty());
    assert_eq!(unbroken.of_kind("output").len(), 3);

    // The run that is killed makes the same replica's layer.
    let mut first = set_up("pc1", SEAL_PROOF, &Files::new(), replica.clone());
    for _ in 0..5 {
        let mut child = first.spawn();
        wait_for_first_layer(&mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        if !first.path("out").join(LAYERS[1]).exists() {
            break;
        }
        first = set_up("pc1", SEAL_PROOF, &Files::new(), replica.clone());
    }
    let files = Files::from([(LAYERS[0].to_owned(), first.path("out").join(LAYERS[0]))]);
    let resumed = set_up("pc1", SEAL_PROOF, &files, replica.clone())
        .run()
        .ok();
    assert_eq!(
        resumed.of_kind("skipped"),
        [&json!({"t": "skipped", "name": LAYERS[0]})]
    );
    let log: Vec<&str> = resumed
        .of_kind("log")
        .iter()
        .filter_map(|line| line["msg"].as_str())
        .collect();
    assert!(
        log.contains(&"skipping layer 1, already generated"),
        "{log:?}"
    );
    assert_eq!(names(&resumed), [LAYERS[1], "cache/t_aux"]);

    let comm_r = |layers: Files| {
        let mut inputs = layers;
        inputs.extend(added.files());
        set_up("pc2", SEAL_PROOF, &inputs, replica.clone())
            .run()
            .ok()
            .result()["commR"]
            .clone()
    };
    let mut layers = resumed.files();
    layers.extend(files);
    assert_eq!(comm_r(layers), comm_r(unbroken.files()));
}

#[test]
fn sigterm_is_answered_and_leaves_finished_layers_only() {
    let (setup, _layer) = killed_after_first_layer(libc::SIGTERM, Some(9));
    let left: Vec<String> = fs::read_dir(setup.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, ["cache"]);
}

/// What the kernel does when memory runs out.
#[test]
fn a_stage_that_is_killed_is_answered_as_out_of_memory() {
    let setup = set_up("pc1", SEAL_PROOF, &Files::new(), replica());
    let mut child = setup.spawn();
    wait_for_first_layer(&mut child);
    let list = format!("/proc/{0}/task/{0}/children", child.id());
    let stage: i32 = fs::read_to_string(list).unwrap().trim().parse().unwrap();
    // SAFETY: a child of our child, not reaped while that one lives.
    unsafe { libc::kill(stage, libc::SIGKILL) };
    let out = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
    check_message(&answer);
    assert_eq!(
        (&answer["error"]["code"], out.status.code()),
        (&json!("out_of_memory"), Some(7))
    );
    assert_eq!(fs::read_dir(setup.path("out")).unwrap().count(), 1);
}

#[test]
fn a_disk_without_room_is_answered_as_out_of_disk() {
    let setup = set_up("tree-d", SEAL_PROOF, &Files::new(), json!({}));
    // A limit on file sizes in blocks of 512 bytes stands in for a full disk.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -f 8; exec \"$0\" run", BIN])
        .current_dir(setup.dir.path());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(setup.request.to_string().as_bytes())
        .unwrap();
    let out = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
    check_message(&answer);
    assert_eq!(
        (&answer["error"]["code"], out.status.code()),
        (&json!("out_of_disk"), Some(8))
    );
    assert_eq!(fs::read_dir(setup.path("out")).unwrap().count(), 0);
}

#[test]
fn a_killed_runs_leftovers_go_with_the_next_run() {
    let (setup, layer) = killed_after_first_layer(libc::SIGKILL, None);
    let mut again = resumed(&setup, &layer);
    let out = setup.path("out");
    let leftovers = || {
        let entries = fs::read_dir(&out).unwrap();
        entries
            .filter(|e| {
                e.as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with('.')
            })
            .count()
    };
    assert_eq!(leftovers(), 1);
    again.request["outputDir"] = json!(out);
    let mut child = again.spawn();
    assert!(child.wait().unwrap().success());
    assert_eq!(leftovers(), 0);
}

#[test]
fn a_layer_that_is_wrong_is_made_again() {
    let right = set_up("pc1", SEAL_PROOF, &Files::new(), replica())
        .run()
        .ok();
    let first = pick(&right.files(), &[LAYERS[0]]);
    let sum = |ran: &Ran| ran.answer["outputs"][LAYERS[0]].clone();

    // Wrong content under the right hash: found by the hash.
    let mut setup = set_up("pc1", SEAL_PROOF, &first, replica());
    setup.flip(LAYERS[0], 4_000_000, false);
    let ran = setup.run().ok();
    assert!(ran.of_kind("skipped").is_empty());
    assert_eq!(sum(&ran), sum(&right));

    // Another replica's layer, or none at all, with its own hash: found by its labels.
    let junk = tempfile::tempdir().unwrap();
    fs::write(junk.path().join("layer"), payload(8 << 20, 10)).unwrap();
    let mut other = replica();
    other["ticket"] = json!(COMM_D);
    let foreign = set_up("pc1", SEAL_PROOF, &Files::new(), other).run().ok();
    for path in [
        junk.path().join("layer"),
        foreign.files()[LAYERS[0]].clone(),
    ] {
        let files = Files::from([(LAYERS[0].to_owned(), path)]);
        let ran = set_up("pc1", SEAL_PROOF, &files, replica()).run().ok();
        assert!(ran.of_kind("skipped").is_empty());
        assert_eq!(sum(&ran), sum(&right));
    }
}
