//! Progress of stages whose library gives none: phases with expected times, moved on by what the
//! library logs, corrected by how long the phases so far really took.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::listen::{self, Subscription};
use crate::wire::report;

/// A stretch of work, expected to take `seconds`, that begins when a log message contains one of
/// `begins` (the first phase begins at once).
#[derive(Clone, Debug)]
pub struct Phase {
    pub begins: Vec<String>,
    pub seconds: f64,
}

impl Phase {
    pub fn new<const N: usize>(begins: [&str; N], seconds: f64) -> Self {
        Phase {
            begins: begins.map(str::to_owned).to_vec(),
            seconds: seconds.max(0.01),
        }
    }
}

#[derive(Debug)]
struct State {
    phases: Vec<Phase>,
    current: usize,
    /// Seconds since start at which the current phase began.
    since: f64,
    /// Never falls.
    fraction: f64,
    over: bool,
}

impl State {
    /// Goes to the phase that a message begins; never back.
    fn hear(&mut self, msg: &str, now: f64) {
        let next = self.phases.iter().enumerate().skip(self.current + 1);
        let found = next
            .into_iter()
            .find(|(_, p)| p.begins.iter().any(|b| msg.contains(b.as_str())));
        if let Some((index, _)) = found.map(|(index, p)| (index, p.seconds)) {
            self.current = index;
            self.since = now;
        }
    }

    /// Fraction done and seconds left. Real over expected time of the finished phases scales what
    /// is expected of the rest; a phase that overruns is held to have a tenth of itself left.
    fn estimate(&mut self, now: f64) -> (f64, f64) {
        let expected_past: f64 = self.phases[..self.current].iter().map(|p| p.seconds).sum();
        let expected: f64 = self.phases.iter().map(|p| p.seconds).sum();
        // A short phase says little: expectation counts as if a fifth of it had been measured.
        let prior = expected / 5.0;
        let scale = (self.since + prior) / (expected_past + prior);
        let here = self.phases[self.current].seconds * scale;
        let spent = now - self.since;
        let left_here = (here - spent).max(here.max(spent) / 10.0);
        let rest: f64 = self.phases[self.current + 1..]
            .iter()
            .map(|p| p.seconds * scale)
            .sum();
        let left = left_here + rest;
        let fraction = now / (now + left).max(f64::MIN_POSITIVE);
        self.fraction = self.fraction.max(fraction.min(0.99));
        (self.fraction, left)
    }
}

/// Reports progress every two seconds until it is dropped.
pub struct Progress {
    shared: Arc<(Mutex<State>, Condvar)>,
    ticker: Option<JoinHandle<()>>,
    _ears: Subscription,
}

const EVERY: Duration = Duration::from_secs(2);

impl Progress {
    /// Starts the first phase.
    pub fn start(stage: &'static str, phases: Vec<Phase>) -> Progress {
        let begun = Instant::now();
        let state = State {
            phases,
            current: 0,
            since: 0.0,
            fraction: 0.0,
            over: false,
        };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let heard = Arc::clone(&shared);
        let ears =
            listen::subscribe(move |msg| lock(&heard.0).hear(msg, begun.elapsed().as_secs_f64()));
        let ticked = Arc::clone(&shared);
        let ticker = thread::spawn(move || {
            let mut state = lock(&ticked.0);
            while !state.over {
                let (fraction, left) = state.estimate(begun.elapsed().as_secs_f64());
                report::progress(stage, fraction, left.ceil() as u64);
                state = ticked
                    .1
                    .wait_timeout(state, EVERY)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        });
        Progress {
            shared,
            ticker: Some(ticker),
            _ears: ears,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        lock(&self.shared.0).over = true;
        self.shared.1.notify_all();
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processor cores, for times that were measured per core.
pub fn cores() -> f64 {
    thread::available_parallelism().map_or(1.0, |n| n.get() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let phases = vec![
            Phase::new([], 10.0),
            Phase::new(["second"], 10.0),
            Phase::new(["third"], 20.0),
        ];
        State {
            phases,
            current: 0,
            since: 0.0,
            fraction: 0.0,
            over: false,
        }
    }

    #[test]
    fn a_machine_half_as_fast_is_noticed_after_the_first_phase() {
        let mut state = state();
        assert_eq!(state.estimate(5.0).1, 35.0);
        state.hear("the second begins", 20.0);
        let left = state.estimate(20.0).1;
        assert!(left > 45.0 && left < 60.0, "{left}");
    }

    #[test]
    fn the_fraction_never_falls_and_never_says_done() {
        let (mut state, mut last) = (state(), 0.0);
        for second in 0..600 {
            match second {
                30 => state.hear("second", 30.0),
                31 => state.hear("first again, and second", 31.0),
                90 => state.hear("third", 90.0),
                _ => {}
            }
            let (fraction, left) = state.estimate(f64::from(second));
            assert!(
                fraction >= last && fraction <= 0.99 && left > 0.0,
                "{second}: {fraction} {left}"
            );
            last = fraction;
        }
    }
}
