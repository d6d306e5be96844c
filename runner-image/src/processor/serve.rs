//! The processor itself: reads lines, runs at most so many tasks at a time, answers as they end.

use std::io::{self, BufReader, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::arguments::Arguments;
use super::lines::{self, Line, Request, Response};
use super::task_process;
use crate::wire::report;

/// Requests that wait before reading pauses, so that memory stays bounded.
const QUEUE: usize = 64;

/// Serves until stdin ends and all tasks are answered (exit code 0), or until nobody reads the
/// answers any more (1): tasks that still run are ended then.
pub fn main(arguments: &Arguments) -> i32 {
    let ready = format!("{} processor ready\n", arguments.stage.name());
    let mut stdout = io::stdout();
    if stdout.write_all(ready.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        return 1;
    }
    let (queue, waiting) = sync_channel::<Request>(QUEUE);
    let waiting = Mutex::new(waiting);
    let unheard = AtomicBool::new(false);
    let read = thread::scope(|scope| {
        for _ in 0..arguments.concurrency {
            scope.spawn(|| work(arguments, &waiting, &unheard));
        }
        // Dropped at the end: workers then finish what is queued, and end.
        let queue = queue;
        let mut input = BufReader::with_capacity(1 << 20, io::stdin());
        loop {
            match lines::next(&mut input)? {
                Line::Request(request) => {
                    if queue.send(request).is_err() {
                        return Ok(());
                    }
                }
                Line::Malformed(response) => answer(&lines::line_of(&response), &unheard),
                Line::End => return Ok::<(), io::Error>(()),
            }
        }
    });
    if let Err(error) = read {
        report::log("error", &format!("requests cannot be read any more: {error}; start the processor again"));
        return 1;
    }
    i32::from(unheard.load(Ordering::Relaxed))
}

fn work(arguments: &Arguments, waiting: &Mutex<Receiver<Request>>, unheard: &AtomicBool) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(request) = next else { return };
        let line = task_process::run(arguments, &request)
            .unwrap_or_else(|sentence| lines::line_of(&Response::failed(request.id, sentence)));
        answer(&line, unheard);
    }
}

/// Answers that nobody reads mean that the worker is gone: this process, and with it its tasks',
/// ends rather than to work on for hours.
fn answer(line: &[u8], unheard: &AtomicBool) {
    if lines::write(&mut io::stdout().lock(), line).is_err() {
        unheard.store(true, Ordering::Relaxed);
        report::log("error", "nobody reads the answers any more; start the processor again");
        std::process::exit(1);
    }
}
