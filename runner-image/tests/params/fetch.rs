//! `params fetch` against gateways that misbehave.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sealpool_prover::params::files::partial_path;

use crate::evil_server::Manner;
use crate::mirror::{Fixture, of_params};
use crate::prover;

#[test]
fn a_broken_connection_is_resumed_where_it_broke() {
    let fixture = Fixture::new();
    let server = fixture.server(&[
        Manner::Honest,
        Manner::BreakAfter(1_000_000),
        Manner::BreakAfter(700_000),
        Manner::Honest,
    ]);
    let (exit, answer) = fixture.run(&[&server]);
    assert_eq!(exit, 0, "{answer}");
    fixture.assert_whole();
    let seen = of_params(server.seen());
    assert_eq!(
        seen.iter().map(|s| s.from).collect::<Vec<_>>(),
        [None, Some(1_000_000), Some(1_700_000)]
    );
    assert_eq!(
        seen.iter().map(|s| s.sent).sum::<usize>(),
        fixture.params.1.len()
    );
    // A second run finds both and asks nobody.
    let asked = server.seen().len();
    assert_eq!(fixture.run(&[&server]).0, 0);
    assert_eq!(server.seen().len(), asked);
}

#[test]
fn wrong_bytes_are_refused_and_the_next_gateway_is_asked() {
    let fixture = Fixture::new();
    let (evil, good) = (
        fixture.server(&[Manner::WrongBytes]),
        fixture.server(&[Manner::Honest]),
    );
    let (exit, answer) = fixture.run(&[&evil]);
    assert_eq!(exit, 6, "{answer}");
    assert!(prover::message(&answer).contains("other bytes"), "{answer}");
    assert!(prover::final_names(&fixture.dir()).is_empty());
    let (exit, answer) = fixture.run(&[&evil, &good]);
    assert_eq!(exit, 0, "{answer}");
    fixture.assert_whole();
    assert_eq!(answer["result"]["files"][1]["gateway"], good.url.as_str());
}

#[test]
fn a_server_that_ignores_ranges_still_gives_the_file() {
    let fixture = Fixture::new();
    let server = fixture.server(&[
        Manner::Honest,
        Manner::IgnoreRangeBreakAfter(900_000),
        Manner::IgnoreRangeBreakAfter(2_000_000),
        Manner::IgnoreRangeBreakAfter(usize::MAX),
    ]);
    let (exit, answer) = fixture.run(&[&server]);
    assert_eq!(exit, 0, "{answer}");
    fixture.assert_whole();
}

#[test]
fn a_server_that_never_gets_further_is_given_up() {
    let fixture = Fixture::new();
    let stuck = fixture.server(&[Manner::IgnoreRangeBreakAfter(900)]);
    let good = fixture.server(&[Manner::Honest]);
    assert_eq!(fixture.run(&[&stuck]).0, 6);
    assert_eq!(fixture.run(&[&stuck, &good]).0, 0);
    fixture.assert_whole();
}

#[test]
fn refusals_false_ranges_and_silence_lead_to_the_next_gateway() {
    for manner in [
        Manner::Status(404),
        Manner::Status(503),
        Manner::WrongRange,
        Manner::Hang,
        Manner::HangHalfway,
        Manner::Huge,
    ] {
        let fixture = Fixture::new();
        let (evil, good) = (fixture.server(&[manner]), fixture.server(&[Manner::Honest]));
        let began = Instant::now();
        let (exit, answer) = fixture.run(&[&evil, &good]);
        assert_eq!(exit, 0, "{manner:?}: {answer}");
        fixture.assert_whole();
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{manner:?} held the fetch up"
        );
    }
}

#[test]
fn a_body_without_an_end_does_not_fill_the_disk() {
    let fixture = Fixture::new();
    let (exit, answer) = fixture.run(&[&fixture.server(&[Manner::Endless])]);
    assert_eq!(exit, 6, "{answer}");
    assert!(prover::message(&answer).contains("how long"), "{answer}");
    for name in [&fixture.params.0, &fixture.vk.0] {
        let kept = fs::metadata(partial_path(&fixture.dir(), name)).expect("the partial file");
        assert_eq!(kept.len(), 0);
    }
}

