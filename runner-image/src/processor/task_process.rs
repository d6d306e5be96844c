//! One task in a process of its own, seen from the processor.

use std::env;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use serde::de::IgnoredAny;

use super::arguments::Arguments;
use super::lines::{Request, Response};

/// Runs a request's task; answers the line that its process wrote.
///
/// # Errors
/// The process cannot be started, or died without an answer to this request.
pub fn run(arguments: &Arguments, request: &Request) -> Result<Vec<u8>, String> {
    let (line, status) = speak(arguments, &request.line)
        .map_err(|error| format!("the task's process cannot be started: {error}; free memory or processes and send the task again"))?;
    let whole = line.ends_with(b"\n") && status.success();
    match serde_json::from_slice(&line) {
        Ok(Response::<IgnoredAny> { id, .. }) if whole && id == request.id => Ok(line),
        _ => Err(died(arguments, status)),
    }
}

fn speak(arguments: &Arguments, task: &[u8]) -> io::Result<(Vec<u8>, ExitStatus)> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(super::TASK).args(arguments.task_words());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let parent = std::process::id();
    // A task must not outlive the processor that answers for it. The signal comes when the thread
    // that starts the process ends: workers wait for their task, so that is when the processor ends.
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
    let mut child = command.spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut answer = Vec::new();
    thread::scope(|scope| {
        // A process that dies early breaks the pipe; its exit status says more than that error.
        scope.spawn(|| stdin.map(|mut pipe| pipe.write_all(task)));
        stdout.map(|mut pipe| pipe.read_to_end(&mut answer))
    });
    Ok((answer, child.wait()?))
}

fn died(arguments: &Arguments, status: ExitStatus) -> String {
    let stage = arguments.stage.name();
    match status.signal() {
        Some(libc::SIGKILL) => format!(
            "the process of the {stage} task was killed, most likely because memory ran out; let fewer tasks run at a time or give it more memory"
        ),
        Some(libc::SIGBUS) => format!(
            "the process of the {stage} task lost a file while it read it; check disk and files and send the task again"
        ),
        Some(signal) => format!("the process of the {stage} task died of signal {signal}; send the task again, else report it with the log"),
        None => format!("the process of the {stage} task ended without an answer ({status}); send the task again, else report it with the log"),
    }
}
