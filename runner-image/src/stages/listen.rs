//! What the proof libraries log: passed on as log lines, and listened to, since their log is the
//! only sign of how far they are.

use std::sync::{Mutex, OnceLock, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::wire::report;

type Listener = Box<dyn Fn(&str) + Send + Sync>;

struct Ears {
    listeners: Mutex<Vec<(u64, Listener)>>,
}

static EARS: OnceLock<Ears> = OnceLock::new();

impl Log for Ears {
    fn enabled(&self, metadata: &Metadata) -> bool {
        // The prover's phases are logged at debug level.
        metadata.level() <= Level::Info || metadata.target().starts_with("bellperson")
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let msg = record.args().to_string();
        for (_, listener) in self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            listener(&msg);
        }
        report::log(&record.level().as_str().to_lowercase(), msg.trim());
    }

    fn flush(&self) {}
}

/// Starts listening, once per process.
pub fn install() {
    let ears = EARS.get_or_init(|| Ears {
        listeners: Mutex::new(Vec::new()),
    });
    if log::set_logger(ears).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// A listener that is heard until it is dropped.
pub struct Subscription(u64);

/// Calls `listener` with every message of the libraries.
pub fn subscribe(listener: impl Fn(&str) + Send + Sync + 'static) -> Subscription {
    let ears = EARS.get_or_init(|| Ears {
        listeners: Mutex::new(Vec::new()),
    });
    let mut listeners = ears
        .listeners
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let id = listeners.last().map_or(0, |(last, _)| last + 1);
    listeners.push((id, Box::new(listener)));
    Subscription(id)
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(ears) = EARS.get() {
            ears.listeners
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|(id, _)| *id != self.0);
        }
    }
}
