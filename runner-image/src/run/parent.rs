//! The process that reads the request, starts the child, and answers whatever becomes of it.

use std::env;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use super::relay::{self, Heard};
use super::signals;
use crate::disk::work::WorkDir;
use crate::wire::answer::{Answer, Code, StageError};
use crate::wire::report;
use crate::wire::request::{self, MAX_REQUEST_BYTES, Request, Stage};

/// Reads a request from stdin, writes the answer to stdout; returns the exit code.
pub fn main() -> i32 {
    let begun = Instant::now();
    signals::catch();
    let mut bytes = Vec::new();
    let read = io::stdin()
        .lock()
        .take(MAX_REQUEST_BYTES + 1)
        .read_to_end(&mut bytes);
    let (stage, outcome) = match read {
        Err(error) => (
            None,
            Err(StageError::from_io("reading the request", &error)),
        ),
        Ok(_) => match request::read(&bytes) {
            Ok(request) => (Some(request.stage), supervise(&request, &bytes)),
            Err((stage, error)) => (stage, Err(error)),
        },
    };
    let millis = begun.elapsed().as_millis() as u64;
    let answer = match outcome {
        Ok(answer) => Answer {
            duration_ms: millis,
            ..answer
        },
        Err(error) => Answer::failed(stage.map(Stage::name), millis, error),
    };
    if answer.ok {
        report::progress(stage.map_or("", Stage::name), 1.0, 0);
    }
    let text = serde_json::to_string(&answer).unwrap_or_default();
    let _ = writeln!(io::stdout(), "{text}");
    answer.exit()
}

/// Runs the stage in a child. The working folder lives as long as this call.
fn supervise(request: &Request, bytes: &[u8]) -> Result<Answer, StageError> {
    let work = WorkDir::make(&request.output_dir)?;
    let failed = |error: io::Error| StageError::from_io("starting the stage's process", &error);
    let mut command = Command::new(env::current_exe().map_err(failed)?);
    command.arg(super::CHILD).arg(work.path());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A stage must not outlive the process that answers for it.
    let parent = std::process::id();
    // SAFETY: prctl and getppid are async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() as u32 != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(failed)?;
    signals::set_child(child.id());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (answer, heard) = thread::scope(|scope| {
        let relayed = scope.spawn(|| stderr.map(relay::relay).unwrap_or_default());
        let feeder = scope.spawn(|| stdin.map(|mut pipe| pipe.write_all(bytes)));
        let mut answer = Vec::new();
        if let Some(mut pipe) = stdout {
            let _ = pipe.read_to_end(&mut answer);
        }
        let _ = feeder.join();
        (answer, relayed.join().unwrap_or_default())
    });
    let status = reap(&mut child).map_err(failed)?;
    match serde_json::from_slice::<Answer>(&answer) {
        Ok(answer) if status.code() == Some(answer.exit()) => Ok(answer),
        _ => Err(died(request.stage, status, heard)),
    }
}

/// Waits for the child without freeing its number until no signal can be sent to it any more.
fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    // SAFETY: waitid with WNOWAIT leaves the child to be waited for; siginfo is plain data.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(
            libc::P_PID,
            child.id(),
            &mut info,
            libc::WEXITED | libc::WNOWAIT,
        );
    }
    signals::forget_child();
    child.wait()
}

/// What a child's end without an answer means.
fn died(stage: Stage, status: ExitStatus, heard: Heard) -> StageError {
    let stage = stage.name();
    let memory = |how: &str| {
        let message =
            format!("stage {stage} {how}; run it on a machine with more memory, or alone");
        StageError::new(Code::OutOfMemory, message)
    };
    match status.signal() {
        _ if signals::asked() => {
            let message = format!("stage {stage} was asked to stop; run it again");
            StageError::new(Code::Interrupted, message)
        }
        _ if heard.out_of_memory => memory("could not get the memory it needs"),
        Some(libc::SIGKILL) => memory("was killed, most likely by the kernel for want of memory"),
        // SIGBUS: a page of a mapped file has no place on the disk. SIGXFSZ: a limit on file sizes.
        Some(libc::SIGBUS | libc::SIGXFSZ) => {
            let message = format!(
                "stage {stage} could not write a file, most likely because the disk is full; free space there and run it again"
            );
            StageError::new(Code::OutOfDisk, message)
        }
        _ => {
            let message =
                format!("stage {stage} ended without an answer; look at its log and report it");
            StageError::new(Code::Internal, message)
        }
    }
}
