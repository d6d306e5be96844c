//! The processor mode, driven as a damocles-worker drives it: its JSON, eight tasks in flight.

mod sectors;
mod worker;

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use sectors::{Sectors, hex, verify_request};
use serde_json::{Value, json};
use worker::{Processor, run};

const IN_FLIGHT: usize = 8;

#[test]
fn eight_sectors_in_flight_through_every_stage_but_the_proofs() {
    let sectors = Sectors::new(IN_FLIGHT);
    let staged = Processor::start("add_pieces", &["--concurrency", "4"]).all(&sectors.add_pieces());
    for infos in &staged {
        assert_eq!(infos.as_array().unwrap().len(), 3);
        assert_eq!(infos[0]["commitment"].as_array().unwrap().len(), 32);
    }
    assert_eq!(Processor::start("tree_d", &[]).all(&sectors.tree_d()), vec![json!(true); IN_FLIGHT]);
    let layers = Processor::start("pc1", &["--concurrency", "8"]).all(&sectors.pc1(&staged));
    let sealed = Processor::start("pc2", &["--concurrency", "2"]).all(&sectors.pc2(&layers));
    for i in 0..IN_FLIGHT {
        sectors.check_sealed(i, &staged[i], &sealed[i]);
    }
    let fresh = Processor::start("add_pieces", &[]).all(&sectors.add_new_pieces());
    let updates = Processor::start("snap_encode", &["--concurrency", "8"]).all(&sectors.snap_encode(&fresh));
    for i in 0..IN_FLIGHT {
        sectors.check_update(i, &sealed[i], &updates[i]);
    }
}

#[test]
fn no_line_is_swallowed() {
    let dir = tempfile::tempdir().unwrap();
    let staged = dir.path().join("staged");
    let good = json!({ "seal_proof_type": "StackedDrg2KiBV1_1", "pieces": [], "staged_filepath": staged });
    let mut processor = Processor::start("add_pieces", &["--concurrency", "1"]);
    let with = |key: &str, value: Value| {
        let mut task = good.clone();
        task[key] = value;
        format!("{}\n", json!({ "id": 9, "task": task }))
    };
    let piece = |file: Value, payload: u64, size: u64| with("pieces", json!([{ "piece_file": file, "payload_size": payload, "piece_size": size }]));
    for (line, id, part) in [
        ("\n".to_owned(), 0, "no request"),
        ("what?\n".to_owned(), 0, "no request"),
        ("{\"id\":7,\"task\":{\n".to_owned(), 7, "no request"),
        ("{\"id\":7}\n".to_owned(), 7, "no request"),
        ("{\"task\":{}}\n".to_owned(), 0, "no request"),
        ("{\"id\":-1,\"task\":{}}\n".to_owned(), 0, "no request"),
        ("{\"id\":99999999999999999999,\"task\":{}}\n".to_owned(), 0, "no request"),
        ("[1,2]\n".to_owned(), 0, "a list"),
        (format!("{}\n", "[".repeat(5_000)), 0, "no request"),
        ("{\"id\":8,\"task\":{}}\n".to_owned(), 8, "no add_pieces task"),
        ("{\"id\":8,\"task\":null}\n".to_owned(), 8, "no add_pieces task"),
        (with("seal_proof_type", json!("StackedDrg3KiBV1")), 9, "no add_pieces task"),
        (with("seal_proof_type", json!("StackedDrg2KiBV1")), 9, "not supported"),
        (with("staged_filepath", json!(dir.path().join("no/where"))), 9, "staged file"),
        (piece(json!("pledge"), 0, 4064), 9, "do not fit"),
        (piece(json!("pledge"), 0, 128), 9, "size"),
        (piece(json!({ "local": dir.path().join("none") }), 1, 127), 9, "reading piece"),
        (piece(json!({ "local": "/dev/null" }), 127, 127), 9, "fetch it again"),
        (piece(json!({ "local": "/dev/null" }), 128, 127), 9, "cannot hold"),
        (piece(json!({ "url": "http://127.0.0.1:9/piece" }), 1, 127), 9, "no network"),
    ] {
        processor.send(line.as_bytes());
        let (answered, sentence) = processor.refusal();
        assert_eq!(answered, id, "{line}: {sentence}");
        assert!(sentence.contains(part) && sentence.contains("; "), "{line}: {sentence}");
    }
    processor.send(b"{\"id\":3,\"task\":\xff\xfe}\n");
    assert_eq!(processor.refusal().0, 3);
    processor.ask(10, &good);
    let answer = processor.answer().unwrap();
    assert_eq!((&answer["id"], answer["output"][0]["size"].as_u64()), (&json!(10), Some(2032)));
    assert_eq!(fs::metadata(&staged).unwrap().len(), 2048);
    // The last line without its end was cut off.
    processor.send(b"{\"id\":11,\"task\":{");
    processor.close();
    assert_eq!(processor.refusal().0, 11);
    assert!(processor.answer().is_none());
    assert!(processor.end().success());
}

