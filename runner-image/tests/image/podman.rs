//! Podman, and the container that a runner would start.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Once;

use serde_json::Value;

/// The image that the test builds.
pub const IMAGE: &str = "localhost/sealpool-prover:test";

/// Whether podman is there. Without it the tests are skipped by name, and fail with CI=true.
pub fn is_there() -> bool {
    let there = Command::new("podman").arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        println!("skipped: image: podman is missing");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "podman is missing; install it (apt-get install podman)");
    }
    there
}

/// Builds the image around the program under test, once.
pub fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(build_now);
}

fn build_now() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(here.join("build-image.sh"))
        .args([env!("CARGO_BIN_EXE_sealpool-prover"), IMAGE])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Podman with its arguments, run to its end.
pub fn podman(args: &[&str], stdin: &str) -> Output {
    let mut command = Command::new("podman");
    // Where both are, runc: crun needs more of the kernel than a container in a container has.
    if Command::new("runc").arg("--version").output().is_ok_and(|o| o.status.success()) {
        command.args(["--runtime", "runc"]);
    }
    let mut child = command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// One request in a container as a runner starts it: no network, read-only root, no capabilities.
/// `work` and `cache` are the only folders it sees; `more` are further podman options.
pub fn run(work: &Path, cache: &Path, more: &[&str], request: &Value) -> Value {
    let mounts = [format!("{}:/work", work.display()), format!("{}:/cache", cache.display())];
    let mut args = vec![
        "run", "--rm", "--interactive", "--network=none", "--read-only", "--cap-drop=ALL",
        "--security-opt=no-new-privileges", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024",
        "--volume", &mounts[0], "--volume", &mounts[1],
    ];
    args.extend(more);
    args.extend([IMAGE, "run"]);
    let output = podman(&args, &request.to_string());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("no answer: {} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    })
}
