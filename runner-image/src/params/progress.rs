//! Progress on stderr: JSON lines for programs, one rewritten line for people.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a line is written at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts work done towards a total (in any unit) and says how long the rest will take. Threads
/// may share it.
pub struct Progress {
    label: String,
    terminal: bool,
    wrote: AtomicBool,
    state: Mutex<State>,
}

struct State {
    done: f64,
    total: f64,
    /// Work that was there before this process began (a resumed download): not part of the rate.
    given: f64,
    began: Instant,
    /// When the last line was written; work that is done sooner than the first is due writes none.
    last: Instant,
    /// The largest fraction written: a growing total must not look like going back.
    fraction: f64,
}

impl Progress {
    /// `label` is for people; `total` may be 0 and grow later.
    pub fn new(label: &str, total: f64) -> Self {
        let now = Instant::now();
        let state = State {
            done: 0.0,
            total,
            given: 0.0,
            began: now,
            last: now,
            fraction: 0.0,
        };
        Self {
            label: label.to_string(),
            terminal: stderr().is_terminal(),
            wrote: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// The total becomes larger by `amount`.
    pub fn expect(&self, amount: f64) {
        self.with(|s| s.total += amount);
    }

    /// `amount` was done before: it counts towards the fraction, not towards the rate.
    pub fn given(&self, amount: f64) {
        self.with(|s| {
            s.done += amount;
            s.given += amount;
        });
    }

    /// `amount` more is done (negative: it has to be done again); writes a line if one is due.
    pub fn add(&self, amount: f64) {
        self.with(|s| s.done += amount);
    }

    fn with(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        change(&mut state);
        let now = Instant::now();
        if state.total <= 0.0 || now - state.last < INTERVAL {
            return;
        }
        state.last = now;
        state.fraction = (state.done / state.total).clamp(state.fraction, 1.0);
        let fraction = state.fraction;
        let worked = state.done - state.given;
        let seconds = (now - state.began).as_secs_f64();
        let left = (worked > 0.0 && seconds > 0.0)
            .then(|| ((state.total - state.done).max(0.0) * seconds / worked).ceil() as u64);
        self.write(fraction, left);
    }

    fn write(&self, fraction: f64, left: Option<u64>) {
        self.wrote.store(true, Ordering::Relaxed);
        let mut out = stderr().lock();
        // A closed stderr is no reason to stop working.
        let _ = if self.terminal {
            let rest = left.map_or(String::new(), |s| format!(", {s} s left"));
            write!(
                out,
                "\r\x1b[K{}: {:.1} %{rest}",
                self.label,
                fraction * 100.0
            )
        } else {
            let rounded = (fraction * 10_000.0).round() / 10_000.0;
            let line = serde_json::json!({
                "t": "progress", "stage": "params", "fraction": rounded, "secondsLeft": left,
            });
            writeln!(out, "{line}")
        };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal && self.wrote.load(Ordering::Relaxed) {
            let _ = writeln!(stderr().lock());
        }
    }
}

/// One log line.
pub fn log(level: &str, message: &str) {
    let mut out = stderr().lock();
    let _ = if out.is_terminal() {
        writeln!(out, "{message}")
    } else {
        writeln!(
            out,
            "{}",
            serde_json::json!({ "t": "log", "level": level, "msg": message })
        )
    };
}
