//! The process that runs the stage.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd as _;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::disk::{inputs, outputs};
use crate::stages::{self, Job, listen};
use crate::wire::answer::{Answer, Code, FileSum, StageError};
use crate::wire::report;
use crate::wire::request::{self, Request, Stage};

/// Runs the request on stdin in the working folder `work`; writes the answer to what was stdout.
/// Returns the exit code.
pub fn main(work: &Path) -> i32 {
    let mut out = take_stdout();
    // The text goes to the log only; the answer says a sentence.
    panic::set_hook(Box::new(|info| {
        report::log("error", &format!("the library stopped: {info}"))
    }));
    let mut bytes = Vec::new();
    let answer = match io::stdin().lock().read_to_end(&mut bytes) {
        Err(error) => Answer::failed(None, 0, StageError::from_io("reading the request", &error)),
        Ok(_) => match request::read(&bytes) {
            Err((stage, error)) => Answer::failed(stage.map(Stage::name), 0, error),
            Ok(request) => answer(&request, work),
        },
    };
    let _ = serde_json::to_writer(&mut out, &answer);
    let _ = out.flush();
    answer.exit()
}

/// Keeps stdout for the answer: what libraries print goes to stderr, where the parent sees it.
fn take_stdout() -> File {
    // SAFETY: plain descriptor calls at the start of the process, before anything is printed.
    unsafe {
        let kept = libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 3);
        libc::dup2(2, 1);
        File::from_raw_fd(kept)
    }
}

fn answer(request: &Request, work: &Path) -> Answer {
    let name = request.stage.name();
    match panic::catch_unwind(AssertUnwindSafe(|| perform(request, work))) {
        Ok(Ok((outputs, result))) => Answer::done(name, 0, outputs, result),
        Ok(Err(error)) => Answer::failed(Some(name), 0, error),
        Err(_) => {
            let message = format!(
                "the proof library gave up in stage {name}; check that the inputs belong together, else report it with the log"
            );
            Answer::failed(Some(name), 0, StageError::new(Code::Internal, message))
        }
    }
}

type Made = (BTreeMap<String, FileSum>, serde_json::Value);

fn perform(request: &Request, work: &Path) -> Result<Made, StageError> {
    let wanted = stages::wanted(request);
    inputs::check_names(request, &wanted)?;
    // Before any thread exists: it sets environment variables.
    super::prepare_environment(request.network, &request.sector, stages::needs(request))?;
    listen::install();
    let bytes: u64 = request
        .inputs
        .values()
        .map(|input| input.size_bytes.0)
        .fold(0, u64::saturating_add);
    report::log(
        "info",
        &format!("checking {} inputs of {bytes} bytes", request.inputs.len()),
    );
    let (given, replaced) = inputs::check_sums(request, &wanted)?;
    for error in &replaced {
        report::log("warn", &format!("{}; it is made again", error.message));
    }
    let output_dir = std::fs::canonicalize(&request.output_dir)
        .map_err(|error| StageError::from_io("opening outputDir", &error))?;
    let mut free = stages::outputs(request, &given);
    // A layer that is made again may take the place of the one that differed.
    free.retain(|name| !wanted.replaceable.contains(name) || !request.inputs.contains_key(name));
    outputs::check_free(&output_dir, &free)?;
    // The library splits file names at `.dat`, wherever in a path that stands.
    env::set_current_dir(work)
        .map_err(|error| StageError::from_io("entering the working folder", &error))?;

    let published = Mutex::new(BTreeMap::new());
    let publish = |name: &str| -> Result<FileSum, StageError> {
        let sum = outputs::publish_one(work, &output_dir, name)?;
        published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), sum.clone());
        Ok(sum)
    };
    let job = Job {
        sector: &request.sector,
        inputs: &given,
        work,
        publish: &publish,
    };
    let done = stages::run(&request.params, &job)?;
    let mut sums = published
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let rest: Vec<String> = done
        .outputs
        .into_iter()
        .filter(|name| !sums.contains_key(name))
        .collect();
    sums.extend(outputs::publish_all(work, &output_dir, &rest)?);
    Ok((sums, done.result))
}