#[test]
fn files_that_do_not_belong_together_get_an_answer() {
    let sectors = Sectors::new(2);
    let staged = Processor::start("add_pieces", &[]).all(&sectors.add_pieces());
    let mut pc1 = Processor::start("pc1", &[]);
    // The pieces of the other sector.
    let tasks = sectors.pc1(&[staged[1].clone(), staged[0].clone()]);
    pc1.ask(1, &tasks[0]);
    assert!(pc1.refusal().1.contains("PC1 failed"));
    let layers = pc1.all(&sectors.pc1(&staged));
    fs::remove_file(sectors.cache(0).join("sc-02-data-layer-2.dat")).unwrap();
    let mut pc2 = Processor::start("pc2", &["--concurrency", "2"]);
    let tasks = sectors.pc2(&layers);
    pc2.ask(1, &tasks[0]);
    assert!(pc2.refusal().1.contains("; "));
    pc2.ask(2, &tasks[1]);
    assert!(pc2.answer().unwrap()["err_msg"].is_null(), "the next task is not harmed");
}

#[test]
fn a_task_that_is_killed_is_answered_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("piece");
    let path = CString::new(fifo.as_os_str().as_bytes()).unwrap();
    // SAFETY: a plain call with a path that lives.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    let piece = json!({ "piece_file": { "local": fifo }, "payload_size": 1, "piece_size": 127 });
    let task = |pieces: Value| json!({ "seal_proof_type": "StackedDrg2KiBV1_1", "pieces": pieces, "staged_filepath": dir.path().join("staged") });
    let mut processor = Processor::start("add_pieces", &["--concurrency", "2"]);
    // Waits for a writer of the pipe for ever.
    processor.ask(1, &task(json!([piece])));
    processor.ask(2, &task(json!([])));
    assert_eq!(processor.answer().unwrap()["id"], 2);
    let stuck = child_of(processor.pid());
    // SAFETY: a process that this test's processor started for the task above.
    assert_eq!(unsafe { libc::kill(stuck, libc::SIGKILL) }, 0);
    let (id, sentence) = processor.refusal();
    assert!(id == 1 && sentence.contains("was killed"), "{sentence}");
    processor.ask(3, &task(json!([])));
    assert_eq!(processor.answer().unwrap()["id"], 3);
    assert!(processor.end().success());
}

/// The only child of a process.
fn child_of(pid: u32) -> libc::pid_t {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children: String = tasks
        .map(|t| fs::read_to_string(t.unwrap().path().join("children")).unwrap_or_default())
        .collect();
    children.trim().parse().expect("one child")
}

#[test]
fn what_is_in_flight_when_stdin_ends_is_answered() {
    let sectors = Sectors::new(IN_FLIGHT);
    let mut processor = Processor::start("add_pieces", &["--concurrency", "2"]);
    for (i, task) in sectors.add_pieces().iter().enumerate() {
        processor.ask(1 + i as u64, task);
    }
    processor.close();
    let mut ids: Vec<u64> = std::iter::from_fn(|| processor.answer()).map(|a| a["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=IN_FLIGHT as u64).collect::<Vec<_>>());
    assert!(processor.end().success());
}

#[test]
#[ignore = "a real proof: minutes, and needs `make params`"]
fn c2_and_snap_prove_make_proofs_that_verify() {
    let sectors = Sectors::new(1);
    let staged = Processor::start("add_pieces", &[]).all(&sectors.add_pieces());
    let layers = Processor::start("pc1", &[]).all(&sectors.pc1(&staged));
    let sealed = Processor::start("pc2", &[]).all(&sectors.pc2(&layers));
    let c1 = sectors.check_sealed(0, &staged[0], &sealed[0]);
    let mut c2 = Processor::start("c2", &["--network", "dev"]);
    let task = json!({ "c1out": c1, "prover_id": sectors::PROVER_ID, "sector_id": 1, "miner_id": 1000 });
    let mut foreign = task.clone();
    foreign["miner_id"] = json!(1001);
    c2.ask(1, &foreign);
    assert!(c2.refusal().1.contains("different miners"));
    let mut forged = task.clone();
    forged["c1out"]["vanilla_proofs"]["StackedDrg2KiBV1"][0][0]["replica_column_proofs"]["exp_parents"] = json!([]);
    c2.ask(2, &forged);
    assert!(c2.refusal().1.contains("expander parents"));
    let proof = c2.all(&[task])[0]["proof"].clone();
    let seal = json!({
        "ticket": hex(&json!(sectors::TICKET)), "seed": hex(&json!(sectors::SEED)),
        "commR": hex(&sealed[0]["comm_r"]), "commD": hex(&sealed[0]["comm_d"]),
    });
    assert_eq!(run(&verify_request("verify-seal", seal, &proof))["ok"], json!(true));

    let fresh = Processor::start("add_pieces", &[]).all(&sectors.add_new_pieces());
    let updates = Processor::start("snap_encode", &[]).all(&sectors.snap_encode(&fresh));
    let vanilla = sectors.check_update(0, &sealed[0], &updates[0]);
    let task = json!({
        "registered_proof": "StackedDrg2KiBV1", "vannilla_proofs": vanilla, "comm_r_old": sealed[0]["comm_r"],
        "comm_r_new": updates[0]["comm_r_new"], "comm_d_new": updates[0]["comm_d_new"],
    });
    let proof = Processor::start("snap_prove", &["--network", "dev"]).all(&[task])[0].clone();
    let update = json!({
        "commROld": hex(&sealed[0]["comm_r"]), "commRNew": hex(&updates[0]["comm_r_new"]), "commDNew": hex(&updates[0]["comm_d_new"]),
    });
    assert_eq!(run(&verify_request("verify-update", update, &proof))["ok"], json!(true));
}
