//! `params check` and `params list` over all three kinds of files.

use std::fs;
use std::path::Path;

use sealpool_prover::params::names::{Circuit, circuit_files, seal_proof};
use sealpool_prover::params::{dev, folders, parents};

use crate::prover;

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("the file");
    let at = (prover::random() % bytes.len() as u64) as usize;
    bytes[at] ^= 1 << (prover::random() % 8);
    fs::write(path, bytes).expect("written");
}

fn check(kind: &str, dir: &Path) -> (i32, serde_json::Value) {
    prover::run(&[
        "check",
        "--kind",
        kind,
        "--dir",
        dir.to_str().expect("a readable path"),
    ])
}

fn names_it(answer: &serde_json::Value, path: &Path) {
    let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
    assert!(prover::message(answer).contains(name), "{answer}");
}

#[test]
fn a_flipped_bit_in_a_parents_cache_is_found() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    for synthetic in [false, true] {
        let proof = seal_proof(2048, synthetic).expect("2 KiB");
        let (path, _) = parents::generate(temp.path(), proof).expect("a parents cache");
        assert_eq!(check("parents", temp.path()).0, 0);
        for _ in 0..8 {
            let whole = fs::read(&path).expect("the file");
            flip(&path);
            let (exit, answer) = check("parents", temp.path());
            assert_eq!(exit, 3, "{answer}");
            names_it(&answer, &path);
            // Making it again repairs it.
            let (_, made) = parents::generate(temp.path(), proof).expect("a parents cache");
            assert!(made && fs::read(&path).expect("the file") == whole);
        }
        fs::write(&path, b"short").expect("written");
        assert_eq!(check("parents", temp.path()).0, 3);
        fs::remove_file(&path).expect("removed");
    }
}

#[test]
fn a_flipped_bit_in_a_dev_key_or_its_metadata_is_found() {
    made();
    let temp = tempfile::tempdir().expect("a temporary folder");
    for circuit in [Circuit::Porep, Circuit::Update] {
        let names = dev::circuit_files(circuit).expect("names");
        for name in [&names.vk, &names.meta] {
            fs::copy(folders::dev().join(name), temp.path().join(name)).expect("a copy");
        }
        for name in [&names.vk, &names.meta] {
            let path = temp.path().join(name);
            let whole = fs::read(&path).expect("the file");
            for _ in 0..8 {
                flip(&path);
                let (exit, answer) = check("dev", temp.path());
                assert_eq!(exit, 3, "{answer}");
                fs::write(&path, &whole).expect("written");
            }
        }
        assert_eq!(check("dev", temp.path()).0, 0);
    }
}

#[test]
fn a_flipped_byte_in_large_parameters_is_found_where_it_is() {
    use std::io::{Read, Seek, SeekFrom, Write};
    made();
    let names = dev::circuit_files(Circuit::Update).expect("names");
    let temp = tempfile::tempdir_in(folders::cache_home()).expect("a folder on the same disk");
    let path = temp.path().join(&names.params);
    let size = fs::copy(folders::dev().join(&names.params), &path).expect("a copy");
    let mut file = fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .expect("the copy");
    let at = prover::random() % size;
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))
        .and_then(|_| file.read_exact(&mut byte))
        .expect("read");
    file.seek(SeekFrom::Start(at))
        .and_then(|_| file.write_all(&[byte[0] ^ 0x10]))
        .expect("written");
    let (exit, answer) = check("dev", temp.path());
    assert_eq!(exit, 3, "byte {at}: {answer}");
    names_it(&answer, &path);
}

#[test]
fn a_wrong_official_file_is_found() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let names =
        circuit_files(Circuit::Porep, seal_proof(32 << 30, true).expect("32 GiB")).expect("names");
    let path = temp.path().join(&names.vk);
    fs::write(&path, b"not the key").expect("written");
    let (exit, answer) = check("official", temp.path());
    assert_eq!(exit, 3, "{answer}");
    names_it(&answer, &path);
}

#[test]
fn list_shows_each_kind_and_what_is_unfinished() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let proof = seal_proof(2048, false).expect("2 KiB");
    let porep = circuit_files(Circuit::Porep, proof).expect("names");
    for folder in ["official", "dev", "parents"] {
        fs::create_dir(temp.path().join(folder)).expect("a folder");
    }
    parents::generate(&temp.path().join("parents"), proof).expect("a parents cache");
    fs::write(temp.path().join("official").join(&porep.vk), b"key").expect("written");
    fs::write(temp.path().join("dev").join(&porep.meta), b"{}").expect("written");
    fs::write(temp.path().join("official/.half.partial"), b"half").expect("written");
    fs::write(temp.path().join("official/unknown"), b"other").expect("written");
    let mut command = prover::command(&["list"]);
    command
        .env("FIL_PROOFS_PARAMETER_CACHE", temp.path().join("official"))
        .env("FIL_PROOFS_PARENT_CACHE", temp.path().join("parents"))
        .env("SEALPOOL_DEV_PARAMETERS", temp.path().join("dev"));
    let (exit, answer) = prover::answer(command);
    assert_eq!(exit, 0);
    let files = answer["result"]["files"].as_array().expect("files");
    let found: Vec<_> = files
        .iter()
        .map(|f| (&f["kind"], &f["sizeBytes"]))
        .collect();
    assert_eq!(
        found,
        [
            (&"official".into(), &"3".into()),
            (&"dev".into(), &"2".into()),
            (&"parents".into(), &"3584".into())
        ]
    );
    assert_eq!(
        answer["result"]["unfinished"].as_array().map(Vec::len),
        Some(1)
    );
}

/// Makes sure that the dev-network parameters are there; a no-op but for the first run of all.
fn made() {
    let (exit, answer) = prover::run(&["generate"]);
    assert_eq!(exit, 0, "{answer}");
}
