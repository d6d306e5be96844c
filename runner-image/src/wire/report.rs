//! What goes to stderr while a stage runs: one JSON object a line, and nothing else.

use std::io::Write as _;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::answer::FileSum;

static LINES: Mutex<()> = Mutex::new(());

/// Writes one line. Lines of several threads do not mix. A closed stderr is no reason to stop.
pub fn line(value: &Value) {
    let mut text = value.to_string();
    text.push('\n');
    let _whole = LINES.lock();
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// How far a stage is: `fraction` in 0..=1, never falling within a stage.
pub fn progress(stage: &str, fraction: f64, seconds_left: u64) {
    let fraction = (fraction.clamp(0.0, 1.0) * 1000.0).round() / 1000.0;
    line(
        &json!({"t": "progress", "stage": stage, "fraction": fraction, "secondsLeft": seconds_left}),
    );
}

/// A log line; `level` is error, warn, info or debug.
pub fn log(level: &str, msg: &str) {
    line(&json!({"t": "log", "level": level, "msg": msg}));
}

/// An output that is whole and has its final name.
pub fn output(name: &str, sum: &FileSum) {
    line(&json!({"t": "output", "name": name, "sizeBytes": sum.size_bytes, "hash": sum.hash}));
}

/// A given layer that was not made again.
pub fn skipped(name: &str) {
    line(&json!({"t": "skipped", "name": name}));
}