#[test]
fn a_file_that_does_not_fit_is_said_before_it_is_fetched() {
    let fixture = Fixture::new();
    // A file system in memory is smaller than 200 GiB on any machine that runs tests.
    let small = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    let server = fixture.server(&[Manner::Honest, Manner::Large]);
    let (exit, answer) = prover::answer(fixture.command_into(small.path(), &[&server]));
    assert_eq!(exit, 8, "{answer}");
    assert_eq!(answer["error"]["code"], "out_of_disk");
    assert_eq!(prover::final_names(small.path()), [fixture.vk.0.clone()]);
}

#[test]
fn wrong_bytes_of_an_earlier_process_do_not_count_against_a_gateway() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.dir()).expect("the folder");
    fs::write(
        partial_path(&fixture.dir(), &fixture.params.0),
        vec![9; 500_000],
    )
    .expect("a partial file");
    let server = fixture.server(&[Manner::Honest]);
    let (exit, answer) = fixture.run(&[&server]);
    assert_eq!(exit, 0, "{answer}");
    fixture.assert_whole();
    let asked: Vec<_> = of_params(server.seen()).iter().map(|s| s.from).collect();
    assert_eq!(
        asked,
        [Some(500_000), None],
        "resumed once, then from its beginning"
    );
}

#[test]
fn a_whole_partial_file_is_recognised_and_a_wrong_final_one_replaced() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.dir()).expect("the folder");
    fs::write(
        partial_path(&fixture.dir(), &fixture.params.0),
        &fixture.params.1,
    )
    .expect("a partial file");
    fs::write(fixture.dir().join(&fixture.vk.0), b"wrong").expect("a wrong key");
    let server = fixture.server(&[Manner::Honest]);
    let (exit, answer) = fixture.run(&[&server]);
    assert_eq!(exit, 0, "{answer}");
    fixture.assert_whole();
    assert_eq!(
        of_params(server.seen())
            .iter()
            .map(|s| s.sent)
            .sum::<usize>(),
        0
    );
}

#[test]
fn a_killed_fetch_leaves_no_final_name_and_is_resumed() {
    let fixture = Fixture::new();
    let server = fixture.server(&[Manner::Honest, Manner::HangHalfway, Manner::Honest]);
    let mut child = fixture
        .command(&[&server])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // The key is served, then half of the parameters.
    for _ in 0..2 {
        server
            .served
            .recv_timeout(Duration::from_secs(30))
            .expect("a request");
    }
    let partial = partial_path(&fixture.dir(), &fixture.params.0);
    wait_for_some_bytes(&partial);
    child.kill().expect("SIGKILL");
    child.wait().expect("it ended");
    assert_eq!(
        prover::final_names(&fixture.dir()),
        [fixture.vk.0.clone()],
        "only the whole key"
    );
    let kept = fs::metadata(&partial).expect("the partial file").len() as usize;
    assert_eq!(fixture.run(&[&server]).0, 0);
    fixture.assert_whole();
    assert_eq!(
        of_params(server.seen()).last().and_then(|s| s.from),
        Some(kept)
    );
}

fn wait_for_some_bytes(path: &Path) {
    let began = Instant::now();
    while fs::metadata(path).map_or(0, |m| m.len()) == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "no byte arrived");
        std::thread::yield_now();
    }
}

#[test]
fn two_fetches_at_once_fetch_each_file_once() {
    let fixture = Fixture::new();
    let server = fixture.server(&[Manner::Honest]);
    let mut both: Vec<_> = (0..2)
        .map(|_| {
            fixture
                .command(&[&server])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts")
        })
        .collect();
    for child in &mut both {
        assert!(child.wait().expect("it ends").success());
    }
    fixture.assert_whole();
    assert_eq!(server.seen().len(), 2, "{:?}", server.seen());
}

#[test]
fn bad_arguments_are_answered_with_a_sentence() {
    for args in [
        &["fetch"][..],
        &["fetch", "--sector-size", "3KiB", "--role", "c2"],
        &["fetch", "--sector-size", "2KiB", "--role", "post"],
        &["fetch", "--sector-size"],
        &[
            "fetch",
            "--sector-size",
            "2KiB",
            "--role",
            "c2",
            "--parallel",
            "0",
        ],
        &["generate", "--set", "post"],
        &["generate", "--sector-size", "8MiB"],
        &["generate", "--parents"],
        &["check", "--dir", "/"],
        &["list", "extra"],
        &["melt"],
        &[],
    ] {
        let (exit, answer) = prover::run(args);
        assert_eq!(exit, 2, "{args:?}");
        assert_eq!(answer["error"]["code"], "bad_request", "{args:?}");
        assert!(prover::message(&answer).len() > 20, "{answer}");
    }
}
