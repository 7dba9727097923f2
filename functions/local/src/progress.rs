//! What a run is doing, on standard error.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use workflows::{Exchange, Observer, Place};

/// The functions whose calls are shown, in the order of a run.
const SHOWN: [&str; 8] = ["generate", "extract", "load", "begin", "prepare", "transform", "audit", "publish"];

/// Shows the calls of one run. On a terminal one line that is rewritten; elsewhere one line at the end.
#[derive(Debug)]
pub(crate) struct Progress {
    label: String,
    is_live: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// First start and last end of the calls of each function.
    spans: BTreeMap<&'static str, (Instant, Option<Instant>)>,
    running: BTreeMap<&'static str, usize>,
}

impl Progress {
    /// Progress of the run that `label` names.
    pub(crate) fn new(label: &str) -> Self {
        Self { label: label.to_owned(), is_live: std::io::stderr().is_terminal(), state: Mutex::default() }
    }

    /// Seconds between the first call of a function and the end of its last.
    pub(crate) fn seconds(&self, function: &str) -> Option<f64> {
        let state = self.lock();
        let (start, end) = state.spans.get(function)?;
        Some(end.unwrap_or_else(Instant::now).duration_since(*start).as_secs_f64())
    }

    /// Ends the line of this run with what came of it.
    pub(crate) fn finish(&self, outcome: &str) {
        let line = self.line(&self.lock());
        let start = if self.is_live { "\r\x1b[2K" } else { "" };
        eprintln!("{start}{line}  {outcome}");
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only this display is behind the lock; after a panic elsewhere it is still fit to be shown.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, state: &State) -> String {
        let mut line = format!("{:<12}", self.label);
        for name in SHOWN {
            if let Some((start, end)) = state.spans.get(name) {
                let is_running = state.running.get(name).is_some_and(|calls| *calls > 0);
                let elapsed = end.filter(|_| !is_running).unwrap_or_else(Instant::now).duration_since(*start);
                let mark = if is_running { "…" } else { "" };
                line.push_str(&format!(" {name}{mark} {:.1}s", elapsed.as_secs_f64()));
            }
        }
        line
    }

    fn show(&self, state: &State) {
        if self.is_live {
            let mut error = std::io::stderr().lock();
            // A closed terminal is no reason to fail a run.
            let _ = write!(error, "\r\x1b[2K{}", self.line(state));
            let _ = error.flush();
        }
    }
}

fn function(url: &str) -> Option<&'static str> {
    let name = url.rsplit('/').next()?;
    SHOWN.into_iter().find(|shown| *shown == name)
}

impl Observer for Progress {
    fn call_started(&self, _: Place<'_>, _: &str, url: &str) {
        let Some(name) = function(url) else { return };
        let mut state = self.lock();
        state.spans.entry(name).or_insert((Instant::now(), None));
        *state.running.entry(name).or_default() += 1;
        self.show(&state);
    }

    fn call_finished(&self, _: Place<'_>, exchange: Exchange<'_>) {
        let Some(name) = function(exchange.url) else { return };
        let mut state = self.lock();
        if let Some((_, end)) = state.spans.get_mut(name) {
            *end = Some(Instant::now());
        }
        if let Some(running) = state.running.get_mut(name) {
            *running = running.saturating_sub(1);
        }
        self.show(&state);
    }

    fn retrying(&self, _: Place<'_>, attempt: u64, delay: Duration) {
        let start = if self.is_live { "\r\x1b[2K" } else { "" };
        eprintln!("{start}{}: a function is unavailable; retry {attempt} in {:.0} s", self.label, delay.as_secs_f64());
    }
}
