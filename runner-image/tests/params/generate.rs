//! `params generate`: whole files or none, the same ones each time, made once.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sealpool_prover::params::names::seal_proof;
use sealpool_prover::params::{dev, parents};

use crate::prover;

fn parents_command(size: &str, dir: &Path) -> Command {
    let mut command = prover::command(&["generate", "--parents", "--sector-size", size, "--dir"]);
    command.arg(dir).stderr(Stdio::null());
    command
}

#[test]
fn a_killed_generate_leaves_no_final_name() {
    for _ in 0..3 {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let mut command = prover::command(&["generate", "--set", "update", "--dir"]);
        command
            .arg(temp.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        // Killed somewhere in its first seconds, at a moment that its progress gives.
        let stderr = child.stderr.take().expect("piped");
        let lines = 1 + (prover::random() % 3) as usize;
        let seen = BufReader::new(stderr).lines().take(lines).count();
        child.kill().expect("SIGKILL");
        child.wait().expect("it ended");
        assert_eq!(seen, lines, "it was at work when killed");
        assert_eq!(prover::final_names(temp.path()), Vec::<String>::new());
    }
}

#[test]
fn a_parents_cache_is_whole_or_absent_whenever_its_maker_is_killed() {
    let proof = seal_proof(8 << 20, false).expect("8 MiB");
    let name = parents::file_name(proof).expect("its name");
    let temp = tempfile::tempdir().expect("a temporary folder");
    let whole = Instant::now();
    assert!(
        parents_command("8MiB", temp.path())
            .stdout(Stdio::null())
            .status()
            .expect("it runs")
            .success()
    );
    let whole = whole.elapsed();
    let mut absent = 0;
    for _ in 0..12 {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let mut child = parents_command("8MiB", temp.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let until = Instant::now() + whole.mul_f64((prover::random() % 1000) as f64 / 900.0);
        while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
            std::thread::yield_now();
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("it ended");
        match fs::metadata(temp.path().join(&name)) {
            Ok(_) => {
                assert!(parents::check(&temp.path().join(&name), proof).expect("it can be read"))
            }
            Err(_) => {
                absent += 1;
                // What the killed one left is no obstacle.
                assert!(
                    parents_command("2KiB", temp.path())
                        .stdout(Stdio::null())
                        .status()
                        .expect("it runs")
                        .success()
                );
            }
        }
    }
    assert!(absent > 0, "no kill came early enough to mean anything");
}

#[test]
fn two_processes_at_once_make_a_parents_cache_once() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let both: Vec<_> = (0..2)
        .map(|_| {
            parents_command("8MiB", temp.path())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts")
        })
        .collect();
    let mut made = 0;
    for child in both {
        let output = child.wait_with_output().expect("it ends");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an answer");
        assert_eq!(answer["ok"], true, "{answer}");
        made += usize::from(answer["result"]["made"] == true);
    }
    assert_eq!(made, 1);
}

#[test]
fn our_parents_cache_is_the_librarys() {
    // The library makes its own in a process whose settings point to another folder.
    let temp = tempfile::tempdir().expect("a temporary folder");
    let (ours, theirs) = (temp.path().join("ours"), temp.path().join("theirs"));
    for synthetic in [false, true] {
        let proof = seal_proof(2048, synthetic).expect("2 KiB");
        let (path, made) = parents::generate(&ours, proof).expect("ours");
        assert!(made);
        let status = Command::new(std::env::current_exe().expect("this test"))
            .args(["generate::make_the_librarys_parents_cache", "--exact"])
            .env("FIL_PROOFS_PARENT_CACHE", &theirs)
            .env("SEALPOOL_TEST_SYNTHETIC", synthetic.to_string())
            .stdout(Stdio::null())
            .status()
            .expect("it runs");
        assert!(status.success());
        let name = path.file_name().expect("a name");
        let (a, b) = (
            fs::read(&path).expect("ours"),
            fs::read(theirs.join(name)).expect("theirs"),
        );
        assert!(a == b && a.len() == 3584);
    }
}

/// Run by the test above as a process of its own; does nothing otherwise.
#[test]
fn make_the_librarys_parents_cache() {
    use filecoin_hashers::poseidon::PoseidonHasher;
    use storage_proofs_porep::stacked::StackedBucketGraph;
    let Ok(synthetic) = std::env::var("SEALPOOL_TEST_SYNTHETIC") else {
        return;
    };
    let config = seal_proof(2048, synthetic == "true")
        .expect("2 KiB")
        .as_v1_config();
    let graph = StackedBucketGraph::<PoseidonHasher>::new_stacked(
        64,
        6,
        8,
        config.porep_id,
        config.api_version,
    );
    graph
        .expect("the graph")
        .parent_cache()
        .expect("the library's parents cache");
}

#[test]
fn every_v1_1_parents_cache_has_filecoins_digest() {
    for size in [2u64 << 10, 8 << 20, 512 << 20, 32 << 30, 64 << 30] {
        let name = parents::file_name(seal_proof(size, false).expect("a size")).expect("a name");
        assert!(parents::published_digest(&name).is_some(), "{size}: {name}");
    }
}

/// Makes both sets (about two CPU-minutes) unless they are in the cache folder already, from two
/// processes at once, and compares them with the published digests.
#[test]
fn generated_parameters_have_the_published_digests_and_are_made_once() {
    let began = Instant::now();
    let both: Vec<_> = (0..2)
        .map(|_| {
            let mut command = prover::command(&["generate"]);
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts")
        })
        .collect();
    let mut made = 0;
    for child in both {
        let output = child.wait_with_output().expect("it ends");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an answer");
        assert_eq!(answer["ok"], true, "{answer}");
        for set in answer["result"]["sets"].as_array().expect("sets") {
            made += usize::from(set["made"] == true);
        }
        assert!(answer["result"]["warning"] == dev::WARNING);
    }
    assert!(made == 0 || made == 2, "made {made} sets");
    assert!(began.elapsed() < Duration::from_secs(1800));
    let (exit, answer) = prover::run(&["check", "--kind", "dev"]);
    assert_eq!(exit, 0, "{answer}");
    assert_eq!(
        answer["result"]["checked"].as_array().map(Vec::len),
        Some(6)
    );
}

#[test]
fn dev_parameters_do_not_go_where_official_ones_are() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let mut command = prover::command(&["generate", "--set", "update", "--dir"]);
    command
        .arg(temp.path())
        .env("FIL_PROOFS_PARAMETER_CACHE", temp.path());
    let (exit, answer) = prover::answer(command);
    assert_eq!(exit, 2, "{answer}");
    assert!(prover::final_names(temp.path()).is_empty());
}
